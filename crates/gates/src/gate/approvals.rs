use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{Digest, EntryId, EntryKey, Fields, Finding, Locale, TypeName, canonical_json};
use ashlar_project::Governance;
use ashlar_release::{Approval, DeclaredEnd, RequiredApproval};
use serde_json::Value;

use crate::{GateError, inputs::Inputs};

/// Sensitivities whose change needs an approval. Others (`pii`) ask for care, not for approval.
const APPROVED: [&str; 3] = ["claim", "legal", "pricing"];

/// Subjects of one approval that are listed; the digest covers all.
const SUBJECTS_MAX: usize = 200;

/// A changed field that needs an approval.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SensitiveChange {
    pub(crate) right: String,
    pub(crate) key: EntryKey,
    pub(crate) field: String,
    pub(crate) old: Option<Digest>,
    pub(crate) new: Option<Digest>,
}

/// The digests of an entry's sensitive fields: `(field, right) → digest`.
pub(crate) fn sensitive_values(
    sensitive: &BTreeMap<String, BTreeSet<String>>,
    fields: &Fields,
) -> BTreeMap<(String, String), Digest> {
    let mut out = BTreeMap::new();
    for (field, kinds) in sensitive {
        let Some(value) = fields.get(field) else { continue };
        for right in kinds.iter().filter(|k| APPROVED.contains(&k.as_str())) {
            out.insert((field.clone(), right.clone()), digest(value));
        }
    }
    out
}

fn digest(value: &Value) -> Digest {
    Digest::of(&canonical_json(value).unwrap_or_default())
}

/// How sensitive fields of one entry differ.
pub(crate) fn changes(
    key: &EntryKey,
    old: &BTreeMap<(String, String), Digest>,
    new: &BTreeMap<(String, String), Digest>,
) -> Vec<SensitiveChange> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| SensitiveChange {
            right: name.1.clone(),
            key: key.clone(),
            field: name.0.clone(),
            old: old.get(name).copied(),
            new: new.get(name).copied(),
        })
        .collect()
}

/// Says who changed an entry.
pub(crate) type Authors<'a> = dyn Fn(&EntryKey) -> Result<BTreeSet<String>, GateError> + 'a;

/// One approval per right, bound to the digest of exactly these changes.
///
/// # Errors
/// When it cannot be read who made them.
pub(crate) fn required(
    changes: &[SensitiveChange],
    authors: &Authors<'_>,
) -> Result<Vec<RequiredApproval>, GateError> {
    let mut by_right: BTreeMap<&str, Vec<&SensitiveChange>> = BTreeMap::new();
    for change in changes {
        by_right.entry(&change.right).or_default().push(change);
    }
    by_right
        .into_iter()
        .map(|(right, mut changes)| {
            changes.sort();
            let mut inputs = Inputs::new("approval");
            let mut all_authors = BTreeSet::new();
            let none = Digest::from_bytes([0; 32]);
            for c in &changes {
                inputs.add("key", &c.key.to_bytes()).add("field", c.field.as_bytes());
                inputs
                    .digest("old", c.old.as_ref().unwrap_or(&none))
                    .digest("new", c.new.as_ref().unwrap_or(&none));
                all_authors.extend(authors(&c.key)?);
            }
            Ok(RequiredApproval {
                right: right.to_owned(),
                change: inputs.finish(),
                authors: all_authors,
                subjects: across_locales(changes.iter().copied())
                    .into_iter()
                    .take(SUBJECTS_MAX)
                    .map(|(c, locales)| place(c, &locales))
                    .collect(),
            })
        })
        .collect()
}

/// Changes that are the same in several locales of an entry, such as those of a shared field: each once, with its locales.
pub(crate) fn across_locales<'c>(
    changes: impl IntoIterator<Item = &'c SensitiveChange>,
) -> Vec<(&'c SensitiveChange, Vec<&'c Locale>)> {
    type Same<'c> = (&'c TypeName, &'c EntryId, &'c str, &'c str, Option<Digest>, Option<Digest>);
    let mut at: BTreeMap<Same<'c>, usize> = BTreeMap::new();
    let mut out: Vec<(&SensitiveChange, Vec<&Locale>)> = Vec::new();
    for c in changes {
        let same = (&c.key.type_name, &c.key.id, c.field.as_str(), c.right.as_str(), c.old, c.new);
        let index = *at.entry(same).or_insert(out.len());
        match out.get_mut(index) {
            Some((_, locales)) => locales.push(&c.key.locale),
            None => out.push((c, vec![&c.key.locale])),
        }
    }
    out
}

