use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::{Bump, Resolved, Token, Value, config::Tolerance, delta_e_2000};

/// One difference between two sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The token, or the modifier.
    pub token: String,
    /// `removed`, `renamed`, `retyped`, `added`, `value`, `deprecated`, `described`, `context-removed`, `context-added`.
    pub kind: &'static str,
    /// What it asks of those who use it.
    pub bump: Bump,
    /// In words.
    pub message: String,
    /// Whether it can be seen.
    pub visual: bool,
}

/// What differs between two sets.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Diff {
    /// The greatest of its changes.
    pub verdict: Bump,
    /// The changes, the greatest first.
    pub changes: Vec<Change>,
}

/// Compares two sets. A removed, renamed or retyped token breaks who uses it; a value that moves beyond the tolerance is
/// minor and seen; within it, it is a patch.
pub fn diff(old: &Resolved, new: &Resolved, tolerance: &Tolerance) -> Diff {
    let mut changes = Vec::new();
    let mut add = |token: &str, kind, bump, visual, message: String| {
        changes.push(Change { token: token.to_owned(), kind, bump, message, visual });
    };
    contexts(old, new, &mut add);
    let gone: Vec<&Token> = old.tokens.iter().filter(|t| new.get(&t.name).is_none()).collect();
    let mut fresh: FxHashMap<String, Vec<&Token>> = FxHashMap::default();
    for token in new.tokens.iter().filter(|t| old.get(&t.name).is_none()) {
        fresh.entry(face(new, token)).or_default().push(token);
    }
    let mut renamed_to: BTreeSet<&str> = BTreeSet::new();
    for token in gone {
        // The same value under one other name, and no doubt which: it was renamed.
        let said = token.deprecated.as_ref().and_then(|d| d.replaced_by.clone());
        let same = fresh.get(&face(old, token)).filter(|f| f.len() == 1).map(|f| &*f[0].name);
        match said.or_else(|| same.filter(|s| renamed_to.insert(s)).map(str::to_owned)) {
            Some(to) => {
                add(&token.name, "renamed", Bump::Major, false, format!("`{}` is `{to}` now.", token.name))
            }
            None => add(&token.name, "removed", Bump::Major, false, format!("`{}` was removed.", token.name)),
        }
    }
    for token in &new.tokens {
        let Some(before) = old.get(&token.name) else {
            add(&token.name, "added", Bump::Minor, false, format!("`{}` is new.", token.name));
            continue;
        };
        if before.ty != token.ty {
            let message = format!("`{}` was a {} and is a {}.", token.name, before.ty, token.ty);
            add(&token.name, "retyped", Bump::Major, true, message);
            continue;
        }
        if let Some((bump, message)) = values(old, new, before, token, tolerance) {
            add(&token.name, "value", bump, bump > Bump::Patch, message);
        }
        match (&before.deprecated, &token.deprecated) {
            (None, Some(d)) => {
                let instead = d.replaced_by.as_ref().map(|r| format!(" Use `{r}`.")).unwrap_or_default();
                let sunset =
                    d.sunset.as_ref().map(|s| format!(" It will be removed on {s}.")).unwrap_or_default();
                let message = format!("`{}` is deprecated.{instead}{sunset}", token.name);
                add(&token.name, "deprecated", Bump::Minor, false, message);
            }
            (before, after) if before != after => {
                let message = format!("The deprecation of `{}` changed.", token.name);
                add(&token.name, "deprecated", Bump::Patch, false, message);
            }
            _ => {}
        }
        if before.description != token.description {
            let message = format!("The description of `{}` changed.", token.name);
            add(&token.name, "described", Bump::Patch, false, message);
        }
    }
    changes.sort_by_key(|c| std::cmp::Reverse(c.bump));
    Diff { verdict: changes.first().map_or(Bump::None, |c| c.bump), changes }
}

/// A token's type and values in all contexts, as one text.
fn face(set: &Resolved, token: &Token) -> String {
    let mut face = token.ty.word().to_owned();
    for (combination, value) in &token.variants {
        face.push('\n');
        face.push_str(&set.shown(*combination));
        face.push(' ');
        face.push_str(&set.values[*value as usize].css());
    }
    face
}

