//! Trying a schedule before its time: what would refuse it if it ran now.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{EntryKey, Finding, GateReport, Level, ReleaseId, Right, canonical_json};
use ashlar_store::{
    Tree,
    sql::{ChangesetState, DraftFilter, DraftState, Rows},
};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Action, Base, ChangeRecord, CreateCandidate, Judgement, ReleaseError, Scope,
    candidates::freeze::{Docket, With, docket, head_of},
    engine::installation::Record,
    engine::judge::DeclaredEnd,
};

/// The most drafts of a changeset.
pub(crate) const DRAFTS_MAX: u32 = 100_000;
/// Findings that are kept of each step.
const FINDINGS_MAX: usize = 20;

/// What would happen to a schedule if it ran now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// When this was tried, RFC 3339.
    pub at: String,
    /// Publishing; absent when that has been done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Outlook>,
    /// Taking down; absent when nothing is to be taken down, or when publishing is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_down: Option<Outlook>,
}

/// One step of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outlook {
    /// The gates that would refuse it.
    pub refused_by: Vec<String>,
    /// What they say: errors, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What else blocks it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Outlook {
    fn of(gates: &[GateReport], changeset: &str) -> Self {
        // There is no candidate yet that could be approved.
        let first = format!("`ashlar candidate create --changeset {changeset}`, and then for its number: ");
        let named = |mut finding: Finding| {
            if finding.help.contains("CANDIDATE") {
                finding.help = format!("{first}{}", finding.help);
            }
            finding
        };
        let against = || gates.iter().filter(|g| !g.status.lets_through());
        Self {
            refused_by: against().map(|g| g.gate.clone()).collect(),
            findings: against()
                .flat_map(|g| g.findings.iter().filter(|f| f.level == Level::Error).cloned())
                .take(FINDINGS_MAX)
                .map(named)
                .collect(),
            message: String::new(),
        }
    }

    /// Whether nothing blocks it.
    pub fn is_clear(&self) -> bool {
        self.refused_by.is_empty() && self.message.is_empty()
    }
}

impl Forecast {
    /// Whether something would refuse it.
    pub fn at_risk(&self) -> bool {
        [&self.publish, &self.take_down].into_iter().flatten().any(|o| !o.is_clear())
    }
}

/// What a changeset declares to end; `None` when it stays up.
pub(crate) async fn declared_end(
    rows: &mut Rows<'_>,
    name: &str,
) -> Result<Option<DeclaredEnd>, ReleaseError> {
    let Some(row) = rows.changeset(name).await? else { return Ok(None) };
    let Some(at) = row.unpublish_at.clone().filter(|_| row.state != ChangesetState::Ended) else {
        return Ok(None);
    };
    let filter =
        DraftFilter { changeset: Some(name.to_owned()), limit: DRAFTS_MAX, ..DraftFilter::default() };
    let keys = rows.drafts(&filter).await?.into_iter().map(|d| d.key).collect();
    let due = row.state == ChangesetState::Published;
    Ok(Some(DeclaredEnd { changeset: row.name, at, keys, due }))
}

/// Tries a scheduled changeset and stores the outcome; `None` when it has nothing to do any more.
pub(crate) async fn check(scope: &Scope<'_>, name: &str) -> Result<Option<String>, ReleaseError> {
    let row = {
        let mut conn = scope.engine.db().read(&scope.ctx.tenant).await?;
        crate::changesets::edit::changeset(&mut conn.rows(), name).await?
    };
    let Some(due_at) = row.due_at() else { return Ok(None) };
    // What is tried leaves objects that nothing names; they go with the next clean-up.
    let _hold = scope.rely().await?;
    let forecast = match row.state {
        ChangesetState::Published => {
            Forecast { at: scope.at.clone(), publish: None, take_down: Some(take_down(scope, name).await?) }
        }
        _ => publish(scope, name).await?,
    };
    let text = serde_json::to_string(&forecast).map_err(|e| ReleaseError::Task(e.to_string()))?;
    let at_risk = forecast.at_risk();
    let mut tx = scope.begin().await?;
    if !tx.rows().put_forecast((name, due_at), (&text, at_risk), &scope.at).await? {
        return Ok(None);
    }
    let gates = |o: &Option<Outlook>| o.as_ref().map(|o| o.refused_by.clone());
    let data = json!({
        "due_at": due_at, "publish": gates(&forecast.publish), "take_down": gates(&forecast.take_down),
    });
    let kind = if at_risk { "schedule.at_risk" } else { "schedule.checked" };
    scope.commit(tx, Record::one(kind, name, data)).await?;
    Ok(Some(text))
}

fn in_the_way(message: &str) -> Outlook {
    Outlook { message: message.to_owned(), ..Outlook::default() }
}

