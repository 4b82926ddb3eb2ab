//! What a judgement is made from, and judging.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{CandidateId, Digest, EntryRecord, Files, GateReport, ReleaseId, Waiver};
use ashlar_store::{
    TenantObjects, Tree,
    sql::{CandidateRow, CandidateStatus, ReleaseRow, Rows},
};

use super::evidence::Reports;
use crate::{
    Approval, Base, Baseline, DeclaredEnd, Engine, Judge, JudgeInput, Judgement, ReleaseError,
    RequiredApproval, RunNeeded, Scope, SuiteRun, Weighed,
    artifacts::{
        derived::{self, Derive, DeriveInput, Earlier},
        kinds::kinds,
    },
    assist::released,
    changesets::find::declared_end,
};

/// Releases before the one that is served that are looked at for a run to compare with.
const ANCESTORS_MAX: usize = 100;
/// Definitions of earlier releases that a judge may read.
const RELEASED_MAX: u32 = 200;

/// What a verdict may depend on besides the frozen candidate, read once.
#[derive(Clone)]
pub(crate) struct Facts {
    pub judge: Arc<dyn Judge>,
    pub objects: TenantObjects,
    pub definitions: Arc<Files>,
    pub definitions_digest: Digest,
    pub base: Option<Base>,
    /// When the base was released.
    pub released_at: jiff::Timestamp,
    pub history: Vec<Arc<Files>>,
    /// Roots of the definitions of all releases, newest first; empty when the definitions are those that are served.
    pub released: Vec<Digest>,
    pub approvals: Vec<Approval>,
    pub end: Option<DeclaredEnd>,
    pub waivers: Vec<(String, Waiver)>,
    /// How the candidate was judged before.
    pub judged: Vec<GateReport>,
    /// What may answer a gate; reports of the candidate itself come first.
    pub evidence: Reports,
    pub now: jiff::Timestamp,
}

/// Everything a judgement is made from, owned, so that it can move to a thread that may block.
pub(crate) struct Docket {
    pub facts: Facts,
    pub snapshot: Tree,
    pub changes: Tree,
    pub definition_authors: BTreeSet<String>,
    /// Runs of eval suites; see [`Docket::with_runs`].
    pub runs: Vec<SuiteRun>,
    /// Earlier runs to compare with, by suite.
    pub baselines: BTreeMap<String, Baseline>,
}

impl Docket {
    pub(crate) fn new(
        facts: Facts,
        snapshot: Tree,
        changes: Tree,
        definition_authors: BTreeSet<String>,
    ) -> Self {
        Self { facts, snapshot, changes, definition_authors, runs: Vec::new(), baselines: BTreeMap::new() }
    }

    /// With the runs of eval suites that the verdict may depend on. Which these are follows from the candidate, so they are looked up when it
    /// is there.
    pub(crate) async fn with_runs(
        self,
        scope: &Scope<'_>,
        rows: &mut Rows<'_>,
    ) -> Result<Self, ReleaseError> {
        let needed = move || Ok((self.with(|judge, input| judge.runs_needed(input))?, self));
        let (needed, mut docket) = scope.blocking(needed).await?;
        let mut without: BTreeMap<String, BTreeSet<Digest>> = BTreeMap::new();
        for RunNeeded { suite, inputs, served } in needed {
            docket.add_runs(rows, &suite, &inputs).await?;
            let Some(served) = served.filter(|served| *served != inputs) else { continue };
            docket.add_runs(rows, &suite, &served).await?;
            let is_served = |run: &SuiteRun| run.suite == suite && run.inputs == served && run.complete;
            if !docket.runs.iter().any(is_served) {
                let known = rows.eval_evidence_inputs(&suite).await?;
                without.insert(suite, known.into_iter().collect());
            }
        }
        docket.with_baselines(scope, rows, without).await
    }

    async fn add_runs(
        &mut self,
        rows: &mut Rows<'_>,
        suite: &str,
        inputs: &Digest,
    ) -> Result<(), ReleaseError> {
        let found = rows.eval_evidence_of(suite, inputs).await?;
        self.runs.extend(found.into_iter().map(SuiteRun::from));
        Ok(())
    }

