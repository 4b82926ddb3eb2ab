//! Bugs that are put into the engine one at a time: its tests must find each of them.

use std::{
    error::Error,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::run::root;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A bug: in this file, this text becomes that.
struct Mutant {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const fn mutant(name: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { name, file, from, to }
}

const MUTANTS: [Mutant; 24] = [
    mutant(
        "a settled move forgets drafts that differ now",
        "drafts/settle.rs",
        "                rows.set_pending(&key).await?;",
        "",
    ),
    mutant(
        "authors are not counted from what is served after a rollback",
        "drafts/settle.rs",
        "            rows.set_clean_version(&key, served.as_ref().map(|(major, text)| (*major, text.as_ref())))\n                .await?;",
        "            let _ = &served;",
    ),
    mutant(
        "a draft of another major version counts as served",
        "drafts/settle.rs",
        "d.digest == s.digest && d.major == s.major",
        "d.digest == s.digest",
    ),
    mutant(
        "a draft that is not live counts as served",
        "drafts/settle.rs",
        "(Some(d), None) => d.state != DraftState::Live,",
        "(Some(_), None) => false,",
    ),
    mutant(
        "promoting takes back what was released meanwhile",
        "channels/promote.rs",
        "Ok((undone > 0).then_some((undone, head.id)))",
        "Ok((undone > 1).then_some((undone, head.id)))",
    ),
    mutant(
        "older definitions may replace newer ones",
        "channels/promote.rs",
        "row.frozen.definitions != head.definitions && row.id < head.candidate",
        "row.frozen.definitions != head.definitions && row.id > head.candidate",
    ),
    mutant(
        "a staged release goes public without being judged again",
        "channels/promote.rs",
        "Some(_) => judge_staged(scope, rows, &self.candidate, base.as_ref()).await,",
        "Some(_) => Ok(Vec::new()),",
    ),
    mutant(
        "a draft that was written back after the freeze counts as served",
        "channels/promote.rs",
        "settled = frozen.changed == 0 || rows.counter(\"drafts\").await? == frozen_at;",
        "settled = true;",
    ),
    mutant(
        "a changeset that was staged first stays open",
        "channels/promote.rs",
        "            && !rows.has_drafts_until(name, frozen_at).await?",
        "",
    ),
    mutant(
        "a rollback is not compared with the drafts",
        "channels/rollback.rs",
        "            unsettle(&mut rows, Some(&head), &release, false).await?;",
        "",
    ),
    mutant(
        "drafts leave a changeset that will be taken down",
        "channels/promote.rs",
        "    if changeset.unpublish_at.is_none() {",
        "    if true {",
    ),
    mutant(
        "a discarded candidate can be promoted",
        "channels/promote.rs",
        "matches!(row.status, CandidateStatus::Discarded | CandidateStatus::Superseded)",
        "matches!(row.status, CandidateStatus::Superseded)",
    ),
    mutant(
        "a candidate contains drafts of changesets",
        "candidates/freeze.rs",
        "rows.pending(changeset, pending.sequence, PAGE)",
        "rows.pending(changeset.filter(|_| false), pending.sequence, PAGE)",
    ),
    mutant(
        "taking down publishes definitions that nobody released",
        "candidates/freeze.rs",
        "(With::Served, Some(served)) => (served, Vec::new()),",
        "(With::Served, Some(_)) if false => unreachable!(),",
    ),
    mutant(
        "authors approve their own changes",
        "candidates/approve.rs",
        "if needed.iter().any(|n| n.authors.contains(by)) {",
        "if needed.iter().any(|n| n.authors.contains(by) && n.authors.len() > 1) {",
    ),
    mutant(
        "a waiver of a gate that does not exist is taken",
        "candidates/approve.rs",
        "if !reports.iter().any(|r| r.gate == self.gate) {",
        "if reports.is_empty() {",
    ),
    mutant(
        "a schedule that ends is published again",
        "changesets/run.rs",
        "ends: row.state == ChangesetState::Published, late_seconds",
        "ends: false, late_seconds",
    ),
    mutant(
        "drafts stay in a changeset that has ended",
        "changesets/step.rs",
        "if self.ends || row.unpublish_at.is_none() {",
        "if row.unpublish_at.is_none() {",
    ),
    mutant(
        "a schedule may end before it begins",
        "changesets/edit.rs",
        "unpublish_at.is_some_and(|u| u <= publish_at)",
        "unpublish_at.is_some_and(|u| u < publish_at)",
    ),
    mutant(
        "a draft is in two changesets",
        "changesets/edit.rs",
        "Some(other) if into && other != name => {",
        "Some(other) if into && other != name && other.is_empty() => {",
    ),
    mutant(
        "a collection forgets what is derived",
        "artifacts/collect.rs",
        "                        Needed::Derived(*root).keep(collection, &objects)?;",
        "",
    ),
    mutant(
        "a collection forgets what derived trees name",
        "artifacts/collect.rs",
        "Names::Objects => (root, NAMING),",
        "Names::Objects => (root, Walk::PLAIN),",
    ),
    mutant(
        "a collection deletes the changes of staged releases",
        "artifacts/collect.rs",
        "new.push((release.clone(), candidate.map(|c| c.frozen.changes)));",
        "new.push((release.clone(), candidate.map(|c| c.frozen.changes).filter(|_| false)));",
    ),
    mutant(
        "a migration writes half when it is refused",
        "drafts/migrate.rs",
        "        if outcome.findings_total > 0 {",
        "        if outcome.findings_total > 1 {",
    ),
];

/// What is put back when a run ends, however it ends.
struct Restore {
    path: PathBuf,
    text: String,
}

impl Drop for Restore {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, &self.text) {
            eprintln!("{} could not be restored: {error}; `git checkout` it", self.path.display());
        }
    }
}

