//! How well groundedness tells supported statements from corrupted ones, on SQuAD 2.0.
//!
//! `cargo run --release -p ashlar-evals --example quality` reads `questions/squad-dev-v2.0.json` below `ASHLAR_TEST_DATA` (or `../shared/data`).
//! Rules were tried out on every other article; the figures are of the rest. `--fitting` prints those of the articles that rules were tried
//! out on, and `--wrong KIND` prints statements that are judged wrongly.

#![allow(clippy::print_stdout, reason = "it prints figures")]

mod corrupt;
mod statements;

use std::{error::Error, path::PathBuf};

use ashlar_evals::stats::{Random, RocAuc, roc_auc};
use ashlar_gateway::{
    ground::{Demand, SUPPORT_MIN, Source, check},
    prompts::Rule,
};

use self::{corrupt::Kind, statements::Statement};

/// A corrupted statement, beside the score of what it was made of.
struct Corrupted {
    kind: Kind,
    text: String,
    score: f64,
    original: f64,
}

fn source(statement: &Statement) -> Source {
    Source {
        id: "paragraph".to_owned(),
        title: statement.article.clone(),
        text: statement.paragraph.clone(),
        ..Source::default()
    }
}

/// How far a paragraph supports a statement: the support of its claims, weighted as in an answer.
fn score(text: &str, source: &Source) -> f64 {
    let demand = Demand { rule: Rule::Drop, citations: false, locale: "en" };
    let found = check(text, std::slice::from_ref(source), demand);
    let claims: Vec<f64> =
        found.sentences.iter().filter(|s| s.claims).map(|s| f64::from(s.support)).collect();
    // The weakest sentence decides: one corrupted sentence makes a statement wrong.
    claims.into_iter().fold(1.0, f64::min)
}

fn row(name: &str, good: &[f64], bad: &[f64]) -> Result<(), Box<dyn Error>> {
    let RocAuc { auc, interval } = roc_auc(good, bad, 0.95)?;
    #[expect(clippy::cast_precision_loss, reason = "counts of statements")]
    let share = |scores: &[f64], pass: bool| {
        let passing = scores.iter().filter(|score| (**score >= f64::from(SUPPORT_MIN)) == pass).count();
        passing as f64 / scores.len() as f64
    };
    println!(
        "| {name} | {} | {} | {auc:.3} ({:.3}–{:.3}) | {:.3} | {:.3} |",
        good.len(),
        bad.len(),
        interval.low,
        interval.high,
        share(good, true),
        share(bad, false),
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let fitting = args.iter().any(|arg| arg == "--fitting");
    let wrong = args.iter().position(|arg| arg == "--wrong").and_then(|at| args.get(at + 1));
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("ASHLAR_TEST_DATA").map_or(root, PathBuf::from);
    let path = data.join("questions/squad-dev-v2.0.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("{} is absent: nothing was measured. Set ASHLAR_TEST_DATA.", path.display());
        return Ok(());
    };
    let statements = statements::read(&text, fitting)?;
    let mut random = Random::new(1);
    let mut supported: Vec<(f64, &Statement)> = Vec::new();
    let mut corrupted: Vec<Corrupted> = Vec::new();
    for statement in &statements {
        let source = source(statement);
        let original = score(&statement.text, &source);
        supported.push((original, statement));
        for kind in Kind::ALL {
            if let Some(text) = corrupt::corrupt(kind, statement, &mut random) {
                let score = score(&text, &source);
                corrupted.push(Corrupted { kind, text, score, original });
            }
        }
    }
    println!(
        "| corruption | supported | corrupted | ROC-AUC (95 % interval) | supported, shown | corrupted, not shown |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for kind in Kind::ALL {
        let of = || corrupted.iter().filter(|found| found.kind == kind);
        let good: Vec<f64> = of().map(|found| found.original).collect();
        let bad: Vec<f64> = of().map(|found| found.score).collect();
        if !good.is_empty() {
            row(kind.name(), &good, &bad)?;
        }
    }
    let bad: Vec<f64> = corrupted.iter().map(|found| found.score).collect();
    for (name, quoted) in
        [("all, quoted sentences", Some(true)), ("all, statements of questions", Some(false)), ("all", None)]
    {
        let of = supported.iter().filter(|(_, s)| quoted.is_none_or(|quoted| s.quoted == quoted));
        row(name, &of.map(|(score, _)| *score).collect::<Vec<f64>>(), &bad)?;
    }
    if let Some(wrong) = wrong {
        for (score, statement) in
            supported.iter().filter(|(score, _)| wrong == "supported" && *score < 0.6).take(60)
        {
            println!("{score:.2} {}\n     IN {}", statement.text, statement.sentence);
        }
        for found in
            corrupted.iter().filter(|found| found.kind.name() == wrong && found.score >= 0.6).take(60)
        {
            println!("{:.2} {}", found.score, found.text);
        }
    }
    Ok(())
}
