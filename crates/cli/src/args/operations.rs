//! Arguments of the commands that release and operate.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{At, Format};

#[derive(Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Makes a release of a candidate and points a channel at it.
    #[command(after_help = "Example:\n  ashlar release promote c1 --channel production --data ./data")]
    Promote {
        /// The candidate.
        candidate: String,
        /// The channel; the public one when absent.
        #[arg(long)]
        channel: Option<String>,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        at: At,
    },
    /// Points a channel at an earlier release, definitions and all.
    #[command(after_help = "Example:\n  ashlar release rollback r1 --channel production --data ./data")]
    Rollback {
        /// The release.
        release: String,
        /// The channel; the public one when absent.
        #[arg(long)]
        channel: Option<String>,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        at: At,
    },
    /// Lists releases.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Shows a release.
    Show {
        /// The release.
        release: String,
        #[command(flatten)]
        at: At,
    },
    /// Shows how two releases differ.
    Diff {
        /// The older.
        from: String,
        /// The newer.
        to: String,
        #[command(flatten)]
        at: At,
    },
    /// Checks every digest of a release.
    Verify {
        /// The release.
        release: String,
        #[command(flatten)]
        at: At,
    },
    /// Writes a release as one verifiable file.
    Export {
        /// The release.
        release: String,
        /// The file.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        at: At,
    },
    /// Makes a candidate of an exported release.
    Import {
        /// The file.
        file: PathBuf,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        at: At,
    },
}
at_of!(ReleaseCommand: Promote, Rollback, List, Show, Diff, Verify, Export, Import);

