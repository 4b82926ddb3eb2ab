//! The pages for people and for operators: `/`, `/studio`, `/healthz`, `/readyz`, `/metrics`.

use std::{
    fmt::Write as _,
    sync::{Arc, PoisonError},
};

pub(crate) use ashlar_model::escaped as escape;
use ashlar_model::{Right, TenantId};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::App,
    description::object,
    endpoints::{rows, table::Table},
    front::host_of,
    metrics::Stored,
    problem::ApiError,
    source::Releases,
};

const CSP: &str = "default-src 'none'; style-src 'sha256-";
const STYLE: &str = ":root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6470;--paper:#fbfaf7;--line:#d9d5cc;--mark:#0b5c6b}\
@media(prefers-color-scheme:dark){:root{--ink:#e8e6e1;--dim:#9aa3ad;--paper:#15181c;--line:#30363d;--mark:#6fc3d3}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,sans-serif}\
main{max-width:44rem;margin:0 auto;padding:clamp(1.5rem,6vw,5rem) 1.25rem}\
h1{font-size:clamp(1.9rem,5vw,2.6rem);line-height:1.15;margin:0 0 .5rem;letter-spacing:-.02em}\
p.lead{color:var(--dim);margin:0 0 2rem;font-size:1.1rem}h2{font-size:1.05rem;margin:2.2rem 0 .6rem}\
table{border-collapse:collapse;width:100%;font-size:.95rem}td,th{text-align:left;padding:.45rem .8rem .45rem 0;border-bottom:1px solid var(--line);font-weight:400;vertical-align:top}@media(max-width:420px){table{font-size:.82rem}td,th{padding-right:.5rem}td:last-child{overflow-wrap:anywhere}}\
th{color:var(--dim)}a{color:var(--mark)}a:focus-visible{outline:2px solid var(--mark);outline-offset:3px}\
code{font:0.9em ui-monospace,monospace}pre{overflow-x:auto;padding:.9rem 1rem;border:1px solid var(--line);border-radius:.4rem;margin:0}";

/// Those of them that programs use.
pub fn table() -> Table<Arc<App>> {
    Table::new()
        .on_and(&rows::GET_DELIVERY_OPENAPI, described, |about, _| object(about, "The document."))
        .on_and(&rows::FOLLOW_CHANGES, crate::changes::changes, |about, _| {
            about.headers.push(("Last-Event-ID", "The last event that the client has."));
            about.text("Events, as they happen.", "text/event-stream");
        })
        .on(&rows::GET_HEALTH, health)
        .on_and(&rows::GET_READINESS, ready, |about, schemas| {
            about.json::<Readiness>(200, "The node is ready.", schemas);
            about.json::<Readiness>(503, "The node is not ready; `why` says what is wrong.", schemas);
        })
        .on_and(&rows::GET_METRICS, metrics, |about, _| {
            about.text("The figures.", "text/plain");
        })
}

/// The routes of these pages.
pub fn router(app: Arc<App>) -> Router {
    table().router.route("/", get(home)).route("/studio", get(studio)).with_state(app)
}

/// That the process runs.
#[derive(Serialize, JsonSchema)]
struct Health {
    /// `ok`
    status: String,
}

async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

/// Whether a node can do its work.
#[derive(Serialize, JsonSchema)]
struct Readiness {
    /// `ready` or `not ready`.
    status: String,
    /// How many channels it serves.
    channels: usize,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Tenants of which nothing can be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenants_unavailable: Option<usize>,
    /// Releases that cannot be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    releases_unreadable: Option<usize>,
    /// Which ones, for a key with the scope `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<Vec<String>>,
}

fn channels(app: &App) -> Vec<(String, String, u64, u64)> {
    let tenants = app.tenants.read().unwrap_or_else(PoisonError::into_inner);
    let mut all = Vec::new();
    for (tenant, state) in tenants.iter() {
        for (channel, live) in state.channels.load().iter() {
            let release = u64::from(live.state.release.0);
            all.push((tenant.to_string(), channel.to_string(), release, live.state.sequence));
        }
    }
    all.sort();
    all
}

