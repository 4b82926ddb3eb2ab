//! API keys and tenants. Secrets are 256 random bits; only their BLAKE3 hash is stored, compared in constant time.

use std::{collections::BTreeMap, sync::Arc};

use ashlar_model::{Actor, ChannelName, Right, TenantId};
use ashlar_store::{
    StoreError, TenantObjects,
    sql::{KeyRow, NewKey, stamp},
};
use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::{Action, At, Ctx, Engine, ReleaseError, Scope, engine::action::Record, new_id};

const PREFIX: &str = "ash";
/// The longest name of a reader, in bytes.
const READER_BYTES_MAX: usize = 64;

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    /// Its public part.
    pub id: String,
    /// Who or what uses it.
    pub name: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// The channel it reads; absent for the public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The reader of `retrieval.toml` that it is bound to; absent for everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// When it ends, RFC 3339.
    pub expires_at: Option<String>,
    /// When it was revoked, RFC 3339.
    pub revoked_at: Option<String>,
}

impl From<KeyRow> for KeyView {
    fn from(k: KeyRow) -> Self {
        Self {
            id: k.id,
            name: k.name,
            scopes: k.scopes,
            channel: Some(k.channel).filter(|c| !c.is_empty()),
            reader: Some(k.reader).filter(|r| !r.is_empty()),
            created_at: k.created_at,
            created_by: k.created_by,
            expires_at: k.expires_at,
            revoked_at: k.revoked_at,
        }
    }
}

/// Makes an API key.
#[derive(Debug, Clone)]
pub struct CreateKey {
    /// Who or what will use it; the actor's name in history.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Right>,
    /// The channel it reads; the public one when absent.
    pub channel: Option<ChannelName>,
    /// The reader of `retrieval.toml` that it is bound to: what it finds. Absent for everybody's.
    pub reader: Option<String>,
    /// When it ends, RFC 3339.
    pub expires_at: Option<String>,
}

/// A new key; the only time its secret is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedKey {
    /// The whole key, to be sent as `Authorization: Bearer …`.
    pub key: String,
    /// Everything else about it.
    #[serde(flatten)]
    pub view: KeyView,
}

/// Ends a key at once.
#[derive(Debug, Clone)]
pub struct RevokeKey {
    /// Its public part.
    pub id: String,
}

/// Makes a tenant, or sets the host names of one.
#[derive(Debug, Clone)]
pub struct CreateTenant {
    /// Its name.
    pub tenant: TenantId,
    /// Host names that lead to it.
    pub hosts: Vec<String>,
}

/// What a valid key gives.
#[derive(Debug, Clone)]
pub struct Access {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Who acts with it.
    pub actor: Actor,
    /// The channel it reads; the public one when absent.
    pub channel: Option<ChannelName>,
    /// The reader of `retrieval.toml` that it is bound to; absent for everybody's.
    pub reader: Option<String>,
    /// Its public part.
    pub key_id: String,
    /// When it expires.
    pub ends: Option<Timestamp>,
}

/// The keys of a tenant as an edge knows them: hashes and scopes, no secrets. The pointer object `keys.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRing {
    /// How often the keys or host names changed. Readers and writers never go back to a lower one, so that a revoked key
    /// does not return.
    #[serde(default)]
    pub sequence: u64,
    /// Keys by their public part.
    pub keys: BTreeMap<String, RingKey>,
    /// Host names that lead to the tenant.
    pub hosts: Vec<String>,
}

/// One key of a [`KeyRing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingKey {
    name: String,
    scopes: Vec<String>,
    channel: String,
    /// Rings of before there were readers do not have it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reader: String,
    hash: String,
    expires_at: Option<String>,
}

impl KeyRing {
    /// The name of the pointer object.
    pub const POINTER: &'static str = "keys.json";
    /// The counter of its sequence.
    const COUNTER: &'static str = "keys";

    /// Its keys by their public part, ready to be checked without a database.
    pub fn known(&self, tenant: &TenantId) -> impl Iterator<Item = (String, KnownKey)> {
        self.keys.iter().map(|(id, key)| {
            // An end that cannot be read has come.
            let ends = key.expires_at.as_deref().map(|e| e.parse().unwrap_or(Timestamp::MIN));
            let access = Access {
                tenant: tenant.clone(),
                actor: actor(key.name.clone(), &key.scopes),
                channel: ChannelName::new(&key.channel).ok(),
                reader: Some(key.reader.clone()).filter(|r| !r.is_empty()),
                key_id: id.clone(),
                ends,
            };
            let known = KnownKey { hash: key.hash.clone(), access: Arc::new(access) };
            (id.clone(), known)
        })
    }
}

