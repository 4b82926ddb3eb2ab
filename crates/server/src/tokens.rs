//! Design tokens for those who build with them: artifacts by version, and an npm registry that is read only.
//!
//! A version is a release whose tokens differ from those of the release before it, by number. So versions only grow: what
//! was installed once can be installed again, whatever channels point at.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use ashlar_model::{Actor, ChannelName, Digest, Files, ReleaseId, Right, TenantId};
use ashlar_release::Ctx;
use ashlar_tokens::{
    Config, Diff, Note, OutputFile, Package, TokenSet, Version, build, changelog, diff, pack,
};
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
    app::App,
    description::object,
    endpoints::{rows, table::Table},
    front::{Asked, VARY_BY_PROXY, host_of},
    problem::ApiError,
};

/// The most versions that are listed, the newest.
const VERSIONS_MAX: usize = 500;
/// The most releases that are looked at.
const RELEASES_MAX: usize = 20_000;

/// The tokens of one version.
pub struct TokenRelease {
    release: ReleaseId,
    version: Version,
    files: Vec<OutputFile>,
    package: Package,
    created_at: String,
}

/// What is known of the versions of a tenant, from its first release up to one.
#[derive(Default)]
struct History {
    /// The newest release that is in it.
    upto: u32,
    /// The version of every release that has tokens.
    of_release: BTreeMap<u32, usize>,
    versions: Vec<Arc<TokenRelease>>,
    /// What the next version is compared with.
    last: Option<Last>,
}

struct Last {
    files: BTreeMap<String, Digest>,
    resolved: ashlar_tokens::Resolved,
    notes: Vec<Note>,
    changelog: String,
    version: Version,
}

/// Versions by tenant, kept because releases do not change.
#[derive(Default)]
pub struct TokenVersions(Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<History>>>>);

