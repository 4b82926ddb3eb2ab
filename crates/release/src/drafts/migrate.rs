//! Content migrations: a declared mapping from one contract version to another, over every draft, in one transaction,
//! with an inverse.

use std::collections::BTreeMap;

use ashlar_model::{ContractName, EntryKey, Fields, Files, Finding, Right};
use ashlar_store::sql::{DraftFilter, DraftRow, DraftState, MigrationRow, Rows};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    fields::{differing, fields_of, freeze_fields, parse_fields},
    ground::{Ground, no_definitions},
    write::{Author, Next, put_version},
};
use crate::{Action, Judge, ReleaseError, Scope, engine::action::Record};

const PAGE: u32 = 1_000;
/// The most findings that are listed.
const FINDINGS_MAX: usize = 200;
/// Entries that are shown before and after.
const SAMPLES_MAX: usize = 5;
/// The most drafts of one migration.
const DRAFTS_MAX: u64 = 5_000_000;

/// A migration file, in TOML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What it is for, for people.
    pub name: String,
    /// The contract version it starts from.
    pub from: ContractName,
    /// The contract version it leads to; the same for a change of content only.
    pub to: ContractName,
    /// What is done to each entry, in order.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
}

/// One step of a mapping, on a top-level field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Gives a field another name.
    Rename {
        /// The present name.
        field: String,
        /// The new name.
        to: String,
    },
    /// Gives a field a value where it has none.
    Default {
        /// The field.
        field: String,
        /// The value.
        value: Value,
    },
    /// Sets a field, replacing any value.
    Set {
        /// The field.
        field: String,
        /// The value.
        value: Value,
    },
    /// Removes a field.
    Remove {
        /// The field.
        field: String,
    },
    /// Copies a field.
    Copy {
        /// The field.
        field: String,
        /// The copy.
        to: String,
    },
    /// Replaces values by a table; values that are not in it stay.
    Map {
        /// The field.
        field: String,
        /// Old value as text → new value.
        values: BTreeMap<String, Value>,
    },
    /// Changes the type of a value: `string`, `number`, `integer`, `boolean` or `array` (of the one value).
    Convert {
        /// The field.
        field: String,
        /// The type.
        to: String,
    },
}

impl Mapping {
    /// The most steps of a mapping.
    pub const STEPS_MAX: usize = 200;

    /// Reads a migration file.
    ///
    /// # Errors
    /// What is wrong with it, with its line.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let help = "docs/project-format.md describes migration files";
        let mapping: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |s| {
                text.as_bytes()[..s.start.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
            });
            let help = ashlar_model::nearest_in_message(e.message(), help);
            ReleaseError::invalid(format!("line {line}: {}", e.message()), help)
        })?;
        if mapping.from.name != mapping.to.name {
            return Err(ReleaseError::invalid("a migration stays within one content type", help));
        }
        if mapping.steps.len() > Self::STEPS_MAX {
            return Err(ReleaseError::invalid(
                format!("a mapping has at most {} steps", Self::STEPS_MAX),
                help,
            ));
        }
        for step in &mapping.steps {
            if let Step::Convert { to, .. } = step
                && !["string", "number", "integer", "boolean", "array"].contains(&to.as_str())
            {
                return Err(ReleaseError::invalid(format!("`{to}` is not a type to convert to"), help));
            }
        }
        Ok(mapping)
    }

    /// The fields after all steps.
    ///
    /// # Errors
    /// The step that cannot be done, as a sentence.
    pub fn apply(&self, fields: &Fields) -> Result<Fields, String> {
        let mut out = fields.clone();
        for step in &self.steps {
            match step {
                Step::Rename { field, to } => {
                    if let Some(value) = out.remove(field)
                        && out.insert(to.clone(), value).is_some()
                    {
                        return Err(format!("`{field}` cannot become `{to}`: there is a `{to}` already"));
                    }
                }
                Step::Default { field, value } => {
                    out.entry(field.clone()).or_insert_with(|| value.clone());
                }
                Step::Set { field, value } => {
                    out.insert(field.clone(), value.clone());
                }
                Step::Remove { field } => {
                    out.remove(field);
                }
                Step::Copy { field, to } => {
                    if let Some(value) = out.get(field).cloned() {
                        out.insert(to.clone(), value);
                    }
                }
                Step::Map { field, values } => {
                    let new = out.get(field).and_then(|v| values.get(&plain(v)));
                    if let Some(new) = new.cloned() {
                        out.insert(field.clone(), new);
                    }
                }
                Step::Convert { field, to } => {
                    if let Some(value) = out.get(field) {
                        let new = convert(value, to)
                            .ok_or_else(|| format!("`{field}` is `{}`, which is no {to}", plain(value)))?;
                        out.insert(field.clone(), new);
                    }
                }
            }
        }
        Ok(out)
    }
}

