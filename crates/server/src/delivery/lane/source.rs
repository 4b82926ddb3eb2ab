use std::sync::Arc;

use ashlar_delivery::{Problem, ReleaseView};
use ashlar_isolate::Workers;
use async_trait::async_trait;

/// Who asks: what a request says of the tenant and the channel it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caller<'a> {
    /// The `Host` header (or `:authority`), with its port.
    pub host: Option<&'a str>,
    /// The secret of `Authorization: Bearer …`.
    pub key: Option<&'a str>,
}

/// A release that a caller may read.
#[derive(Clone)]
pub struct Resolved {
    /// The release.
    pub release: Arc<ReleaseView>,
    /// Whether everybody reads the same here: the public channel, without a key. Then shared caches may keep the answer.
    pub public: bool,
    /// Whether the caller may run GraphQL documents that are not persisted.
    pub developer: bool,
    /// The reader of `retrieval.toml` that the caller's key names.
    pub reader: Option<Arc<str>>,
}

/// Where the doors of delivery find the release to answer from. Implementations touch no SQL in [`Source::resolve`].
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// The release that a caller reads now, from memory alone and in well under a microsecond. `None` when that cannot
    /// be said at once (unknown host, unknown or expired key, no release yet): the request then goes to the full
    /// server, which asks [`Source::explain`].
    fn resolve(&self, caller: &Caller<'_>) -> Option<Resolved>;

    /// Like [`Source::resolve`], with time: loads what is not in memory, and says why something is refused. `at` is the
    /// `?at=` of the request: `draft`, a candidate, a release or a channel; it needs the scope `preview`.
    ///
    /// # Errors
    /// The problem to answer with.
    async fn explain(&self, caller: &Caller<'_>, at: Option<&str>) -> Result<Resolved, Problem>;

    /// Where answers are made that take long; tenants take turns there.
    fn workers(&self) -> &Workers;

    /// Called after an answer with content to a caller with a key, and after every persisted operation: who reads what.
    /// Does nothing unless it is counted.
    fn read_by(&self, _caller: &Caller<'_>, _release: &ReleaseView, _path: &str, _query: Option<&str>) {}

    /// Called after every answer of the lane and of the delivery router: the status and how many bytes were sent.
    fn served(&self, status: u16, bytes: usize);
}
