//! Design tokens: they can be read, keep to the rules of their project, and none that somebody uses disappears.

use ashlar_model::{Finding, Level};
use ashlar_tokens::{Bump, Diff, Note, diff};
use jiff::civil::Date;

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    definitions::tokens::Tokens,
    findings::count,
    inputs::Inputs,
    world::{Change, Work, World},
};

const FINDINGS: &[Code] = findings! {
    "token-json": "A token file is not valid JSON." => "Fix the JSON at the place in the message.";
    "token-form": "A token or group does not have the form of the format." => "Write `{ \"$type\": …, \"$value\": … }` for a token.";
    "token-name": "The name of a token or group cannot be used." => "Rename it; write groups as nested objects.";
    "token-property": "A token or group has an unknown property." => "Put your own properties under `$extensions`.";
    "token-type": "A token has no type, or an unknown type." => "Add a `$type` to the token or to its group.";
    "token-value": "The value of a token does not fit its type." => "Correct the value as the message says.";
    "token-unit": "A length or duration has an unknown unit." => "Use `px`, `rem`, `ms` or `s`.";
    "token-part": "A value has a part that the format does not have." => "Remove the part; most outputs leave it out.";
    "token-range": "A colour component is out of range." => "Correct the components.";
    "token-color-space": "A colour has an unknown colour space." => "Use one of the colour spaces in the message.";
    "token-old-style": "A value is written in an older style of the format." => "Write an object, such as `{ \"value\": 16, \"unit\": \"px\" }`.";
    "token-alias": "A token refers to a name that is not defined." => "Define the name, or correct the reference.";
    "token-alias-type": "A token refers to a token of another type." => "Refer to a token of the same type.";
    "token-cycle": "Tokens refer to each other in a circle." => "Give one of them a value.";
    "token-extends": "`$extends` does not name a group that can be extended." => "Write `\"{a.group}\"`.";
    "token-depth": "Groups are nested too deeply." => "Flatten the groups.";
    "token-expansion": "The set becomes too large when all references are followed." => "Refer to composite values less often, or split the set.";
    "token-too-large": "A token file is too large." => "Split it.";
    "token-too-many": "The set has too many tokens or definitions." => "Split the set, or extend smaller groups.";
    "token-twice": "A token is defined in more than one file." => "Say in a resolver document which file applies when.";
    "token-resolver": "A resolver document cannot be used." => "Correct the field that the message names.";
    "token-contexts": "The modifiers give too many combinations." => "Let fewer modifiers change the same tokens.";
    "token-clash": "Two tokens or modifiers would get the same name in an output." => "Rename one of them.";
    "token-output-size": "The outputs would be too large." => "Build fewer outputs.";
    "token-more": "There are more errors than are listed." => "Fix the listed errors first.";
    "token-config": "tokens.toml has a wrong value." => "Correct the field that the message names.";
    "token-layer": "A token refers to the wrong layer, or has a value of its own where its layer needs a reference." => "Refer to a token of the layer in the message.";
    "token-raw": "A component uses a raw value or a base token." => "Refer to a semantic token.";
    "token-naming": "The name of a token does not follow the naming rule." => "Rename it.";
    "token-cap": "A type has more values than tokens.toml allows." => "Use an existing value, or raise the cap.";
    "token-near-duplicate": "Two colours are almost the same." => "Use one of them, or add the pair to `near.except`.";
    "token-contrast": "Two colours do not have enough contrast." => "Make one of them darker or lighter.";
    "token-target": "A touch target is too small." => "Use at least 24 px.";
    "token-motion": "A duration is not reduced for people who prefer less motion." => "Give it a short value in that context.";
    "token-unused": "A token is not used." => "Refer to it, or remove it.";
    "token-deprecated": "A deprecated token is in use, or its replacement does not exist." => "Use the replacement.";
    "token-unknown": "A template or style sheet uses a custom property that no token defines." => "Use a token, or define the property in the same style sheet.";
    "token-removed": "A token that is live is removed without having been deprecated." => "Keep it with `$deprecated`, or write a change note with `bump: major`.";
    "token-breaking": "A token changes in a way that breaks its users." => "Write a change note with `bump: major`.";
    "token-note": "A change note cannot be read, or declares a smaller change than there is." => "Run `ashlar tokens change`, or set the `bump` in the message.";
};

