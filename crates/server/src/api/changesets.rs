use ashlar_model::EntryKey;
use ashlar_release::{
    AddToChangeset, CancelSchedule, ChangesetView, CreateChangeset, RemoveFromChangeset, ScheduleChangeset,
};
use serde::Deserialize;

use super::{Answer, Body, Path, answer};
use crate::auth::Caller;

#[derive(Deserialize)]
pub struct CreateBody {
    name: String,
    #[serde(default)]
    title: String,
}

pub async fn create(caller: Caller, Body(body): Body<CreateBody>) -> Answer<ChangesetView> {
    answer(caller.engine.run(&caller.ctx, CreateChangeset { name: body.name, title: body.title }).await?)
}

pub async fn list(caller: Caller) -> Answer<Vec<ChangesetView>> {
    answer(caller.engine.changesets(&caller.ctx).await?)
}

pub async fn schedules(caller: Caller) -> Answer<Vec<ChangesetView>> {
    answer(caller.engine.planned_changesets(&caller.ctx).await?)
}

pub async fn show(caller: Caller, Path(name): Path<String>) -> Answer<ChangesetView> {
    answer(caller.engine.changeset(&caller.ctx, &name).await?)
}

#[derive(Deserialize)]
pub struct DraftsBody {
    drafts: Vec<EntryKey>,
}

pub async fn add(
    caller: Caller,
    Path(name): Path<String>,
    Body(body): Body<DraftsBody>,
) -> Answer<ChangesetView> {
    answer(caller.engine.run(&caller.ctx, AddToChangeset { name, keys: body.drafts }).await?)
}

pub async fn remove(
    caller: Caller,
    Path(name): Path<String>,
    Body(body): Body<DraftsBody>,
) -> Answer<ChangesetView> {
    answer(caller.engine.run(&caller.ctx, RemoveFromChangeset { name, keys: body.drafts }).await?)
}

#[derive(Deserialize)]
pub struct ScheduleBody {
    publish_at: String,
    unpublish_at: Option<String>,
    zone: Option<String>,
}

pub async fn schedule(
    caller: Caller,
    Path(name): Path<String>,
    Body(b): Body<ScheduleBody>,
) -> Answer<ChangesetView> {
    let schedule =
        ScheduleChangeset { name, publish_at: b.publish_at, unpublish_at: b.unpublish_at, zone: b.zone };
    answer(caller.engine.run(&caller.ctx, schedule).await?)
}

pub async fn cancel(caller: Caller, Path(name): Path<String>) -> Answer<ChangesetView> {
    answer(caller.engine.run(&caller.ctx, CancelSchedule { name }).await?)
}