fn stored(app: &App) -> Stored {
    let tenants: Vec<_> = {
        let tenants = app.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().map(|(t, s)| (t.clone(), s.unavailable())).collect()
    };
    let mut stored = Stored { packs_open: app.objects.packs_open() as u64, ..Stored::default() };
    for (tenant, unavailable) in tenants {
        let objects = app.objects.tenant(&tenant);
        stored.damaged += objects.damaged().len() as u64;
        stored.packs_damaged += objects.damaged_packs().len() as u64;
        stored.healed += objects.healed();
        stored.unavailable += u64::from(unavailable);
    }
    if let Some(engine) = &app.engine {
        stored.stranded = engine.stranded().len() as u64;
        stored.fences = engine.fences();
    }
    stored
}

/// Whether this node can do its work: it writes (unless it is an edge), and what is released can be opened. Everybody may
/// ask, so tenants are counted; names are for a key of that tenant, or of `main`, with the scope `admin`.
async fn ready(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let writes = match &app.engine {
        Some(engine) => engine.check_writes().await,
        None => Ok(()),
    };
    let serving = channels(&app).len();
    let broken: Vec<(TenantId, bool, Vec<String>)> = {
        let tenants = app.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let each = tenants.iter().map(|(tenant, state)| {
            let channels =
                state.broken().into_iter().map(|(channel, release)| format!("{channel}: {release}"));
            (tenant.clone(), state.unavailable(), channels.collect())
        });
        each.filter(|(_, _, channels): &(_, _, Vec<_>)| !channels.is_empty()).collect()
    };
    let unavailable = broken.iter().filter(|(_, unavailable, _)| *unavailable).count();
    let stranded = app.engine.as_ref().map(|e| e.stranded()).unwrap_or_default();
    let why = match writes {
        Err(why) => Some(why),
        Ok(()) if serving == 0 && unavailable > 0 => Some("no release can be opened".to_owned()),
        Ok(()) => None,
    };
    let status = if why.is_none() { "ready" } else { "not ready" };
    let mut body = Readiness {
        status: status.to_owned(),
        channels: serving,
        why: why.clone(),
        tenants_unavailable: None,
        releases_unreadable: None,
        unreadable: None,
    };
    if !broken.is_empty() || !stranded.is_empty() {
        body.tenants_unavailable = Some(unavailable);
        body.releases_unreadable =
            Some(broken.iter().map(|(_, _, c)| c.len()).sum::<usize>() + stranded.len());
        let access = match crate::auth::bearer(&headers) {
            Some(key) => app.reading_key(key).await.ok().flatten(),
            None => None,
        };
        if let Some(access) = access.filter(|a| a.actor.may(&Right::Admin)) {
            let seen = |tenant: &TenantId| access.tenant == TenantId::main() || access.tenant == *tenant;
            let opened = broken.iter().filter(|(t, ..)| seen(t));
            let opened =
                opened.flat_map(|(t, _, c)| c.iter().map(move |c| format!("{t}: {c} cannot be opened")));
            let missing = stranded.iter().filter(|(t, ..)| seen(t));
            let missing = missing.map(|(t, c, r)| format!("{t}: {c}: the objects of {r} are missing"));
            body.unreadable = Some(opened.chain(missing).collect());
        }
    }
    match why {
        None => Json(body).into_response(),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response(),
    }
}

/// Figures of the process for everybody; what a channel serves only with a key of its tenant that has the scope `admin`
/// (one of `main` sees all).
async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let access = app.caller(&headers).await.ok().flatten();
    let mut channels = channels(&app);
    let shown = |tenant: &str| {
        access.as_ref().is_some_and(|a| {
            a.actor.may(&Right::Admin) && (a.tenant == TenantId::main() || a.tenant.as_str() == tenant)
        })
    };
    channels.retain(|(tenant, ..)| shown(tenant));
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        app.metrics.render(&channels, (app.caches.counts(), app.cache_stats.totals(), stored(&app)), &shown),
    )
        .into_response()
}

/// A time to the minute, for people.
fn moment(at: &str) -> String {
    match at.split_once('T') {
        Some((day, time)) if time.len() >= 5 => format!("{day} {} UTC", &time[..5]),
        _ => at.to_owned(),
    }
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    );
    let mut response = Html(html).into_response();
    let hash = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(sha256(STYLE.as_bytes()))
    };
    let policy = format!("{CSP}{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, value);
    }
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
    response
}

/// SHA-256, for the content security policy.
fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).to_vec()
}