#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Lists channels with what they serve.
    List {
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub enum ContractsCommand {
    /// Explains how two versions of a contract differ, and what that demands.
    #[command(after_help = "Example:\n  ashlar contracts diff old/page.v1.json contracts/page.v1.json")]
    Diff {
        /// The older schema.
        old: PathBuf,
        /// The newer schema.
        new: PathBuf,
        /// Declare that values of an open content model never carried its new optional properties.
        #[arg(long)]
        lenient: bool,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Writes types of contracts and views for programs, with a client where the language has one.
    #[command(after_help = "Example:\n  ashlar contracts types . --lang ts --out src/content.ts")]
    Types {
        /// The project.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// The language.
        #[arg(long, value_enum)]
        lang: Lang,
        /// The file that is written; standard output when absent.
        #[arg(long)]
        out: Option<PathBuf>,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Lists the persisted GraphQL operations with the ids clients send.
    #[command(after_help = "Example:\n  ashlar contracts queries .")]
    Queries {
        /// The project.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Shows what a change of definitions touches: views, operations, consumers, entries; exit 1 when one would break.
    #[command(after_help = "Example:\n  ashlar contracts impact . --against main")]
    Impact {
        /// The project with the change.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// What it is compared with: a git revision, a project directory, or a server's address.
        #[arg(long, value_name = "REF|DIR|URL")]
        against: String,
        /// The server's key, with the scope `preview`.
        #[arg(long, env = "ASHLAR_KEY", hide_env_values = true)]
        key: Option<String>,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Validates a JSON value; exit 1 when it is not valid.
    Validate {
        /// The schema.
        schema: PathBuf,
        /// The value.
        instance: PathBuf,
        /// How to report.
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

#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// Runs a mapping over every draft of its contract, in one transaction.
    Run {
        /// The mapping (TOML).
        mapping: PathBuf,
        /// Only say what would happen.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
    /// Takes a migration back.
    Revert {
        /// Its number.
        migration: u64,
        #[command(flatten)]
        at: At,
    },
    /// Lists migrations that were run.
    List {
        #[command(flatten)]
        at: At,
    },
}
at_of!(MigrateCommand: Run, Revert, List);

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Walks the hash chain; exit 1 when it does not hold.
    Verify {
        #[command(flatten)]
        at: At,
    },
    /// Lists what was done, newest first.
    List {
        /// Where the page starts.
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Lists events, oldest first.
    List {
        /// Events after this one.
        #[arg(long, default_value_t = 0)]
        after: u64,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key; its secret is shown once.
    #[command(after_help = "Example:\n  ashlar key create --name web --scope read --data ./data")]
    Create {
        /// Who or what will use it.
        #[arg(long)]
        name: String,
        /// What it may do: read, preview, write, define, release, approve:NAME, waive, admin.
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
        /// The channel it reads; the public one when absent.
        #[arg(long)]
        channel: Option<String>,
        /// When it ends, RFC 3339.
        #[arg(long)]
        expires_at: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Lists keys.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Ends a key at once.
    Revoke {
        /// Its public part.
        id: String,
        #[command(flatten)]
        at: At,
    },
}
at_of!(KeyCommand: Create, List, Revoke);

#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Makes a webhook; its secret is shown once.
    #[command(
        after_help = "Example:\n  ashlar webhook add https://example.com/hooks --event 'entry.*' --type page"
    )]
    Add {
        /// Where deliveries are sent.
        url: String,
        /// A kind of event it gets: `entry.published`, `release.*`, `*`; what is served when absent.
        #[arg(long = "event")]
        events: Vec<String>,
        /// A content type of `entry.*`; all when absent.
        #[arg(long = "type")]
        types: Vec<String>,
        /// A channel whose moves count; the public one when absent.
        #[arg(long = "channel")]
        channels: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// Lists webhooks.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Removes a webhook with its deliveries.
    Rm {
        /// The webhook.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Switches a webhook on; what happened meanwhile is delivered.
    On {
        /// The webhook.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Switches a webhook off.
    Off {
        /// The webhook.
        id: String,
        /// Why.
        #[arg(long, default_value = "")]
        why: String,
        #[command(flatten)]
        at: At,
    },
    /// Makes a new secret; the one before signs beside it for 24 hours.
    Rotate {
        /// The webhook.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Sends an event of the kind webhook.test.
    Test {
        /// The webhook.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Shows the delivery log, newest first.
    Deliveries {
        /// The webhook.
        id: String,
        /// pending, done or dead; all when absent.
        #[arg(long)]
        state: Option<String>,
        /// Where the page starts.
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Sends a delivery again, or all that were given up.
    Replay {
        /// The webhook.
        id: String,
        /// The delivery; all that were given up when absent.
        #[arg(long)]
        delivery: Option<u64>,
        #[command(flatten)]
        at: At,
    },
}
at_of!(WebhookCommand: Add, List, Rm, On, Off, Rotate, Test, Deliveries, Replay);

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Makes a tenant, or sets its host names.
    Create {
        /// Its name.
        name: String,
        /// A host name that leads to it.
        #[arg(long = "host")]
        hosts: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// Lists tenants.
    List {
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Runs every schedule that is due.
    Run {
        #[command(flatten)]
        at: At,
    },
    /// Lists schedules; overdue ones say so.
    List {
        #[command(flatten)]
        at: At,
    },
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Role {
    /// Everything.
    #[default]
    All,
    /// The management API.
    Author,
    /// Delivery, from the object store alone.
    Edge,
    /// Schedules and upkeep.
    Worker,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A data directory, or `postgres://…` with --objects.
    #[arg(long, env = "ASHLAR_DATA", value_name = "DIR|URL")]
    pub data: Option<String>,
    /// The object store: `s3://bucket/prefix` or a directory; all an edge needs.
    #[arg(long, env = "ASHLAR_OBJECTS", value_name = "URL|DIR")]
    pub objects: Option<String>,
    /// The local directory that caches a remote's objects.
    #[arg(long, env = "ASHLAR_CACHE", value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Address and port; port 0 chooses a free one.
    #[arg(long, env = "ASHLAR_LISTEN")]
    pub listen: Option<String>,
    /// What this node does.
    #[arg(long, env = "ASHLAR_ROLE", value_enum, default_value_t)]
    pub role: Role,
    /// A cache in front that is told what each release changed: varnish=URL, http=URL, fastly=URL or cloudflare=URL.
    #[arg(long, env = "ASHLAR_PURGE", value_name = "KIND=URL", value_delimiter = ',')]
    pub purge: Vec<ashlar_server::PurgeTarget>,
    /// A proxy in front whose `X-Forwarded-*` and `Forwarded` headers are believed: an address, or a network such as 10.0.0.0/8.
    #[arg(long = "trusted-proxy", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<ashlar_model::Network>,
    /// Worker threads; one per core when absent.
    #[arg(long, env = "ASHLAR_THREADS")]
    pub threads: Option<usize>,
    /// How to report.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
}