/// A value as people write it: text without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

fn convert(value: &Value, to: &str) -> Option<Value> {
    let text = plain(value);
    Some(match to {
        "string" if !value.is_object() && !value.is_array() => Value::String(text),
        "number" => serde_json::Number::from_f64(text.trim().parse().ok()?).map(Value::Number)?,
        "integer" => match value.as_f64() {
            Some(f) if f.fract() == 0.0 => Value::from(f as i64),
            _ => Value::from(text.trim().parse::<i64>().ok()?),
        },
        "boolean" => match text.trim() {
            "true" | "yes" | "1" => Value::Bool(true),
            "false" | "no" | "0" => Value::Bool(false),
            _ => return None,
        },
        "array" => match value {
            Value::Array(_) => value.clone(),
            other => Value::Array(vec![other.clone()]),
        },
        _ => return None,
    })
}

/// Runs a mapping over every draft that follows its `from` contract.
#[derive(Debug, Clone)]
pub struct MigrateContent {
    /// The mapping as it was declared.
    pub mapping: String,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// Brings back what a migration rewrote. Drafts that were edited since keep their edits and are listed.
#[derive(Debug, Clone)]
pub struct RevertMigration {
    /// Its number.
    pub migration: u64,
}

/// The outcome of a migration or its inverse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Migrated {
    /// Its number; absent for a dry run.
    pub migration: Option<u64>,
    /// Drafts that were looked at.
    pub drafts: u64,
    /// Drafts that were, or would be, rewritten.
    pub rewritten: u64,
    /// Drafts that were left as they are because they were edited since (inverse only).
    pub kept: Vec<String>,
    /// What is wrong; nothing is written when there is anything.
    pub findings: Vec<Finding>,
    /// How many there were before the list was cut.
    pub findings_total: u64,
    /// Up to five entries before and after, for looking.
    pub samples: Vec<Sample>,
}

/// An entry before and after a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// The entry.
    pub entry: String,
    /// Its fields before.
    pub before: Fields,
    /// Its fields after.
    pub after: Fields,
}

/// What a mapping makes of one draft.
enum Mapped {
    Same,
    Rewritten(Fields),
    Refused(Vec<Finding>),
}

impl Mapping {
    /// Rewrites the fields of a draft and checks them with the contract that they follow then.
    fn rewrite(
        &self,
        judge: &dyn Judge,
        files: &Files,
        key: &EntryKey,
        old: &Fields,
    ) -> Result<Mapped, ReleaseError> {
        let new = match self.apply(old) {
            Ok(new) => new,
            Err(why) => {
                let finding = Finding::error("migration-step", key.to_string(), why);
                let help = "fix the entry or the mapping, and try the dry run again";
                return Ok(Mapped::Refused(vec![finding.help(help)]));
            }
        };
        let mut findings = judge.validate(files, &self.to, &new)?;
        for finding in &mut findings {
            finding.place = format!("{key} {}", finding.place);
        }
        Ok(match findings.is_empty() {
            false => Mapped::Refused(findings),
            true if new == *old && self.to == self.from => Mapped::Same,
            true => Mapped::Rewritten(new),
        })
    }
}

