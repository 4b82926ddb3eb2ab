//! The statistics, beside SciPy on the same random data. `cargo xtask test` installs SciPy.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use ashlar_evals::stats::{
    Bootstrap, Method, PairedCase, Random, clopper_pearson, detectable, difference, kappa, mcnemar,
    resampled, roc_auc, wilson,
};
use serde_json::{Value, json};

/// A Python with SciPy; `None` when it is absent, which is said.
fn python() -> Option<PathBuf> {
    let found = std::env::var_os("ASHLAR_TEST_CLIENTS").map(PathBuf::from);
    if found.is_none() {
        assert!(
            !std::env::var("ASHLAR_REQUIRE_ALL").is_ok_and(|v| v == "1"),
            "SciPy is required: run `cargo xtask test`"
        );
        println!("skipped: ASHLAR_TEST_CLIENTS names no Python with SciPy; `cargo xtask test` installs it");
    }
    found.map(|dir| dir.join("python/bin/python"))
}

/// What SciPy makes of the same data. The variance of κ comes from the delta method with derivatives by complex step, which knows nothing
/// of the published formula.
const SCIPY: &str = r#"
import json, sys
import numpy as np
from types import SimpleNamespace
from scipy import stats

data = json.load(sys.stdin)

def interval(found):
    return [found.confidence_interval.low, found.confidence_interval.high]

def bootstrap(case):
    base, cand = np.array(case["baseline"]), np.array(case["candidate"])
    w = np.array(case["weights"])
    d = cand.mean(axis=1) - base.mean(axis=1)
    statistic = lambda d, w: (d * w).sum() / w.sum()
    given = SimpleNamespace(bootstrap_distribution=np.array(case["resampled"]))
    same = lambda method: interval(stats.bootstrap((d, w), statistic, paired=True, vectorized=False, n_resamples=0,
        confidence_level=case["confidence"], method=method, bootstrap_result=given))
    rng = np.random.default_rng(1)
    (n, k), rounds = base.shape, 4000
    at = rng.integers(0, n, (rounds, n))
    def pick(x):
        return x[at[:, :, None], rng.integers(0, k, (rounds, n, k))].mean(axis=2)
    drawn = ((pick(cand) - pick(base)) * w[at]).sum(axis=1) / w[at].sum(axis=1)
    tail = (1 - case["confidence"]) / 2
    return {"estimate": statistic(d, w), "percentile": same("percentile"), "bca": same("BCa"),
            "own": [np.quantile(drawn, tail), np.quantile(drawn, 1 - tail)]}

def kappa(case):
    a, b = np.array(case["a"]), np.array(case["b"])
    k = max(a.max(), b.max()) + 1
    n = len(a)
    p = np.zeros((k, k), dtype=complex)
    for i, j in zip(a, b):
        p[i, j] += 1 / n
    def of(p):
        p = p / p.sum()
        po, pe = np.trace(p), (p.sum(0) * p.sum(1)).sum()
        return (po - pe) / (1 - pe)
    g = np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            moved = p.copy()
            moved[i, j] += 1e-30j
            g[i, j] = of(moved).imag / 1e-30
    p = p.real
    variance = ((p * g * g).sum() - (p * g).sum() ** 2) / n
    z = stats.norm.ppf(0.5 + case["confidence"] / 2)
    value = of(p)
    half = z * np.sqrt(max(variance, 0))
    return [value, max(value - half, -1), min(value + half, 1)]

def mcnemar(case):
    b, c = case
    k, n = min(b, c), b + c
    if b == c:
        return [1.0, 1.0]
    return [stats.binomtest(k, n, 0.5).pvalue, 2 * (stats.binom.cdf(k, n, 0.5) - stats.binom.pmf(k, n, 0.5) / 2)]

def share(case):
    found = stats.binomtest(case["pass"], case["cases"])
    ci = lambda method: list(found.proportion_ci(case["confidence"], method=method))
    return ci("wilson") + ci("exact")

def roc(case):
    good, bad = case
    return stats.mannwhitneyu(good, bad).statistic / (len(good) * len(bad))

