//! The commands and their arguments.

mod ask;
mod assist;
mod at;
mod content;
mod contracts;
mod daily;
mod eval;
mod examples;
mod llm;
mod operate;
mod prompt;
mod release;
mod review;
mod scope;
mod search;
mod tokens;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::{
    ask::{AskArgs, ReplayArgs},
    assist::{AssistCommand, ByTask},
    at::{At, CheckFormat, Color, Format},
    content::*,
    contracts::*,
    daily::*,
    eval::{
        EvalCommand, EvalGrowArgs, EvalImportArgs, EvalRunArgs, EvalStartArgs, ImportFrom, MatchingArg,
        Retriever,
    },
    examples::{command, parse},
    llm::{CallsArgs, LlmCommand},
    operate::*,
    prompt::PromptCommand,
    release::*,
    review::{JudgeArgs, ReviewCommand, VerdictArg},
    search::*,
    tokens::{BumpArg, DivergeArgs, TokensCommand},
};

/// Version control, contracts, tests, releases and rollback for content and design.
#[derive(Debug, Parser)]
#[command(
    name = "ashlar",
    version,
    about,
    max_term_width = 110,
    after_help = "Exit codes: 0 done, 1 refused by a gate or a rule, 2 bad usage or input, 3 could not run (disk, network, peer)."
)]
pub struct Cli {
    /// What to log to standard error, such as `info` or `ashlar_server=debug`.
    #[arg(long, global = true, env = "ASHLAR_LOG")]
    pub log: Option<String>,
    /// When to use colours.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "auto|always|never"
    )]
    pub color: Color,
    /// Print results and errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log what happens; -vv logs more. --log is more exact.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Worker threads of the runtime: what `serve` asks for, else one per core.
    pub fn threads(&self) -> usize {
        let asked = match &self.command {
            Command::Serve(serve) => serve.threads,
            Command::Demo(demo) => demo.serve.threads,
            _ => None,
        };
        asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).clamp(1, 256)
    }

    /// What is logged.
    pub fn log_filter(&self) -> Option<&str> {
        match (&self.log, self.verbose) {
            (Some(log), _) => Some(log),
            (None, 0) => None,
            (None, 1) => Some("info"),
            (None, _) => {
                Some("info,ashlar=debug,ashlar_server=debug,ashlar_release=debug,ashlar_store=debug")
            }
        }
    }

    /// Whether the command runs a server.
    pub fn serves(&self) -> bool {
        matches!(self.command, Command::Serve(_) | Command::Demo(_) | Command::Dev(_))
    }

    /// How the command reports.
    pub fn format(&self) -> Format {
        match &self.command {
            Command::Check(c) => match c.format {
                CheckFormat::Json => Format::Json,
                _ => Format::Human,
            },
            Command::Init(_) | Command::Completions { .. } | Command::Man { .. } => Format::Human,
            Command::Serve(s) => s.format,
            Command::Demo(d) => d.serve.format,
            Command::Push(a) => a.at.format,
            Command::Pull(a) => a.at.format,
            Command::Backup(a) => a.at.format,
            Command::Restore(a) => a.at.format,
            Command::Doctor(a) => a.at.format,
            Command::Dev(a) => a.format,
            Command::Status(a) => a.at.format,
            Command::Use(a) => a.format,
            Command::Import { command } => command.at().format,
            Command::Entry { command } => command.at().format,
            Command::Changeset { command } => command.at().format,
            Command::Candidate { command } => command.at().format,
            Command::Release { command } => command.at().format,
            Command::Prompt { command } => command.at().format,
            Command::Channel { command: ChannelCommand::List { at } } => at.format,
            Command::Contracts { command } => match command {
                ContractsCommand::Diff { format, .. }
                | ContractsCommand::Impact { format, .. }
                | ContractsCommand::Queries { format, .. }
                | ContractsCommand::Types { format, .. }
                | ContractsCommand::Validate { format, .. } => *format,
            },
            Command::Tokens { command } => command.format(),
            Command::Search(search) => search.format(),
            Command::Llm { command } => command.at().format,
            Command::Eval { command } => command.format(),
            Command::Review { command } => command.at().format,
            Command::Assist { command } => command.at().format,
            Command::Ask(a) => a.at.format,
            Command::Replay(a) => a.at.format,
            Command::Preview { at, .. } => at.format,
            Command::Site { command } => command.at().format,
            Command::Migrate { command } => command.at().format,
            Command::Audit { command: AuditCommand::Verify { at } | AuditCommand::List { at, .. } } => {
                at.format
            }
            Command::Event { command: EventCommand::List { at, .. } } => at.format,
            Command::Key { command } => command.at().format,
            Command::Webhook { command } => command.at().format,
            Command::Tenant { command: TenantCommand::Create { at, .. } | TenantCommand::List { at } } => {
                at.format
            }
            Command::Gc { at }
            | Command::Schedule { command: ScheduleCommand::Run { at } | ScheduleCommand::List { at } } => {
                at.format
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create an empty project that passes `check`.
    #[command(after_help = "Example:\n  ashlar init my-site")]
    Init(InitArgs),
    /// Run every gate that needs no server on a project.
    #[command(after_help = "Examples:\n  ashlar check\n  ashlar check my-site --against main --format sarif")]
    Check(CheckArgs),
    /// Upload the definitions of a project as the working definitions.
    #[command(after_help = "Example:\n  ashlar push my-site --data ./data --content")]
    Push(PushArgs),
    /// Show what is pending, what blocks it, and what is live.
    #[command(after_help = "Examples:\n  ashlar status --data ./data\n  ashlar status --format json")]
    Status(StatusArgs),
    /// Set or show the target that commands in this directory use by default.
    #[command(
        after_help = "Examples:\n  ashlar use --data ./data\n  ashlar use --server https://cms.example\n  ashlar use"
    )]
    Use(UseArgs),
    /// Write drafts as content files, which `push --content` reads back unchanged.
    #[command(
        after_help = "Examples:\n  ashlar pull my-site --data ./data\n  ashlar pull copy --server https://cms.example"
    )]
    Pull(PullArgs),
    /// Import entries from files.
    Import {
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Read and write drafts.
    Entry {
        #[command(subcommand)]
        command: EntryCommand,
    },
    /// Group drafts that ship together, now or at a given time.
    Changeset {
        #[command(subcommand)]
        command: ChangesetCommand,
    },
    /// Freeze drafts and definitions, and run the gates on them.
    Candidate {
        #[command(subcommand)]
        command: CandidateCommand,
    },
    /// Promote, roll back, compare and verify releases.
    Release {
        #[command(subcommand)]
        command: ReleaseCommand,
    },
    /// Show prompts, promote a version and roll it back.
    Prompt {
        #[command(subcommand)]
        command: PromptCommand,
    },
    /// Show which release each channel serves.
    Channel {
        #[command(subcommand)]
        command: ChannelCommand,
    },
    /// Compare contracts, validate values and generate types.
    Contracts {
        #[command(subcommand)]
        command: ContractsCommand,
    },
    /// Search what is released, or measure how good a search is.
    Search(Box<SearchArgs>),
    /// Answer a question with sentences and values of a release, each cited, or refuse with a reason.
    #[command(
        after_help = "Examples:\n  ashlar ask 'What does the Basin plan cost?' --data ./data\n  ashlar ask 'When is high water?' --server https://cms.example --format json"
    )]
    Ask(Box<AskArgs>),
    /// Answer again as an earlier answer was made, and compare. Exit code 1 if the answers differ.
    #[command(after_help = "Example:\n  ashlar replay TRACE --data ./data")]
    Replay(Box<ReplayArgs>),
    /// Show records and usage of model calls.
    Llm {
        #[command(subcommand)]
        command: LlmCommand,
    },
    /// Look at model calls that were chosen for review, and give verdicts on them.
    Review {
        #[command(subcommand)]
        command: ReviewCommand,
    },
    /// Let models write drafts, and stop them.
    Assist {
        #[command(subcommand)]
        command: AssistCommand,
    },
    /// Run, import and grow eval suites, and compare their runs.
    Eval {
        #[command(subcommand)]
        command: EvalCommand,
    },
    /// Check, compare, build and pack design tokens.
    Tokens {
        #[command(subcommand)]
        command: TokensCommand,
    },
    /// Move content from one contract version to another.
    Migrate {
        #[command(subcommand)]
        command: MigrateCommand,
    },
    /// Create a link that shows the pages of a draft, changeset or candidate until it expires.
    #[command(
        after_help = "Example:\n  ashlar preview draft --hours 48 --server https://cms.example --key $KEY"
    )]
    Preview {
        /// What to show: draft, changeset:NAME, a candidate such as c4, or a release such as r3.
        #[arg(value_name = "WHAT", default_value = "draft")]
        what: String,
        /// The number of hours until it expires.
        #[arg(long, default_value_t = 168)]
        hours: u32,
        #[command(flatten)]
        at: At,
    },
    /// Export the site as files for any file server.
    Site {
        #[command(subcommand)]
        command: SiteCommand,
    },
    /// Show and verify the audit log.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Show the event log.
    Event {
        #[command(subcommand)]
        command: EventCommand,
    },
    /// Notify other systems of events: create, test and monitor webhooks.
    Webhook {
        #[command(subcommand)]
        command: WebhookCommand,
    },
    /// Create, list and revoke API keys.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Create and list tenants.
    Tenant {
        #[command(subcommand)]
        command: TenantCommand,
    },
    /// Run and list schedules.
    Schedule {
        #[command(subcommand)]
        command: ScheduleCommand,
    },
    /// Delete unreferenced objects.
    Gc {
        #[command(flatten)]
        at: At,
    },
    /// Check an installation, and show how to fix problems. Exit code 1 if there are errors.
    #[command(
        after_help = "Examples:\n  ashlar doctor --data ./data\n  ashlar doctor --server https://cms.example"
    )]
    Doctor(DoctorArgs),
    /// Copy a data directory, even while a server is using it.
    #[command(after_help = "Example:\n  ashlar backup ashlar-2027-03-01.tar --data ./data")]
    Backup(BackupArgs),
    /// Restore a backup into a new data directory and verify every digest.
    #[command(after_help = "Example:\n  ashlar restore ashlar-2027-03-01.tar --data ./restored")]
    Restore(RestoreArgs),
    /// Serve a data directory over HTTP.
    #[command(after_help = "Example:\n  ashlar serve --data ./data --listen 127.0.0.1:8080")]
    Serve(ServeArgs),
    /// Watch a project: check it on save, and serve a preview on this machine.
    #[command(after_help = "Example:\n  ashlar dev my-site")]
    Dev(DevArgs),
    /// Create and serve the demo project.
    #[command(after_help = "Examples:\n  ashlar demo\n  ashlar demo --docs")]
    Demo(DemoArgs),
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages to a directory.
    #[command(hide = true)]
    Man {
        /// The directory. It is created if it does not exist.
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The directory. It is created if it does not exist.
    pub dir: PathBuf,
    /// The project's name. Default: the name of the directory.
    #[arg(long)]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The project directory.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// What to compare with: a git revision, another project directory, or the address of a server.
    #[arg(long, value_name = "REF|DIR|URL")]
    pub against: Option<String>,
    /// The API key for a server in --against.
    #[arg(long, env = "ASHLAR_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Check everything again, without the cache.
    #[arg(long)]
    pub no_cache: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub format: CheckFormat,
}

#[derive(Debug, Args)]
pub struct PushArgs {
    /// The project directory.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Also import the entries under content/ as drafts.
    #[arg(long)]
    pub content: bool,
    #[command(flatten)]
    pub at: At,
}
