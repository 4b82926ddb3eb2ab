//! Arguments of the commands for design tokens and components.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::at::Format;

#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// Build tokens as style sheets, data and code.
    #[command(
        after_help = "Examples:\n  ashlar tokens build . --out dist\n  ashlar tokens build acme.resolver.json --out dist --outputs css,json,ts"
    )]
    Build {
        /// A project, a directory of *.tokens.json, a resolver document, or one token file.
        #[arg(default_value = ".")]
        src: PathBuf,
        /// The output directory.
        #[arg(long)]
        out: PathBuf,
        /// The outputs: css, json, ts, scss, swift, kotlin, tailwind. Default: those in tokens.toml, or all.
        #[arg(long, value_delimiter = ',')]
        outputs: Vec<String>,
        /// The prefix of every custom property.
        #[arg(long)]
        prefix: Option<String>,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Check tokens against the rules in tokens.toml. Exit code 1 if a rule is broken.
    #[command(after_help = "Example:\n  ashlar tokens check .")]
    Check {
        /// A project, a directory of *.tokens.json, a resolver document, or one token file.
        #[arg(default_value = ".")]
        src: PathBuf,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show how two token sets differ, and which version bump this requires.
    #[command(after_help = "Example:\n  ashlar tokens diff ../released .")]
    Diff {
        /// The older set.
        old: PathBuf,
        /// The newer set.
        new: PathBuf,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Pack the outputs as an npm tarball.
    #[command(after_help = "Example:\n  ashlar tokens pack . --out dist --package-version 1.2.0")]
    Pack {
        /// A project, a directory of *.tokens.json, a resolver document, or one token file.
        #[arg(default_value = ".")]
        src: PathBuf,
        /// The output directory.
        #[arg(long)]
        out: PathBuf,
        /// The version. Default: the version in tokens.toml. Releases compute their own versions.
        #[arg(long)]
        package_version: Option<String>,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Find where apps depart from the tokens. Exit code 1 if an app exceeds its budget.
    #[command(
        after_help = "Examples:\n  ashlar tokens diverge apps/web apps/shop --tokens design\n  ashlar tokens diverge apps/web --fix\n  ashlar tokens diverge apps/web --budget 3 --track divergence.ndjson"
    )]
    Diverge(DivergeArgs),
    /// Add a note for the changelog of the tokens.
    #[command(
        after_help = "Example:\n  ashlar tokens change --note \"Links are darker, for contrast on sand.\""
    )]
    Change {
        /// The project.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// The change, for people who use the tokens.
        #[arg(long)]
        note: String,
        /// The version bump. Default: computed from the difference to --against.
        #[arg(long, value_enum)]
        bump: Option<BumpArg>,
        /// What to compare with: a git revision or a project directory.
        #[arg(long, value_name = "REF|DIR", default_value = "HEAD")]
        against: String,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Arguments of `tokens diverge`.
#[derive(Debug, Args)]
pub struct DivergeArgs {
    /// The source of an app: a directory or one file. Each path is a separate app.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// A project, a directory of *.tokens.json, a resolver document, or one token file.
    #[arg(long, value_name = "SRC", default_value = ".")]
    pub tokens: PathBuf,
    /// Replace each value for which exactly one token has the right purpose. All other findings are suggestions.
    #[arg(long)]
    pub fix: bool,
    /// The allowed percentage of overrides among the styled declarations. Default: the value in tokens.toml, or 5.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub budget: Option<f64>,
    /// Exclude files whose path in the app matches, such as "legacy/**" or "**/*.stories.tsx", in addition to those in tokens.toml.
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Append the figures of each app to this file, and show the change since the last run.
    #[arg(long, value_name = "FILE")]
    pub track: Option<PathBuf>,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p));
    percent.ok_or_else(|| "not a percentage from 0 to 100".to_owned())
}

/// A version bump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BumpArg {
    /// No visible change.
    Patch,
    /// New tokens, or a visible change.
    Minor,
    /// A breaking change.
    Major,
}

impl TokensCommand {
    pub fn format(&self) -> Format {
        match self {
            Self::Build { format, .. }
            | Self::Check { format, .. }
            | Self::Diff { format, .. }
            | Self::Pack { format, .. }
            | Self::Change { format, .. } => *format,
            Self::Diverge(args) => args.format,
        }
    }
}
