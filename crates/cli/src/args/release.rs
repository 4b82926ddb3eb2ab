//! Arguments of the commands from a changeset to a release and its site.

use std::path::PathBuf;

use clap::Subcommand;

use super::{
    at::{At, at_of},
    content::EntryName,
};

#[derive(Debug, Subcommand)]
pub enum ChangesetCommand {
    /// Create an empty changeset.
    Create {
        /// Its name.
        name: String,
        /// A title.
        #[arg(long, default_value = "")]
        title: String,
        #[command(flatten)]
        at: At,
    },
    /// Add a draft to a changeset.
    Add {
        /// The changeset.
        changeset: String,
        #[command(flatten)]
        name: EntryName,
        #[command(flatten)]
        at: At,
    },
    /// Remove a draft from a changeset.
    Remove {
        /// The changeset.
        changeset: String,
        #[command(flatten)]
        name: EntryName,
        #[command(flatten)]
        at: At,
    },
    /// Show a changeset and its drafts.
    Show {
        /// The changeset.
        changeset: String,
        #[command(flatten)]
        at: At,
    },
    /// List changesets.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Schedule a changeset.
    #[command(
        after_help = "Example:\n  ashlar changeset schedule spring --publish-at 2027-03-01T09:00 --zone Europe/Berlin --data ./data"
    )]
    Schedule {
        /// The changeset.
        changeset: String,
        /// When to publish it: a local time in --zone, or an RFC 3339 time.
        #[arg(long)]
        publish_at: String,
        /// When to take its entries down again.
        #[arg(long)]
        unpublish_at: Option<String>,
        /// An IANA time zone.
        #[arg(long)]
        zone: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Remove a changeset from the schedule.
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
    /// Freeze pending drafts and the working definitions, and run the gates.
    ///
    /// With --data, eval suites that the built-in model answers are asked about the candidate when no run covers it.
    Create {
        /// Only the drafts of this changeset.
        #[arg(long)]
        changeset: Option<String>,
        /// The reason.
        #[arg(long, default_value = "")]
        note: String,
        /// Do not ask eval suites about the candidate.
        #[arg(long)]
        no_evals: bool,
        #[command(flatten)]
        at: At,
    },
    /// Show a candidate.
    Show {
        /// The candidate, such as `c1`.
        candidate: String,
        #[command(flatten)]
        at: At,
    },
    /// List candidates.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Run the gates again and show every finding. Exit code 1 if a gate fails.
    Gates {
        /// The candidate.
        candidate: String,
        #[command(flatten)]
        at: At,
    },
    /// Approve the changes of a candidate under a right.
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
    /// Let a failed gate through, with a reason.
    Waive {
        /// The candidate.
        candidate: String,
        /// The gate.
        #[arg(long)]
        gate: String,
        /// The reason.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        at: At,
    },
    /// Discard a candidate.
    Discard {
        /// The candidate.
        candidate: String,
        #[command(flatten)]
        at: At,
    },
}
at_of!(CandidateCommand: Create, Show, List, Gates, Approve, Waive, Discard);

#[derive(Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Create a release from a candidate and point a channel at it.
    #[command(after_help = "Example:\n  ashlar release promote c1 --channel production --data ./data")]
    Promote {
        /// The candidate.
        candidate: String,
        /// The channel. Default: the public channel.
        #[arg(long)]
        channel: Option<String>,
        /// The reason.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        at: At,
    },
    /// Point a channel at an earlier release, including its definitions.
    #[command(after_help = "Example:\n  ashlar release rollback r1 --channel production --data ./data")]
    Rollback {
        /// The release.
        release: String,
        /// The channel. Default: the public channel.
        #[arg(long)]
        channel: Option<String>,
        /// The reason.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        at: At,
    },
    /// List releases.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Show a release.
    Show {
        /// The release.
        release: String,
        #[command(flatten)]
        at: At,
    },
    /// Compare two releases.
    Diff {
        /// The older release.
        from: String,
        /// The newer release.
        to: String,
        #[command(flatten)]
        at: At,
    },
    /// Check every digest of a release.
    Verify {
        /// The release.
        release: String,
        #[command(flatten)]
        at: At,
    },
    /// Write a release as one verifiable file.
    Export {
        /// The release.
        release: String,
        /// The file.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        at: At,
    },
    /// Create a candidate from an exported release.
    Import {
        /// The file.
        file: PathBuf,
        /// The reason.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        at: At,
    },
}
at_of!(ReleaseCommand: Promote, Rollback, List, Show, Diff, Verify, Export, Import);

#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// List the channels and the release that each one serves.
    List {
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Render every page of a channel into a directory.
    #[command(after_help = "Example:\n  ashlar site export ./public --data ./data")]
    Export {
        /// The directory. Files of an earlier export that are no longer part of the site are deleted.
        dir: PathBuf,
        /// What to render: a channel, `draft`, a candidate or a release. Default: the public channel.
        #[arg(long, value_name = "WHAT")]
        of: Option<String>,
        #[command(flatten)]
        at: At,
    },
}
at_of!(SiteCommand: Export);
