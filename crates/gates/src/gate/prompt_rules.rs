//! What a version of a prompt promises: the variables that calls give, and the rules that its answers keep.

use ashlar_gateway::prompts::{Prompt, Prompts as All};
use ashlar_model::{Finding, Level};

/// What versions that answer no longer promise, compared with the version that is live. `answers` says which versions answer.
///
/// A version that was released before is reported as a warning: going back has to be possible.
pub(super) fn dropped(prompts: &All, base: &All, answers: &dyn Fn(&Prompt) -> bool) -> Vec<Finding> {
    let mut out = Vec::new();
    for new in prompts.iter().filter(|new| answers(new)) {
        let version = base.active(&new.name).map(|active| active.version);
        let was = base.iter().find(|old| old.name == new.name && Some(old.version) == version);
        let Some(was) = was.filter(|was| was.version != new.version) else { continue };
        let released = base.iter().any(|old| old.name == new.name && old.version == new.version);
        out.extend(compared(was, new).into_iter().map(|finding| match released {
            true => Finding { level: Level::Warning, ..finding },
            false => finding,
        }));
    }
    out
}

/// What a version lacks that another one has.
fn compared(was: &Prompt, new: &Prompt) -> Vec<Finding> {
    let mut out = Vec::new();
    let (old, label) = (was.label(), new.label());
    let mut wrong = |code: &str, field: &str, message: String, help: &str| {
        out.push(Finding::error(code, new.place(field), message).about(&new.name).help(help));
    };
    for name in was.variables.keys().filter(|name| !new.variables.contains_key(*name)) {
        let message = format!(
            "{label} does not declare the variable `{name}` of {old}. Calls that give it are refused."
        );
        let help = "declare it with `required: false` until no call gives it";
        wrong("prompt-variable-dropped", "variables", message, help);
    }
    for name in new.variables.iter().filter(|(_, variable)| variable.required).map(|(name, _)| name) {
        if was.variables.get(name).is_none_or(|variable| !variable.required) {
            let message = format!(
                "{label} needs the variable `{name}`, which {old} does not need. Calls without it are refused."
            );
            let help = "declare it with `required: false`, or with a `default`";
            wrong("prompt-variable-required", "variables", message, help);
        }
    }
    match (&was.grounding, &new.grounding) {
        (Some(_), None) => {
            let message = format!(
                "{label} has no `grounding`, which {old} has: it would answer without sources, and never refuse what they do not say."
            );
            wrong("prompt-grounding-dropped", "grounding", message, "keep `grounding`");
        }
        (Some(before), Some(after)) if before.citations && !after.citations => {
            let message = format!("{label} does not require citations, and {old} does.");
            wrong("prompt-citations-dropped", "grounding", message, "remove `citations: optional`");
        }
        _ => {}
    }
    if let (Some(contract), None) = (&was.output, &new.output) {
        let message = format!("{label} has no output contract. Answers of {old} follow `{contract}`.");
        wrong("prompt-output-dropped", "output", message, "keep `output`");
    }
    out
}
