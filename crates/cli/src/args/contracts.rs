//! Arguments of `contracts`.

use std::path::PathBuf;

use clap::Subcommand;

use super::at::Format;

#[derive(Debug, Subcommand)]
pub enum ContractsCommand {
    /// Explain how two versions of a contract differ, and what this requires.
    #[command(after_help = "Example:\n  ashlar contracts diff old/page.v1.json contracts/page.v1.json")]
    Diff {
        /// The older schema.
        old: PathBuf,
        /// The newer schema.
        new: PathBuf,
        /// Declare that values of an open content model never used its new optional properties.
        #[arg(long)]
        lenient: bool,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Generate types of contracts and views, with a client for TypeScript.
    #[command(after_help = "Example:\n  ashlar contracts types . --lang ts --out src/content.ts")]
    Types {
        /// The project.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// The language.
        #[arg(long, value_enum)]
        lang: Lang,
        /// The output file. Default: standard output.
        #[arg(long)]
        out: Option<PathBuf>,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// List the persisted GraphQL operations with the ids that clients send.
    #[command(after_help = "Example:\n  ashlar contracts queries .")]
    Queries {
        /// The project.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show which views, operations, consumers and entries a change of definitions affects. Exit code 1 if one would break.
    #[command(after_help = "Example:\n  ashlar contracts impact . --against main")]
    Impact {
        /// The project with the change.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// What to compare with: a git revision, a project directory, or the address of a server.
        #[arg(long, value_name = "REF|DIR|URL")]
        against: String,
        /// The API key for a server in --against, with the scope `preview`.
        #[arg(long, env = "ASHLAR_KEY", hide_env_values = true)]
        key: Option<String>,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Validate a JSON value. Exit code 1 if it is not valid.
    Validate {
        /// The schema.
        schema: PathBuf,
        /// The value.
        instance: PathBuf,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// A language for types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    /// TypeScript types and a client over `fetch`.
    Ts,
    /// Rust types for `serde`.
    Rust,
    /// One JSON Schema.
    JsonSchema,
    /// The GraphQL schema.
    Graphql,
}