/// The first page: that of the site, or a summary when there is no site.
async fn home(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let tenant = app.tenant_of_host(host_of(&parts.headers));
    let live = app.tenant(&tenant).and_then(|t| t.public.load_full());
    if live.is_some_and(|view| view.definitions().site().is_some()) {
        return crate::lane::deliver(&Releases(app), &parts, None).await;
    }
    let mut body = String::new();
    let state = app.tenant(&tenant);
    if state.as_ref().is_some_and(|s| s.unavailable()) {
        return unreadable().into_response();
    }
    let live = state.as_ref().and_then(|s| s.public.load_full());
    let _ = match &live {
        Some(view) => write!(
            body,
            "<h1>{}</h1><p class=\"lead\">Release {} is live, with {} entries.</p>",
            escape(&view.definitions().config.name),
            escape(view.label()),
            view.snapshot().len()
        ),
        None => write!(
            body,
            "<h1>Ashlar</h1><p class=\"lead\">Nothing is released yet. <code>ashlar push</code>, <code>ashlar candidate create</code>, <code>ashlar release promote</code>.</p>"
        ),
    };
    if let Some(state) = &state {
        body.push_str("<h2>Channels</h2><table><tr><th>channel</th><th>release</th><th>since</th></tr>");
        for (channel, live) in state.channels.load().iter() {
            let _ = write!(
                body,
                "<tr><td>{channel}</td><td>{}</td><td>{}</td></tr>",
                live.state.release,
                escape(&moment(&live.state.moved_at))
            );
        }
        body.push_str("</table>");
    }
    if let Some(view) = &live {
        body.push_str("<h2>Views</h2><table><tr><th>path</th><th>of</th></tr>");
        for v in view.definitions().views.iter() {
            let _ = write!(
                body,
                "<tr><td><code>{}</code></td><td>{}</td></tr>",
                escape(&format!("{}{{{}}}", v.prefix, v.lookup.field().unwrap_or("id"))),
                escape(v.source.as_str())
            );
        }
        body.push_str("</table><h2>Content types</h2><table><tr><th>entries</th><th>contract</th></tr>");
        for (name, contracts) in view.definitions().contracts.types() {
            let versions: Vec<_> = contracts.iter().map(|c| format!("{} {}", c.name, c.version)).collect();
            let _ = write!(
                body,
                "<tr><td><a href=\"/v1/entries/{name}\"><code>/v1/entries/{name}</code></a></td><td>{}</td></tr>",
                escape(&versions.join(", "))
            );
        }
        body.push_str("</table>");
    }
    body.push_str("<h2>For programs</h2><p><a href=\"/openapi.json\">OpenAPI of delivery</a> · <a href=\"/api/openapi.json\">of management</a> · <a href=\"/readyz\">readiness</a> · <a href=\"/metrics\">metrics</a></p>");
    page("Ashlar", &body)
}

fn unreadable() -> ApiError {
    let help = "try again later; `ashlar release verify` shows what is damaged";
    ApiError::new(503, "unreadable", "what is released here cannot be opened on this node", help)
}

/// What clients of the public channel read, as OpenAPI.
async fn described(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let tenant = app.tenant_of_host(host_of(&headers));
    match app.tenant(&tenant).and_then(|t| t.public.load_full()) {
        Some(view) => {
            // It takes as long as the contracts are large.
            let work = move || ashlar_delivery::openapi(view.definitions(), view.label()).to_string();
            match app.workers.run(&tenant, work).await {
                Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
                Err(busy) => ApiError::from(busy).into_response(),
            }
        }
        None if app.tenant(&tenant).is_some_and(|t| t.unavailable()) => unreadable().into_response(),
        None => {
            let help = "create a candidate and promote it";
            ApiError::new(404, "no-release", "there is no release yet", help).into_response()
        }
    }
}

async fn studio() -> Response {
    page(
        "Studio",
        "<h1>Studio</h1><p class=\"lead\">This build has no studio. Drafts, candidates and releases are managed with the \
         command line and the management API.</p><pre>ashlar entry list --pending\nashlar candidate create\nashlar release promote c1</pre>\
         <p><a href=\"/api/openapi.json\">OpenAPI</a> · <a href=\"/\">What is served</a></p>",
    )
}
