//! Design tokens for those who build with them: artifacts by version, and an npm registry that is read only.
//!
//! A version is a release whose tokens differ from those of the release before it, by number. So versions only grow: what
//! was installed once can be installed again, whatever channels point at.

use std::{collections::BTreeMap, sync::Arc};

use ashlar_isolate::Workers;
use ashlar_model::{Actor, ChannelName, Digest, ReleaseId, Right, TenantId};
use ashlar_release::{Ctx, Engine};
use ashlar_store::Objects;
use ashlar_tokens::Version;
use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    access::Keys,
    app::{App, tenants::Tenants},
    endpoints::{rows, table::Table},
    front::{ApiError, Asked, Hosts, VARY_BY_PROXY, host_of},
};

mod history;

use history::{Incoming, Made, OfTenant, TokenRelease, TokenVersions, is_of_tokens};

/// Releases that are taken in at a time.
const RELEASES_PER_PIECE: usize = 100;
/// The most versions that are listed, the newest.
const VERSIONS_MAX: usize = 500;
/// The most releases that are looked at.
const RELEASES_MAX: usize = 20_000;

/// What artifacts and packages are made from.
#[derive(Clone)]
pub struct Registry {
    engine: Option<Engine>,
    objects: Objects,
    workers: Workers,
    keys: Arc<Keys>,
    hosts: Arc<Hosts>,
    tenants: Arc<Tenants>,
    versions: Arc<TokenVersions>,
}

/// Token artifacts and the registry.
pub fn table() -> Table<Registry> {
    Table::new()
        .on_and(&rows::LIST_TOKEN_SETS, sets, |about, schemas| {
            about.json::<TokenSets>(200, "Done.", schemas);
        })
        .on_and(&rows::GET_TOKEN_FILE, artifact, |about, _| {
            about.headers.push(KNOWN);
            let reply = about.bytes("The file. Its media type follows from its name.", "text/css");
            reply.content.extend(
                ["application/json", "text/javascript", "text/plain"]
                    .map(|media| (media, json!({"type": "string", "format": "binary"}))),
            );
            about.empty(304, "Not modified.");
        })
        .on_and(&rows::PING_REGISTRY, ping, |about, _| about.object("The registry is there."))
        .on_and(&rows::WHO_AM_I, whoami, |about, schemas| {
            about.json::<WhoAmI>(200, "Done.", schemas);
        })
        .on_and(&rows::GET_DIST_TAGS, dist_tags, |about, schemas| {
            about.json::<BTreeMap<String, String>>(200, "Versions by tag.", schemas);
        })
        .on_and(&rows::GET_PACKAGE, registry, |about, _| {
            about.headers.push(KNOWN);
            let reply = about.bytes("The document, or the tarball.", "application/octet-stream");
            reply.content.push(("application/json", json!({"type": "object", "additionalProperties": true})));
            about.empty(304, "Not modified.");
        })
}

const KNOWN: (&str, &str) =
    ("If-None-Match", "The ETag of a copy; answered with 304 when it is still right.");

/// The routes of token artifacts and of the registry.
pub fn router(app: &App) -> Router {
    table().router.with_state(Registry {
        engine: app.engine.clone(),
        objects: app.objects.clone(),
        workers: app.workers.clone(),
        keys: app.keys.clone(),
        hosts: app.hosts.clone(),
        tenants: app.tenants.clone(),
        versions: Arc::default(),
    })
}

/// Sets of design tokens.
#[derive(Serialize, JsonSchema)]
struct TokenSets {
    /// The sets; none before tokens are released.
    sets: Vec<TokenSetView>,
}

/// A set of design tokens.
#[derive(Serialize, JsonSchema)]
struct TokenSetView {
    /// The name of its package.
    name: String,
    /// Versions by tag: `latest`, and the channels that the caller sees.
    tags: BTreeMap<String, String>,
    /// Its versions, oldest first.
    versions: Vec<TokenVersionView>,
    /// The files of the newest version.
    files: Vec<String>,
}

/// A version of a set of design tokens.
#[derive(Serialize, JsonSchema)]
struct TokenVersionView {
    /// The version.
    version: String,
    /// The release it is of.
    release: ReleaseId,
    /// When it was made, RFC 3339.
    created_at: String,
}

/// Whose key was sent.
#[derive(Serialize, JsonSchema)]
struct WhoAmI {
    /// The name of the key.
    username: String,
}

async fn ping() -> Response {
    Json(json!({})).into_response()
}

