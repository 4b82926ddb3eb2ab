//! Named groups of drafts that ship together, now or at a given time.

use ashlar_model::{EntryKey, Right};
use ashlar_store::sql::{ChangesetRow, ChangesetState, stamp};
use async_trait::async_trait;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::json;

use super::{find::find, forecast};
use crate::{
    Action, ChangesetView, ReleaseError, Scope,
    drafts::{ground::Ground, write::missing},
    engine::action::Record,
};

/// Makes an empty changeset.
#[derive(Debug, Clone)]
pub struct CreateChangeset {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What it is about.
    pub title: String,
}

/// Puts drafts into a changeset; a draft is in one at most.
#[derive(Debug, Clone)]
pub struct AddToChangeset {
    /// The changeset.
    pub name: String,
    /// The drafts.
    pub keys: Vec<EntryKey>,
}

/// Takes drafts out of a changeset.
#[derive(Debug, Clone)]
pub struct RemoveFromChangeset {
    /// The changeset.
    pub name: String,
    /// The drafts.
    pub keys: Vec<EntryKey>,
}

/// Says when a changeset is published, and when its entries are taken down again. Both are tried at once: the answer says
/// what would refuse them now.
#[derive(Debug, Clone)]
pub struct ScheduleChangeset {
    /// The changeset.
    pub name: String,
    /// `2026-12-01T09:00` in `zone`, or an RFC 3339 time with an offset.
    pub publish_at: String,
    /// The same for taking down; absent to leave it up.
    pub unpublish_at: Option<String>,
    /// An IANA time zone such as `Europe/Berlin`; UTC when absent.
    pub zone: Option<String>,
}

/// Takes a changeset off the schedule; its drafts stay.
#[derive(Debug, Clone)]
pub struct CancelSchedule {
    /// The changeset.
    pub name: String,
}

pub(crate) fn check_name(name: &str) -> Result<(), ReleaseError> {
    let good = (1..=80).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    match good {
        true => Ok(()),
        false => Err(ReleaseError::invalid(
            "a changeset name has 1 to 80 letters, digits, `-`, `_` or `.`",
            "choose another name",
        )),
    }
}

/// Reads a time as people write it: a local date and time in `zone`, or an RFC 3339 time that says its own offset.
pub(crate) fn read_time(text: &str, zone: &str) -> Result<Timestamp, ReleaseError> {
    let wrong = |e: &dyn std::fmt::Display| {
        ReleaseError::invalid(
            format!("`{text}` is not a time: {e}"),
            "write `2026-12-01T09:00` with a time zone such as `Europe/Berlin`, or `2026-12-01T09:00:00+01:00`",
        )
    };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let zone = TimeZone::get(zone).map_err(|e| wrong(&e))?;
    let local: DateTime = text.parse().map_err(|e: jiff::Error| wrong(&e))?;
    Ok(local.to_zoned(zone).map_err(|e| wrong(&e))?.timestamp())
}

#[async_trait]
impl Action for CreateChangeset {
    type Output = ChangesetView;
    const NAME: &'static str = "changeset.create";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<ChangesetView, ReleaseError> {
        check_name(&self.name)?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let ground = Ground::read(scope.engine, &mut rows).await?;
        if rows.changeset(&self.name).await?.is_some() {
            let message = format!("there is already a changeset `{}`", self.name);
            return Err(ReleaseError::refused("changeset-exists", message, "choose another name"));
        }
        let row = ChangesetRow {
            name: self.name,
            title: self.title.chars().take(500).collect(),
            state: ChangesetState::Open,
            publish_at: None,
            unpublish_at: None,
            zone: "UTC".to_owned(),
            channel: ground.rules.config.channels.public.clone(),
            created_at: scope.at.clone(),
            created_by: scope.actor().to_owned(),
            message: String::new(),
            forecast: String::new(),
            assisted: false,
        };
        rows.put_changeset(&row).await?;
        scope.commit(tx, Record::one("changeset.created", &row.name, json!({"title": row.title}))).await?;
        Ok(ChangesetView::of(row, scope.now, None))
    }
}

async fn set_members(
    scope: &Scope<'_>,
    name: &str,
    keys: &[EntryKey],
    into: bool,
) -> Result<ChangesetView, ReleaseError> {
    let mut tx = scope.begin().await?;
    let mut rows = tx.rows();
    let mut row = find(&mut rows, name).await?;
    if row.state == ChangesetState::Ended {
        return Err(ReleaseError::refused(
            "changeset-ended",
            format!("`{name}` has ended"),
            "create a new changeset",
        ));
    }
    for key in keys {
        let draft = rows.draft(key).await?.ok_or_else(|| missing(key))?;
        match draft.changeset.as_deref() {
            Some(other) if into && other != name => {
                let message = format!("{key} already ships with the changeset `{other}`");
                let help = format!(
                    "take it out first: `ashlar changeset remove {other} {} {}`",
                    key.type_name, key.id
                );
                return Err(ReleaseError::refused("draft-in-other-changeset", message, help));
            }
            other if !into && other != Some(name) => {
                return Err(ReleaseError::not_found(
                    "draft in the changeset",
                    key,
                    "see `ashlar changeset show`",
                ));
            }
            _ => rows.set_draft_changeset(key, into.then_some(name)).await?,
        }
    }
    if row.state == ChangesetState::Published && into {
        row.state = ChangesetState::Open;
        rows.put_changeset(&row).await?;
    }
    let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
    let kind = if into { "changeset.drafts_added" } else { "changeset.drafts_removed" };
    scope.commit(tx, Record::one(kind, name, json!({"drafts": keys}))).await?;
    Ok(ChangesetView::of(row, scope.now, None))
}

