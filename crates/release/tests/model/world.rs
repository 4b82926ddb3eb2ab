//! What an installation should do, without storage: the rules of the engine as a few maps.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_release::Mapping;
use serde_json::{Map, Value, json};

use crate::ops::{CHANGESETS, Expected, KEYS, Op, Written};

pub type Fields = Map<String, Value>;
/// An entry as it is served: its fields and the major version of its contract.
pub type Entry = (Fields, u32);
pub type Snapshot = BTreeMap<usize, Entry>;
/// Done, or the code of the refusal.
pub type Outcome = Result<(), &'static str>;

/// Migrations of the model: two that are each other's inverse, and one that stays within a version.
pub const MAPPINGS: [&str; 3] = [
    "name = 'up'\nfrom = 'page.v1'\nto = 'page.v2'\n[[step]]\ndo = 'default'\nfield = 'w'\nvalue = 1\n",
    "name = 'down'\nfrom = 'page.v2'\nto = 'page.v1'\n[[step]]\ndo = 'remove'\nfield = 'w'\n",
    "name = 'set'\nfrom = 'page.v2'\nto = 'page.v2'\n[[step]]\ndo = 'set'\nfield = 't'\nvalue = 'set'\n",
];

#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub major: u32,
    pub state: &'static str,
    pub fields: Fields,
    pub author: String,
}

