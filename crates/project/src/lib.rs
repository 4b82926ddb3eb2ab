//! A project directory: definition files, seed content, Markdown and JSON import, the files of a new project.
//!
//! Everything but [`read`], [`content::list`] and the file lists of [`import`] is pure: text in, values and findings
//! out. Nothing here knows contracts, SQL or HTTP.

pub mod content;
mod disk;
pub mod front_matter;
mod glob;
pub mod governance;
pub mod import;
pub mod init;
mod mapping;
pub mod markdown;
mod read;
mod redirects;
mod text;
mod toml_text;

pub use content::{ContentOptions, SeedEntry};
pub use glob::Globs;
pub use governance::Governance;
pub use mapping::{LocaleSource, Mapping};
pub use read::{Project, ProjectError, is_definition, read_config};
pub use redirects::{REDIRECTS_MAX, Redirect, Redirects, normal_path};
