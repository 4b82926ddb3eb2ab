//! What a request reads of a release: an entry, a list, a view, a GraphQL operation.

pub(crate) mod compose;
pub(crate) mod entry;
pub(crate) mod graphql;
pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod pick;
