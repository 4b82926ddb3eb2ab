//! Making another version of a prompt the active one, as an edit of `prompts.toml`.

use std::collections::BTreeMap;

use ashlar_model::Files;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::{
    FOLDER, STATE_FILE,
    active::{Active, Flag, Sticky},
    prompt::{PromptError, Prompts},
    read::version_of,
};

/// An edit of definitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The prompt.
    pub prompt: String,
    /// Which version answered before.
    pub from: Active,
    /// Which version answers then.
    pub to: Active,
    /// Files of what is served that change, with their new bytes.
    pub served: BTreeMap<String, Vec<u8>>,
    /// Files of the working definitions that change. They change alike, so that the next push does not undo the move.
    pub working: BTreeMap<String, Vec<u8>>,
}

fn found(prompts: &Prompts, name: &str) -> Result<Active, PromptError> {
    prompts.active(name).ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        let help =
            super::read::near(name, prompts.names(), "`ashlar prompt list` shows all prompts".to_owned());
        PromptError::new("prompt_not_found", format!("There is no released prompt `{shown}`."), help)
    })
}

/// Makes a version the active one, or gives it to a share of calls. A version that was pushed and is not released yet comes along with the
/// partials that it needs.
///
/// # Errors
/// When there is no such prompt or version, or nothing would change.
pub fn promote(
    served: &Files,
    working: &Files,
    name: &str,
    version: u32,
    percent: Option<f64>,
) -> Result<Moved, PromptError> {
    let share = percent.filter(|percent| *percent < 100.0);
    if percent.is_some_and(|percent| !(percent > 0.0 && percent <= 100.0)) {
        let help = "write a number above 0 and at most 100; `ashlar prompt rollback` takes a version back";
        return Err(PromptError::new("prompt_percent", "The percentage is not possible.", help));
    }
    let (now, _) = Prompts::parse(served);
    let file = format!("{FOLDER}/{name}/v{version}.md");
    let mut changes = BTreeMap::new();
    let mut with = served.clone();
    if served.get(&file).is_none() {
        let Some(bytes) = working.get(&file) else {
            let mut known: Vec<u32> = now.versions(name).collect();
            let pushed = working.under(FOLDER, ".md").filter_map(|(path, _)| version_of(path));
            known.extend(pushed.filter(|(prompt, _)| *prompt == name).map(|(_, version)| version));
            known.sort_unstable();
            known.dedup();
            if known.is_empty() {
                found(&now, name)?;
            }
            let known: Vec<String> = known.iter().map(u32::to_string).collect();
            let message = format!("The prompt `{name}` has no version {version}.");
            let help = format!("versions are {}; push a new one with `ashlar push`", known.join(", "));
            return Err(PromptError::new("prompt_version_not_found", message, help));
        };
        bring(&mut changes, &mut with, &file, bytes)?;
        for (path, bytes) in working.under(&format!("{FOLDER}/{}", super::PARTIALS), "") {
            if served.get(path).is_none() {
                bring(&mut changes, &mut with, path, bytes)?;
            }
        }
    }
    let (next, _) = Prompts::parse(&with);
    if next.get(name, version).is_none() {
        let message = format!("{name}@v{version} cannot be read.");
        return Err(PromptError::new(
            "prompt_unreadable",
            message,
            "`ashlar check` shows what is wrong with it",
        ));
    }
    // A new prompt has no version that answered before.
    let from = now.active(name).unwrap_or(Active { version, flags: Vec::new(), line: 1 });
    let mut to = from.clone();
    to.flags.retain(|flag| !flag.is_rollout() && (share.is_some() || flag.version != version));
    match share {
        Some(percent) if from.version != version => to.flags.push(rollout(version, percent)),
        Some(_) => {
            let message = format!("{name}@v{version} answers all calls already.");
            return Err(PromptError::new(
                "prompt_active",
                message,
                "name another version, or leave out the percentage",
            ));
        }
        None => to.version = version,
    }
    if same(&from, &to) && changes.is_empty() {
        let message = format!("{name}@v{version} is active already.");
        return Err(PromptError::new("prompt_active", message, "there is nothing to do"));
    }
    finish((served, working), name, (from, to), changes)
}

