//! Does to a real engine what happens in the model, and compares what both say.

use std::{collections::BTreeMap, path::PathBuf};

use ashlar_model::{Actor, CandidateId, ChannelName, Digest, EntryKey, EntryRecord, ReleaseId, TenantId};
use ashlar_release::{
    AddToChangeset, Approve, CancelSchedule, ChannelState, CollectGarbage, CreateCandidate, CreateChangeset,
    CreateTenant, Ctx, DeleteEntry, DiscardCandidate, DraftQuery, Engine, Location, MigrateContent, Promote,
    PushDefinitions, PutEntry, Rejudge, ReleaseError, RemoveFromChangeset, RevertMigration, Rollback,
    ScheduleChangeset, SetUnpublished, Waive,
};
use ashlar_store::Tree;
use jiff::Timestamp;

use crate::{
    common::{Clock, START, definitions, key, open},
    ops::{KEYS, Op},
    world::{Entry, Fields, MAPPINGS, Outcome, World, fields_of},
};

/// An installation and what it should be.
pub struct Rig {
    location: Location,
    tenant: TenantId,
    clock: Clock,
    engine: Engine,
    pub world: World,
}

fn key_of(index: usize) -> EntryKey {
    key(["a", "b", "c"][index / 2], ["en", "de"][index % 2])
}

fn candidate(number: usize) -> CandidateId {
    CandidateId(u32::try_from(number).unwrap())
}

fn release(number: usize) -> ReleaseId {
    ReleaseId(u32::try_from(number).unwrap())
}

fn staging(staging: bool) -> Option<ChannelName> {
    staging.then(|| ChannelName::new("staging").unwrap())
}

fn at(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().to_string()
}

fn seconds(time: Option<String>) -> Option<i64> {
    time.map(|t| t.parse::<Timestamp>().unwrap().as_second())
}

/// What went wrong, with what was compared.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, engine: &T, model: &T) -> Result<(), String> {
    match engine == model {
        true => Ok(()),
        false => Err(format!("{what}:\n  engine {engine:?}\n  model  {model:?}")),
    }
}

fn failed(what: &str) -> impl Fn(ReleaseError) -> String {
    move |e| format!("{what}: {e}")
}

impl Rig {
    pub async fn new(location: Location, tenant: TenantId) -> Self {
        let clock = Clock::new();
        let engine = open(&location, &clock).await;
        if tenant != TenantId::main() {
            let main = Ctx::new(TenantId::main(), Actor::local("ops")).unwrap();
            engine.run(&main, CreateTenant { tenant: tenant.clone(), hosts: Vec::new() }).await.unwrap();
        }
        let rig = Self { location, tenant, clock, engine, world: World::at(START) };
        rig.engine.run(&rig.by("dev"), PushDefinitions { files: definitions("0") }).await.unwrap();
        // The first round writes the key ring of the tenant; the others have nothing to repair.
        rig.engine.tick_tenant(&rig.by("ops")).await.unwrap();
        rig
    }

    pub fn embedded(dir: impl Into<PathBuf>) -> Location {
        Location::embedded(dir)
    }

    fn by(&self, name: &str) -> Ctx {
        Ctx::new(self.tenant.clone(), Actor::local(name)).unwrap()
    }

    async fn put(&self, op: &Op) -> Result<(), ReleaseError> {
        let Op::Put { key, who, major, fields, expected } = op else { return Ok(()) };
        let put = PutEntry {
            key: key_of(*key),
            major: *major,
            fields: fields_of(fields),
            expected_version: self.world.expected(*key, *expected),
        };
        self.engine.run(&self.by(who), put).await.map(drop)
    }

