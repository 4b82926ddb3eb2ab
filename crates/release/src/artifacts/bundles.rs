//! Export and import of a release as one verifiable file.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
};

use ashlar_model::{Actor, Digest, EntryKey, EntryRecord, Fields, ReleaseId, Right, canonical_json};
use ashlar_store::{
    Batch, StoreError, TenantObjects, Tree,
    bundle::{self, Staged},
    sql::NewCandidate,
};
use async_trait::async_trait;
use serde_json::json;

use super::manifest::{self};
use crate::{
    Action, CandidateView, ChangeRecord, CollectGarbage, Ctx, Engine, Judge, Made, Manifest, ReleaseError,
    Scope,
    assist::{
        marks::known_made,
        released,
        texts::{Fingerprint, new_texts},
    },
    candidates::{
        docket::{Docket, Facts, head_of},
        freeze::store,
    },
    definitions::files::{file_digests, read_files},
    derived,
    engine::action::Record,
};

/// Reads an exported release and makes it a candidate here: it goes through this installation's gates like any other, and
/// changes nothing else before it is promoted. Definitions that are new here need the right to push.
pub struct ImportBundle {
    /// The file.
    pub source: Box<dyn Read + Send>,
    /// Why.
    pub note: String,
}

/// Every object that a manifest needs, besides itself.
pub(crate) fn reachable(objects: &TenantObjects, manifest: &Manifest) -> Result<Vec<Digest>, ReleaseError> {
    let mut all = vec![manifest.evidence];
    let mut seen = std::collections::HashSet::new();
    let mut add = |all: &mut Vec<Digest>, digest: Digest| {
        let new = seen.insert(digest);
        if new {
            all.push(digest);
        }
        new
    };
    let snapshot = Tree::open(objects, &manifest.snapshot)?;
    Tree::open(objects, &manifest.definitions)?.reachable(&mut |d| add(&mut all, d))?;
    for root in manifest.derived.values() {
        let tree = Tree::open(objects, root)?;
        tree.reachable(&mut |d| add(&mut all, d))?;
        derived::each_named(&tree, &mut |digest| {
            add(&mut all, digest);
            Ok(())
        })?;
    }
    snapshot.reachable(&mut |d| add(&mut all, d))?;
    for item in snapshot.prefix(b"") {
        let (_, value) = item?;
        add(&mut all, EntryRecord::from_bytes(&value)?.digest);
    }
    for digest in file_digests(objects, &manifest.definitions)?.into_values() {
        add(&mut all, digest);
    }
    Ok(all)
}

impl Engine {
    /// Writes a release as one verifiable file; returns how many objects it has.
    ///
    /// # Errors
    /// When the release does not exist, an object is missing, or the file cannot be written.
    pub async fn export(
        &self,
        ctx: &Ctx,
        id: ReleaseId,
        mut out: impl Write + Send + 'static,
    ) -> Result<u64, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = self.release_row(ctx, id).await?;
        let objects = self.tenant_objects(&ctx.tenant);
        let work = move || {
            let manifest = manifest::read(&objects, &row.manifest)?;
            let all = reachable(&objects, &manifest)?;
            Ok(bundle::write(&objects, &row.manifest, all.into_iter(), &mut out)?)
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| ReleaseError::Task(e.to_string()))?
    }
}

#[async_trait]
impl Action for ImportBundle {
    type Output = CandidateView;
    const NAME: &'static str = "release.import";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CandidateView, ReleaseError> {
        let objects = scope.objects();
        let hold = scope.rely().await?;
        let (source, judge) = (self.source, scope.engine.judge().clone());
        let into = objects.clone();
        let read = move || {
            let staged = bundle::stage(&into, source)?;
            check(&staged, judge.as_ref())?;
            Ok(staged)
        };
        let staged = scope.heavy(read).await?;
        may_define(scope, &manifest::read(staged.with_stored(), &staged.manifest())?.definitions).await?;
        let (digest, fresh) = (staged.manifest(), staged.fresh());
        staged.keep().await?;
        let made = make_candidate(scope, digest, self.note).await;
        if made.is_err() && fresh > 0 {
            // Nothing names what the bundle brought. Others may rely on it by now, so only a clean-up knows what may go.
            drop(hold);
            let ctx = Ctx::new(scope.ctx.tenant.clone(), Actor::local("upkeep"))?;
            if let Err(error) = scope.engine.run(&ctx, CollectGarbage).await {
                tracing::warn!(%error, "what a failed import left behind goes with the next clean-up");
            }
        }
        // What the gates cannot read came with the file.
        made.map_err(|error| match error {
            ReleaseError::Corrupt { .. } if fresh > 0 => StoreError::Bundle(error.public()).into(),
            other => other,
        })
    }
}