    /// With earlier runs of suites whose run of what is served is not known. `known`: by suite the inputs of all complete runs.
    async fn with_baselines(
        mut self,
        scope: &Scope<'_>,
        rows: &mut Rows<'_>,
        mut known: BTreeMap<String, BTreeSet<Digest>>,
    ) -> Result<Self, ReleaseError> {
        known.retain(|_, inputs| !inputs.is_empty());
        let Some(base) = self.facts.base.as_ref().filter(|_| !known.is_empty()) else { return Ok(self) };
        let parent = rows.release(base.release).await?.and_then(|release| release.parent);
        let earlier = before(rows, parent, ANCESTORS_MAX).await?;
        let (judge, objects) = (self.facts.judge.clone(), self.facts.objects.clone());
        let (engine, tenant) = (scope.engine.clone(), scope.ctx.tenant.clone());
        let find = move || {
            let mut found: BTreeMap<String, Baseline> = BTreeMap::new();
            for release in earlier {
                // There is nothing to compare with in a release that cannot be read, and none before it is looked at in its place.
                let Ok(files) = engine.files(&tenant, &release.definitions) else { break };
                let Ok(snapshot) = Tree::open(&objects, &release.snapshot) else { break };
                let Ok(suites) = judge.suites(&files, &snapshot) else { break };
                for (suite, inputs) in suites {
                    if known.get(&suite).is_some_and(|known| known.contains(&inputs)) {
                        known.remove(&suite);
                        found.insert(suite, Baseline { release: release.id, inputs });
                    }
                }
                if known.is_empty() {
                    break;
                }
            }
            Ok(found)
        };
        let found = scope.blocking(find).await?;
        for (suite, baseline) in &found {
            self.add_runs(rows, suite, &baseline.inputs).await?;
        }
        self.baselines = found;
        Ok(self)
    }

    pub(crate) fn weigh(&self, suite: &str, asked: &str, run: &[u8]) -> Result<Weighed, ReleaseError> {
        self.with(|judge, input| judge.weigh(input, suite, asked, run))
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&dyn Judge, &JudgeInput<'_>) -> Result<T, ReleaseError>,
    ) -> Result<T, ReleaseError> {
        let facts = &self.facts;
        let evidence = |gate: &str, inputs: &Digest| {
            let known = facts.evidence.iter().find(|r| r.gate == gate && r.inputs == *inputs);
            known.map(|r| r.as_ref().clone())
        };
        let input = JudgeInput {
            objects: &facts.objects,
            definitions: &facts.definitions,
            definitions_digest: facts.definitions_digest,
            snapshot: &self.snapshot,
            base: facts.base.clone(),
            history: facts.history.clone(),
            changes: &self.changes,
            definition_authors: &self.definition_authors,
            approvals: &facts.approvals,
            end: facts.end.as_ref(),
            waivers: &facts.waivers,
            runs: &self.runs,
            baselines: &self.baselines,
            released: &facts.released,
            evidence: &evidence,
            now: facts.now,
        };
        work(facts.judge.as_ref(), &input)
    }

    pub(crate) fn judge(&self) -> Result<Judgement, ReleaseError> {
        let mut judgement = self.with(|judge, input| judge.judge(input))?;
        if let Some(why) = self.damaged()?
            && let Some(report) = judgement.gates.first_mut()
        {
            *report = GateReport::could_not_run(&report.gate, report.inputs, why);
        }
        Ok(judgement)
    }

    /// Judges a candidate that is new, and builds what is derived from it. `imported`: what a bundle brought.
    pub(crate) fn judge_new(&self, imported: BTreeMap<String, Digest>) -> Result<Judgement, ReleaseError> {
        let mut judgement = self.judge()?;
        let Facts { judge, objects, .. } = &self.facts;
        for kind in kinds(judge.as_ref()).map(|kind| kind.about()).filter(|kind| kind.imported) {
            if derived::open(objects, &imported, &kind)?.is_some() {
                judgement.derived.insert(kind.name.to_owned(), imported[kind.name]);
            }
        }
        self.build(kinds(judge.as_ref()), &mut judgement)?;
        let frozen = (&self.snapshot, &self.changes);
        if let Some(tree) =
            released::build(objects, self.facts.base.as_ref(), frozen, &mut judgement.objects)?
        {
            judgement.derived.insert(released::ABOUT.name.to_owned(), tree.root());
        }
        Ok(judgement)
    }

    /// Judges drafts that are only shown, and builds what is derived from them. What an import could bring, such as when entries
    /// were changed, is decided by a release.
    pub(crate) fn judge_shown(&self) -> Result<Judgement, ReleaseError> {
        let mut judgement = self.judge()?;
        let shown = kinds(self.facts.judge.as_ref()).filter(|kind| !kind.about().imported);
        self.build(shown, &mut judgement)?;
        Ok(judgement)
    }