/// A key of a [`KeyRing`], taken apart.
#[derive(Debug, Clone)]
pub struct KnownKey {
    hash: String,
    access: Arc<Access>,
}

impl KnownKey {
    /// What it gives to whoever has its secret part, until it ends.
    pub fn check(&self, secret: &str, now: Timestamp) -> Option<Arc<Access>> {
        let same = bool::from(hash(secret).as_bytes().ct_eq(self.hash.as_bytes()));
        (same && self.access.ends.is_none_or(|e| e > now)).then(|| self.access.clone())
    }
}

fn actor(name: String, scopes: &[String]) -> Actor {
    Actor::new(name, scopes.iter().filter_map(|s| s.parse::<Right>().ok()))
}

/// The public and the secret part of a key, `ash_<id>_<secret>`; `None` when it does not look like one.
pub fn split_key(key: &str) -> Option<(&str, &str)> {
    let (prefix, rest) = key.split_once('_')?;
    let (id, secret) = rest.split_once('_')?;
    (prefix == PREFIX && id.len() == 16 && secret.len() == 64).then_some((id, secret))
}

fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

fn access(row: KeyRow, secret: &str, now: Timestamp) -> Option<Access> {
    let same = bool::from(hash(secret).as_bytes().ct_eq(row.hash.as_bytes()));
    let ends = row.expires_at.as_deref().map(|e| e.parse().unwrap_or(Timestamp::MIN));
    if !same || row.revoked_at.is_some() || ends.is_some_and(|e| e <= now) {
        return None;
    }
    Some(Access {
        tenant: row.tenant,
        actor: actor(row.name, &row.scopes),
        channel: ChannelName::new(&row.channel).ok(),
        reader: Some(row.reader).filter(|r| !r.is_empty()),
        key_id: row.id,
        ends,
    })
}

