//! Arguments of the commands that read and write entries.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::at::{At, at_of};

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Import a tree of Markdown files with front matter.
    #[command(after_help = "Example:\n  ashlar import markdown ./docs --type doc --data ./data --keep-going")]
    Markdown {
        /// The directory.
        dir: PathBuf,
        /// A TOML file that maps front matter and paths to entries.
        #[arg(long)]
        mapping: Option<PathBuf>,
        /// The content type, without a mapping.
        #[arg(long = "type", conflicts_with = "mapping", required_unless_present = "mapping")]
        type_name: Option<String>,
        /// The locale of all files, without a mapping.
        #[arg(long, conflicts_with = "mapping")]
        locale: Option<String>,
        /// Import the other files if some are invalid.
        #[arg(long)]
        keep_going: bool,
        /// Check everything, but write nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
    /// Import a JSON array or NDJSON lines of {"type","id","locale","fields"}.
    #[command(after_help = "Example:\n  ashlar import json entries.ndjson --data ./data")]
    Json {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Import the other entries if some are invalid.
        #[arg(long)]
        keep_going: bool,
        /// Check everything, but write nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
}
at_of!(ImportCommand: Markdown, Json);

/// One entry.
#[derive(Debug, Clone, Args)]
pub struct EntryName {
    /// The content type. `type.v2` selects a version of its contract.
    #[arg(value_name = "TYPE")]
    pub type_name: String,
    /// The id.
    pub id: String,
    /// The locale. Default: the default locale of the project.
    #[arg(long)]
    pub locale: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum EntryCommand {
    /// Write the fields of a draft.
    #[command(
        after_help = "Example:\n  echo '{\"title\":\"Hello\"}' | ashlar entry put page home --locale en --file - --data ./data"
    )]
    Put {
        #[command(flatten)]
        name: EntryName,
        /// The fields as JSON; `-` for standard input.
        #[arg(long)]
        file: PathBuf,
        /// Overwrite only this version. 0 creates a draft and never overwrites.
        #[arg(long)]
        version: Option<u64>,
        /// Write nothing if the contract refuses the fields.
        #[arg(long)]
        strict: bool,
        #[command(flatten)]
        at: At,
    },
    /// Print the fields of a draft.
    Get {
        #[command(flatten)]
        name: EntryName,
        /// Print all data of the draft, not only its fields.
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        at: At,
    },
    /// Open a draft in $VISUAL or $EDITOR, and write it if its contract accepts the change.
    #[command(after_help = "Example:\n  EDITOR=nano ashlar entry edit page/home --locale en --data ./data")]
    Edit {
        /// The entry.
        #[arg(value_name = "TYPE/ID")]
        entry: String,
        /// The id, if the first argument is only the type.
        id: Option<String>,
        /// The locale. Default: the default locale of the project.
        #[arg(long)]
        locale: Option<String>,
        /// Write the draft even if the contract refuses it.
        #[arg(long)]
        keep_invalid: bool,
        #[command(flatten)]
        at: At,
    },
    /// Mark a draft as deleted.
    #[command(after_help = "Example:\n  ashlar entry rm page old-campaign --locale en --data ./data")]
    Rm {
        #[command(flatten)]
        name: EntryName,
        /// Delete only this version.
        #[arg(long)]
        version: Option<u64>,
        #[command(flatten)]
        at: At,
    },
    /// List drafts.
    List {
        /// Only this type.
        #[arg(value_name = "TYPE")]
        type_name: Option<String>,
        /// Only drafts that differ from the public channel.
        #[arg(long)]
        pending: bool,
        /// The cursor of the page.
        #[arg(long)]
        cursor: Option<String>,
        /// The maximum number of results.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        at: At,
    },
    /// Show the versions of a draft.
    History {
        #[command(flatten)]
        name: EntryName,
        #[command(flatten)]
        at: At,
    },
    /// Remove an entry with the next release, and keep its draft.
    Unpublish {
        #[command(flatten)]
        name: EntryName,
        /// Publish the entry again instead.
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        at: At,
    },
}
at_of!(EntryCommand: Put, Get, Edit, Rm, List, History, Unpublish);