#[async_trait]
impl Action for AddToChangeset {
    type Output = ChangesetView;
    const NAME: &'static str = "changeset.add";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<ChangesetView, ReleaseError> {
        set_members(scope, &self.name, &self.keys, true).await
    }
}

#[async_trait]
impl Action for RemoveFromChangeset {
    type Output = ChangesetView;
    const NAME: &'static str = "changeset.remove";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<ChangesetView, ReleaseError> {
        set_members(scope, &self.name, &self.keys, false).await
    }
}

#[async_trait]
impl Action for ScheduleChangeset {
    type Output = ChangesetView;
    const NAME: &'static str = "changeset.schedule";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<ChangesetView, ReleaseError> {
        let zone = self.zone.unwrap_or_else(|| "UTC".to_owned());
        let publish_at = read_time(&self.publish_at, &zone)?;
        let unpublish_at = self.unpublish_at.as_deref().map(|t| read_time(t, &zone)).transpose()?;
        if unpublish_at.is_some_and(|u| u <= publish_at) {
            return Err(ReleaseError::invalid(
                "it would be taken down before it is published",
                "choose a later time for taking down",
            ));
        }
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = find(&mut rows, &self.name).await?;
        if matches!(row.state, ChangesetState::Published | ChangesetState::Ended) {
            let message = format!("`{}` is already {}", row.name, row.state);
            return Err(ReleaseError::refused("changeset-published", message, "create a new changeset"));
        }
        row.state = ChangesetState::Scheduled;
        row.publish_at = Some(stamp(publish_at));
        row.unpublish_at = unpublish_at.map(stamp);
        row.zone = zone;
        row.message = String::new();
        row.forecast = String::new();
        rows.put_changeset(&row).await?;
        let data = json!({"publish_at": row.publish_at, "unpublish_at": row.unpublish_at, "zone": row.zone});
        scope.commit(tx, Record::one("changeset.scheduled", &row.name, data)).await?;
        // It is scheduled by now; what cannot be tried here is tried again before its time.
        match forecast::check(scope, &row.name).await {
            Ok(Some(forecast)) => row.forecast = forecast,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(changeset = row.name, %error, "what would refuse a schedule cannot be found out yet");
            }
        }
        Ok(ChangesetView::of(row, scope.now, None))
    }
}

#[async_trait]
impl Action for CancelSchedule {
    type Output = ChangesetView;
    const NAME: &'static str = "changeset.cancel";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<ChangesetView, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = find(&mut rows, &self.name).await?;
        match row.state {
            ChangesetState::Scheduled | ChangesetState::Failed => {
                (row.state, row.publish_at, row.unpublish_at) = (ChangesetState::Open, None, None);
            }
            ChangesetState::Published if row.unpublish_at.is_some() => {
                row.unpublish_at = None;
                // Its drafts stayed in it only to be taken down.
                rows.clear_changeset(&row.name).await?;
            }
            _ => {
                let message = format!("`{}` is not scheduled; it is {}", row.name, row.state);
                return Err(ReleaseError::refused("not-scheduled", message, ""));
            }
        }
        rows.put_changeset(&row).await?;
        scope.commit(tx, Record::one("changeset.cancelled", &row.name, json!({}))).await?;
        Ok(ChangesetView::of(row, scope.now, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_their_zone() {
        let at = |t, z| read_time(t, z).map(|t| t.to_string()).unwrap_or_else(|e| e.to_string());
        assert_eq!(at("2026-12-01T09:00", "Europe/Berlin"), "2026-12-01T08:00:00Z");
        assert_eq!(at("2026-07-01T09:00", "Europe/Berlin"), "2026-07-01T07:00:00Z");
        assert_eq!(at("2026-12-01T09:00:00+05:30", "Europe/Berlin"), "2026-12-01T03:30:00Z");
        // A time that the clocks skip is read as the moment after the gap.
        assert_eq!(at("2026-03-29T02:30", "Europe/Berlin"), "2026-03-29T01:30:00Z");
        assert!(at("tomorrow", "UTC").starts_with("`tomorrow` is not a time"));
        assert!(at("2026-12-01T09:00", "Mars/Base").starts_with("`2026-12-01T09:00` is not a time"));
    }
}
