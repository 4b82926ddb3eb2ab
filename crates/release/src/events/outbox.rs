//! The outbox: what has to be sent to webhooks follows from the event log, so an effect is as durable as the move that
//! caused it. A worker turns events into deliveries, a batch per transaction, and sends them while it holds a lease of
//! the webhook; a crash anywhere repeats a part and loses none.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{ChannelName, EntryKey, EntryRecord, Fields, ReleaseId, Rules, TenantId, TypeName};
use ashlar_store::{
    TenantObjects, Tree, TreeChange,
    sql::{EventRow, NewDelivery, ReleaseRow, TryRow, WebhookRow, stamp},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    follow::place_name,
    kinds::{EventFilter, passes},
};
use crate::{Engine, ReleaseError, channels::diff::diff_definitions, drafts::fields::differing};

/// Events of the log that are looked at in one step.
const EVENTS_MAX: u32 = 200;
/// Deliveries of one transaction, about.
const BATCH: usize = 2_000;
/// Ids and paths that one payload names.
const NAMED_MAX: usize = 200;
/// The name of the follower that delivers to webhooks; its targets are their ids.
pub const FOLLOWER: &str = "webhooks";
/// Tries of a delivery before it is given up: the last comes about 15 hours after the first.
pub const TRIES_MAX: u64 = 18;
/// The longest wait between two tries.
const WAIT_MAX: SignedDuration = SignedDuration::from_hours(6);
/// How long deliveries that were sent are remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A delivery to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its number.
    pub number: u64,
    /// `webhook-id`: the same for every try.
    pub event: String,
    /// How often it was tried before.
    pub attempts: u64,
    /// The body.
    pub payload: String,
}

/// What is sent for one webhook now.
#[derive(Debug, Clone)]
pub struct Round {
    /// Where to.
    pub url: String,
    /// What signs, the newest first.
    pub secrets: Vec<String>,
    /// At most one of each order.
    pub deliveries: Vec<Outgoing>,
}

/// What came of sending.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The delivery.
    pub number: u64,
    /// How often it was tried before.
    pub attempts: u64,
    /// The status of the answer; 0 when there was none.
    pub status: u32,
    /// What was wrong; empty when it arrived.
    pub error: String,
    /// How long the receiver asked to wait.
    pub wait: Option<SignedDuration>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// The wait before the next try: from a quarter of a second twice as long each time, up to six hours, give or take a fifth.
fn backoff(attempts: u64, jitter: u8) -> SignedDuration {
    let ms = 250_i64.saturating_mul(2_i64.saturating_pow(attempts.min(20) as u32)).min(21_600_000);
    SignedDuration::from_millis(ms * (800 + i64::from(jitter) * 400 / 255) / 1000)
}

