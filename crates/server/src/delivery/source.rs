//! Where delivery finds the release to answer from.

use std::sync::Arc;

use ashlar_delivery::{GRAPHQL, Problem, ReleaseView};
use ashlar_isolate::Workers;
use ashlar_model::{Right, TenantId};
use ashlar_release::{Access, At, Ctx, Engine, PreviewDrafts, ReleaseError};
use async_trait::async_trait;

use super::{
    lane::{Caller, Resolved, Source},
    serving::{Serving, roots},
};
use crate::{
    access::{KeyFailure, Keys},
    app::{metrics::Metrics, takes, tenants::Tenants},
    front::{Hosts, MISDIRECTED},
};

takes! {
    /// The releases of a node, for its doors.
    Releases {
        engine: Option<Engine>,
        workers: Workers,
        hosts: Arc<Hosts>,
        keys: Arc<Keys>,
        tenants: Arc<Tenants>,
        serving: Arc<Serving>,
        metrics: Arc<Metrics>,
    }
}

fn no_release(tenant: &TenantId) -> Problem {
    Problem::new(
        404,
        "no-release",
        "Nothing released",
        format!("nothing is released in the tenant `{tenant}` yet"),
    )
    .help("create a candidate and promote it: `ashlar candidate create`, then `ashlar release promote`")
}

fn unreadable() -> Problem {
    Problem::new(503, "unreadable", "Not available", "what is released here cannot be opened on this node")
        .help("try again later; `ashlar release verify` shows what is damaged, and `ashlar release import` restores it")
}

fn unknown_key() -> Problem {
    Problem::new(401, "unauthorized", "Unauthorized", "the key is unknown, revoked or expired")
        .help("send `Authorization: Bearer KEY`, or no key at all for the public channel")
}

fn failed(error: &ReleaseError) -> Problem {
    let (status, code) = crate::front::status_of(error);
    if status >= 500 {
        tracing::error!(%error, code, "a request could not be answered");
    }
    Problem::new(status, code, "Not available", error.public()).help(error.help())
}

/// The reader of `retrieval.toml` that a key names.
fn reader_of(access: &Access) -> Option<Arc<str>> {
    access.reader.as_deref().map(Arc::from)
}

impl Releases {
    /// Why a tenant has nothing to read.
    fn nothing(&self, tenant: &TenantId) -> Problem {
        match self.tenants.get(tenant).is_some_and(|t| t.unavailable()) {
            true => unreadable(),
            false => no_release(tenant),
        }
    }

    /// The release of the channel that a key reads. The answer is the caller's own: a shared cache that kept it would give
    /// it to those who send no key, and who may read another tenant or channel here.
    pub fn of_access(&self, access: &Access) -> Option<Resolved> {
        let tenant = self.tenants.get(&access.tenant)?;
        let developer = access.actor.may(&Right::Define);
        let reader = reader_of(access);
        match &access.channel {
            Some(channel) => {
                // Also on the fast path: a key that may not read reads nothing but the public channel.
                if !access.actor.may(&Right::Preview) && !access.actor.may(&Right::Read) {
                    return None;
                }
                let live = tenant.view(channel)?;
                Some(Resolved { release: live, public: false, developer, reader })
            }
            None => Some(Resolved { release: tenant.public.load_full()?, public: false, developer, reader }),
        }
    }

    /// Opens what is read instead of a channel.
    pub async fn open_at(&self, access: &Access, at: &At) -> Result<Arc<ReleaseView>, Problem> {
        let Some(engine) = &self.engine else {
            return Err(Problem::new(404, "not-found", "Not found", "an edge serves channels only")
                .help("read drafts, candidates and releases from an author node"));
        };
        let ctx = Ctx::new(access.tenant.clone(), access.actor.clone()).map_err(|e| failed(&e))?;
        let mut name = format!("{}/{at}", access.tenant);
        let found = match at {
            At::Channel(channel) => {
                let tenant = self.tenants.get(&access.tenant).ok_or_else(|| no_release(&access.tenant))?;
                return tenant.view(channel).ok_or_else(|| {
                    Problem::new(
                        404,
                        "not-found",
                        "Not found",
                        format!("the channel `{channel}` serves nothing"),
                    )
                });
            }
            At::Release(id) => {
                if let Some(view) = self.serving.preview(&name) {
                    return Ok(view);
                }
                let found = engine.release_roots(&ctx, *id).await.map_err(|e| failed(&e))?;
                roots(&at.to_string(), &found.snapshot, &found.definitions, &found.derived)
            }
            At::Candidate(id) => {
                if let Some(view) = self.serving.preview(&name) {
                    return Ok(view);
                }
                let frozen = engine.candidate_roots(&ctx, *id).await.map_err(|e| failed(&e))?;
                roots(&at.to_string(), &frozen.snapshot, &frozen.definitions, &frozen.derived)
            }
            At::Draft | At::Changeset(_) => {
                // As long as nothing has happened, drafts are what they were.
                name = format!("{name}@{}", engine.state_token(&ctx).await.map_err(|e| failed(&e))?);
                if let Some(view) = self.serving.preview(&name) {
                    return Ok(view);
                }
                let changeset = match at {
                    At::Changeset(name) => Some(name.clone()),
                    _ => None,
                };
                let drafts = engine.run(&ctx, PreviewDrafts { changeset }).await.map_err(|e| failed(&e))?;
                roots(&at.to_string(), &drafts.snapshot, &drafts.definitions, &drafts.derived)
            }
        };
        let roots = found.ok_or_else(|| no_release(&access.tenant))?;
        let (serving, tenant) = (self.serving.clone(), access.tenant.clone());
        let opened = self.workers.run(&access.tenant, move || serving.open(&tenant, name, &roots));
        let opened = opened.await.map_err(|_| ashlar_delivery::busy())?;
        opened.map_err(|e| Problem::new(503, "storage", "Not available", e))
    }
}

