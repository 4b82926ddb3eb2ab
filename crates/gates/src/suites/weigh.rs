//! From a run that was sent to evidence.

use std::sync::Arc;

use ashlar_contracts::ContractSet;
use ashlar_evals::{
    EvalError,
    evidence::{Evidence, Submission},
    metric::Judge,
    run::RunStatus,
};
use ashlar_model::{Files, did_you_mean};
use ashlar_release::{ReleaseError, Weighed};
use jiff::civil::Date;

use super::state::SuiteState;
use crate::definitions::Definitions;

fn refused(error: EvalError) -> ReleaseError {
    match error {
        EvalError::Input { message, help } => ReleaseError::invalid(message, help),
        other => ReleaseError::invalid(other.to_string(), "run the suite again"),
    }
}

/// Judges the replies of a run by the suite of the candidate that answered.
///
/// # Errors
/// When there is no such suite, it cannot be read, or the run is not one of it.
pub(crate) fn weigh(
    (definitions, files): (&Definitions, &Files),
    states: &[SuiteState],
    (name, asked): (&str, &str),
    run: &[u8],
    today: Date,
) -> Result<Weighed, ReleaseError> {
    let Some(state) = states.iter().find(|state| definitions.suites.all[state.at].suite.name == name) else {
        let known = definitions.suites.all.iter().map(|at| at.suite.name.as_str());
        let otherwise = "`ashlar check` shows what is wrong with suites";
        let shown: String = name.chars().take(80).collect();
        return Err(ReleaseError::not_found("suite", shown, did_you_mean(name, known, otherwise)));
    };
    let suite = &definitions.suites.all[state.at].suite;
    let sent = Submission::read(run).map_err(refused)?;
    let prompts = &definitions.suite_inputs()[state.at].prompts;
    let replies = sent.replies.iter().filter_map(|sent| Some((&sent.case, sent.reply.as_ref()?)));
    for (case, reply) in replies.filter(|(_, reply)| !reply.prompt.is_empty()) {
        if !prompts.contains(&reply.prompt) {
            let (case, prompt): (String, String) =
                (case.chars().take(80).collect(), reply.prompt.chars().take(80).collect());
            let message =
                format!("the case `{case}` was answered with {prompt}, which {asked} would not use");
            return Err(ReleaseError::invalid(message, "run the suite without --prompt"));
        }
    }
    // Contracts are needed by cases that expect one.
    let judge = match suite.cases.iter().any(|case| case.expect.json.is_some()) {
        true => Judge::new(Arc::new(ContractSet::load(files).0)),
        false => Judge::default(),
    };
    let evidence = Evidence::weigh(sent, suite, &judge, asked, today).map_err(refused)?;
    let summary = &evidence.summary;
    let document = serde_json::to_vec(&evidence)
        .map_err(|e| ReleaseError::Corrupt { what: "the run".to_owned(), why: e.to_string() })?;
    Ok(Weighed {
        inputs: state.inputs.digest,
        complete: summary.status != RunStatus::Incomplete,
        verdict: summary.status.name().to_owned(),
        cases: summary.cases.total as u64,
        passed: summary.cases.passed as u64,
        producer: evidence.producer.clone(),
        document,
    })
}