/// Looks at every draft of a mapping, and writes unless `dry_run` or something was refused.
async fn migrate_drafts(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    (mapping, ground, files): (&Mapping, &Ground, &Files),
    dry_run: bool,
) -> Result<Migrated, ReleaseError> {
    let mut outcome = Migrated::default();
    let note = format!("migration: {}", mapping.name);
    let by = Author { note: &note, ..scope.author() };
    let mut filter =
        DraftFilter { type_name: Some(mapping.from.name.clone()), limit: PAGE, ..DraftFilter::default() };
    loop {
        let page = rows.drafts(&filter).await?;
        let Some(last) = page.last() else { return Ok(outcome) };
        filter.after = Some(last.key.clone());
        let follows = |d: &DraftRow| d.major == mapping.from.major && d.state != DraftState::Deleted;
        for draft in page.into_iter().filter(follows) {
            outcome.drafts += 1;
            if outcome.drafts > DRAFTS_MAX {
                let message = format!("more than {DRAFTS_MAX} drafts");
                return Err(ReleaseError::invalid(message, "migrate by type"));
            }
            let old = fields_of(rows, &draft).await?;
            match mapping.rewrite(scope.engine.judge().as_ref(), files, &draft.key, &old)? {
                Mapped::Same => {}
                Mapped::Refused(findings) => {
                    outcome.findings_total += findings.len() as u64;
                    let room = FINDINGS_MAX.saturating_sub(outcome.findings.len());
                    outcome.findings.extend(findings.into_iter().take(room));
                }
                Mapped::Rewritten(new) => {
                    outcome.rewritten += 1;
                    if !dry_run && outcome.findings.is_empty() {
                        let to = (mapping.to.major, draft.state);
                        write_version(rows, ground, &draft, to, (&old, &new), &by).await?;
                    }
                    if outcome.samples.len() < SAMPLES_MAX {
                        let entry = draft.key.to_string();
                        outcome.samples.push(Sample { entry, before: old, after: new });
                    }
                }
            }
        }
    }
}

async fn write_version(
    rows: &mut Rows<'_>,
    ground: &Ground,
    draft: &DraftRow,
    (major, state): (u32, DraftState),
    (old, new): (&Fields, &Fields),
    by: &Author<'_>,
) -> Result<(), ReleaseError> {
    let changed = differing(old, new);
    let next = Next { major, state, frozen: freeze_fields(&draft.key, new)?, changed: &changed };
    put_version(rows, ground, (&draft.key, Some(draft)), next, by).await?;
    Ok(())
}

#[async_trait]
impl Action for MigrateContent {
    type Output = Migrated;
    const NAME: &'static str = "content.migrate";

    fn right(&self) -> Right {
        Right::Define
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Migrated, ReleaseError> {
        let mapping = Mapping::parse(&self.mapping)?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let ground = Ground::read(scope.engine, &mut rows).await?;
        let definitions = rows.working_definitions().await?.ok_or_else(no_definitions)?;
        let files = scope.engine.files(&scope.ctx.tenant, &definitions.digest)?;
        for contract in [&mapping.from, &mapping.to] {
            if ground.rules.of(&contract.name, contract.major).is_none() {
                let help = "push definitions that have both versions first";
                return Err(ReleaseError::not_found("contract", contract, help));
            }
        }
        let mut outcome = migrate_drafts(scope, &mut rows, (&mapping, &ground, &files), self.dry_run).await?;
        if self.dry_run {
            return Ok(outcome);
        }
        if outcome.findings_total > 0 {
            return Err(ReleaseError::Refused {
                code: "migration-refused",
                message: format!(
                    "{} of {} entries cannot be migrated; nothing was changed",
                    outcome.findings_total, outcome.drafts
                ),
                findings: outcome.findings,
                help: "run it with `--dry-run` until it finds nothing".to_owned(),
            });
        }
        let number = rows.next("migrations").await?;
        rows.insert_migration(&MigrationRow {
            number,
            name: mapping.name.clone(),
            mapping: self.mapping,
            drafts: outcome.rewritten,
            action: scope.action.clone(),
            reverted_at: None,
            at: scope.at.clone(),
            by: scope.actor().to_owned(),
        })
        .await?;
        outcome.migration = Some(number);
        let data = json!({"name": mapping.name, "from": mapping.from, "to": mapping.to, "rewritten": outcome.rewritten});
        scope.commit(tx, Record::one("content.migrated", format!("migrations/{number}"), data)).await?;
        Ok(outcome)
    }
}

#[async_trait]
impl Action for RevertMigration {
    type Output = Migrated;
    const NAME: &'static str = "content.migrate_back";