impl Engine {
    /// Webhooks that are enabled, of all tenants.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn webhooks_enabled(&self) -> Result<Vec<(TenantId, String)>, ReleaseError> {
        Ok(self.db().webhooks_enabled().await?)
    }

    /// Turns events of the log into deliveries of a webhook, one batch; `true` when there was something to do.
    ///
    /// # Errors
    /// When the log, a release or the database cannot be read or written.
    pub async fn expand(&self, tenant: &TenantId, webhook: &str) -> Result<bool, ReleaseError> {
        let name = place_name(FOLLOWER, webhook);
        let mut conn = self.db().read(tenant).await?;
        let mut rows = conn.rows();
        let (row, from) = (rows.webhook(webhook).await?, rows.follower(&name).await?);
        let Some((row, from)) = row.zip(from) else { return Ok(false) };
        let events = rows.events(from.done, EVENTS_MAX).await?;
        drop(conn);
        if events.is_empty() {
            return Ok(false);
        }
        let filter: EventFilter = serde_json::from_str(&row.filter).unwrap_or_default();
        let mut place = from.clone();
        let mut out = Vec::new();
        for event in events {
            let inside = std::mem::take(&mut place.inside);
            match self.append(tenant, &filter, &event, &inside, &mut out).await? {
                Some(inside) => {
                    place.inside = inside;
                    break;
                }
                None => place.done = event.sequence,
            }
            if out.len() >= BATCH {
                break;
            }
        }
        let mut tx = self.db().write(tenant).await?;
        let mut rows = tx.rows();
        // Otherwise another worker was faster, or the webhook is gone.
        if rows.advance_follower(&name, &from, &place).await? {
            rows.insert_deliveries(webhook, &out, &stamp(self.now())).await?;
            tx.commit().await?;
        }
        Ok(true)
    }

    /// Appends what an event tells; a place inside it when there is more of it.
    async fn append(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        event: &EventRow,
        inside: &str,
        out: &mut Vec<NewDelivery>,
    ) -> Result<Option<String>, ReleaseError> {
        let word = |name: &str| event.data.get(name).and_then(Value::as_str);
        let moved = matches!(event.kind.as_str(), "release.promoted" | "release.rolled_back");
        let Some(channel) = word("channel").and_then(|c| ChannelName::new(c).ok()).filter(|_| moved) else {
            if passes(filter, &event.kind) {
                let data = json!({"subject": event.subject, "details": event.data});
                out.push(delivery(tenant, event, &event.kind, &event.subject, &event.subject, data));
            }
            return Ok(None);
        };
        let number = |name: &str| word(name).and_then(|r| r.parse::<ReleaseId>().ok());
        let mut conn = self.db().read(tenant).await?;
        let Some(id) = number("release") else { return Ok(None) };
        let Some(new) = conn.rows().release(id).await? else { return Ok(None) };
        let old = match number("from") {
            Some(from) => conn.rows().release(from).await?,
            None => None,
        };
        drop(conn);
        let rules = self.rules(tenant, &new.definitions).await?;
        let wanted = match filter.channels.is_empty() {
            true => channel == rules.config.channels.public,
            false => filter.channels.contains(&channel),
        };
        if !wanted {
            return Ok(None);
        }
        let (objects, tenant, filter) = (self.tenant_objects(tenant), tenant.clone(), filter.clone());
        let (event, inside) = (event.clone(), inside.to_owned());
        let work = move || -> Result<(Vec<NewDelivery>, Option<String>), ReleaseError> {
            let news = Move {
                objects: &objects,
                tenant: &tenant,
                filter: &filter,
                event: &event,
                channel,
                old,
                new,
            };
            let mut made = Vec::new();
            let more = news.deliveries(&rules, &inside, &mut made)?;
            Ok((made, more))
        };
        let (made, more) =
            tokio::task::spawn_blocking(work).await.map_err(|e| ReleaseError::Task(e.to_string()))??;
        out.extend(made);
        Ok(more)
    }

    /// What is to be sent for a webhook now; `None` when it was deleted or is switched off.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn round(
        &self,
        tenant: &TenantId,
        webhook: &str,
        limit: u32,
    ) -> Result<Option<Round>, ReleaseError> {
        let now = self.now();
        let mut conn = self.db().read(tenant).await?;
        let Some(row) = conn.rows().webhook(webhook).await?.filter(|w| w.enabled) else { return Ok(None) };
        let latest = stamp(now.saturating_add(WAIT_MAX * 2).unwrap_or(now));
        let due = conn.rows().deliveries_due(webhook, &stamp(now), &latest, limit).await?;
        let deliveries = due
            .into_iter()
            .map(|d| Outgoing { number: d.number, event: d.event, attempts: d.attempts, payload: d.payload })
            .collect();
        Ok(Some(Round { secrets: secrets(self, tenant, &row, now)?, url: row.url, deliveries }))
    }

    /// Notes what came of sending: what failed is tried again later, and given up after [`TRIES_MAX`] tries.
    ///
    /// # Errors
    /// When the database refuses; then it is sent once more.
    pub async fn sent(&self, tenant: &TenantId, sent: &[Sent]) -> Result<(), ReleaseError> {
        if sent.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut random = vec![0_u8; sent.len()];
        getrandom::fill(&mut random).map_err(|e| ReleaseError::Task(format!("no randomness: {e}")))?;
        let tries: Vec<TryRow> = sent
            .iter()
            .zip(random)
            .map(|(s, jitter)| {
                let state = match (s.error.is_empty(), s.attempts + 1 >= TRIES_MAX) {
                    (true, _) => "done",
                    (false, true) => "dead",
                    (false, false) => "pending",
                };
                let wait = backoff(s.attempts, jitter).max(s.wait.unwrap_or_default()).min(WAIT_MAX);
                TryRow {
                    number: s.number,
                    state,
                    due_at: stamp(now.saturating_add(wait).unwrap_or(now)),
                    status: s.status,
                    error: s.error.chars().take(500).collect(),
                    took_ms: s.took_ms,
                }
            })
            .collect();
        let mut tx = self.db().write(tenant).await?;
        tx.rows().record_tries(&tries, &stamp(now)).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets deliveries that were sent more than seven days ago.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_deliveries(&self, tenant: &TenantId) -> Result<u64, ReleaseError> {
        let now = self.now();
        let before = stamp(now.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN));
        let mut tx = self.db().write(tenant).await?;
        let gone = tx.rows().forget_deliveries(&before).await?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// What signs deliveries of a webhook at a time: its secret, and the one before while that still counts.
fn secrets(
    engine: &Engine,
    tenant: &TenantId,
    row: &WebhookRow,
    now: Timestamp,
) -> Result<Vec<String>, ReleaseError> {
    let open = |stored: &str| engine.secrets().open(tenant, &row.id, stored);
    let mut out = vec![open(&row.secret)?];
    if let Some((previous, until)) = &row.previous
        && until.parse::<Timestamp>().is_ok_and(|until| until > now)
    {
        match open(previous) {
            Ok(previous) => out.push(previous),
            Err(error) => {
                tracing::warn!(webhook = row.id, %error, "the secret before the rotation cannot be used")
            }
        }
    }
    Ok(out)
}

/// A delivery whose id follows from what it tells, so that telling it twice is telling it once.
fn delivery(
    tenant: &TenantId,
    event: &EventRow,
    kind: &str,
    about: &str,
    ordering: &str,
    more: Value,
) -> NewDelivery {
    let mut data = json!({
        "tenant": tenant, "sequence": event.sequence, "trace_id": event.trace, "actor": event.actor,
    });
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    let id = ashlar_model::Digest::of(format!("{tenant}\0{}\0{kind}\0{about}", event.sequence).as_bytes());
    NewDelivery {
        event: format!("evt_{}", &id.to_string()[..32]),
        kind: kind.to_owned(),
        ordering: ordering.to_owned(),
        payload: json!({"type": kind, "timestamp": event.at, "data": data}).to_string(),
    }
}

/// A move of a channel that is sent.
struct Move<'a> {
    objects: &'a TenantObjects,
    tenant: &'a TenantId,
    filter: &'a EventFilter,
    event: &'a EventRow,
    channel: ChannelName,
    old: Option<ReleaseRow>,
    new: ReleaseRow,
}