/// Token artifacts and the registry.
pub fn table() -> Table<Arc<App>> {
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
        .on_and(&rows::PING_REGISTRY, ping, |about, _| object(about, "The registry is there."))
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

const KNOWN: (&str, &str) = ("If-None-Match", "The ETag of a copy; answered with 304 when it is still right.");

/// The routes of token artifacts and of the registry.
pub fn router(app: Arc<App>) -> Router {
    table().router.with_state(app)
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
async fn caller(app: &App, headers: &HeaderMap) -> Result<(TenantId, bool, String), ApiError> {
    let Some(access) = app.caller(headers).await? else {
        return Ok((app.tenant_of_host(host_of(headers)), false, "anonymous".to_owned()));
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

async fn seen(app: &App, headers: &HeaderMap) -> Result<Seen, ApiError> {
    let (tenant, sees_all, _) = caller(app, headers).await?;
    let Some(engine) = &app.engine else {
        return Err(ApiError::new(
            404,
            "not-found",
            "an edge serves no token artifacts",
            "ask a node that has the database",
        ));
    };
    let history = {
        let mut all = app.token_versions.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(tenant.clone()).or_default().clone()
    };
    let mut history = history.lock().await;
    let ctx = Ctx::new(tenant.clone(), Actor::local("tokens"))?;
    let mut newer = Vec::new();
    let mut cursor: Option<String> = None;
    'pages: loop {
        let page = engine.releases(&ctx, cursor.as_deref()).await?;
        for release in page.items {
            if release.release.0 <= history.upto || newer.len() >= RELEASES_MAX {
                break 'pages;
            }
            newer.push(release);
        }
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    for release in newer.into_iter().rev() {
        let manifest = engine.manifest(&ctx, release.release).await?;
        let objects = app.objects.tenant(&tenant);
        let number = release.release.0;
        let mut taken = std::mem::take(&mut *history);
        let done = tokio::task::spawn_blocking(move || {
            let read =
                |digest: &Digest| objects.get(digest).map(|bytes| bytes.to_vec()).map_err(|e| e.public());
            let outcome = taken.add(release.release, &release.created_at, &manifest.files, &read);
            (taken, outcome)
        });
        let (taken, outcome) = done.await.map_err(|e| ApiError::new(500, "internal", e.to_string(), ""))?;
        *history = taken;
        outcome.map_err(|why| ApiError::new(503, "storage", why, "try again"))?;
        history.upto = number;
    }
    let state = app.tenant(&tenant);
    let channels = state.as_ref().map(|s| s.channels.load_full());
    let public: ChannelName = state
        .as_ref()
        .and_then(|s| s.public.load_full())
        .map(|v| v.definitions().config.channels.public.clone())
        .unwrap_or_else(|| ashlar_model::ChannelConfig::default().public);
    let mut tags = BTreeMap::new();
    let mut public_number = 0;
    for (channel, live) in channels.iter().flat_map(|c| c.iter()) {
        let number = live.state.release.0;
        let Some(version) = history.of_release.get(&number).map(|at| history.versions[*at].version) else {
            continue;
        };
        if *channel == public {
            public_number = number;
            tags.insert("latest".to_owned(), version);
        }
        if sees_all || *channel == public {
            tags.insert(channel.to_string(), version);
        }
    }
    let visible = |v: &&Arc<TokenRelease>| sees_all || v.release.0 <= public_number;
    let versions: Vec<_> = history.versions.iter().filter(visible).cloned().collect();
    let skip = versions.len().saturating_sub(VERSIONS_MAX);
    Ok(Seen { versions: versions.into_iter().skip(skip).collect(), tags })
}

impl History {
    /// Takes the next release in. Tokens that cannot be read make no version: a gate let them pass with a waiver.
    fn add(
        &mut self,
        release: ReleaseId,
        created_at: &str,
        files: &BTreeMap<String, Digest>,
        read: &dyn Fn(&Digest) -> Result<Vec<u8>, String>,
    ) -> Result<(), String> {
        let of_tokens: BTreeMap<String, Digest> = files
            .iter()
            .filter(|(path, _)| path.starts_with("tokens/") || *path == "tokens.toml")
            .map(|(path, digest)| (path.clone(), *digest))
            .collect();
        if of_tokens.is_empty() {
            return Ok(());
        }
        if self.last.as_ref().is_some_and(|l| l.files == of_tokens) {
            self.of_release.insert(release.0, self.versions.len() - 1);
            return Ok(());
        }
        let mut project = Files::new();
        for (path, digest) in &of_tokens {
            project.insert(path, read(digest)?).map_err(|e| e.to_string())?;
        }
        let Some(set) = TokenSet::of_project(&project) else { return Ok(()) };
        let config = Config::of_project(&project).unwrap_or_default();
        let notes: Vec<Note> = project
            .iter()
            .filter(|(path, _)| path.starts_with("tokens/changes/"))
            .filter_map(|(path, bytes)| Note::parse(path, &String::from_utf8_lossy(bytes)).ok())
            .collect();
        let (resolved, set, _) = set.resolve();
        let (version, difference, fresh) = match &self.last {
            None => {
                (Version::parse(&config.version).unwrap_or(Version(1, 0, 0)), Diff::default(), notes.clone())
            }
            Some(last) => {
                let difference = diff(&last.resolved, &resolved, &config.tolerance);
                let fresh: Vec<Note> = notes.iter().filter(|n| !last.notes.contains(n)).cloned().collect();
                let said = fresh.iter().map(|n| n.bump).max().unwrap_or_default();
                // Files that differ and say nothing new (a comment, the order of names) are a patch.
                let bump = difference.verdict.max(said).max(ashlar_tokens::Bump::Patch);
                (last.version.bumped(bump), difference, fresh)
            }
        };
        let part = changelog(version, &fresh, &difference);
        let before = self.last.as_ref().map(|l| l.changelog.as_str()).unwrap_or_default();
        let changelog = format!("{part}{before}");
        let (built, _) = build(&resolved, &set, &config.outputs(), &config.options(&resolved));
        let package = pack(&config, version, &built, &format!("# Changelog\n\n{changelog}"))
            .map_err(|e| e.to_string())?;
        let created_at = created_at.to_owned();
        self.versions.push(Arc::new(TokenRelease { release, version, files: built, package, created_at }));
        self.of_release.insert(release.0, self.versions.len() - 1);
        self.last = Some(Last { files: of_tokens, resolved, notes, changelog, version });
        Ok(())
    }
}

async fn sets(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let seen = seen(&app, &headers).await?;
    let Some(latest) = seen.latest().or(seen.versions.last()) else {
        return Ok(Json(TokenSets { sets: Vec::new() }).into_response());
    };
    let versions = seen.versions.iter().map(|v| TokenVersionView {
        version: v.version.to_string(),
        release: v.release,
        created_at: v.created_at.clone(),
    });
    let set = TokenSetView {
        name: latest.package.name.clone(),
        tags: seen.tags.iter().map(|(t, v)| (t.clone(), v.to_string())).collect(),
        versions: versions.collect(),
        files: latest.files.iter().map(|f| f.path.to_owned()).collect(),
    };
    Ok(Json(TokenSets { sets: vec![set] }).into_response())
}

/// `{set}@{version}/{file}`; the set may have a scope, and the version may be a tag.
async fn artifact(
    State(app): State<Arc<App>>,
    Path(rest): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let form = || {
        ApiError::invalid(
            "the path names no artifact",
            "ask for /v1/tokens/{set}@{version}/tokens.css; GET /v1/tokens lists what there is",
        )
    };
    let (set, file) = rest.rsplit_once('/').ok_or_else(form)?;
    let (name, version) = set.rsplit_once('@').filter(|(name, _)| !name.is_empty()).ok_or_else(form)?;
    let seen = seen(&app, &headers).await?;
    let found = seen.get(version).filter(|v| v.package.name == name);
    let found = found.ok_or_else(|| {
        ApiError::new(
            404,
            "no-such-version",
            format!("there is no {name}@{version}"),
            "GET /v1/tokens lists the versions",
        )
    })?;
    let file = found.files.iter().find(|f| f.path == file).ok_or_else(|| {
        let known: Vec<&str> = found.files.iter().map(|f| f.path).collect();
        ApiError::new(
            404,
            "no-such-file",
            format!("{name}@{version} has no such file"),
            format!("it has {}", known.join(", ")),
        )
    })?;
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

async fn whoami(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let (_, _, name) = caller(&app, &headers).await?;
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(ApiError::unauthorized("no key was sent"));
    }
    Ok(Json(WhoAmI { username: name }).into_response())
}

/// `{name}/dist-tags`
async fn dist_tags(
    State(app): State<Arc<App>>,
    Path(rest): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let seen = seen(&app, &headers).await?;
    let latest = seen.latest().or(seen.versions.last()).ok_or_else(none)?;
    if rest.strip_suffix("/dist-tags") != Some(latest.package.name.as_str()) {
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
        format!("this registry has {}", latest.package.name),
    )
}

/// A package's document, one version of it, or a tarball.
async fn registry(
    State(app): State<Arc<App>>,
    Path(rest): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let (headers, asked) = (&parts.headers, Asked::of(&parts));
    let seen = seen(&app, headers).await?;
    let latest = seen.latest().or(seen.versions.last()).ok_or_else(none)?;
    let name = latest.package.name.as_str();
    if let Some((package, file)) = rest.split_once("/-/") {
        let found = seen.versions.iter().find(|v| v.package.name == package && v.package.file_name() == file);
        let found = found.ok_or_else(|| missing(package, latest))?;
        return Ok(sent(headers, "application/octet-stream", &found.package.tarball, true, None));
    }
    let base = format!("{}/npm", asked.origin());
    let described = |v: &TokenRelease| {
        let mut manifest = Value::Object(v.package.manifest.clone());
        manifest["_id"] = json!(format!("{}@{}", v.package.name, v.version));
        manifest["dist"] = json!({
            "tarball": format!("{base}/{}/-/{}", v.package.name, v.package.file_name()),
            "integrity": v.package.integrity(),
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
    let mine = || seen.versions.iter().filter(|v| v.package.name == name);
    let versions: Map<String, Value> = mine().map(|v| (v.version.to_string(), described(v))).collect();
    let mut times: Map<String, Value> =
        mine().map(|v| (v.version.to_string(), json!(v.created_at))).collect();
    times.insert("created".into(), json!(mine().next().map(|v| &v.created_at)));
    times.insert("modified".into(), json!(mine().next_back().map(|v| &v.created_at)));
    let tags: BTreeMap<&String, String> = seen.tags.iter().map(|(t, v)| (t, v.to_string())).collect();
    let document = json!({
        "_id": name, "name": name, "description": latest.package.manifest.get("description"), "dist-tags": tags,
        "versions": versions, "time": times,
    });
    Ok(sent(headers, "application/json", document.to_string().as_bytes(), false, Some(&asked)))
}
