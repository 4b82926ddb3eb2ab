use std::collections::{BTreeMap, BTreeSet};

use ashlar_assist::texts::statements;
use ashlar_model::{Digest, EntryId, EntryKey, Finding, GateReport, GateStatus, Locale, TypeName, Waiver};
use ashlar_project::Governance;
use ashlar_release::{Approval, DeclaredEnd, RequiredApproval};

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    findings::{Findings, count},
    inputs::Inputs,
    world::{
        Change, Looked, Part, Work, World,
        assisted::Assisted,
        sensitive::{Sensitive, SensitiveChange},
    },
};

const FINDINGS: &[Code] = findings! {
    "approval-missing": "A change of a sensitive field is not approved." => "Run `ashlar candidate approve CANDIDATE --right RIGHT --as NAME`.";
    "approval-needed": "A change of a sensitive field will need an approval once it is in a candidate." => "Ask a holder of the right to approve the candidate.";
    "assisted-approval-missing": "A model wrote something, and no person who may do so has approved it. A waiver does not replace this approval." => "Let somebody approve it whom `governance.toml` names for the right, and who did not ask for the text.";
    "governance": "governance.toml has a wrong or empty value." => "Correct the line that the message names.";
    "toml-malformed": "governance.toml has a syntax error or a wrong field." => "Correct the line that the message names.";
    "encoding": "governance.toml is not UTF-8 text." => "Save it as UTF-8.";
};

/// The gate `approvals`.
pub(crate) struct Approvals;

impl Gate for Approvals {
    fn about(&self) -> &'static About {
        &About {
            name: "approvals",
            judges: "Every change of a sensitive field is approved by somebody who has the right and did not write it.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        inputs.digest("base-contracts", &world.base_contracts());
        inputs.digest("base", &world.digest(Part::BaseSnapshot));
        inputs
            .digest("snapshot", &world.digest(Part::Snapshot))
            .digest("changes", &world.digest(Part::Changes));
        inputs.digest("governance", &world.definitions().part("governance.toml"));
        inputs.digest("assist", &world.definitions().part("assist.toml"));
        if let Some(end) = world.end() {
            inputs.json("end", end);
        }
        for a in world.approvals() {
            inputs.json("approval", &(&a.right, &a.change, &a.by));
        }
    }

    fn sees_contracts(&self) -> bool {
        false
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let mut findings = Findings::default();
        findings.extend(world.definitions().governance_findings.iter().cloned());
        let sensitive = world.sensitive()?;
        let checked = sensitive.changes.len();
        let mut metrics = BTreeMap::new();
        let what = if world.takes_approvals() {
            let (what, of_models) = judge(world, &sensitive, &mut findings)?;
            if of_models > 0 {
                metrics.insert(OF_MODELS.to_owned(), of_models as f64);
            }
            what
        } else if world.base().is_none() {
            "no base to compare with".to_owned()
        } else {
            foresee(world, &sensitive.changes, &mut findings);
            count(checked, "sensitive change", "sensitive changes")
        };
        Ok(Work { findings, looked: Looked { checked, reused: 0 }, what, metrics })
    }

    /// What a model wrote is approved by a person, or not released: nothing replaces that.
    fn takes_waiver(&self, world: &dyn World, report: &GateReport, _: &Waiver) -> Result<bool, GateError> {
        // A gate that could not run has not counted.
        let unknown = report.status == GateStatus::Error && !world.assisted()?.is_empty();
        Ok(!unknown && !report.metrics.contains_key(OF_MODELS))
    }
}

/// The metric that counts missing approvals of what models wrote.
const OF_MODELS: &str = "assisted_missing";
/// The right that everything needs that a model wrote.
pub(crate) const ASSISTED: &str = "assisted";

/// Everybody who may not approve an entry: who wrote it and who asked a model for it, with all names of theirs.
fn authors_of(world: &dyn World, key: &EntryKey) -> Result<BTreeSet<String>, GateError> {
    let governance = &world.definitions().governance;
    let mut all: BTreeSet<String> = world.authors(key)?;
    if let Some(entry) = assisted_at(world, key)? {
        all.extend(entry.asked().map(str::to_owned));
    }
    Ok(all.iter().flat_map(|name| governance.names_of(name)).collect())
}

/// The entry when a model wrote something of it.
fn assisted_at<'w>(world: &'w dyn World, key: &EntryKey) -> Result<Option<&'w Assisted>, GateError> {
    let all = world.assisted()?;
    Ok(all.binary_search_by(|entry| entry.key.to_bytes().cmp(&key.to_bytes())).ok().map(|at| &all[at]))
}

/// All approvals that the changes of entries need.
///
/// # Errors
/// When the content cannot be read.
pub(crate) fn all_required(
    world: &dyn World,
    sensitive: &Sensitive,
) -> Result<Vec<RequiredApproval>, GateError> {
    let mut all = sensitive_required(world, &sensitive.changes)?;
    all.extend(of_models(world)?);
    Ok(all)
}

fn sensitive_required(
    world: &dyn World,
    changes: &[SensitiveChange],
) -> Result<Vec<RequiredApproval>, GateError> {
    let mut all = required(changes, &|key| authors_of(world, key))?;
    for approval in &mut all {
        for change in changes.iter().filter(|change| change.right == approval.right) {
            approval.assisted |= assisted_at(world, &change.key)?.is_some();
        }
    }
    Ok(all)
}

/// Approvals that the end of a changeset needs.
///
/// # Errors
/// When the content cannot be read.
pub(crate) fn end_required(
    world: &dyn World,
    end: &DeclaredEnd,
    sensitive: &Sensitive,
) -> Result<Vec<RequiredApproval>, GateError> {
    required_end(end, &sensitive.ending, &|key| authors_of(world, key))
}