/// What happened to one entry, in all its locales.
#[derive(Default)]
struct Touched {
    locales: Vec<String>,
    gone: Vec<String>,
    added: bool,
    fields: BTreeSet<String>,
}

impl Touched {
    /// Adds a change of one locale.
    fn add(
        &mut self,
        objects: &TenantObjects,
        key: &EntryKey,
        change: &TreeChange,
    ) -> Result<(), ReleaseError> {
        let fields = |record: &Option<bytes::Bytes>| -> Result<Fields, ReleaseError> {
            let Some(record) = record else { return Ok(Fields::new()) };
            let bytes = objects.get(&EntryRecord::from_bytes(record)?.digest)?;
            Ok(serde_json::from_slice(&bytes).unwrap_or_default())
        };
        match change.new.is_some() {
            true => self.locales.push(key.locale.to_string()),
            false => self.gone.push(key.locale.to_string()),
        }
        self.added |= change.old.is_none();
        self.fields.extend(differing(&fields(&change.old)?, &fields(&change.new)?));
        Ok(())
    }
}

/// Entries of each taxonomy that changed.
type Taxonomies = BTreeMap<String, BTreeSet<String>>;

impl Move<'_> {
    fn push(&self, out: &mut Vec<NewDelivery>, kind: &str, about: &str, ordering: &str, mut more: Value) {
        more["channel"] = json!(self.channel);
        more["release"] = json!(self.new.id);
        more["previous_release"] = json!(self.old.as_ref().map(|o| o.id));
        out.push(delivery(self.tenant, self.event, kind, about, ordering, more));
    }

    /// Appends deliveries about entries behind the place `inside`, and at the end what is sent about the move as a whole.
    /// Returns a place when there is more.
    fn deliveries(
        &self,
        rules: &Rules,
        inside: &str,
        out: &mut Vec<NewDelivery>,
    ) -> Result<Option<String>, ReleaseError> {
        let old = match &self.old {
            Some(old) => Tree::open(self.objects, &old.snapshot)?,
            None => Tree::empty(),
        };
        let new = Tree::open(self.objects, &self.new.snapshot)?;
        let of_entries = ["entry.published", "entry.unpublished"].iter().any(|k| self.filter.wants(k));
        let wants_type = |t: &TypeName| self.filter.types.is_empty() || self.filter.types.contains(t);
        let is_taxonomy =
            |t: &TypeName| rules.types.get(t).is_some_and(|versions| versions.iter().any(|v| v.taxonomy));
        let mut taxonomies = Taxonomies::new();
        let after = hex::decode(inside).unwrap_or_default();
        let mut open: Option<(EntryKey, Touched)> = None;
        for change in old.diff(&new) {
            let change = change?;
            let key = EntryKey::from_bytes(&change.key)?;
            if is_taxonomy(&key.type_name) {
                taxonomies.entry(key.type_name.to_string()).or_default().insert(key.id.to_string());
            }
            if !of_entries || *change.key <= *after || !wants_type(&key.type_name) {
                continue;
            }
            let same = |(k, _): &(EntryKey, Touched)| k.type_name == key.type_name && k.id == key.id;
            if !open.as_ref().is_some_and(same)
                && let Some((entry, touched)) = open.take()
            {
                self.entry(&entry, &touched, out);
                if out.len() >= BATCH {
                    return Ok(Some(hex::encode(entry.to_bytes())));
                }
            }
            let (entry, touched) = open.get_or_insert_with(|| (key.clone(), Touched::default()));
            entry.locale = key.locale.clone();
            touched.add(self.objects, &key, &change)?;
        }
        if let Some((entry, touched)) = open {
            self.entry(&entry, &touched, out);
        }
        self.whole(taxonomies, out)?;
        Ok(None)
    }

    /// Appends what is sent about the move as a whole.
    fn whole(&self, taxonomies: Taxonomies, out: &mut Vec<NewDelivery>) -> Result<(), ReleaseError> {
        if self.filter.wants("taxonomy.changed") {
            for (name, ids) in taxonomies {
                let named: Vec<&String> = ids.iter().take(NAMED_MAX).collect();
                let more = json!({"taxonomy": name, "entries": named, "entries_total": ids.len()});
                self.push(out, "taxonomy.changed", &name, &format!("taxonomy/{name}"), more);
            }
        }
        let ordering = format!("channel/{}", self.channel);
        let before = self.old.as_ref().map(|o| o.definitions);
        if before != Some(self.new.definitions) && self.filter.wants("definition.changed") {
            let changes = match &before {
                Some(before) => diff_definitions(self.objects, before, &self.new.definitions)?,
                None => Vec::new(),
            };
            let total = changes.len();
            let named: Vec<_> = changes.into_iter().take(NAMED_MAX).collect();
            let more = json!({"definitions": named, "definitions_total": total});
            self.push(out, "definition.changed", "", &ordering, more);
        }
        if self.filter.wants(&self.event.kind) {
            let digest = json!({"digest": self.new.manifest, "entries": self.new.entries});
            self.push(out, &self.event.kind, "", &ordering, digest);
        }
        Ok(())
    }

    fn entry(&self, key: &EntryKey, touched: &Touched, out: &mut Vec<NewDelivery>) {
        let about = format!("{}/{}", key.type_name, key.id);
        let each = [("entry.published", &touched.locales), ("entry.unpublished", &touched.gone)];
        for (kind, locales) in each.into_iter().filter(|(kind, l)| !l.is_empty() && self.filter.wants(kind)) {
            let mut entry = json!({"type": key.type_name, "id": key.id, "locales": locales});
            if kind == "entry.published" {
                entry["change"] = json!(if touched.added { "added" } else { "changed" });
                entry["changed_fields"] = json!(touched.fields);
            }
            self.push(out, kind, &about, &about, json!({"entry": entry}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let middle: Vec<i128> = (0..13).map(|n| backoff(n, 128).as_millis()).collect();
        assert!(middle.windows(2).all(|w| w[0] <= w[1]), "{middle:?}");
        assert_eq!((backoff(0, 0).as_millis(), backoff(0, 255).as_millis()), (200, 300));
        assert!(backoff(60, 255) <= WAIT_MAX * 2);
    }
}