/// Definitions that are neither the working ones nor served come with a push at other times, so whoever imports them needs the
/// right to push.
async fn may_define(scope: &Scope<'_>, definitions: &Digest) -> Result<(), ReleaseError> {
    let mut conn = scope.engine.db().read(&scope.ctx.tenant).await?;
    let mut rows = conn.rows();
    if rows.working_definitions().await?.is_some_and(|working| working.digest == *definitions) {
        return Ok(());
    }
    for at in rows.channels().await? {
        if rows.release(at.release).await?.is_some_and(|r| r.definitions == *definitions) {
            return Ok(());
        }
    }
    scope.engine.permit(scope.ctx, Right::Define)
}

/// Checks that a bundle has everything its manifest names, in a form that can be used. Otherwise the file is to blame.
fn check(staged: &Staged, judge: &dyn Judge) -> Result<(), ReleaseError> {
    let objects = staged.with_stored();
    let complete = || {
        let manifest = manifest::read(objects, &staged.manifest())?;
        for digest in reachable(objects, &manifest)? {
            objects.len_of(&digest)?;
        }
        for item in Tree::open(objects, &manifest.snapshot)?.prefix(b"") {
            EntryKey::from_bytes(&item?.0)?;
        }
        read_files(objects, &manifest.definitions)
    };
    let files = complete().map_err(|error| match error {
        ReleaseError::Corrupt { .. }
        | ReleaseError::Store(StoreError::Missing { .. } | StoreError::Corrupt { .. }) => {
            StoreError::Bundle(error.public()).into()
        }
        other => other,
    })?;
    judge.rules(&files).map(drop).map_err(|findings| ReleaseError::Invalid {
        message: "the definitions in the bundle cannot be used".to_owned(),
        findings,
        help: "fix them where the release was exported, and export it again".to_owned(),
    })
}

/// What an import changes.
struct Changed {
    /// The keys, each with what models wrote of its entry as the file says.
    entries: Vec<(EntryKey, Option<Made>)>,
    /// Texts that are new in an entry, by its place in `entries`; empty when no model wrote anything here.
    texts: Vec<(usize, Vec<Fingerprint>)>,
}

/// Compares what a file brings with the base. `assisted`: texts are compared with what models wrote here.
fn changed(
    objects: &TenantObjects,
    (base, snapshot): (&Tree, &Tree),
    derived: &BTreeMap<String, Digest>,
    assisted: bool,
) -> Result<Changed, ReleaseError> {
    let fields = |record: Option<&[u8]>| -> Result<Fields, ReleaseError> {
        let Some(record) = record else { return Ok(Fields::new()) };
        let bytes = objects.get(&EntryRecord::from_bytes(record)?.digest)?;
        serde_json::from_slice(&bytes).map_err(|e| ReleaseError::Corrupt {
            what: "an entry of the file".to_owned(),
            why: e.to_string(),
        })
    };
    let made = derived::open(objects, derived, &released::ABOUT)?;
    let mut changed = Changed { entries: Vec::new(), texts: Vec::new() };
    for change in base.diff(snapshot) {
        let change = change?;
        let made = match &made {
            Some(tree) => {
                tree.get(&change.key)?.map(|value| released::read(&change.key, &value)).transpose()?
            }
            None => None,
        };
        if made.as_ref().is_some_and(|made| !made.is_bounded()) {
            let key = EntryKey::from_bytes(&change.key)?;
            return Err(
                StoreError::Bundle(format!("the provenance of {key} is longer than tasks write it")).into()
            );
        }
        if assisted && change.new.is_some() {
            let texts = new_texts(&fields(change.old.as_deref())?, &fields(change.new.as_deref())?);
            if !texts.is_empty() {
                changed.texts.push((changed.entries.len(), texts));
            }
        }
        changed.entries.push((EntryKey::from_bytes(&change.key)?, made));
    }
    Ok(changed)
}