impl Version {
    /// Whether it is what a snapshot serves.
    fn is(&self, served: Option<&Entry>) -> bool {
        match served {
            Some((fields, major)) => self.state == "live" && self.fields == *fields && self.major == *major,
            None => self.state != "live",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Draft {
    pub versions: Vec<Version>,
    pub changeset: Option<&'static str>,
    /// When it was last written, or put into a changeset or taken out of one.
    touched: u64,
}

impl Draft {
    pub fn last(&self) -> &Version {
        &self.versions[self.versions.len() - 1]
    }

    /// Who wrote it since it was what is served.
    fn authors(&self, served: Option<&Entry>) -> BTreeSet<String> {
        let since = self.versions.iter().rposition(|v| v.is(served)).map_or(0, |at| at + 1);
        self.versions[since..].iter().map(|v| v.author.clone()).collect()
    }
}

#[derive(Debug, Clone)]
pub struct Changeset {
    pub state: &'static str,
    pub publish_at: Option<i64>,
    pub unpublish_at: Option<i64>,
}

impl Changeset {
    fn due_at(&self) -> Option<i64> {
        match self.state {
            "scheduled" => self.publish_at,
            "published" => self.unpublish_at,
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Candidate {
    pub status: &'static str,
    pub base: Option<usize>,
    pub snapshot: Snapshot,
    definitions: u8,
    pub changed: BTreeMap<usize, BTreeSet<String>>,
    changeset: Option<&'static str>,
    pub release: Option<usize>,
    waivers: BTreeSet<&'static str>,
    frozen: u64,
}

#[derive(Debug, Clone)]
pub struct Release {
    pub snapshot: Snapshot,
    definitions: u8,
    candidate: usize,
}

#[derive(Debug, Clone)]
struct Migration {
    written: Vec<(usize, usize)>,
    reverted: bool,
}

/// Everything, by number from 1 where the engine numbers.
#[derive(Debug, Default)]
pub struct World {
    pub now: i64,
    pub drafts: BTreeMap<usize, Draft>,
    pub changesets: BTreeMap<&'static str, Changeset>,
    pub candidates: Vec<Candidate>,
    pub releases: Vec<Release>,
    pub public: Option<usize>,
    pub staging: Option<usize>,
    pub definitions: u8,
    approved: BTreeSet<String>,
    migrations: Vec<Migration>,
    clock: u64,
}

pub fn fields_of(written: &Written) -> Fields {
    let mut fields = Fields::new();
    fields.insert("t".to_owned(), json!(format!("t{}", written.t)));
    if let Some(s) = written.s {
        fields.insert("s".to_owned(), json!(s));
    }
    if written.bad {
        fields.insert("bad".to_owned(), json!(true));
    }
    if let Some(legal) = written.legal {
        fields.insert("legal".to_owned(), json!(legal));
    }
    fields
}

/// The other locale of an entry.
fn sibling(key: usize) -> usize {
    key ^ 1
}

impl World {
    /// An empty installation.
    pub fn at(now: i64) -> Self {
        Self { now, ..Self::default() }
    }

    /// What a channel serves.
    pub fn served(&self, head: Option<usize>) -> Snapshot {
        head.map(|r| self.releases[r - 1].snapshot.clone()).unwrap_or_default()
    }

    fn live(&self, key: usize) -> Option<Entry> {
        self.public.and_then(|r| self.releases[r - 1].snapshot.get(&key).cloned())
    }

    /// Whether a draft differs from what the public channel serves.
    pub fn pending(&self, key: usize) -> bool {
        self.drafts.get(&key).is_some_and(|d| !d.last().is(self.live(key).as_ref()))
    }

    pub fn candidate_number(&self, back: usize) -> usize {
        self.candidates.len().checked_sub(back).filter(|n| *n > 0).unwrap_or(999)
    }

    pub fn release_number(&self, back: usize) -> usize {
        self.releases.len().checked_sub(back).filter(|n| *n > 0).unwrap_or(999)
    }

    pub fn migration_number(&self, back: usize) -> usize {
        self.migrations.len().checked_sub(back).filter(|n| *n > 0).unwrap_or(999)
    }

    /// The version that a write says to have read.
    pub fn expected(&self, key: usize, expected: Expected) -> Option<u64> {
        let now = self.drafts.get(&key).map_or(0, |d| d.versions.len() as u64);
        match expected {
            Expected::Any => None,
            Expected::Right => Some(now),
            Expected::Wrong => Some(now + 1),
        }
    }

    fn touch(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn write(&mut self, key: usize, version: Version) {
        let touched = self.touch();
        let draft =
            self.drafts.entry(key).or_insert(Draft { versions: Vec::new(), changeset: None, touched });
        draft.touched = touched;
        draft.versions.push(version);
    }

    fn put(
        &mut self,
        key: usize,
        who: &str,
        major: Option<u32>,
        mut fields: Fields,
        expected: Option<u64>,
    ) -> Outcome {
        let before = self.drafts.get(&key).map(|d| (d.versions.len() as u64, d.last().clone()));
        match (expected, &before) {
            (Some(expected), Some((version, _))) if expected != *version => return Err("stale-write"),
            (Some(1..), None) => return Err("not-found"),
            _ => {}
        }
        let major = major.or(before.as_ref().map(|b| b.1.major)).unwrap_or(2);
        let shared = |fields: &Fields| fields.get("s").cloned();
        let other = self.drafts.get(&sibling(key)).map(|d| d.last().clone()).filter(|v| v.state != "deleted");
        let is_new = before.as_ref().is_none_or(|b| b.1.state == "deleted");
        if let (true, None, Some(s)) =
            (is_new, shared(&fields), other.as_ref().and_then(|o| shared(&o.fields)))
        {
            fields.insert("s".to_owned(), s);
        }
        let version = Version { major, state: "live", fields: fields.clone(), author: who.to_owned() };
        let same = |b: &Version| b.state == "live" && b.fields == fields && b.major == major;
        if before.as_ref().is_none_or(|b| !same(&b.1)) {
            self.write(key, version);
        }
        if let Some(mut other) = other.filter(|o| shared(&o.fields) != shared(&fields)) {
            match shared(&fields) {
                Some(s) => other.fields.insert("s".to_owned(), s),
                None => other.fields.remove("s"),
            };
            who.clone_into(&mut other.author);
            self.write(sibling(key), other);
        }
        Ok(())
    }

    fn set_state(&mut self, key: usize, who: &str, state: &'static str) -> Outcome {
        let Some(draft) = self.drafts.get(&key) else { return Err("not-found") };
        let mut version = draft.last().clone();
        if version.state == state {
            return Ok(());
        }
        // What comes back shares again what its other locale has now.
        if let (true, Some(other)) = (version.state == "deleted", self.drafts.get(&sibling(key)))
            && other.last().state != "deleted"
        {
            match other.last().fields.get("s").cloned() {
                Some(s) => version.fields.insert("s".to_owned(), s),
                None => version.fields.remove("s"),
            };
        }
        version.state = state;
        who.clone_into(&mut version.author);
        self.write(key, version);
        Ok(())
    }

    fn members(&self, changeset: &str) -> Vec<usize> {
        let of = |(key, draft): (&usize, &Draft)| (draft.changeset == Some(changeset)).then_some(*key);
        self.drafts.iter().filter_map(of).collect()
    }

    fn clear(&mut self, changeset: &str) {
        for key in self.members(changeset) {
            let touched = self.touch();
            let draft = self.drafts.get_mut(&key).unwrap();
            (draft.changeset, draft.touched) = (None, touched);
        }
    }

    fn set_members(&mut self, name: &'static str, keys: &[usize], into: bool) -> Outcome {
        let changeset = self.changesets.get(name).ok_or("not-found")?;
        if changeset.state == "ended" {
            return Err("changeset-ended");
        }
        for key in keys {
            let draft = self.drafts.get(key).ok_or("not-found")?;
            match draft.changeset {
                Some(other) if into && other != name => return Err("draft-in-other-changeset"),
                other if !into && other != Some(name) => return Err("not-found"),
                _ => {}
            }
        }
        for key in keys {
            let touched = self.touch();
            let draft = self.drafts.get_mut(key).unwrap();
            (draft.changeset, draft.touched) = (into.then_some(name), touched);
        }
        let changeset = self.changesets.get_mut(name).unwrap();
        if changeset.state == "published" && into {
            changeset.state = "open";
        }
        Ok(())
    }

    fn schedule(&mut self, name: &str, after: i64, lasts: Option<i64>) -> Outcome {
        if lasts.is_some_and(|l| l <= 0) {
            return Err("invalid-input");
        }
        let publish_at = self.now + after;
        let changeset = self.changesets.get_mut(name).ok_or("not-found")?;
        if matches!(changeset.state, "published" | "ended") {
            return Err("changeset-published");
        }
        *changeset = Changeset {
            state: "scheduled",
            publish_at: Some(publish_at),
            unpublish_at: lasts.map(|l| publish_at + l),
        };
        Ok(())
    }

    fn cancel(&mut self, name: &str) -> Outcome {
        let changeset = self.changesets.get_mut(name).ok_or("not-found")?;
        match changeset.state {
            "scheduled" | "failed" => {
                *changeset = Changeset { state: "open", publish_at: None, unpublish_at: None };
            }
            "published" if changeset.unpublish_at.is_some() => {
                changeset.unpublish_at = None;
                // They stayed only to be taken down.
                self.clear(name);
            }
            _ => return Err("not-scheduled"),
        }
        Ok(())
    }

    /// What a candidate changes that needs an approval, against what is served now, and who made it.
    fn required(&self, candidate: &Candidate) -> Option<(String, BTreeSet<String>)> {
        let base = self.served(self.public);
        let (mut change, mut authors) = (Vec::new(), BTreeSet::new());
        for (key, by) in &candidate.changed {
            let (old, new) = (base.get(key), candidate.snapshot.get(key));
            if new != old && new.is_some_and(|n| n.0.contains_key("legal")) {
                change.push((key, old, new));
                authors.extend(by.iter().cloned());
            }
        }
        (!change.is_empty()).then(|| (json!(change).to_string(), authors))
    }

    fn passes(&self, candidate: &Candidate) -> bool {
        let bad = candidate.snapshot.values().any(|e| e.0.contains_key("bad"));
        let unapproved = self.required(candidate).is_some_and(|r| !self.approved.contains(&r.0));
        (!bad || candidate.waivers.contains("content"))
            && (!unapproved || candidate.waivers.contains("approvals"))
    }

    fn judge(&mut self, number: usize) -> bool {
        let passes = self.passes(&self.candidates[number - 1]);
        self.candidates[number - 1].status = if passes { "passed" } else { "failed" };
        passes
    }

    fn freeze(&mut self, changeset: Option<&'static str>, served: bool) -> Outcome {
        if changeset.is_some_and(|c| !self.changesets.contains_key(c)) {
            return Err("not-found");
        }
        let mut snapshot = self.served(self.public);
        let (mut changed, mut frozen) = (BTreeMap::new(), 0);
        for key in 0..KEYS {
            if !self.pending(key) || self.drafts[&key].changeset != changeset {
                continue;
            }
            frozen = frozen.max(self.drafts[&key].touched);
            let (draft, live) = (&self.drafts[&key], self.live(key));
            changed.insert(key, draft.authors(live.as_ref()));
            let last = draft.last();
            match last.state {
                "live" => drop(snapshot.insert(key, (last.fields.clone(), last.major))),
                _ => drop(snapshot.remove(&key)),
            }
        }
        let definitions = match self.public {
            Some(head) if served => self.releases[head - 1].definitions,
            _ => self.definitions,
        };
        self.candidates.push(Candidate {
            status: "passed",
            base: self.public,
            snapshot,
            definitions,
            changed,
            changeset,
            release: None,
            waivers: BTreeSet::new(),
            frozen,
        });
        self.judge(self.candidates.len());
        Ok(())
    }

    fn open_candidate(&self, number: usize) -> Result<&Candidate, &'static str> {
        let candidate = self.candidates.get(number - 1).ok_or("not-found")?;
        match candidate.status {
            "passed" | "failed" => Ok(candidate),
            _ => Err("candidate-closed"),
        }
    }

    /// A candidate that can be approved or waived.
    fn judged_candidate(&self, number: usize) -> Result<&Candidate, &'static str> {
        let candidate = self.candidates.get(number - 1).ok_or("not-found")?;
        match candidate.status {
            "promoted" if candidate.release != self.public => Ok(candidate),
            _ => self.open_candidate(number),
        }
    }

    /// Whether `who` certainly wrote what is to be approved.
    fn approve(&mut self, number: usize, who: &str) -> Outcome {
        let candidate = self.judged_candidate(number)?;
        let (change, authors) = self.required(candidate).ok_or("approval-not-needed")?;
        if authors.contains(who) {
            return Err("own-change");
        }
        self.approved.insert(change);
        if self.candidates[number - 1].status != "promoted" {
            self.judge(number);
        }
        Ok(())
    }

    fn waive(&mut self, number: usize, gate: &'static str) -> Outcome {
        self.judged_candidate(number)?;
        if gate == "nonsense" {
            return Err("not-found");
        }
        self.candidates[number - 1].waivers.insert(gate);
        if self.candidates[number - 1].status != "promoted" {
            self.judge(number);
        }
        Ok(())
    }

    /// Whether promoting would take back what was released since the candidate was frozen.
    fn undoes(&self, number: usize, head: usize) -> bool {
        let candidate = &self.candidates[number - 1];
        let (base, head) = (self.served(candidate.base), &self.releases[head - 1]);
        let lost = (0..KEYS).any(|key| {
            let now = head.snapshot.get(&key);
            base.get(&key) != now && candidate.snapshot.get(&key) != now
        });
        let moved = candidate.base.is_none_or(|b| self.releases[b - 1].definitions != head.definitions);
        lost || (moved && candidate.definitions != head.definitions && number < head.candidate)
    }

    fn promote(&mut self, number: usize, staging: bool, step: bool) -> Outcome {
        let candidate = self.candidates.get(number - 1).ok_or("not-found")?.clone();
        if matches!(candidate.status, "discarded" | "superseded") {
            return Err("candidate-closed");
        }
        let head = if staging { self.staging } else { self.public };
        if head.is_some() && candidate.release == head {
            return Err("already-promoted");
        }
        if let (false, Some(head)) = (staging, head)
            && candidate.base != Some(head)
            && self.undoes(number, head)
        {
            if candidate.release.is_none() {
                self.candidates[number - 1].status = "superseded";
            }
            return Err("superseded");
        }
        let passes = match candidate.release {
            None => self.judge(number),
            Some(_) => staging || self.passes(&candidate),
        };
        if !passes {
            return Err("gates-failed");
        }
        let release = candidate.release.unwrap_or_else(|| {
            self.releases.push(Release {
                snapshot: candidate.snapshot.clone(),
                definitions: candidate.definitions,
                candidate: number,
            });
            self.releases.len()
        });
        (self.candidates[number - 1].status, self.candidates[number - 1].release) =
            ("promoted", Some(release));
        if staging {
            self.staging = Some(release);
            return Ok(());
        }
        // A changeset that was staged first is published when it goes public.
        let waits = |d: &Draft| d.changeset == candidate.changeset && d.touched <= candidate.frozen;
        let publishes = candidate.release.is_none() || self.drafts.values().any(waits);
        self.serve(release);
        if let (true, false, Some(name)) = (publishes, step, candidate.changeset) {
            let changeset = self.changesets.get_mut(name).unwrap();
            changeset.state = "published";
            if changeset.unpublish_at.is_none() {
                self.clear(name);
            }
        }
        Ok(())
    }

    /// Points the public channel at a release; drafts that differ from now on count as written anew.
    fn serve(&mut self, release: usize) {
        let before: Vec<bool> = (0..KEYS).map(|key| self.pending(key)).collect();
        self.public = Some(release);
        for (key, was) in before.into_iter().enumerate() {
            if !was && self.pending(key) {
                let touched = self.touch();
                self.drafts.get_mut(&key).unwrap().touched = touched;
            }
        }
    }

    fn rollback(&mut self, number: usize, staging: bool) -> Outcome {
        if number > self.releases.len() {
            return Err("not-found");
        }
        match if staging { self.staging } else { self.public } {
            Some(head) if head == number => return Err("already-promoted"),
            None => return Err("nothing-to-roll-back"),
            Some(_) => {}
        }
        match staging {
            true => self.staging = Some(number),
            false => self.serve(number),
        }
        Ok(())
    }

    fn migrate(&mut self, mapping: &str, who: &str) -> Outcome {
        let mapping = Mapping::parse(mapping).unwrap();
        let mut written = Vec::new();
        for (key, draft) in &self.drafts {
            let last = draft.last();
            if last.major != mapping.from.major || last.state == "deleted" {
                continue;
            }
            let fields = mapping.apply(&last.fields).unwrap();
            if mapping.to.major == 2 && fields.contains_key("bad") {
                return Err("migration-refused");
            }
            if fields != last.fields || mapping.to != mapping.from {
                let version =
                    Version { major: mapping.to.major, fields, author: who.to_owned(), ..last.clone() };
                written.push((*key, version));
            }
        }
        let mut migration = Migration { written: Vec::new(), reverted: false };
        for (key, version) in written {
            self.write(key, version);
            migration.written.push((key, self.drafts[&key].versions.len()));
        }
        self.migrations.push(migration);
        Ok(())
    }

    fn revert(&mut self, number: usize, who: &str) -> Outcome {
        let migration = self.migrations.get(number - 1).ok_or("not-found")?.clone();
        if migration.reverted {
            return Err("already-reverted");
        }
        for (key, version) in migration.written {
            let draft = &self.drafts[&key];
            if draft.versions.len() == version {
                let before = Version { author: who.to_owned(), ..draft.versions[version - 2].clone() };
                self.write(key, before);
            }
        }
        self.migrations[number - 1].reverted = true;
        Ok(())
    }

    /// Runs every step that is due, one for each changeset.
    fn tick(&mut self) {
        let mut due: Vec<(i64, &'static str)> = CHANGESETS
            .iter()
            .filter_map(|name| Some((self.changesets.get(name)?.due_at()?, *name)))
            .filter(|(at, _)| *at <= self.now)
            .collect();
        due.sort_unstable();
        for (_, name) in due {
            let ends = self.changesets[name].state == "published";
            let done = self.step(name, ends);
            let changeset = self.changesets.get_mut(name).unwrap();
            changeset.state = match (done, ends) {
                (Err(_), _) => "failed",
                (Ok(()), true) => "ended",
                (Ok(()), false) => "published",
            };
            if done.is_ok() && (ends || changeset.unpublish_at.is_none()) {
                self.clear(name);
            }
        }
    }

    fn step(&mut self, name: &'static str, ends: bool) -> Outcome {
        let members = self.members(name);
        if ends {
            for key in members {
                if self.drafts[&key].last().state == "live" {
                    self.set_state(key, "scheduler", "unpublished")?;
                }
            }
        } else if members.is_empty() {
            return Err("changeset-empty");
        }
        self.freeze(Some(name), ends)?;
        self.promote(self.candidates.len(), false, true)
    }

    /// What an operation should do and answer.
    pub fn apply(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Put { key, who, major, fields, expected } => {
                let expected = self.expected(*key, *expected);
                self.put(*key, who, *major, fields_of(fields), expected)
            }
            Op::Delete { key, who } => self.set_state(*key, who, "deleted"),
            Op::Unpublish { key, who, out } => {
                self.set_state(*key, who, if *out { "unpublished" } else { "live" })
            }
            Op::Create { changeset } => {
                if self.changesets.contains_key(changeset) {
                    return Err("changeset-exists");
                }
                let made = Changeset { state: "open", publish_at: None, unpublish_at: None };
                self.changesets.insert(changeset, made);
                Ok(())
            }
            Op::Add { changeset, keys } => self.set_members(changeset, keys, true),
            Op::Remove { changeset, key } => self.set_members(changeset, &[*key], false),
            Op::Schedule { changeset, after, lasts } => self.schedule(changeset, *after, *lasts),
            Op::Cancel { changeset } => self.cancel(changeset),
            Op::Push { note } => {
                self.definitions = *note;
                Ok(())
            }
            Op::Freeze { changeset } => self.freeze(*changeset, false),
            Op::Discard { candidate } => {
                let number = self.candidate_number(*candidate);
                self.open_candidate(number)?;
                self.candidates[number - 1].status = "discarded";
                Ok(())
            }
            Op::Rejudge { candidate } => {
                let number = self.candidate_number(*candidate);
                self.open_candidate(number)?;
                self.judge(number);
                Ok(())
            }
            Op::Approve { candidate, who } => self.approve(self.candidate_number(*candidate), who),
            Op::Waive { candidate, gate } => self.waive(self.candidate_number(*candidate), gate),
            Op::Promote { candidate, staging } => {
                self.promote(self.candidate_number(*candidate), *staging, false)
            }
            Op::Rollback { release, staging } => self.rollback(self.release_number(*release), *staging),
            Op::Migrate { mapping } => self.migrate(MAPPINGS[*mapping], "carol"),
            Op::Revert { migration } => self.revert(self.migration_number(*migration), "carol"),
            Op::Tick => {
                self.tick();
                Ok(())
            }
            Op::Pass { seconds } => {
                self.now += seconds;
                Ok(())
            }
            Op::Collect | Op::Reopen => Ok(()),
        }
    }
}
