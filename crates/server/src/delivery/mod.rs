//! What is served: the connections, the release they answer from, and the channels that are followed.

pub mod changes;
pub mod described;
pub mod follow;
pub mod lane;
mod prerender;
pub mod serving;
pub mod source;
