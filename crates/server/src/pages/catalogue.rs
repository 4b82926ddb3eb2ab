//! The catalogue: every component of what is live, in every state and theme, made from its examples.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use ashlar_delivery::ReleaseView;
use ashlar_isolate::Workers;
use ashlar_model::ContractName;
use ashlar_site::{Component, Site};
use axum::{
    Router,
    extract::{FromRef, Path, Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::escape;
use crate::{
    app::{App, takes, tenants::Tenants},
    front::{ApiError, Hosts, host_of},
};

/// Pages that are looked at to count what is used.
const COUNTED_MAX: usize = 2_000;
const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";
const STYLE: &str = include_str!("catalogue.css");

takes! {
    /// What the catalogue shows.
    Catalogue {
        workers: Workers,
        hosts: Arc<Hosts>,
        tenants: Arc<Tenants>,
    }
}

/// The routes of the catalogue.
pub fn router(app: &App) -> Router {
    Router::new()
        .route("/studio/components", get(all))
        .route(
            "/studio/components/catalogue.css",
            get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE) }),
        )
        .route("/studio/components/{component}/{state}", get(one))
        .with_state(Catalogue::from_ref(app))
}

fn live(of: &Catalogue, headers: &HeaderMap) -> Result<Arc<ReleaseView>, ApiError> {
    let view = of.tenants.public(&of.hosts.tenant_of(host_of(headers)));
    view.filter(|v| v.definitions().site().is_some()).ok_or_else(|| {
        ApiError::new(
            404,
            "no-site",
            "the live release has no site with components",
            "write site/site.toml and components/, and release them",
        )
    })
}

fn html(body: String) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// How often each component is on a page, as far as the pages were looked at.
fn usage(view: &ReleaseView, site: &Site) -> (BTreeMap<ContractName, usize>, usize) {
    let mut used = BTreeMap::new();
    let mut looked = 0;
    for page in view.pages().take(COUNTED_MAX).flatten() {
        let Ok(Some(body)) = view.page_body(&page) else { continue };
        looked += 1;
        for block in body.get("sections").and_then(serde_json::Value::as_array).into_iter().flatten() {
            let intent = block.get("intent").and_then(serde_json::Value::as_str).unwrap_or_default();
            if let Some(component) = site.intents().choose(intent, "web", block) {
                *used.entry(component.clone()).or_insert(0) += 1;
            }
        }
    }
    (used, looked)
}

async fn all(State(of): State<Catalogue>, headers: HeaderMap) -> Result<Response, ApiError> {
    let view = live(&of, &headers)?;
    let tenant = view.tenant().clone();
    Ok(html(of.workers.run(&tenant, move || page(&view)).await?))
}

fn page(view: &ReleaseView) -> String {
    let Some(site) = view.definitions().site() else { return String::new() };
    let (used, looked) = usage(view, site);
    let none = ("theme".to_owned(), vec![String::new()]);
    let first = site.modifiers().first().unwrap_or(&none);
    let mut index = String::new();
    let mut body = String::new();
    for component in site.components.iter().filter(|c| c.templates.contains_key("web")) {
        let name = component.name.to_string();
        let title = if component.facts.title.is_empty() { &name } else { &component.facts.title };
        let _ = write!(index, "<li><a href=\"#{name}\">{}</a></li>", escape(title));
        let times = match used.get(&component.name) {
            None => format!("used on 0 of {looked} pages"),
            Some(1) => format!("used once on {looked} pages"),
            Some(n) => format!("used {n} times on {looked} pages"),
        };
        let _ = write!(
            body,
            "<section id=\"{name}\"><h2>{}</h2><p class=\"facts\"><code>{name}</code> {times}</p><p>{}</p>",
            escape(title),
            escape(&component.facts.description)
        );
        if !component.facts.accessibility.is_empty() {
            let _ = write!(
                body,
                "<p><strong>Accessibility.</strong> {}</p>",
                escape(&component.facts.accessibility)
            );
        }
        let tokens: Vec<String> =
            component.tokens.iter().map(|t| format!("<code>--{}</code>", escape(t))).collect();
        if !tokens.is_empty() {
            let _ = write!(
                body,
                "<details><summary>{} tokens</summary><p>{}</p></details>",
                tokens.len(),
                tokens.join(" ")
            );
        }
        stages(&mut body, component, first);
        body.push_str("</section>");
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Components</title>\
         <link rel=\"stylesheet\" href=\"/studio/components/catalogue.css\"></head><body><main><h1>Components</h1><p>The components of {}, rendered from their examples, in every state and {}.</p><nav aria-label=\"Components\"><ul>{index}</ul></nav>{body}</main></body></html>",
        escape(view.label()),
        escape(&first.0)
    )
}

/// A frame for each state and each context of the first modifier.
fn stages(body: &mut String, component: &Component, (modifier, contexts): &(String, Vec<String>)) {
    for example in &component.examples {
        let _ = write!(body, "<h3>{}</h3><div class=\"stages\">", escape(&example.state));
        for context in contexts {
            let address = format!(
                "/studio/components/{}/{}?{}={}",
                component.name,
                escape(&example.state),
                escape(modifier),
                escape(context)
            );
            let _ = write!(
                body,
                "<figure><figcaption><a href=\"{address}\">{}</a></figcaption><iframe title=\"{} {} {}\" src=\"{address}\" loading=\"lazy\"></iframe></figure>",
                escape(context),
                component.name,
                escape(&example.state),
                escape(context)
            );
        }
        body.push_str("</div>");
    }
}

/// One component in one state; the query chooses contexts, such as `?theme=dark&density=compact`.
async fn one(
    State(of): State<Catalogue>,
    Path((component, state)): Path<(String, String)>,
    Query(chosen): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let view = live(&of, &headers)?;
    let tenant = view.tenant().clone();
    // Templates run in another process, and a thread waits for it.
    Ok(html(of.workers.run(&tenant, move || frame(&view, &component, &state, &chosen)).await??))
}

fn frame(
    view: &ReleaseView,
    component: &str,
    state: &str,
    chosen: &BTreeMap<String, String>,
) -> Result<String, ApiError> {
    let missing = || {
        ApiError::new(
            404,
            "not-found",
            "there is no such component, or it does not have this state",
            "/studio/components shows all of them",
        )
    };
    let site = view.definitions().site().ok_or_else(missing)?;
    let name: ContractName = component.parse().map_err(|_| missing())?;
    let found = site.components.get(&name).ok_or_else(missing)?;
    let example = found.examples.iter().find(|e| e.state == state).ok_or_else(missing)?;
    let locale = view.definitions().config.locales.default.to_string();
    let rendered = site.render_component(&name, &example.props, &locale, "web");
    let rendered = rendered
        .map_err(|e| ApiError::new(500, "component-failed", e.to_string(), "correct the template"))?;
    let mut attributes = String::new();
    for (modifier, contexts) in site.modifiers() {
        if let Some(context) = chosen.get(modifier).filter(|c| contexts.contains(c)) {
            let _ = write!(attributes, " {}=\"{}\"", ashlar_tokens::attribute(modifier), escape(context));
        }
    }
    let style = site.style_address().unwrap_or_default();
    Ok(format!(
        "<!doctype html><html lang=\"{locale}\"{attributes}><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{name} {}</title>\
         <link rel=\"stylesheet\" href=\"{style}\"></head><body><main>{rendered}</main></body></html>",
        escape(state)
    ))
}
