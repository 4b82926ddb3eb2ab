//! One neutral form of a call, and the formats of OpenAI and Anthropic that it is read from and written to. Pure: bytes in,
//! bytes out.

pub mod anthropic;
mod call;
mod delta;
mod fault;
mod fields;
mod figure;
mod members;
pub mod openai;
mod sse;

pub use call::{
    Ask, Call, Choice, Image, MESSAGES_MAX, Message, Output, Part, Role, Surface, TOOLS_MAX, Tool, ToolCall,
};
pub use delta::{Delta, Finish, Picked, Source, Usage, Whole};
pub use fault::{Fault, FaultKind};
pub use fields::Fields;
pub use figure::TOKENS_REPORTED_MAX;
pub use sse::{EVENT_BYTES_MAX, Event, SseReader};