/// Who asks: their tenant, and whether they may see what no public channel serves.
async fn caller(of: &Registry, headers: &HeaderMap) -> Result<(TenantId, bool, String), ApiError> {
    let Some(access) = of.keys.caller(headers).await? else {
        return Ok((of.hosts.tenant_of(host_of(headers)), false, "anonymous".to_owned()));
    };
    if !access.actor.may(&Right::Read) && !access.actor.may(&Right::Preview) {
        return Err(ApiError::new(
            403,
            "forbidden",
            "the key may not read",
            "use a key that has the scope `read`",
        ));
    }
    let sees_all = access.actor.may(&Right::Preview);
    Ok((access.tenant.clone(), sees_all, access.actor.name.clone()))
}

/// Versions that a caller may see, oldest first, with what each channel serves.
struct Seen {
    tenant: TenantId,
    versions: Vec<Arc<TokenRelease>>,
    tags: BTreeMap<String, Version>,
}

impl Seen {
    fn get(&self, name: &str) -> Option<&Arc<TokenRelease>> {
        let version = self.tags.get(name).copied().or_else(|| Version::parse(name))?;
        self.versions.iter().find(|v| v.version == version)
    }

    fn latest(&self) -> Option<&Arc<TokenRelease>> {
        self.get("latest")
    }
}

fn none() -> ApiError {
    ApiError::new(
        404,
        "no-tokens",
        "no release has design tokens",
        "put *.tokens.json under tokens/ and release them",
    )
}

/// Takes the releases into a history that are not in it yet.
async fn take_in(of: &Registry, engine: &Engine, ctx: &Ctx, history: &Arc<OfTenant>) -> Result<(), ApiError> {
    let upto = history.seen().upto();
    let mut newer = Vec::new();
    let mut cursor: Option<String> = None;
    'pages: loop {
        let page = engine.releases(ctx, cursor.as_deref()).await?;
        for release in page.items {
            if release.release.0 <= upto || newer.len() >= RELEASES_MAX {
                break 'pages;
            }
            newer.push(release);
        }
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    newer.reverse();
    // Piece by piece: what is taken in stays, also when this request goes away.
    for piece in newer.chunks(RELEASES_PER_PIECE) {
        let mut incoming = Vec::with_capacity(piece.len());
        for release in piece {
            let manifest = engine.manifest(ctx, release.release).await?;
            let inputs = manifest.files.into_iter().filter(|(path, _)| is_of_tokens(path)).collect();
            incoming.push(Incoming {
                release: release.release,
                created_at: release.created_at.clone(),
                inputs,
            });
        }
        let (history, objects) = (history.clone(), of.objects.tenant(&ctx.tenant));
        let work = move || {
            let read =
                |digest: &Digest| objects.get(digest).map(|bytes| bytes.to_vec()).map_err(|e| e.public());
            history.extend(incoming, &read)
        };
        let done = of.workers.run(&ctx.tenant, work).await?;
        done.map_err(|why| ApiError::new(503, "storage", why, "try again"))?;
    }
    if !newer.is_empty() {
        of.versions.sweep(&ctx.tenant);
    }
    Ok(())
}

async fn seen(of: &Registry, headers: &HeaderMap) -> Result<Seen, ApiError> {
    let (tenant, sees_all, _) = caller(of, headers).await?;
    let Some(engine) = &of.engine else {
        return Err(ApiError::new(
            404,
            "not-found",
            "an edge serves no token artifacts",
            "ask a node that has the database",
        ));
    };
    let history = of.versions.of(&tenant);
    let ctx = Ctx::new(tenant.clone(), Actor::local("tokens"))?;
    let newest = engine.releases(&ctx, None).await?.items.first().map_or(0, |r| r.release.0);
    if newest > history.seen().upto() {
        // Whoever asks meanwhile waits here and finds what this request took in.
        let _turn = history.turn.lock().await;
        take_in(of, engine, &ctx, &history).await?;
    }
    let state = of.tenants.get(&tenant);
    let channels = state.as_ref().map(|s| s.channels.load_full());
    let public: ChannelName = state
        .as_ref()
        .and_then(|s| s.public.load_full())
        .map(|v| v.definitions().config.channels.public.clone())
        .unwrap_or_else(|| ashlar_model::ChannelConfig::default().public);
    let (mut tags, mut unreadable) = (BTreeMap::new(), BTreeMap::new());
    let mut public_number = 0;
    let known = history.seen();
    for (channel, live) in channels.iter().flat_map(|c| c.iter()) {
        let number = live.state.release.0;
        let mut names = vec![channel.to_string()];
        if *channel == public {
            public_number = number;
            names.push("latest".to_owned());
        } else if !sees_all {
            continue;
        }
        match (known.version_of(number), known.unreadable(number)) {
            (Some(version), _) => tags.extend(names.into_iter().map(|n| (n, version))),
            (None, Some(why)) => unreadable.extend(names.into_iter().map(|n| (n, why.to_owned()))),
            (None, None) => {}
        }
    }
    let visible = |v: &&Arc<TokenRelease>| sees_all || v.release.0 <= public_number;
    let versions: Vec<_> = known.versions().filter(visible).cloned().collect();
    let skip = versions.len().saturating_sub(VERSIONS_MAX);
    if let Some((tag, why)) = unreadable.into_iter().next() {
        return Err(ApiError::new(
            503,
            "unreadable-tokens",
            format!("the tokens of `{tag}` cannot be read: {why}"),
            "correct the file and release it, or roll back",
        ));
    }
    Ok(Seen { tenant, versions: versions.into_iter().skip(skip).collect(), tags })
}

