//! The commands and their arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Versions, contracts, tests, releases and rollback for everything that is not code.
#[derive(Debug, Parser)]
#[command(
    name = "ashlar",
    version,
    about,
    max_term_width = 110,
    after_help = "Exit codes: 0 done, 1 refused by a gate or a rule, 2 bad usage or input, 3 could not (disk, network, peer)."
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
            Command::Init(_) | Command::Completions { .. } => Format::Human,
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
            Command::Channel { command: ChannelCommand::List { at } } => at.format,
            Command::Contracts { command } => match command {
                ContractsCommand::Diff { format, .. }
                | ContractsCommand::Impact { format, .. }
                | ContractsCommand::Queries { format, .. }
                | ContractsCommand::Types { format, .. }
                | ContractsCommand::Validate { format, .. } => *format,
            },
            Command::Tokens { command } => command.format(),
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

/// How a command reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs; stable.
    Json,
}

/// How `check` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    #[default]
    Human,
    /// For programs; stable.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
    /// JUnit XML, for CI.
    Junit,
}

/// Where a command works, and as whom.
#[derive(Debug, Clone, Args)]
pub struct At {
    /// A data directory, or `postgres://…` with --objects.
    #[arg(long, env = "ASHLAR_DATA", value_name = "DIR|URL", help_heading = "Where")]
    pub data: Option<String>,
    /// The objects of a PostgreSQL installation: `s3://bucket/prefix` or a directory.
    #[arg(long, env = "ASHLAR_OBJECTS", value_name = "URL|DIR", help_heading = "Where")]
    pub objects: Option<String>,
    /// The local directory that caches a remote's objects.
    #[arg(long, env = "ASHLAR_CACHE", value_name = "DIR", help_heading = "Where")]
    pub cache: Option<PathBuf>,
    /// A running server, instead of --data; an option beats a variable.
    #[arg(long, env = "ASHLAR_SERVER", value_name = "URL", help_heading = "Where")]
    pub server: Option<String>,
    /// The key for --server.
    #[arg(long, env = "ASHLAR_KEY", value_name = "KEY", hide_env_values = true, help_heading = "Where")]
    pub key: Option<String>,
    /// The tenant; with --server the key says which.
    #[arg(long, env = "ASHLAR_TENANT", default_value = "main", help_heading = "Where")]
    pub tenant: String,
    /// Who acts: the name in history and the audit log. With --server the key says who.
    #[arg(long = "as", env = "ASHLAR_USER", value_name = "NAME", help_heading = "Where")]
    pub actor: Option<String>,
    /// How to report.
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub format: Format,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes an empty project that passes `check`.
    #[command(after_help = "Example:\n  ashlar init my-site")]
    Init(InitArgs),
    /// Runs every gate that needs no server on the files of a project.
    #[command(after_help = "Examples:\n  ashlar check\n  ashlar check my-site --against main --format sarif")]
    Check(CheckArgs),
    /// Makes the definitions of a project the working definitions.
    #[command(after_help = "Example:\n  ashlar push my-site --data ./data --content")]
    Push(PushArgs),
    /// Shows what is pending, what blocks it, and what is live.
    #[command(after_help = "Examples:\n  ashlar status --data ./data\n  ashlar status --format json")]
    Status(StatusArgs),
    /// Sets or shows the target that commands in this directory use by default.
    #[command(
        after_help = "Examples:\n  ashlar use --data ./data\n  ashlar use --server https://cms.example\n  ashlar use"
    )]
    Use(UseArgs),
    /// Writes drafts as content files; `push --content` of them changes nothing.
    #[command(
        after_help = "Examples:\n  ashlar pull my-site --data ./data\n  ashlar pull copy --server https://cms.example"
    )]
    Pull(PullArgs),
    /// Brings entries in from files.
    Import {
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Reads and writes drafts.
    Entry {
        #[command(subcommand)]
        command: EntryCommand,
    },
    /// Groups drafts that ship together, now or at a given time.
    Changeset {
        #[command(subcommand)]
        command: ChangesetCommand,
    },
    /// Freezes drafts and definitions, and judges them.
    Candidate {
        #[command(subcommand)]
        command: CandidateCommand,
    },
    /// Promotes, rolls back, compares and verifies releases.
    Release {
        #[command(subcommand)]
        command: ReleaseCommand,
    },
    /// Shows where channels point.
    Channel {
        #[command(subcommand)]
        command: ChannelCommand,
    },
    /// Compares contracts and validates values.
    Contracts {
        #[command(subcommand)]
        command: ContractsCommand,
    },
    /// Reads, checks, compares and builds design tokens.
    Tokens {
        #[command(subcommand)]
        command: TokensCommand,
    },
    /// Moves content from one contract version to another.
    Migrate {
        #[command(subcommand)]
        command: MigrateCommand,
    },
    /// Makes a link that shows the pages of a draft, changeset or candidate until it ends.
    #[command(
        after_help = "Example:\n  ashlar preview draft --hours 48 --server https://cms.example --key $KEY"
    )]
    Preview {
        /// What it shows: draft, changeset:NAME, a candidate such as c4, or a release such as r3.
        #[arg(value_name = "WHAT", default_value = "draft")]
        what: String,
        /// How long it works.
        #[arg(long, default_value_t = 168)]
        hours: u32,
        #[command(flatten)]
        at: At,
    },
    /// Writes the site as files that any file server can host.
    Site {
        #[command(subcommand)]
        command: SiteCommand,
    },
    /// Shows and verifies the audit log.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Shows the event log.
    Event {
        #[command(subcommand)]
        command: EventCommand,
    },
    /// Tells other systems of events: makes, tests and watches webhooks.
    Webhook {
        #[command(subcommand)]
        command: WebhookCommand,
    },
    /// Makes, lists and revokes API keys.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Makes and lists tenants.
    Tenant {
        #[command(subcommand)]
        command: TenantCommand,
    },
    /// Runs and shows schedules.
    Schedule {
        #[command(subcommand)]
        command: ScheduleCommand,
    },
    /// Deletes objects that nothing needs.
    Gc {
        #[command(flatten)]
        at: At,
    },
    /// Checks an installation and says how to fix what is wrong; exit 1 on errors.
    #[command(
        after_help = "Examples:\n  ashlar doctor --data ./data\n  ashlar doctor --server https://cms.example"
    )]
    Doctor(DoctorArgs),
    /// Copies a data directory, also while a server uses it.
    #[command(after_help = "Example:\n  ashlar backup ashlar-2027-03-01.tar --data ./data")]
    Backup(BackupArgs),
    /// Restores a backup into a new data directory and verifies every digest.
    #[command(after_help = "Example:\n  ashlar restore ashlar-2027-03-01.tar --data ./restored")]
    Restore(RestoreArgs),
    /// Serves a data directory over HTTP.
    #[command(after_help = "Example:\n  ashlar serve --data ./data --listen 127.0.0.1:8080")]
    Serve(ServeArgs),
    /// Watches a project: checks it on save, and serves a preview on this machine.
    #[command(after_help = "Example:\n  ashlar dev my-site")]
    Dev(DevArgs),
    /// Serves the demo project, seeded, with everything on.
    #[command(after_help = "Example:\n  ashlar demo")]
    Demo(DemoArgs),
    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The directory; made when it is not there.
    pub dir: PathBuf,
    /// The project's name; the directory's name when absent.
    #[arg(long)]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The project directory.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// What to compare with: a git revision, another project directory, or a server's address.
    #[arg(long, value_name = "REF|DIR|URL")]
    pub against: Option<String>,
    /// The key for a server's address in --against.
    #[arg(long, env = "ASHLAR_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Judge everything anew.
    #[arg(long)]
    pub no_cache: bool,
    /// How to report.
    #[arg(long, value_enum, default_value_t)]
    pub format: CheckFormat,
}

