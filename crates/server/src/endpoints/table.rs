//! Operations with their handlers: routers and descriptions.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    routing::{MethodFilter, on},
};

use super::{
    operation::{Method, Operation},
    signature::{About, Described, Description, Schemas},
};

/// An operation with what it takes and answers.
pub(crate) struct Row {
    pub(crate) operation: &'static Operation,
    pub(crate) about: Description,
}

/// The rows of one part of the server, and the router they make.
pub(crate) struct Table<S> {
    pub(crate) rows: Vec<Row>,
    pub(crate) router: Router<S>,
}

/// An operation whose router is not axum's, described by hand.
pub(crate) fn documented(
    operation: &'static Operation,
    about: impl Fn(&mut About, &mut Schemas) + Send + Sync + 'static,
) -> Row {
    Row { operation, about: Arc::new(about) }
}

impl<S: Clone + Send + Sync + 'static> Table<S> {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), router: Router::new() }
    }

    /// An operation with its handler.
    pub(crate) fn on<H, T, A>(self, operation: &'static Operation, handler: H) -> Self
    where
        H: Handler<T, S> + Described<A>,
        T: 'static,
    {
        self.on_and(operation, handler, |_, _| {})
    }

    /// The same, with what the signature does not say.
    pub(crate) fn on_and<H, T, A>(
        mut self,
        operation: &'static Operation,
        handler: H,
        more: fn(&mut About, &mut Schemas),
    ) -> Self
    where
        H: Handler<T, S> + Described<A>,
        T: 'static,
    {
        let filter = match operation.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Put => MethodFilter::PUT,
            Method::Patch => MethodFilter::PATCH,
            Method::Delete => MethodFilter::DELETE,
        };
        let mut route = on(filter, handler).layer(Extension(operation));
        let (mut about, mut schemas) = (About::default(), Schemas::new());
        H::about(&mut about, &mut schemas);
        if about.body.is_some_and(|(media, _)| media == "application/octet-stream") {
            // A file is not held in memory, so its handler bounds it.
            route = route.layer(DefaultBodyLimit::disable());
        }
        self.router = self.router.route(operation.path, route);
        let about = move |about: &mut About, schemas: &mut Schemas| {
            H::about(about, schemas);
            more(about, schemas);
        };
        self.rows.push(Row { operation, about: Arc::new(about) });
        self
    }
}