    async fn changesets(&self, op: &Op) -> Result<(), ReleaseError> {
        let (engine, ops) = (&self.engine, self.by("ops"));
        match op {
            Op::Create { changeset } => {
                let create = CreateChangeset { name: (*changeset).to_owned(), title: String::new() };
                engine.run(&ops, create).await.map(drop)
            }
            Op::Add { changeset, keys } => {
                let keys = keys.iter().copied().map(key_of).collect();
                engine.run(&ops, AddToChangeset { name: (*changeset).to_owned(), keys }).await.map(drop)
            }
            Op::Remove { changeset, key } => {
                let keys = vec![key_of(*key)];
                engine.run(&ops, RemoveFromChangeset { name: (*changeset).to_owned(), keys }).await.map(drop)
            }
            Op::Schedule { changeset, after, lasts } => {
                let publish = self.world.now + after;
                let schedule = ScheduleChangeset {
                    name: (*changeset).to_owned(),
                    publish_at: at(publish),
                    unpublish_at: lasts.map(|l| at(publish + l)),
                    zone: None,
                };
                engine.run(&ops, schedule).await.map(drop)
            }
            Op::Cancel { changeset } => {
                engine.run(&ops, CancelSchedule { name: (*changeset).to_owned() }).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    async fn releases(&self, op: &Op) -> Result<(), ReleaseError> {
        let (engine, ops, world) = (&self.engine, self.by("ops"), &self.world);
        let number = |back: &usize| candidate(world.candidate_number(*back));
        match op {
            Op::Freeze { changeset } => {
                let create = CreateCandidate { changeset: changeset.map(str::to_owned), note: String::new() };
                engine.run(&ops, create).await.map(drop)
            }
            Op::Discard { candidate } => {
                engine.run(&ops, DiscardCandidate { candidate: number(candidate) }).await.map(drop)
            }
            Op::Rejudge { candidate } => {
                engine.run(&ops, Rejudge { candidate: number(candidate) }).await.map(drop)
            }
            Op::Approve { candidate, who } => {
                let approve = Approve { candidate: number(candidate), right: "legal".to_owned() };
                engine.run(&self.by(who), approve).await.map(drop)
            }
            Op::Waive { candidate, gate } => {
                let waive = Waive {
                    candidate: number(candidate),
                    gate: (*gate).to_owned(),
                    reason: "known".to_owned(),
                };
                engine.run(&ops, waive).await.map(drop)
            }
            Op::Promote { candidate, staging: staged } => {
                let promote =
                    Promote { candidate: number(candidate), channel: staging(*staged), note: String::new() };
                engine.run(&ops, promote).await.map(drop)
            }
            Op::Rollback { release: back, staging: staged } => {
                let back = release(world.release_number(*back));
                let rollback = Rollback { release: back, channel: staging(*staged), note: String::new() };
                engine.run(&ops, rollback).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    async fn act(&mut self, op: &Op) -> Result<(), ReleaseError> {
        match op {
            Op::Put { .. } => self.put(op).await,
            Op::Delete { key, who } => {
                let delete = DeleteEntry { key: key_of(*key), expected_version: None };
                self.engine.run(&self.by(who), delete).await.map(drop)
            }
            Op::Unpublish { key, who, out } => {
                let set = SetUnpublished { key: key_of(*key), unpublished: *out };
                self.engine.run(&self.by(who), set).await.map(drop)
            }
            Op::Push { note } => {
                let push = PushDefinitions { files: definitions(&note.to_string()) };
                self.engine.run(&self.by("dev"), push).await.map(drop)
            }
            Op::Migrate { mapping } => {
                let migrate = MigrateContent { mapping: MAPPINGS[*mapping].to_owned(), dry_run: false };
                self.engine.run(&self.by("carol"), migrate).await.map(drop)
            }
            Op::Revert { migration } => {
                let migration = self.world.migration_number(*migration) as u64;
                self.engine.run(&self.by("carol"), RevertMigration { migration }).await.map(drop)
            }
            Op::Collect => self.engine.run(&self.by("ops"), CollectGarbage).await.map(drop),
            Op::Tick => {
                let tick = self.engine.tick_tenant(&self.by("ops")).await?;
                match tick.unread.is_empty() && tick.unrepaired.is_empty() && tick.repaired == 0 {
                    true => Ok(()),
                    false => Err(ReleaseError::Task(format!("{tick:?}"))),
                }
            }
            Op::Pass { seconds } => {
                self.clock.pass(*seconds);
                Ok(())
            }
            Op::Reopen => {
                self.engine.close().await;
                self.engine = open(&self.location, &self.clock).await;
                Ok(())
            }
            _ => {
                self.changesets(op).await?;
                self.releases(op).await
            }
        }
    }

    /// Does one thing to both and compares what they say and what they are afterwards. Returns what they said.
    pub async fn step(&mut self, op: &Op) -> Result<Outcome, String> {
        let engine = self.act(op).await;
        let model = self.world.apply(op);
        let reported = match &engine {
            Ok(()) => "done".to_owned(),
            Err(error) => format!("{}: {error}", error.code()),
        };
        if engine.as_ref().map_err(ReleaseError::code).err() != model.err() {
            return Err(format!("the engine says {reported}; the model says {model:?}"));
        }
        self.compare().await?;
        Ok(model)
    }

    /// Entries under the root of a snapshot.
    fn entries(&self, root: &Digest) -> Result<BTreeMap<usize, Entry>, ReleaseError> {
        let objects = self.engine.tenant_objects(&self.tenant);
        let keys: Vec<EntryKey> = (0..KEYS).map(key_of).collect();
        Tree::open(&objects, root)?
            .prefix(b"")
            .map(|item| {
                let (key, record) = item?;
                let (key, record) = (EntryKey::from_bytes(&key)?, EntryRecord::from_bytes(&record)?);
                let fields: Fields = serde_json::from_slice(&objects.get(&record.digest)?)
                    .map_err(|e| ReleaseError::Task(e.to_string()))?;
                let index = keys.iter().position(|k| *k == key);
                let index = index.ok_or_else(|| ReleaseError::Task(format!("{key} was never written")))?;
                Ok((index, (fields, record.major)))
            })
            .collect()
    }

    async fn compare_channel(&self, name: &str, head: Option<usize>) -> Result<(), String> {
        let channel = ChannelName::new(name).unwrap();
        let state = self.engine.channel_state(&self.tenant, &channel).await.map_err(failed(name))?;
        same(name, &state.as_ref().map(|s| s.release), &head.map(release))?;
        let Some(state) = state else { return Ok(()) };
        let entries = self.entries(&state.snapshot).map_err(failed("what is served"))?;
        same(&format!("what {name} serves"), &entries, &self.world.served(head))?;
        let objects = self.engine.tenant_objects(&self.tenant);
        let pointer = objects.get_pointer(&ChannelState::pointer(&channel), None).await;
        let pointer = pointer.map_err(|e| e.to_string())?;
        let pointer: ChannelState =
            serde_json::from_slice(pointer.body().ok_or("no pointer")?).map_err(|e| e.to_string())?;
        same(
            "the pointer",
            &(pointer.sequence, pointer.manifest, pointer.snapshot),
            &(state.sequence, state.manifest, state.snapshot),
        )
    }

    async fn compare(&self) -> Result<(), String> {
        let (ops, world) = (self.by("ops"), &self.world);
        self.compare_channel("production", world.public).await?;
        self.compare_channel("staging", world.staging).await?;
        let query = DraftQuery { limit: Some(500), ..DraftQuery::default() };
        let drafts = self.engine.drafts(&ops, &query).await.map_err(failed("drafts"))?.items;
        let engine: BTreeMap<String, _> = drafts
            .into_iter()
            .map(|d| (d.key.to_string(), (d.version, d.state, d.pending, d.changeset, d.contract.major)))
            .collect();
        let model: BTreeMap<String, _> = world
            .drafts
            .iter()
            .map(|(key, d)| {
                let (last, version) = (d.last(), d.versions.len() as u64);
                let changeset = d.changeset.map(str::to_owned);
                let state = (version, last.state.to_owned(), world.pending(*key), changeset, last.major);
                (key_of(*key).to_string(), state)
            })
            .collect();
        same("drafts (version, state, pending, changeset, major)", &engine, &model)?;
        let changesets = self.engine.changesets(&ops, None).await.map_err(failed("changesets"))?.items;
        let engine: BTreeMap<String, _> = changesets
            .into_iter()
            .map(|c| (c.changeset, (c.state, seconds(c.publish_at), seconds(c.unpublish_at))))
            .collect();
        let model: BTreeMap<String, _> = world
            .changesets
            .iter()
            .map(|(name, c)| ((*name).to_owned(), (c.state.to_owned(), c.publish_at, c.unpublish_at)))
            .collect();
        same("changesets", &engine, &model)?;
        let candidates = self.engine.candidates(&ops, None).await.map_err(failed("candidates"))?.items;
        let engine: Vec<_> = candidates
            .into_iter()
            .rev()
            .map(|c| (c.status, c.base, c.release, c.entries, c.changed))
            .collect();
        let model: Vec<_> = world
            .candidates
            .iter()
            .map(|c| {
                let (entries, changed) = (c.snapshot.len() as u64, c.changed.len() as u64);
                (c.status.to_owned(), c.base.map(release), c.release.map(release), entries, changed)
            })
            .collect();
        same("candidates (status, base, release, entries, changed)", &engine, &model)
    }

    /// What must be true when a story is over: all versions, all releases, the audit chain.
    pub async fn finish(&self) -> Result<(), String> {
        let ops = self.by("ops");
        for (index, draft) in &self.world.drafts {
            let key = key_of(*index);
            let history = self.engine.history(&ops, &key, None).await.map_err(failed("history"))?.items;
            let engine: Vec<_> =
                history.into_iter().rev().map(|v| (v.state, v.major, v.fields, v.author)).collect();
            let model: Vec<_> = draft
                .versions
                .iter()
                .map(|v| (v.state.to_owned(), v.major, v.fields.clone(), v.author.clone()))
                .collect();
            same(&format!("the history of {key}"), &engine, &model)?;
        }
        for (index, should) in self.world.releases.iter().enumerate() {
            let id = release(index + 1);
            let verified = self.engine.verify(&ops, id).await.map_err(failed("verify"))?;
            same(&format!("entries of {id}"), &verified.entries, &(should.snapshot.len() as u64))?;
        }
        let chain = self.engine.verify_audit(&ops).await.map_err(failed("audit"))?;
        chain.map(drop).map_err(|at| format!("the audit chain: {at:?}"))?;
        self.engine.close().await;
        Ok(())
    }
}
