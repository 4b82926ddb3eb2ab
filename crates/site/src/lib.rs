//! Intents, components and pages.
//!
//! Content names what a block is for; `intents.toml` says which component shows it on which surface; a component turns
//! its props into HTML with a template and a style sheet. [`Site`] is all of a project that a page is made of, beside
//! what it shows.
//!
//! Invariant: this crate does no I/O and knows no release. What a page shows is given to it; what it gives back follows
//! from that and from the definitions alone.

mod assets;
mod components;
mod config;
mod intents;
mod pictures;
mod render;
mod scene;
mod site;
mod stage;
mod style;
mod text;
mod urls;

pub use assets::Asset;
pub use components::{Component, Components, Example};
pub use config::{DataRule, ListRule, PageRule, SearchRule, SiteFile};
pub use intents::{Choice, Intents, Surface};
pub use render::{Page, RenderError};
pub use scene::{Ask, Refusal, Renderer, Stagehand, note_with, render_with};
pub use site::{Loaded, Site};
pub use stage::Note;
pub use text::markdown;
pub use urls::{BLOCKED, Blocked, prefixed, prefixed_style, url_allowed};
