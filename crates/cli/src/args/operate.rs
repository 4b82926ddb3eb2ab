//! Arguments of the commands that operate an installation.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::at::{At, Format, at_of};

#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// Run a migration over every draft of its contract, in one transaction.
    Run {
        /// The migration file (TOML).
        mapping: PathBuf,
        /// Show what would change, but write nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
    /// Revert a migration.
    Revert {
        /// Its number.
        migration: u64,
        #[command(flatten)]
        at: At,
    },
    /// List the migrations that were run.
    List {
        #[command(flatten)]
        at: At,
    },
}
at_of!(MigrateCommand: Run, Revert, List);

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify the hash chain. Exit code 1 if it is broken.
    Verify {
        #[command(flatten)]
        at: At,
    },
    /// List the actions, newest first.
    List {
        /// The cursor of the page.
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// List the events, oldest first.
    List {
        /// Only events after this number.
        #[arg(long, default_value_t = 0)]
        after: u64,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a key. It is shown once.
    #[command(after_help = "Example:\n  ashlar key create --name web --scope read --data ./data")]
    Create {
        /// The person or program that will use it.
        #[arg(long)]
        name: String,
        /// A scope: read, preview, write, define, release, approve:NAME, waive, review, evals, assist, admin, llm or llm:FEATURE.
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
        /// The channel that the key reads. Default: the public channel.
        #[arg(long)]
        channel: Option<String>,
        /// The reader in retrieval.toml that decides what the key finds. Default: what everybody finds.
        #[arg(long, value_name = "NAME")]
        reader: Option<String>,
        /// When the key expires (RFC 3339).
        #[arg(long)]
        expires_at: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// List keys.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Revoke a key immediately.
    Revoke {
        /// The id of the key.
        id: String,
        #[command(flatten)]
        at: At,
    },
}
at_of!(KeyCommand: Create, List, Revoke);

#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Create a webhook. Its secret is shown once.
    #[command(
        after_help = "Example:\n  ashlar webhook add https://example.com/hooks --event 'entry.*' --type page"
    )]
    Add {
        /// The address of the receiver.
        url: String,
        /// A kind of event to send: `entry.published`, `release.*`, `*`. Default: changes of what is live.
        #[arg(long = "event")]
        events: Vec<String>,
        /// A content type for `entry.*`. Default: all types.
        #[arg(long = "type")]
        types: Vec<String>,
        /// A channel to follow. Default: the public channel.
        #[arg(long = "channel")]
        channels: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// List webhooks.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Delete a webhook and its deliveries.
    Rm {
        /// The webhook.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Enable a webhook. Events from the meantime are delivered.
    On {
        /// The webhook.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Disable a webhook.
    Off {
        /// The webhook.
        id: String,
        /// The reason.
        #[arg(long, default_value = "")]
        why: String,
        #[command(flatten)]
        at: At,
    },
    /// Create a new secret. Both secrets sign for 24 hours.
    Rotate {
        /// The webhook.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Send an event of the kind webhook.test.
    Test {
        /// The webhook.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Show the delivery log, newest first.
    Deliveries {
        /// The webhook.
        id: String,
        /// Only deliveries in this state: pending, done or dead.
        #[arg(long)]
        state: Option<String>,
        /// The cursor of the page.
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Send a delivery again, or all deliveries that were given up.
    Replay {
        /// The webhook.
        id: String,
        /// The number of the delivery. Default: all that were given up.
        #[arg(long)]
        delivery: Option<u64>,
        #[command(flatten)]
        at: At,
    },
}
at_of!(WebhookCommand: Add, List, Rm, On, Off, Rotate, Test, Deliveries, Replay);

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Create a tenant, or set its host names.
    Create {
        /// Its name.
        name: String,
        /// A host name of the tenant.
        #[arg(long = "host")]
        hosts: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// List tenants.
    List {
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Run every schedule that is due.
    Run {
        #[command(flatten)]
        at: At,
    },
    /// List schedules, with overdue ones marked.
    List {
        #[command(flatten)]
        at: At,
    },
}

/// The role of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Role {
    /// Everything.
    #[default]
    All,
    /// The management API.
    Author,
    /// Delivery, using only the object store.
    Edge,
    /// Schedules and upkeep.
    Worker,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A data directory, or `postgres://…` with --objects.
    #[arg(long, env = "ASHLAR_DATA", value_name = "DIR|URL")]
    pub data: Option<String>,
    /// The object store: `s3://bucket/prefix` or a directory. An edge needs nothing else.
    #[arg(long, env = "ASHLAR_OBJECTS", value_name = "URL|DIR")]
    pub objects: Option<String>,
    /// The local cache directory of an object store.
    #[arg(long, env = "ASHLAR_CACHE", value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Address and port. Port 0 selects a free port.
    #[arg(long, env = "ASHLAR_LISTEN")]
    pub listen: Option<String>,
    /// The role of this node.
    #[arg(long, env = "ASHLAR_ROLE", value_enum, default_value_t)]
    pub role: Role,
    /// An upstream cache to purge after each release: varnish=URL, http=URL, fastly=URL or cloudflare=URL.
    #[arg(long, env = "ASHLAR_PURGE", value_name = "KIND=URL", value_delimiter = ',')]
    pub purge: Vec<ashlar_server::PurgeTarget>,
    /// A proxy whose `X-Forwarded-*` and `Forwarded` headers are trusted: an address, or a network such as 10.0.0.0/8.
    #[arg(long = "trusted-proxy", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<ashlar_model::Network>,
    /// The number of worker threads. Default: one per core.
    #[arg(long, env = "ASHLAR_THREADS")]
    pub threads: Option<usize>,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Serve the documentation of Ashlar instead of the demo project.
    #[arg(long)]
    pub docs: bool,
    #[command(flatten)]
    pub serve: ServeArgs,
}