    fn build<'k>(
        &self,
        kinds: impl Iterator<Item = &'k dyn Derive>,
        judgement: &mut Judgement,
    ) -> Result<(), ReleaseError> {
        let Facts { objects, definitions, base, .. } = &self.facts;
        let earlier = base.as_ref().map(|base| Earlier {
            definitions: &base.definitions,
            snapshot: &base.snapshot,
            released_at: self.facts.released_at,
            derived: &base.derived,
        });
        let (snapshot, at) = (&self.snapshot, self.facts.now);
        let derived = &BTreeMap::new();
        let input = DeriveInput { objects, definitions, snapshot, earlier, derived, at };
        derived::build_missing(kinds, &input, &mut judgement.derived, &mut judgement.objects)
    }

    /// What is wrong when an entry is known to be damaged that was not changed: no gate reads it again. Looks at all entries
    /// only when there is damage.
    fn damaged(&self) -> Result<Option<String>, ReleaseError> {
        let damaged = self.facts.objects.damaged();
        if damaged.is_empty() {
            return Ok(None);
        }
        for item in self.snapshot.prefix(b"") {
            let (key, value) = item?;
            let digest = EntryRecord::from_bytes(&value)?.digest;
            if damaged.contains(&digest) {
                let key = ashlar_model::EntryKey::from_bytes(&key)?;
                return Ok(Some(format!(
                    "The gate could not run: object {} of the entry {key} is damaged. \
                     Import a release that contains it, or restore its pack from a backup.",
                    digest.short()
                )));
            }
        }
        Ok(None)
    }

    pub(crate) fn required(&self) -> Result<Vec<RequiredApproval>, ReleaseError> {
        self.with(|judge, input| judge.required_approvals(input))
    }
}

/// What the public channel serves, as a judge needs it.
pub(crate) async fn base_of(
    engine: &Engine,
    rows: &mut Rows<'_>,
    head: Option<&ReleaseRow>,
) -> Result<Option<Base>, ReleaseError> {
    let Some(head) = head else { return Ok(None) };
    let tenant = rows.tenant().clone();
    let gates = engine.evidence().verdicts(rows, head).await?;
    Ok(Some(Base {
        release: head.id,
        definitions: engine.files(&tenant, &head.definitions)?,
        definitions_digest: head.definitions,
        snapshot: Tree::open(&engine.tenant_objects(&tenant), &head.snapshot)?,
        derived: head.derived.clone(),
        gates,
    }))
}

/// The release `parent` and those that were served before it, the newest first, at most `most`.
pub(crate) async fn before(
    rows: &mut Rows<'_>,
    mut parent: Option<ReleaseId>,
    most: usize,
) -> Result<Vec<ReleaseRow>, ReleaseError> {
    let mut out: Vec<ReleaseRow> = Vec::new();
    while let Some(id) = parent.filter(|_| out.len() < most) {
        let Some(release) = rows.release(id).await? else { break };
        parent = release.parent;
        out.push(release);
    }
    Ok(out)
}

/// The release that a channel serves.
pub(crate) async fn head_of(
    rows: &mut Rows<'_>,
    channel: &ashlar_model::ChannelName,
) -> Result<Option<ReleaseRow>, ReleaseError> {
    match rows.head(channel).await? {
        Some((at, release)) => release.map(Some).ok_or_else(|| ReleaseError::Corrupt {
            what: format!("the channel {channel}"),
            why: format!("it points at {}, which does not exist", at.release),
        }),
        None => Ok(None),
    }
}

impl Facts {
    /// Reads them in the present transaction. `id`: the candidate, when it is stored.
    pub(crate) async fn read(
        scope: &Scope<'_>,
        rows: &mut Rows<'_>,
        id: Option<CandidateId>,
        (definitions, changeset): (Digest, Option<&str>),
        head: Option<&ReleaseRow>,
    ) -> Result<Self, ReleaseError> {
        let (engine, tenant) = (scope.engine, &scope.ctx.tenant);
        let rules = engine.rules(tenant, &definitions).await?;
        let mut history = Vec::new();
        if rules.config.gates.transitive {
            let mut seen: BTreeSet<Digest> = head.map(|h| h.definitions).into_iter().collect();
            for release in rows.releases(u32::MAX, 100).await? {
                if seen.insert(release.definitions) {
                    history.push(engine.files(tenant, &release.definitions)?);
                }
            }
        }
        let released = match head {
            Some(head) if head.definitions != definitions => rows.released_definitions(RELEASED_MAX).await?,
            _ => Vec::new(),
        };
        let end = match changeset {
            Some(name) => declared_end(rows, name).await?,
            None => None,
        };
        let (judged, waivers) = match id {
            Some(id) => (rows.reports(id).await?, rows.waivers(id).await?),
            None => (Vec::new(), Vec::new()),
        };
        let own = judged.iter().filter(|r| r.waiver.is_none()).cloned().map(Arc::new);
        let evidence = own.chain(engine.evidence().recent(rows).await?).collect();
        let approvals = rows.approvals().await?.into_iter();
        Ok(Self {
            judge: engine.judge().clone(),
            objects: scope.objects(),
            definitions: engine.files(tenant, &definitions)?,
            definitions_digest: definitions,
            base: base_of(engine, rows, head).await?,
            released_at: head.and_then(|h| h.created_at.parse().ok()).unwrap_or(scope.now),
            history,
            released,
            approvals: approvals.map(|(right, change, by, at)| Approval { right, change, by, at }).collect(),
            end,
            waivers,
            judged,
            evidence,
            now: scope.now,
        })
    }
}

