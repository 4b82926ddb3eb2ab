//! What is served: the connections, the release they answer from, and the channels that are followed.

pub mod changes;
pub mod follow;
pub mod lane;
pub mod source;