#[derive(Debug, Args)]
pub struct PushArgs {
    /// The project directory.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Also write the entries under content/ as drafts.
    #[arg(long)]
    pub content: bool,
    #[command(flatten)]
    pub at: At,
}

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

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// A tree of Markdown files with front matter.
    #[command(after_help = "Example:\n  ashlar import markdown ./docs --type doc --data ./data --keep-going")]
    Markdown {
        /// The tree.
        dir: PathBuf,
        /// How front matter and paths become entries (TOML).
        #[arg(long)]
        mapping: Option<PathBuf>,
        /// The content type, without a mapping.
        #[arg(long = "type", conflicts_with = "mapping", required_unless_present = "mapping")]
        type_name: Option<String>,
        /// The locale of all files, without a mapping.
        #[arg(long, conflicts_with = "mapping")]
        locale: Option<String>,
        /// Import the others when files are broken.
        #[arg(long)]
        keep_going: bool,
        /// Read everything, write nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
    /// Entries as a JSON array or as NDJSON lines of {"type","id","locale","fields"}.
    #[command(after_help = "Example:\n  ashlar import json entries.ndjson --data ./data")]
    Json {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Import the others when entries are broken.
        #[arg(long)]
        keep_going: bool,
        /// Read everything, write nothing.
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
    /// The content type; `type.v2` names a version of its contract.
    #[arg(value_name = "TYPE")]
    pub type_name: String,
    /// The id.
    pub id: String,
    /// The locale; the project's default when absent.
    #[arg(long)]
    pub locale: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Renders every page of what a channel serves into a directory.
    #[command(after_help = "Example:\n  ashlar site export ./public --data ./data")]
    Export {
        /// The directory; files that are no longer part of the site are deleted from it.
        dir: PathBuf,
        /// What is rendered: a channel, `draft`, a candidate or a release; the public channel when absent.
        #[arg(long, value_name = "WHAT")]
        of: Option<String>,
        #[command(flatten)]
        at: At,
    },
}
at_of!(SiteCommand: Export);

#[derive(Debug, Subcommand)]
pub enum EntryCommand {
    /// Writes the fields of a draft.
    #[command(
        after_help = "Example:\n  echo '{\"title\":\"Hello\"}' | ashlar entry put page home --locale en --file - --data ./data"
    )]
    Put {
        #[command(flatten)]
        name: EntryName,
        /// The fields as JSON; `-` for standard input.
        #[arg(long)]
        file: PathBuf,
        /// Write only over this version; 0 only when there is none yet.
        #[arg(long)]
        version: Option<u64>,
        /// Write nothing that the contract refuses.
        #[arg(long)]
        strict: bool,
        #[command(flatten)]
        at: At,
    },
    /// Prints the fields of a draft.
    Get {
        #[command(flatten)]
        name: EntryName,
        /// Print everything about the draft, not only its fields.
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        at: At,
    },
    /// Opens a draft in $VISUAL or $EDITOR, and writes it when it was changed and its contract accepts it.
    #[command(after_help = "Example:\n  EDITOR=nano ashlar entry edit page/home --locale en --data ./data")]
    Edit {
        /// The entry.
        #[arg(value_name = "TYPE/ID")]
        entry: String,
        /// The id, when the first argument is the type alone.
        id: Option<String>,
        /// The locale; the project's default when absent.
        #[arg(long)]
        locale: Option<String>,
        /// Also write what the contract refuses, and report it.
        #[arg(long)]
        keep_invalid: bool,
        #[command(flatten)]
        at: At,
    },
    /// Marks a draft as deleted.
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
    /// Lists drafts.
    List {
        /// Only this type.
        #[arg(value_name = "TYPE")]
        type_name: Option<String>,
        /// Only those that differ from what is served.
        #[arg(long)]
        pending: bool,
        /// Where the page starts.
        #[arg(long)]
        cursor: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        at: At,
    },
    /// Shows the versions of a draft.
    History {
        #[command(flatten)]
        name: EntryName,
        #[command(flatten)]
        at: At,
    },
    /// Takes an entry out of what is served with the next release, and keeps its draft.
    Unpublish {
        #[command(flatten)]
        name: EntryName,
        /// Bring it back instead.
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        at: At,
    },
}
at_of!(EntryCommand: Put, Get, Edit, Rm, List, History, Unpublish);