/// What a judgement of a stored candidate is made from.
pub(crate) async fn docket(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &CandidateRow,
    head: Option<&ReleaseRow>,
) -> Result<Docket, ReleaseError> {
    let frozen = &row.frozen;
    let what = (frozen.definitions, frozen.changeset.as_deref());
    let facts = Facts::read(scope, rows, Some(row.id), what, head).await?;
    let snapshot = Tree::open(&facts.objects, &frozen.snapshot)?;
    let changes = Tree::open(&facts.objects, &frozen.changes)?;
    Docket::new(facts, snapshot, changes, frozen.definition_authors.clone()).with_runs(scope, rows).await
}

/// What a candidate is after gates said this.
pub(crate) fn verdict(gates: &[GateReport]) -> CandidateStatus {
    match gates.iter().all(|g| g.status.lets_through()) {
        true => CandidateStatus::Passed,
        false => CandidateStatus::Failed,
    }
}

/// A candidate by its number.
pub(crate) async fn candidate(rows: &mut Rows<'_>, id: CandidateId) -> Result<CandidateRow, ReleaseError> {
    rows.candidate(id).await?.ok_or_else(|| {
        ReleaseError::not_found("candidate", id, "`ashlar candidate list` shows all candidates")
    })
}

/// Judges a stored candidate again inside the transaction and stores the outcome. Evidence keeps this cheap when nothing
/// the verdict depends on has changed.
pub(crate) async fn judge_again(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &mut CandidateRow,
    head: Option<&ReleaseRow>,
) -> Result<Vec<GateReport>, ReleaseError> {
    let gates = judge_stored(scope, rows, row, head).await?;
    rows.update_candidate(row.id, row.status, &row.frozen.derived, row.release).await?;
    Ok(gates)
}

/// As [`judge_again`], without the row of the candidate: the caller stores it.
pub(crate) async fn judge_stored(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &mut CandidateRow,
    head: Option<&ReleaseRow>,
) -> Result<Vec<GateReport>, ReleaseError> {
    let docket = docket(scope, rows, row, head).await?;
    let (judgement, judged) = scope.blocking(move || Ok((docket.judge()?, docket.facts.judged))).await?;
    scope.objects().commit(judgement.objects).await?;
    // What is derived by judging is made anew; when entries were changed stays as it was frozen.
    row.frozen.derived.extend(judgement.derived);
    row.status = verdict(&judgement.gates);
    if !say_the_same(&judged, &judgement.gates) {
        rows.put_reports(row.id, &judgement.gates, &scope.at).await?;
        scope.engine.evidence().learn(&scope.ctx.tenant, &judgement.gates);
    }
    Ok(judgement.gates)
}

/// Whether gates say what is stored already, apart from how they came to it.
fn say_the_same(stored: &[GateReport], gates: &[GateReport]) -> bool {
    let same = |(stored, gate): (&GateReport, &GateReport)| {
        let (from_evidence, duration_ms) = (stored.from_evidence, stored.duration_ms);
        *stored == GateReport { from_evidence, duration_ms, ..gate.clone() }
    };
    stored.len() == gates.len() && stored.iter().zip(gates).all(same)
}

/// Judges a candidate that is a release already. Its verdicts stay those it became a release with.
pub(crate) async fn judge_staged(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &CandidateRow,
    head: Option<&ReleaseRow>,
) -> Result<Vec<GateReport>, ReleaseError> {
    let docket = docket(scope, rows, row, head).await?;
    Ok(scope.blocking(move || docket.judge()).await?.gates)
}
