use ashlar_model::EntryKey;
use ashlar_release::{
    AddToChangeset, CancelSchedule, ChangesetView, CreateChangeset, Page, RemoveFromChangeset,
    ScheduleChangeset,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    candidates::Cursor,
    state::{Answer, answer},
};
use crate::endpoints::extract::{Body, Path, Query};
use crate::{
    access::Caller,
    endpoints::{rows, signature::Created},
    front::ApiError,
};

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ChangesetInput")]
pub struct CreateBody {
    /// Its name: lower-case letters, digits and hyphens.
    name: String,
    /// What it is about.
    #[serde(default)]
    title: String,
}

pub async fn create(
    caller: Caller,
    Body(body): Body<CreateBody>,
) -> Result<Created<ChangesetView>, ApiError> {
    let create = CreateChangeset { name: body.name, title: body.title };
    let value = caller.engine.run(&caller.ctx, create).await?;
    Ok(Created { location: rows::GET_CHANGESET.at([&value.changeset]).target, value })
}

pub async fn list(caller: Caller, Query(at): Query<Cursor>) -> Answer<Page<ChangesetView>> {
    answer(caller.engine.changesets(&caller.ctx, at.cursor.as_deref()).await?)
}

pub async fn schedules(caller: Caller, Query(at): Query<Cursor>) -> Answer<Page<ChangesetView>> {
    answer(caller.engine.planned_changesets(&caller.ctx, at.cursor.as_deref()).await?)
}

pub async fn show(caller: Caller, Path(name): Path<String>) -> Answer<ChangesetView> {
    answer(caller.engine.changeset(&caller.ctx, &name).await?)
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DraftKeys")]
pub struct DraftsBody {
    /// The drafts.
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

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ScheduleInput")]
pub struct ScheduleBody {
    /// When it is published: RFC 3339, or a local time in `zone`.
    publish_at: String,
    /// When it is taken down.
    unpublish_at: Option<String>,
    /// A time zone of the IANA database, such as `Europe/Berlin`.
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