def effect(case):
    z = stats.norm.ppf(0.5 + case["confidence"] / 2) + stats.norm.ppf(case["power"])
    return z * stats.sem(np.array(case["differences"]))

kinds = {"bootstrap": bootstrap, "kappa": kappa, "mcnemar": mcnemar, "share": share, "roc": roc, "effect": effect}
json.dump({name: [of(case) for case in data[name]] for name, of in kinds.items()}, sys.stdout)
"#;

fn scipy(python: PathBuf, data: &Value) -> Value {
    let mut child = Command::new(python)
        .args(["-c", SCIPY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(data.to_string().as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    serde_json::from_slice(&out.stdout).unwrap()
}

struct Chance(Random);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0.below(end)
    }

    fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.0.below(1 << 24)).unwrap()) / f64::from(1 << 24)
    }

    fn confidence(&mut self) -> f64 {
        [0.8, 0.9, 0.95, 0.99][self.below(4)]
    }

    fn paired(&mut self) -> Vec<PairedCase> {
        let cases = 8 + self.below(60);
        let weighted = self.below(2) == 0;
        let (samples, passes) = (1 + self.below(4), self.below(2) == 0);
        let mut scores = |good: f64| -> Vec<f64> {
            let one = |unit: f64| if passes { f64::from(u8::from(unit < good)) } else { good * unit * unit };
            (0..samples).map(|_| one(self.unit())).collect()
        };
        let mut out: Vec<PairedCase> = (0..cases)
            .map(|_| PairedCase { baseline: scores(0.6), candidate: scores(0.8), weight: 1.0 })
            .collect();
        if weighted {
            out.iter_mut().for_each(|case| case.weight = 0.5 + self.unit() * 3.0);
        }
        out
    }
}

fn close(found: f64, wanted: &Value, within: f64) {
    let wanted = wanted.as_f64().unwrap();
    assert!((found - wanted).abs() <= within, "{found} is not {wanted}");
}

fn bootstraps(chance: &mut Chance) -> (Vec<(Vec<PairedCase>, Bootstrap)>, Vec<Value>) {
    let cases: Vec<(Vec<PairedCase>, Bootstrap)> = (0..24_u64)
        .map(|seed| {
            let options =
                Bootstrap { resamples: 4_000, confidence: chance.confidence(), seed, ..Bootstrap::default() };
            (chance.paired(), options)
        })
        .collect();
    let asked = cases
        .iter()
        .map(|(cases, options)| {
            let of = |scores: fn(&PairedCase) -> &Vec<f64>| cases.iter().map(scores).collect::<Vec<_>>();
            json!({
                "baseline": of(|case| &case.baseline),
                "candidate": of(|case| &case.candidate),
                "weights": cases.iter().map(|case| case.weight).collect::<Vec<_>>(),
                "confidence": options.confidence,
                "resampled": resampled(cases, *options).unwrap(),
            })
        })
        .collect();
    (cases, asked)
}

fn check_bootstraps(cases: &[(Vec<PairedCase>, Bootstrap)], wanted: &Value) {
    for ((cases, options), wanted) in cases.iter().zip(wanted.as_array().unwrap()) {
        let bca = difference(cases, *options).unwrap();
        let plain = difference(cases, Bootstrap { method: Method::Percentile, ..*options }).unwrap();
        assert_eq!(bca.method, Method::Bca);
        close(bca.estimate, &wanted["estimate"], 1e-12);
        // The same resamples give the same ends.
        for (found, name) in [(bca, "bca"), (plain, "percentile")] {
            close(found.interval.low, &wanted[name][0], 1e-9);
            close(found.interval.high, &wanted[name][1], 1e-9);
        }
        // Resamples that NumPy drew give nearly the same: the ends are off by chance and by the steps of small samples.
        let width = plain.interval.high - plain.interval.low;
        close(plain.interval.low, &wanted["own"][0], 0.1 * width);
        close(plain.interval.high, &wanted["own"][1], 0.1 * width);
    }
}

