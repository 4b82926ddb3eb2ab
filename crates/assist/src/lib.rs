//! Assisted content: tasks that models write drafts for, and what is checked of what they wrote.
//!
//! [`config`] reads `assist.toml`. [`input`] says what a task shows a model, [`output`] takes the fields from its answer. [`checks`] are
//! functions of an entry and of what is released. Nothing here does I/O, calls a model or knows a release.

pub mod checks;
pub mod config;
pub mod input;
pub mod output;
pub mod texts;