/// What is approved of entries that models wrote: one approval for all of them, and one for each further right of `assist.toml`.
fn of_models(world: &dyn World) -> Result<Vec<RequiredApproval>, GateError> {
    let mut by_right: BTreeMap<&str, Vec<&Assisted>> = BTreeMap::new();
    let assist = &world.definitions().assist;
    for entry in world.assisted()? {
        by_right.entry(ASSISTED).or_default().push(entry);
        let written = entry.written();
        for need in &assist.needs {
            let of_type = need.types.is_empty() || need.types.contains(&entry.key.type_name);
            let says = || {
                let said = statements(&entry.fields, &written);
                need.pattern.as_ref().is_some_and(|pattern| said.iter().any(|t| pattern.is_match(&t.text)))
            };
            let of_right = by_right.entry(&need.right).or_default();
            let known = of_right.last().is_some_and(|last| last.key == entry.key);
            if of_type && !known && (need.fields.iter().any(|field| written.contains(field)) || says()) {
                of_right.push(entry);
            }
        }
    }
    by_right.retain(|_, entries| !entries.is_empty());
    by_right
        .into_iter()
        .map(|(right, entries)| {
            let mut inputs = Inputs::new("assisted");
            let mut authors = BTreeSet::new();
            for entry in &entries {
                inputs.add("key", &entry.key.to_bytes()).digest("new", &entry.digest);
                authors.extend(authors_of(world, &entry.key)?);
            }
            let subject = |entry: &&Assisted| format!("{} (written by {})", entry.key, entry.tasks());
            Ok(RequiredApproval {
                right: right.to_owned(),
                change: inputs.finish(),
                authors,
                subjects: entries.iter().take(SUBJECTS_MAX).map(subject).collect(),
                assisted: true,
            })
        })
        .collect()
}

/// Whether approvals were given; also how many are missing of what models wrote.
fn judge(
    world: &dyn World,
    sensitive: &Sensitive,
    findings: &mut Findings,
) -> Result<(String, usize), GateError> {
    let (governance, given_ones) = (&world.definitions().governance, world.approvals());
    let required = sensitive_required(world, &sensitive.changes)?;
    let mut missing_of_models = 0;
    for r in &required {
        if let Err(why) = given(r, given_ones, governance) {
            missing_of_models += usize::from(r.assisted);
            findings.extend(missing(r, &sensitive.changes, governance, why.as_deref()));
        }
    }
    let of_models = of_models(world)?;
    for r in &of_models {
        if let Err(why) = given(r, given_ones, governance) {
            missing_of_models += 1;
            findings.extend(missing_assisted(r, governance, why.as_deref()));
        }
    }
    let mut needed = required.len() + of_models.len();
    if let Some(end) = world.end() {
        for r in end_required(world, end, sensitive)? {
            needed += 1;
            if let Err(why) = given(&r, given_ones, governance) {
                findings.push(missing_end(&r, end, governance, why.as_deref()));
            }
        }
    }
    Ok((count(needed, "approval needed", "approvals needed"), missing_of_models))
}

/// The findings of entries that a model wrote and nobody approved: one for each.
fn missing_assisted(required: &RequiredApproval, governance: &Governance, why: Option<&str>) -> Vec<Finding> {
    let (right, who) = (&required.right, who(required, governance));
    let why = why.map_or(String::new(), |w| format!("; {w}"));
    let finding = |subject: &String| {
        let (place, by) = subject.split_once(" (written").unwrap_or((subject, ""));
        let message = format!(
            "A model wrote this{}, so it needs an approval of a person under the right `{right}` ({who}){why}.",
            by.trim_end_matches(')')
        );
        Finding::error("assisted-approval-missing", place.to_owned(), message)
            .help(format!("ashlar candidate approve CANDIDATE --right {right} --as NAME"))
    };
    required.subjects.iter().map(finding).collect()
}

/// Which approvals a candidate of the files will need.
fn foresee(world: &dyn World, changes: &[SensitiveChange], findings: &mut Findings) {
    for (change, locales) in across_locales(changes) {
        let others = match locales.len() {
            1 => String::new(),
            n => format!(" (in {n} locales)"),
        };
        let place = format!("{} /{}{others}", world.place(&change.key), change.field);
        let (field, right) = (&change.field, &change.right);
        let message = format!("The change of `{field}` will need an approval under the right `{right}`.");
        findings.push(Finding::warning("approval-needed", place, message).help(format!(
            "ashlar candidate approve CANDIDATE --right {right} --as NAME, once it is a candidate"
        )));
    }
}

/// Subjects of one approval that are listed; the digest covers all.
const SUBJECTS_MAX: usize = 200;

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
                assisted: false,
            })
        })
        .collect()
}

/// Changes that are the same in several locales of an entry, such as those of a shared field: each once, with its locales.
fn across_locales<'c>(
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
                assisted: false,
            })
        })
        .collect()
}

/// The finding of an end that is not approved.
fn missing_end(
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
        } else if required.assisted && !governance.names(&required.right, &a.by) {
            why = Some(format!(
                "governance.toml does not name {} under the right `{}`, and only people whom it names approve what a model wrote",
                a.by, required.right
            ));
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
        None if required.assisted => {
            format!("by nobody yet: add [approvals.{}] with `people` to governance.toml", required.right)
        }
        None => "by anyone but its authors".to_owned(),
    }
}

/// The findings of changes whose approval is missing.
fn missing(
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