/// The tree of changes, all by one author.
fn changes_by(
    author: &str,
    entries: Vec<(EntryKey, Option<Made>)>,
    batch: &mut Batch,
) -> Result<Tree, ReleaseError> {
    let edits: Result<Vec<_>, ReleaseError> = entries
        .into_iter()
        .map(|(key, made)| {
            let record = canonical_json(&ChangeRecord { made, ..ChangeRecord::by(author) })
                .map_err(|e| ReleaseError::Task(e.to_string()))?;
            Ok((key.to_bytes(), Some(record)))
        })
        .collect();
    Ok(Tree::empty().apply(&edits?, batch)?)
}

/// Makes a candidate of a release whose objects are stored.
async fn make_candidate(
    scope: &Scope<'_>,
    digest: Digest,
    note: String,
) -> Result<CandidateView, ReleaseError> {
    let (engine, objects) = (scope.engine, scope.objects());
    let manifest = manifest::read(&objects, &digest)?;
    let rules = engine.rules(&scope.ctx.tenant, &manifest.definitions).await?;
    let channel = rules.config.channels.public.clone();
    let (head, facts) = {
        let mut conn = engine.db().read(&scope.ctx.tenant).await?;
        let mut rows = conn.rows();
        let head = head_of(&mut rows, &channel).await?;
        let facts = Facts::read(scope, &mut rows, None, (manifest.definitions, None), head.as_ref()).await?;
        (head, facts)
    };
    let base = facts.base.as_ref().map_or_else(Tree::empty, |base| base.snapshot.clone());
    let snapshot = Tree::open(&objects, &manifest.snapshot)?;
    let (new, of, derived) = (snapshot.clone(), objects.clone(), manifest.derived.clone());
    let assisted = engine.db().read(&scope.ctx.tenant).await?.rows().has_assisted().await?;
    let Changed { mut entries, texts } =
        scope.blocking(move || changed(&of, (&base, &new), &derived, assisted)).await?;
    {
        let mut conn = engine.db().read(&scope.ctx.tenant).await?;
        for (at, texts) in texts {
            let (_, made) = &mut entries[at];
            *made = known_made(&mut conn.rows(), made.take(), &texts).await?;
        }
    }
    let (author, changed, mut batch) = (scope.actor().to_owned(), entries.len() as u64, objects.batch());
    let (changes, batch) = scope
        .blocking(move || changes_by(&author, entries, &mut batch).map(|changes| (changes, batch)))
        .await?;
    objects.commit(batch).await?;
    let definition_authors: BTreeSet<String> = [scope.actor().to_owned()].into();
    let mut frozen = NewCandidate {
        snapshot: manifest.snapshot,
        definitions: manifest.definitions,
        changes: changes.root(),
        derived: BTreeMap::new(),
        base: head.map(|h| h.id),
        channel,
        changeset: None,
        frozen_at_sequence: 0,
        definition_authors: definition_authors.clone(),
        entries: snapshot.len(),
        changed,
        note: match note.is_empty() {
            true => format!("imported release {}", digest.short()),
            false => note,
        },
        created_at: scope.at.clone(),
        created_by: scope.actor().to_owned(),
    };
    let docket = {
        let mut conn = engine.db().read(&scope.ctx.tenant).await?;
        let docket = Docket::new(facts, snapshot, changes, definition_authors);
        docket.with_runs(scope, &mut conn.rows()).await?
    };
    let judgement = scope.heavy(move || docket.judge_new(manifest.derived)).await?;
    objects.commit(judgement.objects).await?;
    frozen.derived = judgement.derived;

    let mut tx = scope.begin().await?;
    let row = store(scope, &mut tx.rows(), frozen, &judgement.gates).await?;
    let data = json!({
        "manifest": digest, "snapshot": row.frozen.snapshot, "status": row.status.to_string(), "changed": changed,
    });
    scope.commit(tx, Record::one("release.imported", row.id.to_string(), data)).await?;
    Ok(CandidateView::of(row, judgement.gates))
}
