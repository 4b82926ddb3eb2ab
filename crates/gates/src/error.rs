use ashlar_delivery::DeliveryError;
use ashlar_model::{EntryKey, RecordError};
use ashlar_project::ProjectError;
use ashlar_release::ReleaseError;
use ashlar_store::StoreError;

/// Why a gate or a check could not run.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The look-up tree or a snapshot cannot be read.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// A snapshot contains something that is not an entry.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The project directory cannot be read.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The object of an entry is not JSON.
    #[error("the stored content of {0} is not JSON; run `ashlar release verify`")]
    Object(Box<EntryKey>),
    /// The record of a change is not JSON.
    #[error("who changed {0} cannot be read; run `ashlar release verify`")]
    Change(Box<EntryKey>),
    /// What is stored of a run of a suite cannot be read.
    #[error("what is stored of a run of a suite cannot be read: {0}; run the suite again")]
    Evidence(String),
    /// A key of the look-up tree is not one.
    #[error("the look-up tree contains an invalid key; run `ashlar release verify`")]
    LookupKey,
    /// There is no room for the objects that a check of pages needs.
    #[error("the temporary directory cannot be used: {0}")]
    Temporary(std::io::Error),
    /// A worker thread ended early.
    #[error("a worker thread ended early")]
    Thread,
}

impl GateError {
    /// What is wrong, without paths of the machine.
    pub(crate) fn public(&self) -> String {
        match self {
            Self::Store(e) | Self::Delivery(DeliveryError::Store(e)) => e.public(),
            other => other.to_string(),
        }
    }
}

impl From<GateError> for ReleaseError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Store(e) | GateError::Delivery(DeliveryError::Store(e)) => Self::Store(e),
            GateError::Delivery(DeliveryError::Model(e)) => Self::Model(e.to_string()),
            other => Self::Corrupt { what: "the candidate".to_owned(), why: other.to_string() },
        }
    }
}