/// How a mutant ended.
enum End {
    Found,
    Survived,
    /// It does not compile, or its text is not there any more: the list is out of date.
    Stale(String),
}

fn tests(cargo: &str, args: &[&str]) -> Command {
    let mut command = Command::new(cargo);
    command.args(["test", "-p", "ashlar-release", "--quiet"]).args(args);
    command.current_dir(root()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn try_one(mutant: &Mutant, cargo: &str) -> Result<End> {
    let path = root().join("crates/release/src").join(mutant.file);
    let text = fs::read_to_string(&path)?;
    if text.matches(mutant.from).count() != 1 {
        return Ok(End::Stale(format!("its text is not once in {}", mutant.file)));
    }
    let changed = text.replacen(mutant.from, mutant.to, 1);
    let restore = Restore { path, text };
    fs::write(&restore.path, changed)?;
    if !tests(cargo, &["--no-run"]).status()?.success() {
        return Ok(End::Stale("it does not compile".to_owned()));
    }
    Ok(match tests(cargo, &[]).status()?.success() {
        true => End::Survived,
        false => End::Found,
    })
}

/// Puts each bug whose name or file contains `filter` into the engine and runs its tests. Fails when one survives.
pub fn mutants(filter: Option<&str>, cargo: &str, list: bool) -> Result<()> {
    let chosen = |m: &&Mutant| filter.is_none_or(|f| m.name.contains(f) || m.file.contains(f));
    let chosen: Vec<&Mutant> = MUTANTS.iter().filter(chosen).collect();
    if list {
        chosen.iter().for_each(|m| println!("{:<14} {}", m.file, m.name));
        return Ok(());
    }
    if !tests(cargo, &[]).status()?.success() {
        return Err(
            "the engine's tests fail without any mutant; `cargo test -p ashlar-release` says why".into()
        );
    }
    let (mut survivors, mut stale) = (Vec::new(), Vec::new());
    for mutant in &chosen {
        let started = Instant::now();
        let (end, name) = (try_one(mutant, cargo)?, mutant.name);
        let took = Duration::from_secs(started.elapsed().as_secs());
        match end {
            End::Found => println!("found     {took:>6?}  {name}"),
            End::Survived => {
                println!("SURVIVED  {took:>6?}  {name}");
                survivors.push(name);
            }
            End::Stale(why) => {
                println!("STALE     {took:>6?}  {name}: {why}");
                stale.push(name);
            }
        }
    }
    println!("{} of {} found", chosen.len() - survivors.len() - stale.len(), chosen.len());
    match survivors.is_empty() && stale.is_empty() {
        true => Ok(()),
        false => Err(format!("survivors: {survivors:?}; out of date: {stale:?}").into()),
    }
}
