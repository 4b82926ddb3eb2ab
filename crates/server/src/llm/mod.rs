//! Calls of models over HTTP, in the formats of OpenAI and Anthropic.
//!
//! Invariant: a call touches no SQL and no file. Keys come from the key rings, definitions from the open release.

mod answers;
mod catalogue;
mod chat;
mod doors;
mod inside;
mod quotes;
mod recording;
mod routes;
mod scenes;
mod state;
mod tasks;

pub use inside::{Answered, Asked, Inside};
pub use routes::{router, table};
pub use scenes::Scenes;
pub use state::Llm;
pub use tasks::{Scenery, TaskCall, Told};
