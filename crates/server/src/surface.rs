//! Everything that the server answers: one router, and its description.

use std::sync::{Arc, LazyLock};

use ashlar_model::ServerConfig;
use axum::{Router, body::Bytes, extract::Request, response::Response};
use tower::Service as _;

use crate::{
    access::{Guard, guard},
    api::{self, Api},
    app::App,
    delivery::{
        changes, described,
        lane::{self, LaneConfig, Source},
    },
    endpoints::{document, rows, table::Row},
    front::{self, Limits, Proxies, cors},
    llm, mcp,
    pages::{catalogue, home, operators, preview},
    registry,
};

/// Every row, in the order of the document.
fn rows() -> Vec<Row> {
    let mut all = api::table().rows;
    all.extend(home::table().rows);
    all.extend(changes::table().rows);
    all.extend(operators::table().rows);
    all.extend(registry::table().rows);
    all.extend(preview::table().rows);
    all.extend(llm::table().rows);
    all.extend(mcp::table().rows);
    all.extend(described::rows());
    all.sort_by_key(|row| rows::ALL.iter().position(|known| known.id == row.operation.id));
    all
}

/// The description of everything, made when it is first asked for.
fn described() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document(&rows()).to_string().into());
    DOCUMENT.clone()
}

/// Answers everything that the plain lane does not answer itself. `manages`: the management API is here.
pub fn router(
    app: &App,
    config: &ServerConfig,
    lane: &LaneConfig,
    source: Arc<dyn Source>,
    manages: bool,
) -> Router {
    let mut router: Router = home::router(app)
        .merge(changes::router(app, config.streams_max, config.streams_per_client_max))
        .merge(operators::router(app))
        .merge(registry::router(app))
        .merge(preview::router(app))
        .merge(catalogue::router(app))
        .merge(llm::router(app));
    if manages {
        router = router.merge(api::router(Api::new(app, config, described), config.body_bytes_max));
    }
    // What tools ask for is answered as anything else is, without counting the same request twice.
    let endpoints = router
        .clone()
        .method_not_allowed_fallback(api::wrong_method)
        .fallback_service(lane::router(source.clone()));
    let router = router.merge(mcp::router(app, endpoints, manages));
    let outer = Outer {
        origins: config.cors_origins.iter().cloned().collect(),
        proxies: lane.proxies.clone(),
        guarding: Guard {
            keys: app.keys.clone(),
            figures: app.metrics.lane.clone(),
            keyless: Limits::new(config.requests_per_second_max),
            failed: Limits::new(config.failed_keys_per_second_max),
            reads: lane.reads.clone(),
        },
        inner: router.method_not_allowed_fallback(api::wrong_method).fallback_service(lane::router(source)),
    };
    let outer = Arc::new(outer);
    Router::new().fallback(move |request: Request| Outer::answer(outer.clone(), request))
}

/// What every request passes, whatever it asks for. Layers of the router would be copied and boxed for each request.
struct Outer {
    proxies: Proxies,
    origins: cors::Origins,
    guarding: Guard,
    inner: Router,
}

impl Outer {
    async fn answer(outer: Arc<Self>, request: Request) -> Response {
        let inner = async |request: Request| -> Response {
            let Ok(response) = outer.inner.clone().call(request).await;
            response
        };
        let guarded = async |request: Request| guard(&outer.guarding, request, inner).await;
        let shared = async |request: Request| cors::cors(&outer.origins, request, guarded).await;
        front::admit(&outer.proxies, request, shared).await
    }
}