/// The bytes of a version: at hand, or made again.
async fn made(of: &Registry, seen: &Seen, version: &Arc<TokenRelease>) -> Result<Arc<Made>, ApiError> {
    if let Some(made) = of.versions.at_hand(version) {
        return Ok(made);
    }
    let history = of.versions.of(&seen.tenant);
    let recipe = history.seen().recipe(version);
    let objects = of.objects.tenant(&seen.tenant);
    let work = move || {
        recipe.make(&|digest| objects.get(digest).map(|bytes| bytes.to_vec()).map_err(|e| e.public()))
    };
    let made = of.workers.run(&seen.tenant, work).await?;
    let made = Arc::new(made.map_err(|why| ApiError::new(503, "storage", why, "try again"))?);
    of.versions.keep(version, &made);
    Ok(made)
}

async fn sets(State(of): State<Registry>, headers: HeaderMap) -> Result<Response, ApiError> {
    let seen = seen(&of, &headers).await?;
    let Some(latest) = seen.latest().or(seen.versions.last()) else {
        return Ok(Json(TokenSets { sets: Vec::new() }).into_response());
    };
    let versions = seen.versions.iter().map(|v| TokenVersionView {
        version: v.version.to_string(),
        release: v.release,
        created_at: v.created_at.clone(),
    });
    let set = TokenSetView {
        name: latest.name.clone(),
        tags: seen.tags.iter().map(|(t, v)| (t.clone(), v.to_string())).collect(),
        versions: versions.collect(),
        files: latest.files.iter().map(|f| (*f).to_owned()).collect(),
    };
    Ok(Json(TokenSets { sets: vec![set] }).into_response())
}

/// `{set}@{version}/{file}`; the set may have a scope, and the version may be a tag.
async fn artifact(
    State(of): State<Registry>,
    Path(rest): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let form = || {
        ApiError::invalid(
            "the path names no artifact",
            "ask for /v1/tokens/{set}@{version}/tokens.css; GET /v1/tokens lists the versions",
        )
    };
    let (set, file) = rest.rsplit_once('/').ok_or_else(form)?;
    let (name, version) = set.rsplit_once('@').filter(|(name, _)| !name.is_empty()).ok_or_else(form)?;
    let seen = seen(&of, &headers).await?;
    let found = seen.get(version).filter(|v| v.name == name);
    let found = found.ok_or_else(|| {
        ApiError::new(
            404,
            "no-such-version",
            format!("there is no {name}@{version}"),
            "GET /v1/tokens lists the versions",
        )
    })?;
    let unknown = || {
        ApiError::new(
            404,
            "no-such-file",
            format!("{name}@{version} has no such file"),
            format!("it has {}", found.files.join(", ")),
        )
    };
    if !found.files.contains(&file) {
        return Err(unknown());
    }
    let made = made(&of, &seen, found).await?;
    let file = made.files.iter().find(|f| f.path == file).ok_or_else(unknown)?;
    let exact = Version::parse(version).is_some();
    let media = match file.path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    Ok(sent(&headers, media, file.text.as_bytes(), exact, None))
}

