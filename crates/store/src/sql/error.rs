//! Why the database refused.

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The address cannot be used.
    #[error("cannot open the database {address}: {message}")]
    Open {
        /// The address without its password.
        address: String,
        /// What is wrong.
        message: String,
    },
    /// Written by a newer version of Ashlar.
    #[error(
        "the database was written by a newer Ashlar (schema {found}, this one knows {known}); upgrade the binary"
    )]
    Newer {
        /// The schema version found.
        found: i64,
        /// The newest that this binary knows.
        known: i64,
    },
    /// A stored value does not read back.
    #[error("the database contains a damaged value in `{column}`: {message}")]
    Damaged {
        /// The column.
        column: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The disk or the database is full.
    #[error("the database is full: {0}; free some space, nothing was changed")]
    Full(String),
    /// Somebody else held the database for too long.
    #[error("the database is busy: {0}; nothing was changed, try again")]
    Busy(String),
    /// Anything else the database said.
    #[error("the database refused: {0}; nothing was changed")]
    Engine(String),
}

impl SqlError {
    /// What is wrong, without addresses and what the database said.
    pub fn public(&self) -> String {
        let text = match self {
            Self::Open { .. } => "the database cannot be opened",
            Self::Full(_) => "the database is full; free some space, nothing was changed",
            Self::Busy(_) => "the database is busy; nothing was changed, try again",
            Self::Engine(_) => "the database refused; nothing was changed, and the server's log says more",
            Self::Newer { .. } | Self::Damaged { .. } => return self.to_string(),
        };
        text.to_owned()
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        let message = error.to_string();
        let lower = message.to_lowercase();
        if ["disk is full", "disk full", "no space left"].iter().any(|p| lower.contains(p)) {
            Self::Full(message)
        } else if matches!(error, sqlx::Error::PoolTimedOut) || lower.contains("database is locked") {
            Self::Busy(message)
        } else {
            Self::Engine(message)
        }
    }
}