#[derive(Debug, Subcommand)]
pub enum ChangesetCommand {
    /// Makes an empty changeset.
    Create {
        /// Its name.
        name: String,
        /// What it is about.
        #[arg(long, default_value = "")]
        title: String,
        #[command(flatten)]
        at: At,
    },
    /// Puts a draft into a changeset.
    Add {
        /// The changeset.
        changeset: String,
        #[command(flatten)]
        name: EntryName,
        #[command(flatten)]
        at: At,
    },
    /// Takes a draft out of a changeset.
    Remove {
        /// The changeset.
        changeset: String,
        #[command(flatten)]
        name: EntryName,
        #[command(flatten)]
        at: At,
    },
    /// Shows a changeset and its drafts.
    Show {
        /// The changeset.
        changeset: String,
        #[command(flatten)]
        at: At,
    },
    /// Lists changesets.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Says when a changeset is published.
    #[command(
        after_help = "Example:\n  ashlar changeset schedule spring --publish-at 2027-03-01T09:00 --zone Europe/Berlin --data ./data"
    )]
    Schedule {
        /// The changeset.
        changeset: String,
        /// A local time in --zone, or an RFC 3339 time.
        #[arg(long)]
        publish_at: String,
        /// When its entries are taken down again.
        #[arg(long)]
        unpublish_at: Option<String>,
        /// An IANA time zone.
        #[arg(long)]
        zone: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Takes a changeset off the schedule.
    Cancel {
        /// The changeset.
        changeset: String,
        #[command(flatten)]
        at: At,
    },
}
at_of!(ChangesetCommand: Create, Add, Remove, Show, List, Schedule, Cancel);

