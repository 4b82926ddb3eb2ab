//! Evals: suites can be read, what they name exists, and what changes answers has a run that shows that they did not become worse.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_evals::{
    evidence::{Evidence, Verdict},
    figures::Metric,
    report::CaseSummary,
    run::Stopped,
    suite::{Case, Demand},
};
use ashlar_gateway::{
    config::{self, Target},
    prompts::{PromptName, STATE_FILE},
};
use ashlar_model::{Digest, Finding, Level, did_you_mean};
use ashlar_release::SuiteRun;

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    definitions::Definitions,
    findings::{Findings, count},
    inputs::Inputs,
    suites::{inputs::Part as SuitePart, read::SuiteAt, state::SuiteState},
    world::{Change, Looked, Part, Work, World},
};

const FINDINGS: &[Code] = findings! {
    "eval-suite": "A suite has a missing, unknown or wrong key, or no cases belong to it." => "Correct the line that the message names.";
    "eval-cases": "A suite has no cases, or too many." => "Write a case on each line of evals/NAME.jsonl.";
    "eval-case": "A case cannot be read, or could not fail." => "Correct the line that the message names.";
    "eval-labels": "A file of labels has too many labels." => "Keep at most 1,000 labels in evals/NAME.labels.jsonl.";
    "eval-label": "A label cannot be read." => "Correct the line that the message names.";
    "eval-near-duplicate": "Two cases ask nearly the same, which counts twice." => "Remove one of them.";
    "eval-feature-unknown": "A suite names a feature that gateway.toml does not have." => "Correct `feature`, or add the feature to gateway.toml.";
    "eval-route-unknown": "A suite names a route that its feature may not use." => "Correct `route`, or add the route to the feature.";
    "eval-prompt-unknown": "A suite names a prompt that does not exist or that its feature may not use." => "Correct `prompt`, create the prompt, or add it to the feature.";
    "eval-contract-unknown": "A case expects an answer by a contract that does not exist." => "Correct `json`, or create the contract.";
    "eval-entry-unknown": "A case expects a citation of an entry that does not exist." => "Correct `cites`, or add the entry.";
    "eval-suite-removed": "A suite of what is served is removed, so nothing waits for it any more." => "Restore its files, or waive the gate with a reason.";
    "eval-critical-removed": "A critical case of what is served is removed." => "Restore the case, or waive the gate with a reason.";
    "eval-evidence-missing": "Answers may have changed, and no complete run shows how." => "Run `ashlar eval run --suite SUITE --of CANDIDATE --submit`.";
    "eval-baseline-missing": "Answers may have changed, and no complete run shows how what is served answers, so nothing can be seen to become worse." => "Run `ashlar eval run --suite SUITE --of RELEASE --submit`.";
    "eval-threshold": "A figure of the run breaks a threshold of the suite." => "Improve the answers, or change the threshold.";
    "eval-critical": "A critical case fails." => "Improve the answer, or give the case a `known_failure` with an end.";
    "eval-regression": "A critical case passes less often than in what was served, or a figure is worse by more than chance." => "Improve the answers, or waive the gate with a reason.";
    "eval-case-worse": "A case passes less often than in what was served." => "Nothing, if that is meant.";
    "toml-malformed": "A suite has a syntax error." => "Correct the line that the message names.";
    "encoding": "A file of a suite is not UTF-8 text." => "Save it as UTF-8.";
};

/// Cases of one suite that are reported as worse.
const WORSE_MAX: usize = 100;
/// Changes and cases that a message names.
const NAMED_MAX: usize = 5;

/// The gate `evals`.
pub(crate) struct Evals;

