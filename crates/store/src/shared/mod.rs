//! What processes and nodes share: the remote, pointer objects, and who serves from here.

pub(crate) mod nodes;
pub(crate) mod pointer;
pub(crate) mod pointer_file;
pub(crate) mod remote;
