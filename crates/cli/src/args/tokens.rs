//! Arguments of the commands for design tokens and components.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Format;

#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// Builds tokens into style sheets, data and code.
    #[command(
        after_help = "Examples:\n  ashlar tokens build . --out dist\n  ashlar tokens build acme.resolver.json --out dist --outputs css,json,ts"
    )]
    Build {
        /// A project, a directory of *.tokens.json, a resolver document, or one token file.
        #[arg(default_value = ".")]
        src: PathBuf,
        /// The directory that is written.
        #[arg(long)]
        out: PathBuf,
        /// What is built: css, json, ts, scss, swift, kotlin, tailwind; what tokens.toml says, or all.
        #[arg(long, value_delimiter = ',')]
        outputs: Vec<String>,
        /// Stands before every custom property.
        #[arg(long)]
        prefix: Option<String>,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Checks tokens against the rules in tokens.toml; exit 1 when one is broken.
    #[command(after_help = "Example:\n  ashlar tokens check .")]
    Check {
        /// A project, a directory of *.tokens.json, a resolver document, or one token file.
        #[arg(default_value = ".")]
        src: PathBuf,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Says how two token sets differ, and which version that asks for.
    #[command(after_help = "Example:\n  ashlar tokens diff ../released .")]
    Diff {
        /// The older set.
        old: PathBuf,
        /// The newer set.
        new: PathBuf,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Packs the outputs as an npm tarball.
    #[command(after_help = "Example:\n  ashlar tokens pack . --out dist --package-version 1.2.0")]
    Pack {
        /// A project, a directory of *.tokens.json, a resolver document, or one token file.
        #[arg(default_value = ".")]
        src: PathBuf,
        /// The directory that is written.
        #[arg(long)]
        out: PathBuf,
        /// The version; that of tokens.toml when absent. Releases count their own versions.
        #[arg(long)]
        package_version: Option<String>,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Finds where apps depart from the tokens, against a budget; exit 1 when an app is over it.
    #[command(
        after_help = "Examples:\n  ashlar tokens diverge apps/web apps/shop --tokens design\n  ashlar tokens diverge apps/web --fix\n  ashlar tokens diverge apps/web --budget 3 --track divergence.ndjson"
    )]
    Diverge(DivergeArgs),
    /// Records what a change means, in words: the release puts it into the changelog.
    #[command(
        after_help = "Example:\n  ashlar tokens change --note \"Links are darker, for contrast on sand.\""
    )]
    Change {
        /// The project.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// What changes, for those who use the tokens.
        #[arg(long)]
        note: String,
        /// What it asks of them; found out from the difference to --against when absent.
        #[arg(long, value_enum)]
        bump: Option<BumpArg>,
        /// What the tokens are compared with: a git revision or a project directory.
        #[arg(long, value_name = "REF|DIR", default_value = "HEAD")]
        against: String,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Arguments of `tokens diverge`.
#[derive(Debug, Args)]
pub struct DivergeArgs {
    /// The source of an app: a directory, or one file. Each is an app of its own.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// A project, a directory of *.tokens.json, a resolver document, or one token file.
    #[arg(long, value_name = "SRC", default_value = ".")]
    pub tokens: PathBuf,
    /// Puts a token in the place of each value that one token alone has for the purpose; the rest are suggestions.
    #[arg(long)]
    pub fix: bool,
    /// The allowed overrides, in percent of the styled declarations; by default what tokens.toml says, or 5.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub budget: Option<f64>,
    /// Leaves out files whose path in the app matches, such as "legacy/**" or "**/*.stories.tsx"; beside those of tokens.toml.
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Appends the figures of each app to this file, and shows the change since the last time.
    #[arg(long, value_name = "FILE")]
    pub track: Option<PathBuf>,
    /// How to report.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p));
    percent.ok_or_else(|| "not a percentage from 0 to 100".to_owned())
}

/// What a change asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BumpArg {
    /// Nothing that is seen.
    Patch,
    /// New, or looks different.
    Minor,
    /// Breaks who uses it.
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