impl Engine {
    /// The keys of the tenant, without secrets.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn keys(&self, ctx: &Ctx) -> Result<Vec<KeyView>, ReleaseError> {
        self.permit(ctx, Right::Admin)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().keys().await?;
        Ok(rows.into_iter().map(KeyView::from).collect())
    }

    /// Checks a key; `None` when it is unknown, wrong, revoked or expired. Which of these it is stays unsaid.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn authenticate(&self, key: &str) -> Result<Option<Access>, ReleaseError> {
        let Some((id, secret)) = split_key(key) else { return Ok(None) };
        Ok(self.db().key(id).await?.and_then(|row| access(row, secret, self.now())))
    }

    /// Writes the key ring of a tenant to its pointer object, for readers. What it is about has committed by now, so a
    /// ring that cannot be written is no error: the next round of repairs writes it.
    async fn publish_keys(&self, tenant: &TenantId) {
        let written = async {
            let ring = self.key_ring(tenant).await?;
            write_ring(&self.tenant_objects(tenant), &ring).await
        };
        if let Err(error) = written.await {
            self.tear();
            self.mend_soon(tenant);
            tracing::warn!(%tenant, %error, "the keys could not be written for readers; it will be tried again");
        }
    }

    /// Writes the key ring of a tenant when it is not what the database says. Says whether it wrote.
    pub(crate) async fn repair_keys(&self, tenant: &TenantId) -> Result<bool, ReleaseError> {
        let objects = self.tenant_objects(tenant);
        // The ring first: changes between the two reads make the database newer, never the ring.
        let written: Option<KeyRing> = match objects.get_pointer(KeyRing::POINTER, None).await {
            Ok(read) => read.body().and_then(|b| serde_json::from_slice(b).ok()),
            Err(StoreError::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let mut ring = self.key_ring(tenant).await?;
        if written.as_ref() == Some(&ring) {
            return Ok(false);
        }
        if let Some(written) = written.filter(|w| w.sequence >= ring.sequence) {
            // The ring is of another history, as after a restore of an older database: what the database says gets a
            // sequence above it.
            let mut tx = self.db().write(tenant).await?;
            let mut rows = tx.rows();
            let counted = rows.counter(KeyRing::COUNTER).await?;
            if counted <= written.sequence {
                rows.advance(KeyRing::COUNTER, written.sequence + 1 - counted).await?;
                tx.commit().await?;
            }
            ring = self.key_ring(tenant).await?;
        }
        write_ring(&objects, &ring).await
    }

    async fn key_ring(&self, tenant: &TenantId) -> Result<KeyRing, ReleaseError> {
        // The sequence first: keys that change between the two reads are of a later one, never of an earlier.
        let (sequence, rows) = {
            let mut conn = self.db().read(tenant).await?;
            let mut rows = conn.rows();
            (rows.counter(KeyRing::COUNTER).await?, rows.keys().await?)
        };
        let hosts = self.db().tenants().await?.into_iter().find(|t| t.tenant == *tenant).map(|t| t.hosts);
        Ok(KeyRing {
            sequence,
            keys: rows
                .into_iter()
                .filter(|k| k.revoked_at.is_none())
                .map(|k| {
                    let ring = RingKey {
                        name: k.name,
                        scopes: k.scopes,
                        channel: k.channel,
                        reader: k.reader,
                        hash: k.hash,
                        expires_at: k.expires_at,
                    };
                    (k.id, ring)
                })
                .collect(),
            hosts: hosts.unwrap_or_default(),
        })
    }
}

/// Writes a key ring unless one that is as new is there; says whether it wrote.
async fn write_ring(objects: &TenantObjects, ring: &KeyRing) -> Result<bool, ReleaseError> {
    let body = serde_json::to_vec(ring).map_err(|e| ReleaseError::Task(e.to_string()))?;
    let sequence = ring.sequence;
    let newer =
        move |now: &[u8]| serde_json::from_slice::<KeyRing>(now).map_or(true, |now| now.sequence < sequence);
    Ok(objects.advance_pointer(KeyRing::POINTER, body.into(), newer).await?)
}

#[async_trait]
impl Action for CreateKey {
    type Output = CreatedKey;
    const NAME: &'static str = "key.create";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CreatedKey, ReleaseError> {
        if self.name.trim().is_empty() || self.name.len() > 200 {
            return Err(ReleaseError::invalid(
                "a key needs a name of 1 to 200 characters",
                "say who will use it",
            ));
        }
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if let Some(reader) = &self.reader
            && (reader.is_empty() || reader.len() > READER_BYTES_MAX || !reader.chars().all(fits))
        {
            let reader: String = reader.chars().take(80).collect();
            return Err(ReleaseError::invalid(
                format!("`{reader}` is not the name of a reader"),
                "write the name as [readers.NAME] of retrieval.toml has it: lower-case letters, digits, `-` and `_`",
            ));
        }
        let expires_at = match &self.expires_at {
            None => None,
            Some(text) => match text.parse::<Timestamp>() {
                Ok(at) if at > scope.now => Some(stamp(at)),
                Ok(_) => {
                    return Err(ReleaseError::invalid("`expires_at` is in the past", "choose a later time"));
                }
                Err(e) => {
                    return Err(ReleaseError::invalid(
                        format!("`{text}` is not a time: {e}"),
                        "write `2027-01-31T00:00:00Z`",
                    ));
                }
            },
        };
        self.store(scope, expires_at, "key.created").await
    }
}

/// Makes a preview link: whoever has it sees the pages of one draft, changeset or candidate until it ends.
#[derive(Debug, Clone)]
pub struct CreatePreview {
    /// What it shows.
    pub at: At,
    /// How long it works, in hours, from 1 to 2,160 (90 days).
    pub hours: u32,
}

#[async_trait]
impl Action for CreatePreview {
    type Output = CreatedKey;
    const NAME: &'static str = "preview.create";