#[derive(Debug, Subcommand)]
pub enum CandidateCommand {
    /// Freezes pending drafts and the working definitions, and runs the gates.
    Create {
        /// Only the drafts of this changeset.
        #[arg(long)]
        changeset: Option<String>,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        at: At,
    },
    /// Shows a candidate.
    Show {
        /// The candidate, such as `c1`.
        candidate: String,
        #[command(flatten)]
        at: At,
    },
    /// Lists candidates.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Runs the gates again and shows every finding; exit 1 when one fails.
    Gates {
        /// The candidate.
        candidate: String,
        #[command(flatten)]
        at: At,
    },
    /// Approves the changes of a candidate that need a right.
    #[command(after_help = "Example:\n  ashlar candidate approve c2 --right pricing --as ines --data ./data")]
    Approve {
        /// The candidate.
        candidate: String,
        /// The right: `pricing`, `legal`, `claim`, `owner:NAME`.
        #[arg(long)]
        right: String,
        #[command(flatten)]
        at: At,
    },
    /// Lets a failed gate through, with a reason.
    Waive {
        /// The candidate.
        candidate: String,
        /// The gate.
        #[arg(long)]
        gate: String,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        at: At,
    },
    /// Gives a candidate up.
    Discard {
        /// The candidate.
        candidate: String,
        #[command(flatten)]
        at: At,
    },
}
at_of!(CandidateCommand: Create, Show, List, Gates, Approve, Waive, Discard);

mod comfort;
mod examples;
mod operations;
mod tokens;

pub use comfort::*;
pub use examples::{command, parse};
pub use operations::*;
pub use tokens::{BumpArg, DivergeArgs, TokensCommand};
