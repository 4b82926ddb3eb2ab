//! Tasks of `assist.toml`: what a model is shown, and what becomes of its answer. A model gets texts and gives texts: what is written, where and
//! under whose approval follows from the task and the request alone.

mod audit;
mod shown;
mod task;

pub use task::{Asked, Assisted, Task, run};