/// A body with its ETag. What a version names never changes; what a tag names does.
///
/// `asked`: the body contains addresses that follow from who asks and through whom.
fn sent(
    headers: &HeaderMap,
    media: &'static str,
    body: &[u8],
    forever: bool,
    asked: Option<&Asked>,
) -> Response {
    let etag = format!("\"{}\"", Digest::of(body).to_string().rsplit(':').next().unwrap_or_default());
    let cache = match (forever, headers.contains_key(header::AUTHORIZATION)) {
        (true, false) => "public, max-age=31536000, immutable",
        (false, false) => "public, max-age=60",
        (_, true) => "private, no-cache",
    };
    let vary = match asked {
        Some(asked) if asked.proxied => format!("authorization, {VARY_BY_PROXY}"),
        _ => "authorization".to_owned(),
    };
    let head = [
        (header::CONTENT_TYPE, media.to_owned()),
        (header::ETAG, etag.clone()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::VARY, vary),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    if known.is_some_and(|k| k.split(',').any(|t| t.trim().trim_start_matches("W/") == etag)) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, body.to_vec()).into_response()
}

async fn whoami(State(of): State<Registry>, headers: HeaderMap) -> Result<Response, ApiError> {
    let (_, _, name) = caller(&of, &headers).await?;
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(ApiError::unauthorized("no key was sent"));
    }
    Ok(Json(WhoAmI { username: name }).into_response())
}

/// `{name}/dist-tags`
async fn dist_tags(
    State(of): State<Registry>,
    Path(rest): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let seen = seen(&of, &headers).await?;
    let latest = seen.latest().or(seen.versions.last()).ok_or_else(none)?;
    if rest.strip_suffix("/dist-tags") != Some(latest.name.as_str()) {
        return Err(missing(&rest, latest));
    }
    let tags: BTreeMap<&String, String> = seen.tags.iter().map(|(t, v)| (t, v.to_string())).collect();
    Ok(Json(json!(tags)).into_response())
}

fn missing(name: &str, latest: &TokenRelease) -> ApiError {
    let name: String = name.chars().take(100).collect();
    ApiError::new(
        404,
        "no-such-package",
        format!("there is no package `{name}`"),
        format!("this registry has {}", latest.name),
    )
}

/// A package's document, one version of it, or a tarball.
async fn registry(
    State(of): State<Registry>,
    Path(rest): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let (headers, asked) = (&parts.headers, Asked::of(&parts));
    let seen = seen(&of, headers).await?;
    let latest = seen.latest().or(seen.versions.last()).ok_or_else(none)?;
    let name = latest.name.as_str();
    if let Some((package, file)) = rest.split_once("/-/") {
        let found = seen.versions.iter().find(|v| v.name == package && v.file_name == file);
        let found = found.ok_or_else(|| missing(package, latest))?;
        let made = made(&of, &seen, found).await?;
        return Ok(sent(headers, "application/octet-stream", &made.tarball, true, None));
    }
    let base = format!("{}/npm", asked.origin());
    let described = |v: &TokenRelease| {
        let mut manifest = Value::Object(v.manifest.clone());
        manifest["_id"] = json!(format!("{}@{}", v.name, v.version));
        manifest["dist"] = json!({
            "tarball": format!("{base}/{}/-/{}", v.name, v.file_name),
            "integrity": v.integrity,
            "shasum": v.shasum,
            "fileCount": v.files.len() + 3,
        });
        manifest
    };
    if let Some(version) = rest.strip_prefix(name).and_then(|r| r.strip_prefix('/')) {
        let found = seen.get(version).ok_or_else(|| missing(&rest, latest))?;
        return Ok(Json(described(found)).into_response());
    }
    if rest != name {
        return Err(missing(&rest, latest));
    }
    let mine = || seen.versions.iter().filter(|v| v.name == name);
    let versions: Map<String, Value> = mine().map(|v| (v.version.to_string(), described(v))).collect();
    let mut times: Map<String, Value> =
        mine().map(|v| (v.version.to_string(), json!(v.created_at))).collect();
    times.insert("created".into(), json!(mine().next().map(|v| &v.created_at)));
    times.insert("modified".into(), json!(mine().next_back().map(|v| &v.created_at)));
    let tags: BTreeMap<&String, String> = seen.tags.iter().map(|(t, v)| (t, v.to_string())).collect();
    let document = json!({
        "_id": name, "name": name, "description": latest.manifest.get("description"), "dist-tags": tags,
        "versions": versions, "time": times,
    });
    Ok(sent(headers, "application/json", document.to_string().as_bytes(), false, Some(&asked)))
}
