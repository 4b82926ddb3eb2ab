//! The pages for people, `/` and `/studio`, and the description of delivery.

use std::{fmt::Write as _, sync::Arc};

use ashlar_isolate::Workers;
use axum::{
    Router,
    extract::{FromRef, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};

use super::escape;
use crate::{
    app::{App, takes, tenants::Tenants},
    delivery::{lane, source::Releases},
    endpoints::{rows, table::Table},
    front::{ApiError, Hosts, host_of},
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

takes! {
    /// What the pages show.
    Home {
        workers: Workers,
        hosts: Arc<Hosts>,
        tenants: Arc<Tenants>,
        releases: Releases,
    }
}

/// The operation.
pub fn table() -> Table<Home> {
    Table::new().on_and(&rows::GET_DELIVERY_OPENAPI, described, |about, _| about.object("The document."))
}

/// The routes of these pages.
pub fn router(app: &App) -> Router {
    table().router.route("/", get(show)).route("/studio", get(studio)).with_state(Home::from_ref(app))
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
async fn show(State(of): State<Home>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let tenant = of.hosts.tenant_of(host_of(&parts.headers));
    let live = of.tenants.public(&tenant);
    if live.is_some_and(|view| view.definitions().site().is_some()) {
        return lane::deliver(&of.releases, &parts, None).await;
    }
    let mut body = String::new();
    let state = of.tenants.get(&tenant);
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
async fn described(State(of): State<Home>, headers: HeaderMap) -> Response {
    let tenant = of.hosts.tenant_of(host_of(&headers));
    match of.tenants.public(&tenant) {
        Some(view) => {
            // It takes as long as the contracts are large.
            let work = move || ashlar_delivery::openapi(view.definitions(), view.label()).to_string();
            match of.workers.run(&tenant, work).await {
                Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
                Err(busy) => ApiError::from(busy).into_response(),
            }
        }
        None if of.tenants.get(&tenant).is_some_and(|t| t.unavailable()) => unreadable().into_response(),
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