impl Gate for Evals {
    fn about(&self) -> &'static About {
        &About {
            name: "evals",
            judges: "Eval suites can be read, and what changes answers has a run which shows that they did not become worse.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        let definitions = world.definitions();
        // Raised when this gate judges differently.
        inputs.add("rules", b"2").digest("suites", &definitions.part("evals/"));
        inputs.digest("base", &world.base_part("evals/"));
        if definitions.suites.all.is_empty() {
            return;
        }
        for part in [config::FILE, "prompts/", STATE_FILE, ashlar_retrieval::config::FILE] {
            inputs.digest(part, &definitions.part(part));
        }
        if definitions.suites.all.iter().any(|at| !at.cites.is_empty()) {
            inputs.digest("content", &world.digest(Part::Snapshot));
        }
        if !world.takes_runs() {
            return;
        }
        let cases = definitions.suites.all.iter().flat_map(|at| &at.suite.cases);
        if cases.filter(|case| case.known_failure.is_some()).count() > 0 {
            inputs.add("today", world.today().to_string().as_bytes());
        }
        inputs.json("first", &world.base().is_none());
        // What cannot be read is reported by the run, which is not remembered.
        for state in world.suites().unwrap_or_default() {
            inputs.digest("inputs", &state.inputs.digest).json("same", &state.same_rules);
            inputs.json("served", &state.served.as_ref().map(|served| served.inputs.digest));
            let suite = Judged { world, at: &definitions.suites.all[state.at], state: &state };
            inputs.json("before", &suite.before().map(|run| (run.inputs, run.object)));
            if suite.without_baseline().is_some() {
                inputs.json("served release", &world.base_release());
            }
        }
        for run in world.runs() {
            inputs.json("run", &(&run.suite, run.inputs, run.object, run.complete));
        }
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let definitions = world.definitions();
        let suites = &definitions.suites;
        let mut findings = Findings::default();
        findings.extend(suites.findings.iter().cloned());
        for at in &suites.all {
            findings.extend(names(definitions, at));
            findings.extend(judge(definitions, at));
            findings.extend(cites(world, at)?);
        }
        findings.extend(world.base().into_iter().flat_map(|base| removed(definitions, base)));
        let mut metrics = BTreeMap::new();
        if world.takes_runs() {
            let (mut unchanged, mut shown, mut not_asked) = (0, 0, 0);
            for state in world.suites()? {
                let suite = Judged { world, at: &suites.all[state.at], state: &state };
                if state.is_unchanged() {
                    unchanged += 1;
                } else if suite.judge(&mut findings)? {
                    shown += 1;
                } else if suite.is_left_to_editors() {
                    not_asked += 1;
                    metrics.insert(format!("not_asked.{}", suite.at.suite.name), 1.0);
                } else {
                    findings.push(suite.missing()?);
                    let without = suite.without_baseline();
                    findings.extend(without.into_iter().filter(|finding| finding.level == Level::Error));
                }
            }
            metrics.insert("unchanged".to_owned(), f64::from(unchanged));
            metrics.insert("with_evidence".to_owned(), f64::from(shown));
            metrics.insert("not_asked".to_owned(), f64::from(not_asked));
        }
        let n = suites.all.len();
        let looked = Looked { checked: n, reused: 0 };
        let mut what = count(n, "suite", "suites");
        if metrics.get("not_asked").is_some_and(|n| *n > 0.0) {
            what.push_str(&format!(", {} not asked about the new content", metrics["not_asked"]));
        }
        Ok(Work { findings, looked, what, metrics })
    }
}

/// Suites and critical cases that are served and no longer there. Nobody excuses himself from being judged: where a release waits for runs, they go
/// only with a reason.
fn removed(definitions: &Definitions, base: &Definitions) -> Vec<Finding> {
    let suites = &definitions.suites;
    let is_there = |at: &&SuiteAt| {
        let of = |finding: &Finding| finding.place.starts_with(&at.file());
        suites.all.iter().any(|other| other.suite.name == at.suite.name) || suites.findings.iter().any(of)
    };
    let finding = |waits: bool, code: &str, place: String, message: String| match waits {
        true => Finding::error(code, place, message),
        false => Finding::warning(code, place, message),
    };
    let mut out = Vec::new();
    for at in base.suites.all.iter().filter(|at| !is_there(at)) {
        let message = format!("The suite `{}` is removed, so nothing waits for it any more.", at.suite.name);
        let finding = finding(!at.suite.gate.is_advice(), "eval-suite-removed", at.file(), message);
        out.push(finding.about(&at.suite.name).help("restore its files, or waive the gate with a reason"));
    }
    for at in &suites.all {
        let Some(was) = base.suites.all.iter().find(|was| was.suite.name == at.suite.name) else { continue };
        let there: BTreeSet<&str> = at.suite.cases.iter().map(|case| case.id.as_str()).collect();
        let waits = !at.suite.gate.stricter(was.suite.gate).is_advice();
        for case in was.suite.cases.iter().filter(|case| case.critical && !there.contains(case.id.as_str())) {
            let message =
                format!("The critical case `{}` is removed, so nothing shows when it fails.", case.id);
            let finding = finding(waits, "eval-critical-removed", at.cases_file(), message);
            out.push(finding.about(&case.id).help("restore the case, or waive the gate with a reason"));
        }
    }
    out
}

