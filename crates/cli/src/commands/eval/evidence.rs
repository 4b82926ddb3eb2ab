//! Evidence of the gate `evals`: recording a run, and the list.

use ashlar_evals::{evidence::Submission, run::Outcome};
use ashlar_release::{RecordEvidence, RunOf};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use crate::{
    args::At,
    backend::{Backend, Local, value},
    error::{CliError, Done},
    output,
    session::Session,
    words,
};

/// What makes runs here.
const PRODUCER: &str = "ashlar eval run";
/// Findings of the gate that are shown.
const FINDINGS_SHOWN: usize = 20;

const COLUMNS: [(&str, &str); 7] = [
    ("suite", "SUITE"),
    ("of", "OF"),
    ("verdict", "VERDICT"),
    ("passed", "PASSED"),
    ("cases", "CASES"),
    ("by", "BY"),
    ("at", "AT"),
];

/// What the replies of a run are of: what the option says, or the release that answered.
fn asked(of: Option<&str>, outcome: &Outcome) -> Result<RunOf, CliError> {
    let named = of.and_then(|of| of.parse().ok());
    let answered = match outcome.releases.as_slice() {
        [one] => one.parse().ok(),
        _ => None,
    };
    named.or(answered).ok_or_else(|| {
        CliError::input("evidence is of a candidate or a release", "give --of, such as --of c4 or --of r3")
    })
}

/// Records a run, and returns the evidence with the candidate that was judged again.
pub async fn record(backend: &Backend, of: Option<&str>, outcome: &Outcome) -> Result<Value, CliError> {
    match backend {
        Backend::Local(local) => record_here(local, of, outcome).await,
        Backend::Remote(remote) => {
            let of = asked(of, outcome)?;
            let sent = Submission::of(outcome, PRODUCER);
            let suite = outcome.suite.name.clone();
            let body = json!({"suite": suite, "of": of.to_string(), "run": value(sent)?});
            remote.call(rows::RECORD_EVAL_EVIDENCE.call(), Some(body)).await
        }
    }
}

/// The same in this process.
pub async fn record_here(local: &Local, of: Option<&str>, outcome: &Outcome) -> Result<Value, CliError> {
    let of = asked(of, outcome)?;
    let run = serde_json::to_vec(&Submission::of(outcome, PRODUCER))
        .map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?;
    value(local.run(RecordEvidence { of, suite: outcome.suite.name.clone(), run }).await?)
}

/// Shows to people what came of recording a run.
pub fn shown(recorded: &Value) {
    let evidence = &recorded["evidence"];
    output::line(format!(
        "\nRecorded for {}: {}, {} of {} passed",
        output::text(evidence, "of"),
        output::text(evidence, "verdict"),
        output::text(evidence, "passed"),
        words::count_in(evidence, "cases", "case", "cases"),
    ));
    let candidate = &recorded["candidate"];
    if candidate.is_object() {
        let gates = output::gates_of(candidate);
        let gates: Vec<_> = gates.into_iter().filter(|gate| gate.gate == "evals").collect();
        output::gates(&gates, FINDINGS_SHOWN);
        let (name, status) = (output::text(candidate, "candidate"), output::text(candidate, "status"));
        output::line(format!("{name}: {status}"));
    }
}

pub async fn list(suite: Option<String>, at: &At) -> Done {
    let session = Session::open(at).await?;
    let call = || rows::LIST_EVAL_EVIDENCE.call().with_any("suite", suite.as_deref());
    let answer = session
        .read_pages(
            async |local, cursor| local.engine.eval_evidence(&local.ctx, suite.as_deref(), cursor).await,
            call,
        )
        .await?;
    session.list(&answer, &COLUMNS, "No runs were recorded.")
}
