//! What the tests share: suites from texts, and somebody who answers.

#![allow(dead_code, clippy::unwrap_used, reason = "each test uses what it needs; a test may fail")]

use std::{collections::BTreeMap, sync::Mutex};

use ashlar_evals::{
    Reply, Retrieved, Subject, Unasked,
    metric::Judge,
    run::{Options, Outcome, Recorder, Recording, run},
    suite::{Caps, Case, Suite},
};
use ashlar_model::{Files, Finding};

pub const TOML: &str = "owner = 'support'\nfeature = 'support'\n";

pub fn read(toml: &str, jsonl: &str) -> Result<(Suite, Vec<Finding>), Vec<Finding>> {
    let mut files = Files::new();
    files.insert("evals/s.toml", toml.as_bytes().to_vec()).unwrap();
    files.insert("evals/s.jsonl", jsonl.as_bytes().to_vec()).unwrap();
    Suite::read(&files, "s")
}

pub fn suite(toml: &str, jsonl: &str) -> Suite {
    read(&format!("{TOML}{toml}"), jsonl).unwrap().0
}

/// Findings as lines.
pub fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{}: {} ({})", f.place, f.message, f.help)).collect()
}

/// Somebody who answers a case by its id, in turn with each of the replies.
#[derive(Default)]
pub struct Answers {
    pub replies: BTreeMap<&'static str, Vec<Result<Reply, Unasked>>>,
    pub asked: Mutex<Vec<String>>,
    /// How many cases are answered; the others wait forever.
    pub never_from: Option<usize>,
}

impl Answers {
    pub fn of(replies: impl IntoIterator<Item = (&'static str, Result<Reply, Unasked>)>) -> Self {
        let mut out = Self::default();
        for (id, reply) in replies {
            out.replies.entry(id).or_default().push(reply);
        }
        out
    }

    pub fn times(&self, id: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == id).count()
    }
}

impl Subject for Answers {
    async fn ask(&self, case: &Case, _: u32) -> Result<Reply, Unasked> {
        let at = self.times(&case.id);
        self.asked.lock().unwrap().push(case.id.clone());
        if self.never_from.is_some_and(|from| self.asked.lock().unwrap().len() > from) {
            std::future::pending::<()>().await;
        }
        let replies = &self.replies[case.id.as_str()];
        replies[at.min(replies.len() - 1)].clone()
    }

    fn setting(&self) -> &str {
        "feature support"
    }
}

pub fn says(text: &str) -> Result<Reply, Unasked> {
    Ok(Reply { text: text.to_owned(), latency_ms: 5.0, release: "r1".to_owned(), ..Reply::default() })
}

pub fn refuses(code: &str) -> Result<Reply, Unasked> {
    Ok(Reply { refusal: Some(code.to_owned()), reason: "Nothing says it.".to_owned(), ..Reply::default() })
}

pub fn cites(text: &str, entry: &str) -> Result<Reply, Unasked> {
    let source = Retrieved {
        entry: entry.to_owned(),
        title: "A page".to_owned(),
        path: format!("/en/{entry}"),
        text: text.to_owned(),
        ..Retrieved::default()
    };
    Ok(Reply { text: text.to_owned(), sources: vec![source], cited: vec![1], ..Reply::default() })
}

pub fn fails(again: bool) -> Result<Reply, Unasked> {
    Err(Unasked { code: "upstream_error".to_owned(), message: "The provider failed.".to_owned(), again })
}

pub fn options() -> Options {
    Options {
        concurrency: 4,
        retries: 2,
        caps: Caps::default(),
        today: "2027-03-01".parse().unwrap(),
        known: Recording::default(),
    }
}

pub async fn ran(suite: &Suite, subject: &Answers) -> Outcome {
    run(suite, subject, &Judge::default(), &options(), &mut [], |_| {}).await.unwrap()
}

pub async fn recorded(
    suite: &Suite,
    subject: &impl Subject,
    options: &Options,
    recorders: &mut [Recorder],
) -> Outcome {
    run(suite, subject, &Judge::default(), options, recorders, |_| {}).await.unwrap()
}
