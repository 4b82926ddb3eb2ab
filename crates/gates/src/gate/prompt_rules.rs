//! What a version of a prompt promises: the variables that calls give, and the rules that its answers keep.

use std::collections::BTreeSet;

use ashlar_gateway::prompts::{Prompt, Prompts as All, Rule};
use ashlar_model::{Finding, Level};

/// Which versions of a prompt answered in an earlier release. `None` where earlier releases are not known.
pub(super) type Answered<'a> = dyn Fn(&str) -> Option<BTreeSet<u32>> + 'a;

/// Whether calls that pin no version can get this one: it is active, or a flag names it.
fn is_live(prompts: &All, name: &str, version: u32) -> bool {
    let active = prompts.active(name);
    active.is_some_and(|active| {
        active.version == version || active.flags.iter().any(|flag| flag.version == version)
    })
}

fn has(prompts: &All, name: &str, version: u32) -> bool {
    prompts.get(name, version).is_some()
}

/// What a version that answers no longer promises, compared with the version that is live.
struct Dropped<'a> {
    prompt: &'a Prompt,
    findings: Vec<Finding>,
}

fn all<'a>(prompts: &'a All, base: &All, answers: &dyn Fn(&Prompt) -> bool) -> Vec<Dropped<'a>> {
    let mut out = Vec::new();
    for new in prompts.iter().map(AsRef::as_ref).filter(|new| answers(new)) {
        let was = base.active(&new.name).and_then(|active| base.get(&new.name, active.version));
        let Some(was) = was.filter(|was| was.version != new.version) else { continue };
        let findings = compared(was, new);
        if !findings.is_empty() {
            out.push(Dropped { prompt: new, findings });
        }
    }
    out
}

/// Prompts of which a version becomes live again, or for the first time, that was in a release and was not live in the last one. What is found of it
/// depends on whether it answered before.
pub(super) fn becoming_live<'a>(
    prompts: &'a All,
    base: &All,
    answers: &dyn Fn(&Prompt) -> bool,
) -> BTreeSet<&'a str> {
    let found = all(prompts, base, answers).into_iter().map(|dropped| dropped.prompt);
    let becoming = found.filter(|new| {
        has(base, &new.name, new.version)
            && is_live(prompts, &new.name, new.version)
            && !is_live(base, &new.name, new.version)
    });
    becoming.map(|new| new.name.as_str()).collect()
}

/// What versions that answer no longer promise, compared with the version that is live. `answers` says which versions answer.
///
/// A version that answered before is reported as a warning: going back has to be possible. That its file was in a release is not enough. A version
/// that is not live is one as well, once it was in a release.
pub(super) fn dropped(
    prompts: &All,
    base: &All,
    answers: &dyn Fn(&Prompt) -> bool,
    answered: &Answered<'_>,
) -> Vec<Finding> {
    let mut out = Vec::new();
    for Dropped { prompt, findings } in all(prompts, base, answers) {
        let (name, version) = (prompt.name.as_str(), prompt.version);
        let was_live = || answered(name).is_none_or(|versions| versions.contains(&version));
        let allowed = has(base, name, version)
            && (!is_live(prompts, name, version) || is_live(base, name, version) || was_live());
        out.extend(findings.into_iter().map(|finding| match allowed {
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
        (Some(before), Some(after)) => {
            if before.citations && !after.citations {
                let message = format!("{label} does not require citations, and {old} does.");
                wrong("prompt-citations-dropped", "grounding", message, "remove `citations: optional`");
            }
            if before.rule == Rule::Refuse && after.rule == Rule::Drop {
                let message = format!(
                    "{label} leaves out sentences that no source supports, and {old} refuses such answers."
                );
                wrong("prompt-refusal-dropped", "grounding", message, "write `rule: refuse`");
            }
        }
        _ => {}
    }
    if let (Some(contract), None) = (&was.output, &new.output) {
        let message = format!("{label} has no output contract. Answers of {old} follow `{contract}`.");
        wrong("prompt-output-dropped", "output", message, "keep `output`");
    }
    out
}