/// What a suite names that does not exist.
fn names(definitions: &Definitions, at: &SuiteAt) -> Vec<Finding> {
    let (suite, gateway, prompts) = (&at.suite, &definitions.gateway, &definitions.prompts);
    let mut out = Vec::new();
    let mut wrong = |code: &str, line: usize, message: String, help: String| {
        out.push(Finding::error(code, format!("{}:{line}", at.file()), message).help(help));
    };
    let feature = gateway.features.get(&suite.feature);
    if feature.is_none() && definitions.gateway_findings.is_empty() {
        let known = gateway.features.keys().map(String::as_str);
        let otherwise = format!("add [features.{}] to {}", suite.feature, config::FILE);
        let help = did_you_mean(&suite.feature, known, otherwise);
        let message = format!(
            "The suite `{}` names the feature `{}`, which does not exist.",
            suite.name, suite.feature
        );
        wrong("eval-feature-unknown", suite.lines.feature, message, help);
    }
    if let (Some(route), Some(feature)) = (&suite.route, feature) {
        let known: Vec<&str> = gateway.routes_of(feature).into_iter().map(|(name, _)| name).collect();
        if !known.contains(&route.as_str()) {
            let otherwise = format!("add it to `routes` of [features.{}]", suite.feature);
            let help = did_you_mean(route, known.iter().copied(), otherwise);
            let message = format!("The feature `{}` has no route `{route}`.", suite.feature);
            wrong("eval-route-unknown", suite.lines.route, message, help);
        }
    }
    if let Some(named) = &suite.prompt {
        let line = suite.lines.prompt;
        match named.parse::<PromptName>() {
            Err(error) => wrong("eval-prompt-unknown", line, error.message, error.help),
            Ok(name) => {
                let exists = match name.version {
                    Some(version) => prompts.get(&name.name, version).is_some(),
                    None => prompts.active(&name.name).is_some(),
                };
                let allowed = feature.is_none_or(|feature| feature.prompts.allows(&name.name));
                if !exists {
                    let versions = prompts.versions(&name.name).map(|v| format!("{}@v{v}", name.name));
                    let known: Vec<String> = prompts.names().map(str::to_owned).chain(versions).collect();
                    let otherwise = format!("create the prompt under prompts/{}/", name.name);
                    let help = did_you_mean(named, known.iter().map(String::as_str), otherwise);
                    let message = format!(
                        "The suite `{}` names the prompt `{named}`, which does not exist.",
                        suite.name
                    );
                    wrong("eval-prompt-unknown", line, message, help);
                } else if !allowed {
                    let help = format!("add it to `prompts` of [features.{}]", suite.feature);
                    let message =
                        format!("The feature `{}` may not use the prompt `{}`.", suite.feature, name.name);
                    wrong("eval-prompt-unknown", line, message, help);
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    for case in &suite.cases {
        let Some(named) = case.expect.json.as_ref().filter(|named| seen.insert(named.as_str())) else {
            continue;
        };
        if named.parse().ok().and_then(|name| definitions.contracts.get(&name)).is_none() {
            let known: Vec<String> = definitions.contracts.iter().map(|c| c.name.to_string()).collect();
            let otherwise = format!("create contracts/{named}.json");
            let help = did_you_mean(named, known.iter().map(String::as_str), otherwise);
            let message =
                format!("The case `{}` expects the contract `{named}`, which does not exist.", case.id);
            let place = format!("{}:{} /expect/json", at.cases_file(), case.line);
            out.push(Finding::error("eval-contract-unknown", place, message).help(help));
        }
    }
    out
}

/// What the judge of a suite names that does not exist.
fn judge(definitions: &Definitions, at: &SuiteAt) -> Option<Finding> {
    let (suite, gateway) = (&at.suite, &definitions.gateway);
    let judge = suite.judge.as_ref()?;
    let wrong = |code: &str, message: String, help: String| {
        Finding::error(code, format!("{}:{}", at.file(), suite.lines.judge), message).help(help)
    };
    let Some(feature) = gateway.features.get(&judge.feature) else {
        // A feature that is that of the suite as well is reported there.
        if judge.feature == suite.feature || !definitions.gateway_findings.is_empty() {
            return None;
        }
        let known = gateway.features.keys().map(String::as_str);
        let otherwise = format!("add [features.{}] to {}", judge.feature, config::FILE);
        let help = did_you_mean(&judge.feature, known, otherwise);
        let (name, feature) = (&suite.name, &judge.feature);
        let message =
            format!("The judge of the suite `{name}` has the feature `{feature}`, which does not exist.");
        return Some(wrong("eval-feature-unknown", message, help));
    };
    let known: Vec<&str> = gateway.routes_of(feature).into_iter().map(|(name, _)| name).collect();
    if known.contains(&judge.route.as_str()) {
        return None;
    }
    let otherwise = format!("add it to `routes` of [features.{}]", judge.feature);
    let help = did_you_mean(&judge.route, known.iter().copied(), otherwise);
    let message =
        format!("The feature `{}` has no route `{}`, which judges by rubrics.", judge.feature, judge.route);
    Some(wrong("eval-route-unknown", message, help))
}

/// Entries that answers must cite and that do not exist.
fn cites(world: &dyn World, at: &SuiteAt) -> Result<Vec<Finding>, GateError> {
    let mut out = Vec::new();
    for ((type_name, id), line) in &at.cites {
        if world.site().has_entry(type_name, id)? || world.may_exist(type_name, id) {
            continue;
        }
        let target = format!("{type_name}/{id}");
        let message = format!("Answers must cite {target}, which does not exist.");
        let place = format!("{}:{line} /expect/cites", at.cases_file());
        let help = format!("add {target}, or correct `cites`");
        out.push(Finding::warning("eval-entry-unknown", place, message).about(target).help(help));
    }
    Ok(out)
}

/// A suite whose answers may have changed.
struct Judged<'a> {
    world: &'a dyn World,
    at: &'a SuiteAt,
    state: &'a SuiteState,
}

impl Judged<'_> {
    fn run_of(&self, inputs: &Digest, complete: bool) -> Option<&SuiteRun> {
        let suite = &self.at.suite.name;
        self.world
            .runs()
            .iter()
            .find(|run| run.suite == *suite && run.inputs == *inputs && run.complete == complete)
    }

    fn evidence(&self, run: &SuiteRun) -> Result<Evidence, GateError> {
        let bytes = self.world.document(&run.object)?;
        Evidence::read(&bytes).map_err(|error| GateError::Evidence(error.to_string()))
    }

    /// Whether only a server can ask: a provider answers, or a judge decides.
    fn needs_server(&self) -> bool {
        let routes = &self.world.definitions().gateway.routes;
        let calls = |part: &SuitePart| match part {
            SuitePart::Route(name) => {
                routes.get(name).is_some_and(|route| !route.targets.iter().all(Target::is_built_in))
            }
            _ => false,
        };
        self.at.suite.is_judged() || self.state.inputs.parts.keys().any(calls)
    }

    /// The command that records a run.
    fn command(&self, of: &dyn std::fmt::Display) -> String {
        let suite = &self.at.suite.name;
        match self.needs_server() {
            true => format!("run `ashlar eval start --suite {suite} --of {of} --wait --server URL`"),
            false => format!("run `ashlar eval run --suite {suite} --of {of} --submit`"),
        }
    }

    /// The command that shows every case.
    fn help(&self) -> String {
        let suite = &self.at.suite.name;
        match self.needs_server() {
            true => "`ashlar eval runs --server URL` lists runs, and `ashlar eval show RUN --out DIR` has every case".to_owned(),
            false => format!("`ashlar eval run --suite {suite} --of CANDIDATE --out DIR` shows every case"),
        }
    }

    /// Editors publish without a run, and hear nothing of it with each change: the summary says it.
    fn is_left_to_editors(&self) -> bool {
        self.state.differs_in_content() && self.state.gate.content == Demand::Advice
    }

    /// The run to compare with: that of what is served, else that of the newest release before it that has one.
    fn before(&self) -> Option<&SuiteRun> {
        let served = self.state.served.as_ref().filter(|_| self.state.differs())?;
        let earlier = || self.run_of(&self.world.baseline(&self.at.suite.name)?.inputs, true);
        self.run_of(&served.inputs.digest, true).or_else(earlier)
    }

    /// There is nothing to compare with, although the suite is served.
    fn without_baseline(&self) -> Option<Finding> {
        self.state.served.as_ref().filter(|_| self.state.differs() && self.before().is_none())?;
        let release = self.world.base_release()?;
        let suite = &self.at.suite.name;
        let message = format!(
            "No run of the suite `{suite}` covers {release}, which is served, so nothing shows whether answers become worse."
        );
        let (code, place) = ("eval-baseline-missing", self.at.file());
        let finding = match self.state.demand() {
            Demand::Required => Finding::error(code, place, message),
            Demand::Advice => Finding::warning(code, place, message),
        };
        Some(finding.about(suite).help(self.command(&release)))
    }

    /// Judges by the evidence, and says whether there is any.
    fn judge(&self, findings: &mut Findings) -> Result<bool, GateError> {
        let Some(run) = self.run_of(&self.state.inputs.digest, true) else { return Ok(false) };
        let evidence = self.evidence(run)?;
        findings.extend(self.without_baseline());
        let before = self.before().map(|run| self.evidence(run)).transpose()?;
        let was = self.state.served.as_ref().map(|served| &*served.suite);
        let verdict = evidence.verdict((&self.at.suite, was), self.world.today(), before.as_ref());
        let is_advice = self.state.gate.is_advice();
        let shown = self.shown(&verdict, &evidence, before.as_ref());
        findings.extend(shown.into_iter().map(|finding| match is_advice {
            true => Finding { level: Level::Warning, ..finding },
            false => finding,
        }));
        Ok(true)
    }

    fn missing(&self) -> Result<Finding, GateError> {
        let suite = &self.at.suite;
        let since = match self.state.differing() {
            None => String::new(),
            Some(parts) if parts.is_empty() => "; its thresholds changed".to_owned(),
            Some(parts) => {
                let named: Vec<String> = parts.iter().map(ToString::to_string).collect();
                format!("; these changed: {}", some(&named, named.len()))
            }
        };
        let incomplete = match self.run_of(&self.state.inputs.digest, false) {
            Some(run) => match self.evidence(run)?.summary.stopped {
                Some(stopped @ Stopped::NotJudged) => {
                    format!(" A run of {} does not count. {}", run.asked, stopped.about())
                }
                _ => format!(" A run of {} is incomplete, so it does not count.", run.asked),
            },
            None => String::new(),
        };
        let message = format!("No run of the suite `{}` covers this{since}.{incomplete}", suite.name);
        // Nothing can become worse by a first release, and whoever tries a project out has no run yet.
        let waits = self.world.base().is_some() && self.state.demand() == Demand::Required;
        let place = self.at.file();
        let finding = match waits {
            true => Finding::error("eval-evidence-missing", place, message),
            false => Finding::warning("eval-evidence-missing", place, message),
        };
        Ok(finding.about(&suite.name).help(self.command(&"CANDIDATE")))
    }

    /// What evidence says against the change.
    fn shown(&self, verdict: &Verdict, evidence: &Evidence, before: Option<&Evidence>) -> Vec<Finding> {
        let suite = &self.at.suite;
        let cases: BTreeMap<&str, &Case> = suite.cases.iter().map(|case| (case.id.as_str(), case)).collect();
        let place = |id: &str| match cases.get(id) {
            Some(case) => format!("{}:{}", self.at.cases_file(), case.line),
            None => self.at.cases_file(),
        };
        let why = |id: &str| {
            let reason = evidence.failed_case(id).and_then(|failed| failed.reasons.first());
            reason.map_or_else(|| ".".to_owned(), |reason| format!(": {reason}"))
        };
        let served = before.map(|before| before.of.as_str()).unwrap_or_default();
        let mut out = Vec::new();
        for result in &verdict.broken {
            let metric = result.threshold.metric;
            let unknown = || "unknown, since no case has a value".to_owned();
            let value = result.value.map_or_else(unknown, |value| metric.shown(value));
            let bounds = [("at least", result.threshold.min), ("at most", result.threshold.max)];
            let bounds: Vec<String> = bounds
                .iter()
                .filter_map(|(word, bound)| Some(format!("{word} {}", metric.shown((*bound)?))))
                .collect();
            let message = format!(
                "`{}` of {} is {value}; it must be {}.{}",
                metric.name(),
                evidence.of,
                bounds.join(" and "),
                worse(verdict, metric)
            );
            let at = format!("{}:{}", self.at.file(), suite.lines.thresholds);
            out.push(Finding::error("eval-threshold", at, message).about(metric.name()).help(self.help()));
        }
        for critical in &verdict.critical {
            let expired = match critical.expired {
                Some(day) => format!(" It was a known failure until {day}."),
                None => String::new(),
            };
            let message = format!("The critical case `{}` fails{}{expired}", critical.id, why(&critical.id));
            let finding = Finding::error("eval-critical", place(&critical.id), message);
            out.push(finding.about(&critical.id).help(self.help()));
        }
        let Some(comparison) = &verdict.comparison else { return out };
        let reported: BTreeSet<&str> = verdict.critical.iter().map(|critical| critical.id.as_str()).collect();
        for id in verdict.critical_regressions.iter().filter(|id| !reported.contains(id.as_str())) {
            let message = format!("The critical case `{id}` passes less often than in {served}{}", why(id));
            out.push(Finding::error("eval-regression", place(id), message).about(id).help(self.help()));
        }
        for name in comparison.regressed() {
            let (Some(change), Ok(metric)) = (comparison.metrics.get(name), name.parse::<Metric>()) else {
                continue;
            };
            let message = format!(
                "`{name}` goes from {} in {served} to {}, over {} that both runs have. That is more than chance.",
                metric.shown(change.before),
                metric.shown(change.after),
                count(change.stats.cases, "case", "cases"),
            );
            let finding = Finding::error("eval-regression", self.at.file(), message);
            out.push(finding.about(name).help(self.help()));
        }
        let is_critical: BTreeSet<&str> =
            comparison.critical_regressions.iter().map(String::as_str).collect();
        let results: BTreeMap<&str, &CaseSummary> =
            evidence.summary.results.iter().map(|case| (case.id.as_str(), case)).collect();
        let worse = comparison.regressions.iter().filter(|id| !is_critical.contains(id.as_str()));
        for id in worse.filter(|id| results.contains_key(id.as_str())).take(WORSE_MAX) {
            let message = format!("The case `{id}` passes less often than in {served}{}", why(id));
            out.push(Finding::warning("eval-case-worse", place(id), message).about(id).help(self.help()));
        }
        out
    }
}

/// The cases that became worse, when verdicts are what a metric counts.
fn worse(verdict: &Verdict, metric: Metric) -> String {
    let regressions = verdict.comparison.as_ref().map(|comparison| &comparison.regressions);
    match regressions.filter(|cases| metric == Metric::PassRate && !cases.is_empty()) {
        Some(cases) => format!(" Worse than before: {}.", some(cases, cases.len())),
        None => String::new(),
    }
}

/// The first of some names.
fn some(names: &[String], of: usize) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED_MAX).map(String::as_str).collect();
    match of.saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