/// Judges what publishing would release, and what taking it down afterwards would.
async fn publish(scope: &Scope<'_>, name: &str) -> Result<Forecast, ReleaseError> {
    let objects = scope.objects();
    let create = CreateCandidate { changeset: Some(name.to_owned()), note: String::new() };
    let (frozen, head) = create.freeze(scope, With::Working).await?;
    let docket = {
        let mut conn = scope.engine.db().read(&scope.ctx.tenant).await?;
        docket(scope.engine, &mut conn.rows(), None, &frozen, head.as_ref(), scope.now).await?
    };
    let mut forecast = Forecast { at: scope.at.clone(), publish: None, take_down: None };
    let has_drafts = {
        let filter = DraftFilter { changeset: Some(name.to_owned()), limit: 1, ..DraftFilter::default() };
        !scope.engine.db().read(&scope.ctx.tenant).await?.rows().drafts(&filter).await?.is_empty()
    };
    if !has_drafts {
        forecast.publish = Some(in_the_way("the changeset has no drafts"));
        return Ok(forecast);
    }
    let docket = Arc::new(docket);
    let Judgement { gates, derived, objects: batch } = {
        let docket = docket.clone();
        scope.heavy(move || docket.judge()).await?
    };
    objects.commit(batch).await?;
    let outlook = Outlook::of(&gates, name);
    let clear = outlook.is_clear();
    forecast.publish = Some(outlook);
    let Some(end) = docket.end.clone().filter(|_| clear) else { return Ok(forecast) };
    let base = Base {
        release: head.as_ref().map_or(ReleaseId(0), |h| h.id),
        definitions: docket.definitions.clone(),
        definitions_digest: docket.definitions_digest,
        snapshot: docket.snapshot.clone(),
        derived,
        gates,
    };
    forecast.take_down = Some(judge_end(scope, &docket, base, end).await?);
    Ok(forecast)
}

/// Judges what taking a published changeset down would release.
async fn take_down(scope: &Scope<'_>, name: &str) -> Result<Outlook, ReleaseError> {
    let create = CreateCandidate { changeset: Some(name.to_owned()), note: String::new() };
    let (frozen, head) = create.freeze(scope, With::Served).await?;
    let Some(head) = head else { return Ok(in_the_way("nothing is released")) };
    let docket = {
        let mut conn = scope.engine.db().read(&scope.ctx.tenant).await?;
        let mut rows = conn.rows();
        let channel = frozen.channel.clone();
        let head = head_of(&mut rows, &channel).await?.unwrap_or(head);
        docket(scope.engine, &mut rows, None, &frozen, Some(&head), scope.now).await?
    };
    match (docket.base.clone(), docket.end.clone()) {
        (Some(base), Some(end)) => judge_end(scope, &docket, base, end).await,
        _ => Ok(Outlook::default()),
    }
}

/// Judges a release without the entries of a changeset against the one with them.
async fn judge_end(
    scope: &Scope<'_>,
    docket: &Docket,
    base: Base,
    end: DeclaredEnd,
) -> Result<Outlook, ReleaseError> {
    let objects = scope.objects();
    let served = base.snapshot.clone();
    let (keys, changeset): (BTreeSet<EntryKey>, String) = (end.keys.clone(), end.changeset.clone());
    let (snapshot, changes, batch) = {
        let objects = objects.clone();
        let record = canonical_json(&ChangeRecord { authors: ["scheduler".to_owned()].into() })
            .map_err(|e| ReleaseError::Task(e.to_string()))?;
        scope
            .heavy(move || {
                let mut batch = objects.batch();
                let mut edits = BTreeMap::new();
                for key in &keys {
                    let key = key.to_bytes();
                    if served.get(&key)?.is_some() {
                        edits.insert(key, None);
                    }
                }
                let records: Vec<_> = edits.keys().map(|k| (k.clone(), Some(record.clone()))).collect();
                let edits: Vec<_> = edits.into_iter().collect();
                let snapshot = served.apply(&edits, &mut batch)?;
                let changes = Tree::empty().apply(&records, &mut batch)?;
                Ok((snapshot.root(), changes.root(), batch))
            })
            .await?
    };
    objects.commit(batch).await?;
    let docket = Docket {
        judge: docket.judge.clone(),
        objects: objects.clone(),
        definitions: base.definitions.clone(),
        definitions_digest: base.definitions_digest,
        snapshot: Tree::open(&objects, &snapshot)?,
        base: Some(base),
        released_at: docket.released_at,
        history: docket.history.clone(),
        changes: Tree::open(&objects, &changes)?,
        definition_authors: BTreeSet::new(),
        approvals: docket.approvals.clone(),
        end: Some(DeclaredEnd { due: true, ..end }),
        waivers: Vec::new(),
        judged: Vec::new(),
        evidence: docket.evidence.clone(),
        now: docket.now,
    };
    let Judgement { gates, objects: batch, .. } = scope.heavy(move || docket.judge()).await?;
    objects.commit(batch).await?;
    Ok(Outlook::of(&gates, &changeset))
}

/// Tries a scheduled changeset before its time.
#[derive(Debug, Clone)]
pub(crate) struct CheckSchedule {
    /// The changeset.
    pub name: String,
}

#[async_trait]
impl Action for CheckSchedule {
    type Output = bool;
    const NAME: &'static str = "schedule.check";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<bool, ReleaseError> {
        let stored = check(scope, &self.name).await?;
        let forecast: Option<Forecast> = stored.and_then(|text| serde_json::from_str(&text).ok());
        Ok(forecast.is_some_and(|f| f.at_risk()))
    }
}

/// The drafts of a changeset that are live.
pub(crate) async fn live_drafts(
    rows: &mut Rows<'_>,
    name: &str,
) -> Result<(usize, Vec<EntryKey>), ReleaseError> {
    let filter =
        DraftFilter { changeset: Some(name.to_owned()), limit: DRAFTS_MAX, ..DraftFilter::default() };
    let drafts = rows.drafts(&filter).await?;
    let all = drafts.len();
    Ok((all, drafts.into_iter().filter(|d| d.state == DraftState::Live).map(|d| d.key).collect()))
}
