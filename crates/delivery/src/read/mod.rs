//! What a request reads of a release: an entry, a list, a view, a GraphQL operation.

pub(crate) mod answers;
pub(crate) mod compose;
pub(crate) mod content;
pub(crate) mod entry;
pub(crate) mod graphql;
pub(crate) mod list;
mod members;
mod pick;
pub(crate) mod search;
pub(crate) mod view;