#[test]
fn the_same_data_gives_the_same_figures() {
    let Some(python) = python() else { return };
    let mut chance = Chance(Random::new(15));
    let (paired, asked) = bootstraps(&mut chance);
    let labels: Vec<(Vec<(usize, usize)>, f64)> = (0..60)
        .map(|_| {
            let (kinds, n) = (2 + chance.below(4), 20 + chance.below(300));
            let mut pair = || {
                let label = chance.below(kinds);
                (label, if chance.below(3) == 0 { chance.below(kinds) } else { label })
            };
            // Every label occurs, and the judges differ at least once.
            let pairs = (0..n).map(|_| pair()).chain((0..kinds).map(|k| (k, k))).chain([(0, 1)]).collect();
            (pairs, chance.confidence())
        })
        .collect();
    let changes: Vec<(usize, usize)> = (0..200).map(|_| (chance.below(90), chance.below(90))).collect();
    let shares: Vec<(usize, usize, f64)> = (0..200)
        .map(|_| {
            let cases = 1 + chance.below(2_000);
            (chance.below(cases + 1), cases, chance.confidence())
        })
        .collect();
    let scores: Vec<(Vec<f64>, Vec<f64>)> = (0..40)
        .map(|_| {
            let steps = [4, 1_000_000][chance.below(2)];
            let n = 5 + chance.below(200);
            let mut score = |up: usize| f64::from(u32::try_from(chance.below(steps) + up).unwrap());
            ((0..n).map(|_| score(1)).collect(), (0..n + 3).map(|_| score(0)).collect())
        })
        .collect();
    let effects: Vec<(Vec<PairedCase>, f64, f64)> = (0..40)
        .map(|_| {
            let cases = (0..3 + chance.below(100)).map(|_| PairedCase::once(chance.unit(), chance.unit()));
            (cases.collect(), chance.confidence(), chance.confidence())
        })
        .collect();
    let data = json!({
        "bootstrap": asked,
        "kappa": labels.iter().map(|(pairs, confidence)| json!({
            "a": pairs.iter().map(|pair| pair.0).collect::<Vec<_>>(),
            "b": pairs.iter().map(|pair| pair.1).collect::<Vec<_>>(),
            "confidence": confidence,
        })).collect::<Vec<_>>(),
        "mcnemar": changes,
        "share": shares.iter().map(|(pass, cases, confidence)| json!({"pass": pass, "cases": cases, "confidence": confidence})).collect::<Vec<_>>(),
        "roc": scores,
        "effect": effects.iter().map(|(cases, confidence, power)| json!({
            "differences": cases.iter().map(PairedCase::difference).collect::<Vec<_>>(), "confidence": confidence, "power": power,
        })).collect::<Vec<_>>(),
    });
    let wanted = scipy(python, &data);
    let list = |name: &str| wanted[name].as_array().unwrap().iter();
    check_bootstraps(&paired, &wanted["bootstrap"]);
    for ((pairs, confidence), wanted) in labels.iter().zip(list("kappa")) {
        let found = kappa(pairs, *confidence).unwrap().unwrap();
        close(found.kappa, &wanted[0], 1e-10);
        close(found.interval.low, &wanted[1], 1e-9);
        close(found.interval.high, &wanted[2], 1e-9);
    }
    for ((broken, fixed), wanted) in changes.iter().zip(list("mcnemar")) {
        let found = mcnemar(*broken, *fixed);
        close(found.p_exact, &wanted[0], 1e-11);
        close(found.p_mid, &wanted[1], 1e-11);
    }
    for ((pass, cases, confidence), wanted) in shares.iter().zip(list("share")) {
        let score = wilson(*pass, *cases, *confidence).unwrap();
        let exact = clopper_pearson(*pass, *cases, *confidence).unwrap();
        for (at, found) in [score.low, score.high, exact.low, exact.high].into_iter().enumerate() {
            close(found, &wanted[at], 1e-9);
        }
    }
    for ((good, bad), wanted) in scores.iter().zip(list("roc")) {
        close(roc_auc(good, bad, 0.95).unwrap().auc, wanted, 1e-12);
    }
    for ((cases, confidence, power), wanted) in effects.iter().zip(list("effect")) {
        close(detectable(cases, *confidence, *power).unwrap().unwrap(), wanted, 1e-10);
    }
}