/// Brings back what `prompts.toml` said about a prompt before its last change. `earlier`: what was served before, the newest first.
///
/// # Errors
/// When there is no such prompt, or nothing to go back to.
pub fn roll_back(
    served: &Files,
    earlier: &[Files],
    working: &Files,
    name: &str,
) -> Result<Moved, PromptError> {
    let (now, _) = Prompts::parse(served);
    let from = found(&now, name)?;
    let before = earlier.iter().find_map(|files| {
        let before = Prompts::parse(files).0.active(name)?;
        (!same(&before, &from)).then_some(before)
    });
    let Some(to) = before else {
        let message =
            format!("The prompt `{name}` answers as it always did: there is nothing to go back to.");
        let help = "`ashlar prompt promote` makes another version the active one";
        return Err(PromptError::new("prompt_nothing_to_roll_back", message, help));
    };
    for version in [to.version].into_iter().chain(to.flags.iter().map(|flag| flag.version)) {
        if now.get(name, version).is_none() {
            let message =
                format!("{name}@v{version} answered before, and is no longer among the released files.");
            let help = "restore the file, push it, and promote it";
            return Err(PromptError::new("prompt_version_not_found", message, help));
        }
    }
    finish((served, working), name, (from, to), BTreeMap::new())
}

fn same(a: &Active, b: &Active) -> bool {
    let plain = |flag: &Flag| Flag { line: 0, ..flag.clone() };
    a.version == b.version && a.flags.iter().map(plain).eq(b.flags.iter().map(plain))
}

fn rollout(version: u32, percent: f64) -> Flag {
    Flag {
        version,
        percent,
        sticky: Sticky::default(),
        tenants: Vec::new(),
        features: Vec::new(),
        keys: Vec::new(),
        line: 0,
    }
}

fn bring(
    changes: &mut BTreeMap<String, Vec<u8>>,
    with: &mut Files,
    path: &str,
    bytes: &[u8],
) -> Result<(), PromptError> {
    with.insert(path, bytes.to_vec()).map_err(|e| {
        PromptError::new("prompt_unreadable", format!("{e}."), "make the definitions smaller")
    })?;
    changes.insert(path.to_owned(), bytes.to_vec());
    Ok(())
}

fn finish(
    (served, working): (&Files, &Files),
    name: &str,
    (from, to): (Active, Active),
    mut changes: BTreeMap<String, Vec<u8>>,
) -> Result<Moved, PromptError> {
    changes.insert(STATE_FILE.to_owned(), edited(served, name, &to)?);
    let has = |version: u32| working.get(&format!("{FOLDER}/{name}/v{version}.md")).is_some();
    let mut of_working = BTreeMap::new();
    if has(to.version) && to.flags.iter().all(|flag| has(flag.version)) {
        of_working.insert(STATE_FILE.to_owned(), edited(working, name, &to)?);
    }
    Ok(Moved { prompt: name.to_owned(), from, to, served: changes, working: of_working })
}

/// `prompts.toml` with another table for one prompt. Comments and everything else stay.
fn edited(files: &Files, name: &str, to: &Active) -> Result<Vec<u8>, PromptError> {
    let broken = |why: String| {
        PromptError::new("prompts_config", format!("{STATE_FILE} cannot be read: {why}."), "correct the file")
    };
    let text = files.text(STATE_FILE).map_err(|e| broken(e.to_string()))?.unwrap_or_default();
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| broken(e.message().to_owned()))?;
    let all = document.entry("prompts").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let all = all.as_table_like_mut().ok_or_else(|| broken("`prompts` is not a table".to_owned()))?;
    let mine = all.entry(name).or_insert_with(|| Item::Table(Table::new()));
    let mine = mine.as_table_like_mut().ok_or_else(|| broken(format!("`prompts.{name}` is not a table")))?;
    mine.insert("active", value(i64::from(to.version)));
    mine.remove("flags");
    if !to.flags.is_empty() {
        let mut flags = ArrayOfTables::new();
        to.flags.iter().for_each(|flag| flags.push(table(flag)));
        mine.insert("flags", Item::ArrayOfTables(flags));
    }
    Ok(document.to_string().into_bytes())
}

fn table(flag: &Flag) -> Table {
    let mut table = Table::new();
    table.insert("version", value(i64::from(flag.version)));
    if flag.percent < 100.0 {
        // A whole number reads better.
        #[expect(clippy::cast_possible_truncation, reason = "at most 100")]
        let percent =
            if flag.percent.fract() == 0.0 { value(flag.percent as i64) } else { value(flag.percent) };
        table.insert("percent", percent);
    }
    if flag.sticky == Sticky::User {
        table.insert("sticky", value("user"));
    }
    for (key, names) in [("tenants", &flag.tenants), ("features", &flag.features), ("keys", &flag.keys)] {
        if !names.is_empty() {
            table.insert(key, value(names.iter().map(String::as_str).collect::<Array>()));
        }
    }
    table
}
