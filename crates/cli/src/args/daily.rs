//! Arguments of the commands for daily work: `status`, `use`, `pull`, `backup`, `restore`, `doctor`, `dev`.

use std::path::PathBuf;

use clap::Args;

use super::at::{At, Format};

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub at: At,
}

#[derive(Debug, Args)]
pub struct UseArgs {
    /// A data directory, or `postgres://…` without a password.
    #[arg(long, value_name = "DIR|URL", conflicts_with = "server")]
    pub data: Option<String>,
    /// The objects of a PostgreSQL installation: `s3://bucket/prefix` or a directory.
    #[arg(long, value_name = "URL|DIR", requires = "data")]
    pub objects: Option<String>,
    /// A running server. The key is not stored: set ASHLAR_KEY.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Forget the target of this directory.
    #[arg(long, conflicts_with_all = ["data", "server"])]
    pub clear: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// A project directory, or an empty directory, which also gets the definitions.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Delete content files whose entry has no live draft.
    #[arg(long)]
    pub delete: bool,
    #[command(flatten)]
    pub at: At,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// A new file that ends with `.tar`, or a new directory.
    #[arg(value_name = "FILE.tar|DIR")]
    pub to: PathBuf,
    #[command(flatten)]
    pub at: At,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "FILE.tar|DIR")]
    pub from: PathBuf,
    #[command(flatten)]
    pub at: At,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// A project directory to check too. Default: this directory, if it is a project.
    #[arg(long, value_name = "DIR")]
    pub project: Option<PathBuf>,
    #[command(flatten)]
    pub at: At,
}

#[derive(Debug, Args)]
pub struct DevArgs {
    /// The project directory.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Address and port of the preview. Port 0 selects a free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: String,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}
