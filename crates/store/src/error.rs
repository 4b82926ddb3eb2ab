use std::{io, path::Path};

use ashlar_model::Digest;

/// Why objects could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No pack has the object.
    #[error("object {} is missing from the store", digest.short())]
    Missing {
        /// The object.
        digest: Digest,
    },
    /// Stored bytes are not what they should be.
    #[error("{what} is damaged: {why}")]
    Corrupt {
        /// What was read.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A bundle cannot be used.
    #[error("the bundle is damaged: {0}")]
    Bundle(String),
    /// The disk is full.
    #[error("the disk is full: could not {op} {path}; free some space, nothing was changed")]
    Full {
        /// What was tried.
        op: &'static str,
        /// The file.
        path: String,
    },
    /// The file system refused.
    #[error("could not {op} {path}: {source}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The remote object store refused or did not answer.
    #[error("the object store could not {op}: {source}")]
    Remote {
        /// What was tried.
        op: &'static str,
        /// What it said.
        source: object_store::Error,
    },
    /// The address of the remote cannot be used.
    #[error("cannot use the object store `{address}`: {why}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another process has locked the store for maintenance.
    #[error("the store is being cleaned up by another process; try again in a moment")]
    Busy,
    /// The caller broke a rule of this room.
    #[error("{0}")]
    Usage(&'static str),
}

impl StoreError {
    /// What the file system said, with the disk being full distinguished.
    pub fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { op, path }
            }
            _ => Self::Io { op, path, source },
        }
    }

    /// What is wrong, without paths, addresses and what the system said: for readers who are strangers to the machine.
    pub fn public(&self) -> String {
        match self {
            Self::Full { .. } => "the disk is full; free some space, nothing was changed".to_owned(),
            Self::Io { op, .. } => format!("the server could not {op} its storage; its log says more"),
            Self::Remote { op, .. } => format!("the object store could not {op}; the server's log says more"),
            Self::Address { .. } => "the address of the object store cannot be used".to_owned(),
            Self::Corrupt { what, why } if what.starts_with("pack ") => format!("a pack is damaged: {why}"),
            Self::Corrupt { .. } | Self::Missing { .. } | Self::Bundle(_) | Self::Busy | Self::Usage(_) => {
                self.to_string()
            }
        }
    }

    /// What a read of a damaged object says.
    pub(crate) fn damaged(digest: &Digest) -> Self {
        Self::corrupt(
            format!("object {}", digest.short()),
            "its bytes are not those of its digest; import a release that contains it, or restore its pack from a backup",
        )
    }

    /// Stored bytes that are not what they should be.
    pub fn corrupt(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), why: why.into() }
    }
}