    fn right(&self) -> Right {
        Right::Preview
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CreatedKey, ReleaseError> {
        if !(1..=2_160).contains(&self.hours) {
            return Err(ReleaseError::invalid(
                "a preview link works for 1 to 2,160 hours",
                "choose a time in between",
            ));
        }
        match &self.at {
            At::Draft => {}
            At::Candidate(id) => {
                scope.engine.candidate_roots(scope.ctx, *id).await?;
            }
            At::Changeset(name) => {
                scope.engine.changeset(scope.ctx, name).await?;
            }
            At::Release(id) => {
                scope.engine.manifest(scope.ctx, *id).await?;
            }
            At::Channel(_) => {
                return Err(ReleaseError::invalid(
                    "a channel moves, and a preview link shows one thing",
                    "name `draft`, `changeset:NAME`, a candidate or a release",
                ));
            }
        }
        let ends = scope.now.saturating_add(jiff::SignedDuration::from_hours(i64::from(self.hours)));
        let ends = ends.map_err(|e| ReleaseError::Task(e.to_string()))?;
        let at = self.at.to_string();
        let key = CreateKey {
            name: format!("preview of {at}"),
            scopes: vec![Right::Show(at)],
            channel: None,
            reader: None,
            expires_at: None,
        };
        key.store(scope, Some(stamp(ends)), "preview.created").await
    }
}

impl CreateKey {
    async fn store(
        self,
        scope: &Scope<'_>,
        expires_at: Option<String>,
        event: &'static str,
    ) -> Result<CreatedKey, ReleaseError> {
        let (id, secret) = (new_id()?[..16].to_owned(), format!("{}{}", new_id()?, new_id()?));
        let scopes: Vec<String> = self.scopes.iter().map(ToString::to_string).collect();
        let channel = self.channel.as_ref().map(|c| c.to_string()).unwrap_or_default();
        let mut tx = scope.begin().await?;
        tx.rows().next(KeyRing::COUNTER).await?;
        tx.rows()
            .insert_key(&NewKey {
                id: &id,
                name: &self.name,
                scopes: &scopes,
                channel: &channel,
                reader: self.reader.as_deref().unwrap_or_default(),
                hash: &hash(&secret),
                at: &scope.at,
                by: scope.actor(),
                expires_at: expires_at.as_deref(),
            })
            .await?;
        let mut data =
            json!({"name": self.name, "scopes": scopes, "channel": channel, "expires_at": expires_at});
        if let Some(reader) = &self.reader {
            data["reader"] = json!(reader);
        }
        scope.commit(tx, Record::one(event, &id, data)).await?;
        scope.engine.publish_keys(&scope.ctx.tenant).await;
        Ok(CreatedKey {
            key: format!("{PREFIX}_{id}_{secret}"),
            view: KeyView {
                id,
                name: self.name,
                scopes,
                channel: self.channel.map(|c| c.to_string()),
                reader: self.reader,
                created_at: scope.at.clone(),
                created_by: scope.actor().to_owned(),
                expires_at,
                revoked_at: None,
            },
        })
    }
}

#[async_trait]
impl Action for RevokeKey {
    type Output = ();
    const NAME: &'static str = "key.revoke";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<(), ReleaseError> {
        let mut tx = scope.begin().await?;
        if !tx.rows().revoke_key(&self.id, &scope.at).await? {
            return Err(ReleaseError::not_found("key in use", &self.id, "`ashlar key list` shows the keys"));
        }
        tx.rows().next(KeyRing::COUNTER).await?;
        scope.commit(tx, Record::one("key.revoked", &self.id, json!({}))).await?;
        scope.engine.publish_keys(&scope.ctx.tenant).await;
        Ok(())
    }
}

#[async_trait]
impl Action for CreateTenant {
    type Output = ();
    const NAME: &'static str = "tenant.create";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<(), ReleaseError> {
        if scope.ctx.tenant != TenantId::main() {
            return Err(ReleaseError::refused(
                "not-main-tenant",
                "tenants are made from the tenant `main`",
                "use a key of the tenant `main` with the scope `admin`",
            ));
        }
        for host in &self.hosts {
            let good = (1..=253).contains(&host.len())
                && host
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
                && host.split('.').all(|label| !label.is_empty());
            if !good {
                return Err(ReleaseError::invalid(
                    format!("`{host}` is not a host name"),
                    "write it in lower case, without a port and without a dot at its end",
                ));
            }
        }
        let mut tx = scope.begin().await?;
        if let Some(other) = tx.put_tenant(&self.tenant, &self.hosts, &scope.at, KeyRing::COUNTER).await? {
            let taken = other.hosts.iter().find(|host| self.hosts.contains(host));
            let message = format!(
                "the host `{}` already leads to the tenant `{}`",
                taken.map_or("", String::as_str),
                other.tenant
            );
            return Err(ReleaseError::refused("host-taken", message, "choose another host name"));
        }
        let data = json!({"tenant": self.tenant, "hosts": self.hosts});
        scope.commit(tx, Record::one("tenant.created", self.tenant.as_str(), data)).await?;
        scope.engine.publish_keys(&self.tenant).await;
        Ok(())
    }
}
