//! What differs, place by place, in sentences an editor understands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    answer::{Answer, Change, Verdict},
    node::{ALL, ANNOTATIONS, exact, types_allowed},
};

/// The maximum number of reported differences.
const CHANGES_MAX: usize = 500;
const DEPTH_MAX: usize = 40;

/// Kinds of changes that are more than another way to write the same.
pub(super) const PROPERTY_ADDED: &str = "property-added";
pub(super) const LOCALIZATION: &str = "localization-changed";
/// What a field may refer to has changed.
pub(super) const REFERENCE_TYPES: &str = "reference-types-changed";

/// Collects differences.
pub(super) struct Walker {
    pub changes: Vec<Change>,
    lenient: bool,
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), short)
}

/// The members of two objects by name, in order.
fn pairs<'v>(
    old: Option<&'v Value>,
    new: Option<&'v Value>,
) -> BTreeMap<&'v str, (Option<&'v Value>, Option<&'v Value>)> {
    let mut out: BTreeMap<&str, (Option<&Value>, Option<&Value>)> = BTreeMap::new();
    for (name, value) in old.and_then(Value::as_object).into_iter().flatten() {
        out.entry(name).or_default().0 = Some(value);
    }
    for (name, value) in new.and_then(Value::as_object).into_iter().flatten() {
        out.entry(name).or_default().1 = Some(value);
    }
    out
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

fn names(value: Option<&Value>) -> BTreeSet<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The last part of a place, for people.
fn subject(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.iter().rposition(|p| *p == "properties") {
        Some(i) if i + 1 < parts.len() => {
            format!("`{}`", parts[i + 1..].join("/").replace("/properties/", ".").replace("/items", "[]"))
        }
        _ if path.is_empty() => "the value".to_owned(),
        _ => format!("`{}`", path.trim_start_matches('/')),
    }
}

impl Walker {
    pub fn new(lenient: bool) -> Self {
        Self { changes: Vec::new(), lenient }
    }

    fn push(&mut self, path: &str, kind: &str, backward: Answer, forward: Answer, message: String) {
        self.add(path, kind, backward, forward, message, false, None);
    }

    fn note(&mut self, path: &str, kind: &str, message: String) {
        self.add(path, kind, Answer::Yes, Answer::Yes, message, false, Some(Verdict::Patch));
    }

    #[expect(clippy::too_many_arguments, reason = "one change record")]
    fn add(
        &mut self,
        path: &str,
        kind: &str,
        backward: Answer,
        forward: Answer,
        message: String,
        semantic: bool,
        verdict: Option<Verdict>,
    ) {
        if self.changes.len() >= CHANGES_MAX {
            return;
        }
        let verdict = verdict.unwrap_or(match (backward, forward, semantic) {
            (Answer::No | Answer::Unknown, ..) => Verdict::Major,
            (Answer::Yes, Answer::Yes, false) => Verdict::Patch,
            (Answer::Yes, ..) => Verdict::Minor,
        });
        self.changes.push(Change {
            path: path.to_owned(),
            kind: kind.to_owned(),
            verdict,
            message,
            backward,
            forward,
            semantic,
        });
    }

    pub fn walk(&mut self, path: &str, old: &Value, new: &Value, depth: usize) {
        if old == new || depth > DEPTH_MAX {
            return;
        }
        let (Some(a), Some(b)) = (old.as_object(), new.as_object()) else {
            let message = format!("{} was {} and is {}.", subject(path), short(old), short(new));
            let (backward, forward) = match (old, new) {
                (_, Value::Bool(true)) | (Value::Bool(false), _) => (Answer::Yes, Answer::No),
                (_, Value::Bool(false)) | (Value::Bool(true), _) => (Answer::No, Answer::Yes),
                _ => (Answer::Unknown, Answer::Unknown),
            };
            self.push(path, "schema-changed", backward, forward, message);
            return;
        };
        for (word, (old, new)) in pairs(Some(old), Some(new)) {
            if old != new {
                self.compare_word(path, word, old, new, (a, b), depth);
            }
        }
    }

    fn compare_child(
        &mut self,
        path: &str,
        word: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        depth: usize,
    ) {
        let at = format!("{path}/{word}");
        match (old, new) {
            (Some(o), Some(n)) => self.walk(&at, o, n, depth + 1),
            (None, Some(_)) => {
                let message = format!("{} must now also fit a schema under `{word}`.", subject(path));
                self.push(&at, &format!("{}-added", kebab(word)), Answer::Unknown, Answer::Yes, message);
            }
            (Some(_), None) => {
                let message = format!("{} need not fit the schema under `{word}` any more.", subject(path));
                self.push(&at, &format!("{}-removed", kebab(word)), Answer::Yes, Answer::Unknown, message);
            }
            (None, None) => {}
        }
    }

