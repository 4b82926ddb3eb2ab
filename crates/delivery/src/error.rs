use ashlar_model::{Digest, RecordError};
use ashlar_retrieval::{models::ModelError, segment::StoredError};
use ashlar_store::StoreError;

use crate::http::{Heavy, Problem};

/// Why a release cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A snapshot contains something that is not an entry.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The object of an entry is not a JSON object, or has another length than its record says.
    #[error("the object {0} is not the content of an entry; run `ashlar release verify`")]
    Object(Digest),
    /// The tree of definitions contains something that is not a file.
    #[error("the definitions {digest} are damaged: {why}")]
    Definitions {
        /// The root of the tree.
        digest: Digest,
        /// What is wrong.
        why: String,
    },
    /// A configuration file cannot be read: what it says must not be replaced by defaults.
    #[error(
        "the configuration of the release cannot be read: {place}: {why}; correct the file and release it, or roll back"
    )]
    Configuration {
        /// The file, with its line where it is known.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// A search tree contains something that this room does not write.
    #[error("{0} of the search tree is not what it should be; build it again")]
    SearchTree(&'static str),
    /// A segment, vectors or a basis cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A model did not make the vectors that were needed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A key of the look-up tree is not one that this room writes.
    #[error("the look-up tree contains an invalid key; build it again")]
    LookupKey,
}

impl DeliveryError {
    /// What is wrong, without paths of the machine.
    pub fn public(&self) -> String {
        match self {
            Self::Store(error) => error.public(),
            other => other.to_string(),
        }
    }
}

/// Why something is not answered with content.
pub(crate) enum Failure {
    Problem(Box<Problem>),
    Broken(DeliveryError),
    /// It takes more work than may be done here.
    Heavy,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Self {
        Self::Broken(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<Heavy> for Failure {
    fn from(_: Heavy) -> Self {
        Self::Heavy
    }
}