/// The gate `tokens`.
pub(crate) struct TokenGate;

impl Gate for TokenGate {
    fn about(&self) -> &'static About {
        &About {
            name: "tokens",
            judges: "Design tokens can be read, keep to the rules of the project, and none that is in use is removed.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        for part in ["tokens.toml", "tokens/", "components/", "site/"] {
            inputs.digest(part, &world.definitions().part(part));
            inputs.digest("base", &world.base_part(part));
        }
        if world.base().is_some_and(|b| b.part("tokens/") != world.definitions().part("tokens/")) {
            // Whether a sunset has come.
            inputs.add("today", world.today().to_string().as_bytes());
        }
    }

    fn sees_contracts(&self) -> bool {
        false
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let tokens = &world.definitions().tokens;
        let n = tokens.resolved.as_ref().map_or(0, |r| r.tokens.len());
        let found = findings(tokens, world.base().map(|b| &b.tokens), world.today());
        let work = Work::of(found, n, count(n, "token", "tokens"));
        Ok(Work { metrics: tokens.metrics.clone(), ..work })
    }
}

/// How the tokens differ from those of the base, when both have some.
pub(crate) fn difference(tokens: &Tokens, base: Option<&Tokens>) -> Option<Diff> {
    let (new, old) = (tokens.resolved.as_ref()?, base?.resolved.as_ref()?);
    Some(diff(old, new, &tokens.config.tolerance))
}

/// Objections to the tokens of a project, compared with those that are served.
fn findings(tokens: &Tokens, base: Option<&Tokens>, today: Date) -> Vec<Finding> {
    let mut out = tokens.findings.clone();
    // A set that cannot be read has lost nothing; it is broken.
    if out.iter().any(|f| f.level == Level::Error && !RULES.contains(&f.code.as_str())) {
        return out;
    }
    let Some(base) = base else { return out };
    if tokens.resolved.is_none() && base.resolved.is_some() {
        out.push(
            Finding::error(
                "token-removed",
                "tokens",
                "All tokens were removed, and the live ones are in use.",
            )
            .help("bring tokens/ back"),
        );
        return out;
    }
    let Some(diff) = difference(tokens, Some(base)) else { return out };
    let fresh: Vec<&Note> = tokens.notes.iter().filter(|n| !base.notes.contains(n)).collect();
    let said = fresh.iter().map(|n| n.bump).max().unwrap_or_default();
    for change in diff.changes.iter().filter(|c| c.bump == Bump::Major) {
        let before =
            base.resolved.as_ref().and_then(|r| r.get(&change.token)).and_then(|t| t.deprecated.clone());
        let ended = before.as_ref().is_some_and(|d| {
            d.sunset.as_ref().is_none_or(|s| s.parse::<Date>().is_ok_and(|sunset| sunset <= today))
        });
        if said == Bump::Major || (ended && matches!(change.kind, "removed" | "renamed")) {
            continue;
        }
        let why = match before.and_then(|d| d.sunset) {
            Some(sunset) => format!("It is deprecated until {sunset}."),
            None => "It was not deprecated before.".to_owned(),
        };
        let code = match change.kind {
            "removed" | "renamed" => "token-removed",
            _ => "token-breaking",
        };
        out.push(Finding::error(code, format!("tokens {}", change.token), format!("{} {why}", change.message)).help(
            "keep it with `$deprecated` and its replacement for a while, or say that this version breaks: `ashlar tokens change --bump major --note \"…\"`",
        ));
    }
    if let Some(lowest) = fresh.iter().find(|_| said < diff.verdict && diff.verdict < Bump::Major) {
        out.push(
            Finding::error(
                "token-note",
                lowest.path.clone(),
                format!(
                    "The change note says {}, and the tokens differ by a {} change.",
                    said.word(),
                    diff.verdict.word()
                ),
            )
            .help(format!("write `bump: {}`", diff.verdict.word())),
        );
    }
    out
}

/// Codes of rules: tokens that break them can be read all the same.
const RULES: [&str; 13] = [
    "token-layer",
    "token-raw",
    "token-naming",
    "token-cap",
    "token-near-duplicate",
    "token-contrast",
    "token-target",
    "token-motion",
    "token-unused",
    "token-deprecated",
    "token-unknown",
    "token-config",
    "token-note",
];