    /// Dispatches by the word: each line says what a change of that word means.
    fn compare_word(
        &mut self,
        path: &str,
        word: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        whole: (&Map<String, Value>, &Map<String, Value>),
        depth: usize,
    ) {
        let at = format!("{path}/{word}");
        let what = subject(path);
        match word {
            "x-ashlar" => self.compare_vocabulary(&at, &what, old, new),
            "$defs" | "definitions" => {
                for (name, pair) in pairs(old, new) {
                    if let (Some(o), Some(n)) = pair {
                        self.walk(&format!("{at}/{name}"), o, n, depth + 1);
                    }
                }
            }
            _ if ANNOTATIONS.contains(&word) => {
                self.note(
                    &at,
                    "annotation-changed",
                    format!("The {word} of {what} has changed; no value is affected."),
                );
            }
            "properties" => self.compare_properties(path, old, new, whole, depth),
            "required" => self.compare_required(path, &names(old), &names(new), whole),
            "type" => self.compare_types(&at, &what, old, new),
            "enum" => self.compare_values(&at, &what, old, new),
            "const" => {
                let message = format!(
                    "{what} must be {} now; before: {}.",
                    new.map_or("anything".to_owned(), short),
                    old.map_or("anything".to_owned(), short)
                );
                let (backward, forward) = added_or_removed(old, new);
                self.push(&at, "const-changed", backward, forward, message);
            }
            "additionalProperties" | "unevaluatedProperties" => {
                self.compare_openness(&at, &what, word, old, new, depth)
            }
            "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" | "minContains" => {
                self.compare_bound(&at, &what, word, old, new, true)
            }
            "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" | "maxContains" => {
                self.compare_bound(&at, &what, word, old, new, false)
            }
            "pattern" | "format" | "multipleOf" | "uniqueItems" | "dependentRequired" | "$ref" => {
                let message = format!("{what}: `{word}` was {} and is {}.", shown(old), shown(new));
                let (backward, forward) = match word {
                    "uniqueItems" if new == Some(&Value::Bool(true)) => (Answer::No, Answer::Yes),
                    "uniqueItems" => (Answer::Yes, Answer::No),
                    _ => added_or_removed(old, new),
                };
                let kind = if word == "$ref" {
                    "reference-changed".to_owned()
                } else {
                    format!("{}-changed", kebab(word))
                };
                self.push(&at, &kind, backward, forward, message);
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => self.compare_branches(path, word, old, new, depth),
            "patternProperties" | "dependentSchemas" => {
                for (name, (old, new)) in pairs(old, new) {
                    self.compare_child(&at, name, old, new, depth);
                }
            }
            "items" | "contains" | "propertyNames" | "not" | "if" | "then" | "else" | "unevaluatedItems" => {
                self.compare_child(path, word, old, new, depth);
            }
            _ => self.note(
                &at,
                "unknown-word-changed",
                format!("`{word}` of {what} has changed; it says nothing about which values are valid."),
            ),
        }
    }

    fn compare_vocabulary(&mut self, at: &str, what: &str, old: Option<&Value>, new: Option<&Value>) {
        for (word, (old, new)) in pairs(old, new).into_iter().filter(|(_, (old, new))| old != new) {
            let at = format!("{at}/{word}");
            match word {
                "semantics" | "unit" | "sensitivity" => {
                    let message = format!(
                        "{what} means something else: its {word} was {} and is {}. Payloads still validate, so the owner has to agree.",
                        shown(old),
                        shown(new)
                    );
                    self.add(
                        &at,
                        &format!("{word}-changed"),
                        Answer::Yes,
                        Answer::Yes,
                        message,
                        true,
                        Some(Verdict::Minor),
                    );
                }
                "ref" => {
                    let (o, n) = (names(old), names(new));
                    // Without the word, a text may be anything.
                    let narrower =
                        |from: &BTreeSet<&str>, had: bool, to: &BTreeSet<&str>, has: bool| match has
                            && (!had || from.difference(to).next().is_some())
                        {
                            true => Answer::No,
                            false => Answer::Yes,
                        };
                    let backward = narrower(&o, old.is_some(), &n, new.is_some());
                    let forward = narrower(&n, new.is_some(), &o, old.is_some());
                    let message = format!("{what} may refer to {}; before: {}.", shown(new), shown(old));
                    self.push(&at, REFERENCE_TYPES, backward, forward, message);
                }
                "localized" => {
                    let message = format!(
                        "{what} is {} now.",
                        if new == Some(&Value::Bool(true)) {
                            "kept for each language"
                        } else {
                            "shared by all languages"
                        }
                    );
                    self.add(
                        &at,
                        LOCALIZATION,
                        Answer::Yes,
                        Answer::Yes,
                        message,
                        false,
                        Some(Verdict::Minor),
                    );
                }
                _ => self.note(
                    &at,
                    "annotation-changed",
                    format!("`{word}` was {} and is {}; no value is affected.", shown(old), shown(new)),
                ),
            }
        }
    }

    fn compare_properties(
        &mut self,
        path: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        whole: (&Map<String, Value>, &Map<String, Value>),
        depth: usize,
    ) {
        let closed = |m: &Map<String, Value>| {
            ["additionalProperties", "unevaluatedProperties"]
                .iter()
                .any(|w| m.get(*w) == Some(&Value::Bool(false)))
        };
        let required = names(whole.1.get("required"));
        for (name, pair) in pairs(old, new) {
            let at = format!("{path}/properties/{}", ashlar_model::pointer_step(name));
            match pair {
                (Some(o), Some(n)) => self.walk(&at, o, n, depth + 1),
                (None, Some(_)) => {
                    let optional = !required.contains(name);
                    let (backward, message) = match (closed(whole.0), self.lenient) {
                        (true, _) => (
                            Answer::Yes,
                            format!(
                                "Editors can now fill in `{name}`. The content model is closed, so no value carries it yet."
                            ),
                        ),
                        (false, true) if optional => (
                            Answer::Yes,
                            format!(
                                "Editors can now fill in `{name}`. The content model is open, so a value could carry that name already; by the declared leniency it is taken not to."
                            ),
                        ),
                        _ => (
                            Answer::Unknown,
                            format!(
                                "Editors can now fill in `{name}`. The content model is open, so a value could carry that name already, with anything in it."
                            ),
                        ),
                    };
                    let forward = if closed(whole.0) { Answer::No } else { Answer::Yes };
                    self.add(
                        &at,
                        PROPERTY_ADDED,
                        backward,
                        forward,
                        message,
                        false,
                        Some(if backward == Answer::Yes { Verdict::Minor } else { Verdict::Major }),
                    );
                }
                (Some(_), None) => {
                    let (backward, message) = match closed(whole.1) {
                        true => (
                            Answer::No,
                            format!(
                                "`{name}` was removed, and the content model is closed: values that have it are no longer valid."
                            ),
                        ),
                        false => (
                            Answer::Yes,
                            format!(
                                "`{name}` is no longer described; values that have it stay valid, but readers cannot rely on it."
                            ),
                        ),
                    };
                    self.push(&at, "property-removed", backward, Answer::Unknown, message);
                }
                (None, None) => {}
            }
        }
    }

    fn compare_required(
        &mut self,
        path: &str,
        old: &BTreeSet<&str>,
        new: &BTreeSet<&str>,
        whole: (&Map<String, Value>, &Map<String, Value>),
    ) {
        let at = format!("{path}/required");
        for name in new.difference(old) {
            let fresh = whole.0.get("properties").and_then(|p| p.get(*name)).is_none();
            let why = if fresh { "which did not exist before" } else { "which they could leave out" };
            let message =
                format!("Editors must now fill in `{name}`, {why}: values without it stop being valid.");
            self.push(&at, "required-added", Answer::No, Answer::Yes, message);
        }
        for name in old.difference(new) {
            let message = format!("`{name}` may now be left out: readers can no longer rely on it.");
            self.push(&at, "required-removed", Answer::Yes, Answer::No, message);
        }
    }

    fn compare_types(&mut self, at: &str, what: &str, old: Option<&Value>, new: Option<&Value>) {
        let (a, b) = (old.map_or(ALL, types_allowed), new.map_or(ALL, types_allowed));
        let shown = |v: Option<&Value>| v.map_or("any type".to_owned(), short);
        let (kind, backward, forward) = match (a & !b == 0, b & !a == 0) {
            (true, true) => ("type-rewritten", Answer::Yes, Answer::Yes),
            (true, false) => ("type-widened", Answer::Yes, Answer::No),
            (false, true) => ("type-narrowed", Answer::No, Answer::Yes),
            (false, false) => ("type-changed", Answer::No, Answer::No),
        };
        self.push(
            at,
            kind,
            backward,
            forward,
            format!("{what} was {} and is {} now.", shown(old), shown(new)),
        );
    }

    fn compare_values(&mut self, at: &str, what: &str, old: Option<&Value>, new: Option<&Value>) {
        let (Some(o), Some(n)) = (old, new) else {
            let (backward, forward) = added_or_removed(old, new);
            let message = match new {
                Some(n) => format!("{what} must now be one of {}.", short(n)),
                None => format!("{what} is no longer limited to a list of values."),
            };
            self.push(
                at,
                if new.is_some() { "enum-added" } else { "enum-removed" },
                backward,
                forward,
                message,
            );
            return;
        };
        let (o, n) = (list(o), list(n));
        for value in o.iter().filter(|v| !n.contains(v)) {
            self.push(
                at,
                "enum-value-removed",
                Answer::No,
                Answer::Yes,
                format!("{what} can no longer be {}: values that are stop being valid.", short(value)),
            );
        }
        for value in n.iter().filter(|v| !o.contains(v)) {
            self.push(
                at,
                "enum-value-added",
                Answer::Yes,
                Answer::No,
                format!("{what} can now also be {}: readers must expect it.", short(value)),
            );
        }
        if o.iter().all(|v| n.contains(v)) && n.iter().all(|v| o.contains(v)) {
            self.note(at, "enum-reordered", format!("The values of {what} stand in another order."));
        }
    }

    fn compare_openness(
        &mut self,
        at: &str,
        what: &str,
        word: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        depth: usize,
    ) {
        let open = |v: Option<&Value>| v.is_none_or(|v| v == &Value::Bool(true));
        let closed = |v: Option<&Value>| v == Some(&Value::Bool(false));
        if closed(new) {
            let message = format!(
                "The content model of {what} is closed now: fields that it does not name are refused (`{word}`)."
            );
            self.push(at, "closed", Answer::No, Answer::Yes, message);
        } else if closed(old) {
            let message = format!(
                "The content model of {what} is open now: fields that it does not name are allowed (`{word}`)."
            );
            self.push(at, "opened", Answer::Yes, Answer::No, message);
        } else if open(old) && open(new) {
            self.note(at, "openness-rewritten", format!("The content model of {what} is as open as before."));
        } else {
            let yes = Value::Bool(true);
            let (o, n) = (old.unwrap_or(&yes), new.unwrap_or(&yes));
            self.walk(at, o, n, depth + 1);
        }
    }

    fn compare_bound(
        &mut self,
        at: &str,
        what: &str,
        word: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        lower: bool,
    ) {
        let (o, n) = (old.and_then(exact), new.and_then(exact));
        let tighter = match (o, n) {
            (Some(o), Some(n)) if o == n => {
                self.note(at, "bound-rewritten", format!("`{word}` of {what} is written in another way."));
                return;
            }
            (Some(o), Some(n)) => (n > o) == lower,
            (None, _) => true,
            (Some(_), None) => false,
        };
        let effect = if tighter {
            "values outside stop being valid"
        } else {
            "readers must expect values that were not valid before"
        };
        let message = format!("{what}: `{word}` was {} and is {}; {effect}.", shown(old), shown(new));
        match tighter {
            true => self.push(at, "bound-tightened", Answer::No, Answer::Yes, message),
            false => self.push(at, "bound-relaxed", Answer::Yes, Answer::No, message),
        }
    }

    fn compare_branches(
        &mut self,
        path: &str,
        word: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        depth: usize,
    ) {
        let (o, n) = (old.map_or_else(Vec::new, list), new.map_or_else(Vec::new, list));
        let what = subject(path);
        let at = format!("{path}/{word}");
        if o.len() == n.len() {
            for (i, (o, n)) in o.iter().zip(&n).enumerate() {
                self.walk(&format!("{at}/{i}"), o, n, depth + 1);
            }
            return;
        }
        let gone = o.iter().filter(|b| !n.contains(b)).count();
        let come = n.iter().filter(|b| !o.contains(b)).count();
        let narrows = word == "allOf" || word == "prefixItems";
        if gone > 0 {
            let answers =
                if narrows { (Answer::Yes, Answer::Unknown) } else { (Answer::Unknown, Answer::Unknown) };
            self.push(
                &at,
                "branch-removed",
                answers.0,
                answers.1,
                format!("{what}: {gone} of the forms under `{word}` were removed."),
            );
        }
        if come > 0 {
            let answers =
                if narrows { (Answer::Unknown, Answer::Yes) } else { (Answer::Unknown, Answer::No) };
            self.push(
                &at,
                "branch-added",
                answers.0,
                answers.1,
                format!("{what}: {come} forms under `{word}` are new."),
            );
        }
    }
}

fn added_or_removed(old: Option<&Value>, new: Option<&Value>) -> (Answer, Answer) {
    match (old, new) {
        (None, _) => (Answer::No, Answer::Yes),
        (_, None) => (Answer::Yes, Answer::No),
        _ => (Answer::Unknown, Answer::Unknown),
    }
}

fn kebab(word: &str) -> String {
    word.chars()
        .flat_map(|c| if c.is_uppercase() { vec!['-', c.to_ascii_lowercase()] } else { vec![c] })
        .collect()
}