#[async_trait]
impl Source for Releases {
    fn resolve(&self, caller: &Caller<'_>) -> Option<Resolved> {
        match caller.key {
            Some(key) => {
                let access = self.keys.by_ring(key)?;
                self.hosts.serves(caller.host, &access.tenant).then(|| self.of_access(&access))?
            }
            None => {
                let tenant = self.tenants.get(&self.hosts.tenant_of(caller.host))?;
                Some(Resolved {
                    release: tenant.public.load_full()?,
                    public: true,
                    developer: false,
                    reader: None,
                })
            }
        }
    }

    async fn explain(&self, caller: &Caller<'_>, at: Option<&str>) -> Result<Resolved, Problem> {
        let access = match caller.key {
            Some(key) => {
                let checked = self.keys.reading(key).await.map_err(|failure| match failure {
                    KeyFailure::Engine(error) => failed(&error),
                    KeyFailure::TooMany => {
                        Problem::new(429, "too-many-requests", "Too many requests", failure.to_string())
                            .help("check the key, and wait a moment before trying again")
                    }
                })?;
                let access = checked.ok_or_else(unknown_key)?;
                if !self.hosts.serves(caller.host, &access.tenant) {
                    let (detail, help) = MISDIRECTED;
                    return Err(Problem::new(421, "misdirected", "Misdirected request", detail).help(help));
                }
                Some(access)
            }
            None => None,
        };
        if let Some(at) = at {
            let at: At = at.parse().map_err(|e: String| {
                Problem::new(400, "invalid-input", "Invalid input", e)
                    .help(format!("`at` is {}", ashlar_release::AT_FORMS))
            })?;
            let access = access.ok_or_else(|| {
                Problem::new(401, "unauthorized", "Unauthorized", format!("reading `{at}` needs a key"))
                    .help("send `Authorization: Bearer KEY` with a key that has the scope `preview`")
            })?;
            if !access.actor.may(&Right::Preview) {
                return Err(Problem::new(
                    403,
                    "forbidden",
                    "Forbidden",
                    format!("reading `{at}` needs the scope `preview`"),
                )
                .help("use a key that has the scope `preview`"));
            }
            let developer = access.actor.may(&Right::Define);
            let reader = reader_of(&access);
            return Ok(Resolved {
                release: self.open_at(&access, &at).await?,
                public: false,
                developer,
                reader,
            });
        }
        match access {
            Some(access) => {
                let public_only = access.channel.is_none();
                if !public_only && !access.actor.may(&Right::Preview) && !access.actor.may(&Right::Read) {
                    return Err(Problem::new(403, "forbidden", "Forbidden", "the key may not read")
                        .help("use a key that has the scope `read`"));
                }
                self.of_access(&access).ok_or_else(|| self.nothing(&access.tenant))
            }
            None => {
                let tenant = self.hosts.tenant_of(caller.host);
                let state = self.tenants.get(&tenant).ok_or_else(|| no_release(&tenant))?;
                let release = state.public.load_full().ok_or_else(|| self.nothing(&tenant))?;
                Ok(Resolved { release, public: true, developer: false, reader: None })
            }
        }
    }

    fn read_by(&self, caller: &Caller<'_>, release: &ReleaseView, path: &str, query: Option<&str>) {
        let access = caller.key.and_then(|key| self.keys.by_ring(key));
        if path == GRAPHQL {
            // Whether an old document may go is asked of everybody who sends it, with a key or without.
            let Some(file) = query.and_then(|q| release.definitions().graph().file_asked(q)) else { return };
            let (tenant, who) = match &access {
                Some(access) => (access.tenant.clone(), access.actor.name.as_str()),
                None => (self.hosts.tenant_of(caller.host), "(no key)"),
            };
            return self.metrics.read(tenant.as_str(), file, who);
        }
        let Some(access) = access else { return };
        let what = match release.definitions().views.route(path) {
            Some((_, view, _)) => format!("{}.v{}", view.name, view.major),
            None => path.split('/').take(4).collect::<Vec<_>>().join("/"),
        };
        self.metrics.read(access.tenant.as_str(), &what, &access.actor.name);
    }

    fn workers(&self) -> &Workers {
        &self.workers
    }

    fn served(&self, status: u16, bytes: usize) {
        self.metrics.delivered(status, bytes);
    }
}