fn contexts(old: &Resolved, new: &Resolved, add: &mut impl FnMut(&str, &'static str, Bump, bool, String)) {
    let all = |set: &Resolved| -> BTreeMap<String, BTreeSet<String>> {
        set.modifiers.iter().map(|m| (m.name.clone(), m.contexts.iter().cloned().collect())).collect()
    };
    let (before, after) = (all(old), all(new));
    for (modifier, contexts) in &before {
        for context in contexts.iter().filter(|c| !after.get(modifier).is_some_and(|a| a.contains(*c))) {
            add(
                modifier,
                "context-removed",
                Bump::Major,
                false,
                format!("The context {modifier}={context} was removed."),
            );
        }
    }
    for (modifier, contexts) in &after {
        for context in contexts.iter().filter(|c| !before.get(modifier).is_some_and(|b| b.contains(*c))) {
            add(
                modifier,
                "context-added",
                Bump::Minor,
                false,
                format!("The context {modifier}={context} is new."),
            );
        }
    }
    for modifier in &new.modifiers {
        let was = old.modifiers.iter().find(|m| m.name == modifier.name).and_then(|m| m.contexts.first());
        if let Some(was) = was.filter(|was| Some(*was) != modifier.contexts.first()) {
            let message = format!(
                "The default context of {} was {was} and is {}.",
                modifier.name, modifier.contexts[0]
            );
            add(&modifier.name, "default-context", Bump::Major, true, message);
        }
    }
}

/// The greatest difference of a token's values, over the contexts both sets have.
fn values(
    old: &Resolved,
    new: &Resolved,
    before: &Token,
    after: &Token,
    tolerance: &Tolerance,
) -> Option<(Bump, String)> {
    let mut worst: Option<(Bump, String)> = None;
    let mut seen = BTreeSet::new();
    let combinations = old.combinations(before.modifiers).into_iter().map(|c| (old, c));
    for (set, combination) in
        combinations.chain(new.combinations(after.modifiers).into_iter().map(|c| (new, c)))
    {
        let shown = set.shown(combination);
        if !seen.insert(shown.clone()) {
            continue;
        }
        let contexts: Vec<(&str, &str)> = set.contexts(combination).collect();
        let (Some(a), Some(b)) =
            (old.combination(contexts.iter().copied()), new.combination(contexts.iter().copied()))
        else {
            continue;
        };
        let (bump, message) = match (old.value(before, a), new.value(after, b)) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(a), Some(b)) => {
                let (from, to) = (a.css(), b.css());
                match step(a, b, tolerance) {
                    _ if from == to => continue,
                    Step::Within => (
                        Bump::Patch,
                        format!(
                            "`{}` goes from {from} to {to} with {shown}, within the tolerance.",
                            after.name
                        ),
                    ),
                    Step::Beyond(by) => {
                        (Bump::Minor, format!("`{}` goes from {from} to {to} with {shown}{by}.", after.name))
                    }
                }
            }
            (None, Some(_)) => (Bump::Minor, format!("`{}` is defined with {shown} now.", after.name)),
            (Some(_), None) => {
                (Bump::Major, format!("`{}` is not defined with {shown} any more.", after.name))
            }
            (None, None) => continue,
        };
        if worst.as_ref().is_none_or(|(w, _)| bump > *w) {
            worst = Some((bump, message));
        }
    }
    worst
}

enum Step {
    Within,
    Beyond(String),
}

fn step(a: &Value, b: &Value, tolerance: &Tolerance) -> Step {
    let judge = |by: f64, most: f64, unit: &str| {
        if by <= most { Step::Within } else { Step::Beyond(format!(" (by {:.2}{unit})", by)) }
    };
    match (a, b) {
        (Value::Color(a), Value::Color(b)) if (a.alpha - b.alpha).abs() < 0.005 => {
            judge(delta_e_2000(a.lab(), b.lab()), tolerance.delta_e, " ΔE2000")
        }
        (Value::Dimension(a), Value::Dimension(b)) if a.unit == b.unit || a.px().zip(b.px()).is_some() => {
            match a.px().zip(b.px()) {
                Some((a, b)) => judge((a - b).abs(), tolerance.px, " px"),
                None => Step::Beyond(String::new()),
            }
        }
        (Value::Duration(a), Value::Duration(b)) => judge((a - b).abs(), tolerance.ms, " ms"),
        _ => Step::Beyond(String::new()),
    }
}
