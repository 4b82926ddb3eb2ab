//! Options that many commands take: the target, who acts, and how to report.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// When output has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a command reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs. Stable.
    Json,
}

/// How `check` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    #[default]
    Human,
    /// For programs. Stable.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
    /// JUnit XML, for CI.
    Junit,
}

/// The target of a command, and who acts.
#[derive(Debug, Clone, Args)]
pub struct At {
    /// A data directory, or `postgres://…` with --objects.
    #[arg(long, env = "ASHLAR_DATA", value_name = "DIR|URL", help_heading = "Target")]
    pub data: Option<String>,
    /// The object store of a PostgreSQL installation: `s3://bucket/prefix` or a directory.
    #[arg(long, env = "ASHLAR_OBJECTS", value_name = "URL|DIR", help_heading = "Target")]
    pub objects: Option<String>,
    /// The local cache directory of an object store.
    #[arg(long, env = "ASHLAR_CACHE", value_name = "DIR", help_heading = "Target")]
    pub cache: Option<PathBuf>,
    /// The address of a server, instead of --data. Options override variables.
    #[arg(long, env = "ASHLAR_SERVER", value_name = "URL", help_heading = "Target")]
    pub server: Option<String>,
    /// The API key for --server.
    #[arg(long, env = "ASHLAR_KEY", value_name = "KEY", hide_env_values = true, help_heading = "Target")]
    pub key: Option<String>,
    /// The tenant. With --server, the key determines it.
    #[arg(long, env = "ASHLAR_TENANT", default_value = "main", help_heading = "Target")]
    pub tenant: String,
    /// Your name for the history and the audit log. With --server, the key determines it.
    #[arg(long = "as", env = "ASHLAR_USER", value_name = "NAME", help_heading = "Target")]
    pub actor: Option<String>,
    /// The output format.
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub format: Format,
}

/// The method `at` of a group of commands that all have a target.
macro_rules! at_of {
    ($name:ident: $($variant:ident),+) => {
        impl $name {
            /// Where it works, and as whom.
            pub fn at(&self) -> &At {
                match self {
                    $(Self::$variant { at, .. })|+ => at,
                }
            }
        }
    };
}

pub(super) use at_of;
