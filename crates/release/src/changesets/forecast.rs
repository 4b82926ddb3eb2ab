//! Trying a schedule before its time: what would refuse it if it ran now.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{EntryKey, ReleaseId, Right, canonical_json};
use ashlar_store::{
    Tree,
    sql::{ChangesetState, DraftFilter},
};
use async_trait::async_trait;
use serde_json::json;

use super::find::find;
use crate::{
    Action, Base, ChangeRecord, CreateCandidate, DeclaredEnd, Forecast, Judgement, Outlook, ReleaseError,
    Scope,
    candidates::{
        docket::{Docket, Facts},
        freeze::{Frozen, With},
    },
    engine::action::Record,
};

/// Tries a scheduled changeset and stores the outcome; `None` when it has nothing to do any more.
pub(crate) async fn check(scope: &Scope<'_>, name: &str) -> Result<Option<String>, ReleaseError> {
    let row = {
        let mut conn = scope.engine.db().read(&scope.ctx.tenant).await?;
        find(&mut conn.rows(), name).await?
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
    let Frozen { head, docket, .. } = create.freeze(scope, With::Working).await?;
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
    let Some(end) = docket.facts.end.clone().filter(|_| clear) else { return Ok(forecast) };
    let base = Base {
        release: head.as_ref().map_or(ReleaseId(0), |h| h.id),
        definitions: docket.facts.definitions.clone(),
        definitions_digest: docket.facts.definitions_digest,
        snapshot: docket.snapshot.clone(),
        derived,
        gates,
    };
    forecast.take_down = Some(judge_end(scope, &docket.facts, base, end).await?);
    Ok(forecast)
}

/// Judges what taking a published changeset down would release.
async fn take_down(scope: &Scope<'_>, name: &str) -> Result<Outlook, ReleaseError> {
    let create = CreateCandidate { changeset: Some(name.to_owned()), note: String::new() };
    let docket = create.freeze(scope, With::Served).await?.docket;
    match (docket.facts.base.clone(), docket.facts.end.clone()) {
        (None, _) => Ok(in_the_way("nothing is released")),
        (Some(base), Some(end)) => judge_end(scope, &docket.facts, base, end).await,
        _ => Ok(Outlook::default()),
    }
}

/// Judges a release without the entries of a changeset against the one with them.
async fn judge_end(
    scope: &Scope<'_>,
    facts: &Facts,
    base: Base,
    end: DeclaredEnd,
) -> Result<Outlook, ReleaseError> {
    let objects = scope.objects();
    let served = base.snapshot.clone();
    let (keys, changeset): (BTreeSet<EntryKey>, String) = (end.keys.clone(), end.changeset.clone());
    let (snapshot, changes, batch) = {
        let objects = objects.clone();
        let record =
            canonical_json(&ChangeRecord::by("scheduler")).map_err(|e| ReleaseError::Task(e.to_string()))?;
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
    let facts = Facts {
        definitions: base.definitions.clone(),
        definitions_digest: base.definitions_digest,
        base: Some(base),
        end: Some(DeclaredEnd { due: true, ..end }),
        ..facts.clone()
    };
    let (snapshot, changes) = (Tree::open(&objects, &snapshot)?, Tree::open(&objects, &changes)?);
    let docket = {
        let mut conn = scope.engine.db().read(&scope.ctx.tenant).await?;
        let docket = Docket::new(facts, snapshot, changes, BTreeSet::new());
        docket.with_runs(scope, &mut conn.rows()).await?
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