    fn right(&self) -> Right {
        Right::Define
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Migrated, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let ground = Ground::read(scope.engine, &mut rows).await?;
        let newest = rows.migrations(self.migration.saturating_add(1), 1).await?;
        let row = newest.into_iter().find(|m| m.number == self.migration).ok_or_else(|| {
            ReleaseError::not_found("migration", self.migration, "`ashlar migrate list` shows what was run")
        })?;
        if let Some(at) = row.reverted_at {
            let message = format!("migration {} was reverted already at {at}", row.number);
            return Err(ReleaseError::refused("already-reverted", message, ""));
        }
        let written =
            rows.written_by_action(&row.action, u32::try_from(DRAFTS_MAX).unwrap_or(u32::MAX)).await?;
        let mut outcome = Migrated { migration: Some(row.number), ..Migrated::default() };
        let note = format!("migration reverted: {}", row.name);
        let by = Author { note: &note, ..scope.author() };
        for (key, version) in written {
            outcome.drafts += 1;
            let Some(draft) = rows.draft(&key).await? else { continue };
            let before = rows.draft_version(&key, version.saturating_sub(1)).await?;
            let (Some(before), true) = (before, draft.version == version) else {
                outcome.kept.push(key.to_string());
                continue;
            };
            let (old, new) = (fields_of(&mut rows, &draft).await?, parse_fields(&key, &before.fields)?);
            let to = (before.major, before.state);
            write_version(&mut rows, &ground, &draft, to, (&old, &new), &by).await?;
            outcome.rewritten += 1;
        }
        rows.set_migration_reverted(row.number, &scope.at).await?;
        let data = json!({"name": row.name, "rewritten": outcome.rewritten, "kept": outcome.kept.len()});
        scope
            .commit(tx, Record::one("content.migrated_back", format!("migrations/{}", row.number), data))
            .await?;
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(steps: &str, before: Value, after: Result<Value, &str>) {
        let text = format!("name = 'x'\nfrom = 'plan.v1'\nto = 'plan.v2'\n{steps}");
        let mapping = Mapping::parse(&text).unwrap();
        let Value::Object(fields) = before else { panic!("an object") };
        assert_eq!(mapping.apply(&fields).map(Value::Object), after.map_err(str::to_owned));
    }

    #[test]
    fn steps_do_what_they_say() {
        let rename = "[[step]]\ndo = 'rename'\nfield = 'a'\nto = 'b'";
        check(rename, json!({"a": 1}), Ok(json!({"b": 1})));
        check(rename, json!({"a": 1, "b": 2}), Err("`a` cannot become `b`: there is a `b` already"));
        check("[[step]]\ndo = 'default'\nfield = 'a'\nvalue = 5", json!({}), Ok(json!({"a": 5})));
        let convert = "[[step]]\ndo = 'convert'\nfield = 'a'\nto = 'integer'";
        check(convert, json!({"a": "12"}), Ok(json!({"a": 12})));
        check(convert, json!({"a": "x"}), Err("`a` is `x`, which is no integer"));
        check(
            "[[step]]\ndo = 'map'\nfield = 'a'\nvalues = { old = 'new' }",
            json!({"a": "old"}),
            Ok(json!({"a": "new"})),
        );
    }

    #[test]
    fn a_wrong_file_names_its_line() {
        let wrong =
            Mapping::parse("name = 'x'\nfrom = 'plan.v1'\nto = 'plan.v2'\n[[step]]\ndo = 'explode'\n")
                .unwrap_err();
        assert!(wrong.to_string().starts_with("line "), "{wrong}");
        assert!(Mapping::parse("name = 'x'\nfrom = 'a.v1'\nto = 'b.v2'").is_err());
    }
}