/// `plan/pro (de, en) /price`
fn place(change: &SensitiveChange, locales: &[&Locale]) -> String {
    let locales: Vec<&str> = locales.iter().map(|l| l.as_str()).collect();
    format!("{}/{} ({}) /{}", change.key.type_name, change.key.id, locales.join(", "), change.field)
}

/// What the end of a changeset needs: one approval per right, for the changeset with exactly these entries, whatever they say
/// by then.
///
/// # Errors
/// When it cannot be read who wrote them.
pub(crate) fn required_end(
    end: &DeclaredEnd,
    ending: &[SensitiveChange],
    authors: &Authors<'_>,
) -> Result<Vec<RequiredApproval>, GateError> {
    let mut by_right: BTreeMap<&str, BTreeSet<(&EntryKey, &str)>> = BTreeMap::new();
    for change in ending {
        by_right.entry(&change.right).or_default().insert((&change.key, &change.field));
    }
    by_right
        .into_iter()
        .map(|(right, fields)| {
            let mut inputs = Inputs::new("approval-end");
            inputs.add("changeset", end.changeset.as_bytes());
            for key in &end.keys {
                inputs.add("key", &key.to_bytes());
            }
            let place =
                |(key, field): &(&EntryKey, &str)| format!("{key} /{field} (taken down at {})", end.at);
            let mut all_authors = BTreeSet::new();
            for (key, _) in &fields {
                all_authors.extend(authors(key)?);
            }
            Ok(RequiredApproval {
                right: right.to_owned(),
                change: inputs.finish(),
                authors: all_authors,
                subjects: fields.iter().take(SUBJECTS_MAX).map(place).collect(),
            })
        })
        .collect()
}

/// The finding of an end that is not approved.
pub(crate) fn missing_end(
    required: &RequiredApproval,
    end: &DeclaredEnd,
    governance: &Governance,
    why: Option<&str>,
) -> Finding {
    let (right, who) = (&required.right, who(required, governance));
    let why = why.map_or(String::new(), |w| format!("; {w}"));
    let message = format!(
        "The changeset `{}` is taken down at {}, with fields that need an approval under the right `{right}` ({who}){why}.",
        end.changeset, end.at
    );
    Finding::error("approval-missing", format!("changeset {}", end.changeset), message)
        .help(format!("ashlar candidate approve CANDIDATE --right {right} --as NAME"))
}

/// Whether an approval was given that counts, and if not why those that were given do not.
pub(crate) fn given(
    required: &RequiredApproval,
    approvals: &[Approval],
    governance: &Governance,
) -> Result<(), Option<String>> {
    let mut why = None;
    for a in approvals.iter().filter(|a| a.right == required.right) {
        if a.change != required.change {
            why.get_or_insert_with(|| {
                format!("the approval of {} was given to other values of these changes", a.by)
            });
        } else if required.authors.contains(&a.by) {
            why = Some(format!("the approval of {} does not count: nobody approves their own change", a.by));
        } else if !governance.holds(&required.right, &a.by) {
            why = Some(format!("{} does not have the right `{}`", a.by, required.right));
        } else {
            return Ok(());
        }
    }
    Err(why)
}

/// Who may give an approval, for people.
fn who(required: &RequiredApproval, governance: &Governance) -> String {
    match governance.approvers.get(&required.right) {
        Some(people) => {
            let able: Vec<&str> = people.difference(&required.authors).map(String::as_str).collect();
            match able.is_empty() {
                true => "everyone who has the right is an author; add another person to governance.toml"
                    .to_owned(),
                false => format!("by {}", able.join(" or ")),
            }
        }
        None => "by anyone but its authors".to_owned(),
    }
}

/// The findings of changes whose approval is missing.
pub(crate) fn missing(
    required: &RequiredApproval,
    changes: &[SensitiveChange],
    governance: &Governance,
    why: Option<&str>,
) -> Vec<Finding> {
    let who = who(required, governance);
    let why = why.map_or(String::new(), |w| format!("; {w}"));
    across_locales(changes.iter().filter(|c| c.right == required.right))
        .into_iter()
        .map(|(c, locales)| {
            let what = match (c.old, c.new) {
                (None, _) => "is new",
                (_, None) => "is removed",
                _ => "has changed",
            };
            Finding::error(
                "approval-missing",
                place(c, &locales),
                format!(
                    "`{}` {what} and needs an approval under the right `{}` ({who}){why}.",
                    c.field, c.right
                ),
            )
            .help(format!("ashlar candidate approve CANDIDATE --right {} --as NAME", c.right))
        })
        .collect()
}
