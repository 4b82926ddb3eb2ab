//! The seam to the rooms above: what release needs to know of definitions and gates, without knowing how it is found.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{
    ContractName, Digest, EntryKey, Fields, Files, Finding, GateReport, ReleaseId, Rules, Waiver,
};
use ashlar_store::{Batch, TenantObjects, Tree, sql::EvidenceRow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Made, ReleaseError, artifacts::derived::Derive};

/// Reads definitions and judges candidates. The `gates` room implements it.
///
/// Everything here is synchronous and deterministic; release calls it on a thread that may block.
pub trait Judge: Send + Sync {
    /// What drafts need to know of `definitions`.
    ///
    /// # Errors
    /// The findings, when the definitions cannot be used at all.
    fn rules(&self, definitions: &Files) -> Result<Rules, Vec<Finding>>;

    /// What is wrong with `fields` under `contract`; empty when they are valid.
    ///
    /// # Errors
    /// When the contract does not exist or cannot be read.
    fn validate(
        &self,
        definitions: &Files,
        contract: &ContractName,
        fields: &Fields,
    ) -> Result<Vec<Finding>, ReleaseError>;

    /// Runs every gate on a frozen candidate and builds what delivery needs of it.
    ///
    /// # Errors
    /// Only when the candidate itself cannot be read; a gate that cannot run says so in its report.
    fn judge(&self, input: &JudgeInput<'_>) -> Result<Judgement, ReleaseError>;

    /// The approvals that the candidate's changes need, each tied to the digest of exactly those changes.
    ///
    /// # Errors
    /// When the candidate cannot be read.
    fn required_approvals(&self, input: &JudgeInput<'_>) -> Result<Vec<RequiredApproval>, ReleaseError>;

    /// The runs of eval suites that the verdict may depend on.
    ///
    /// # Errors
    /// When the candidate cannot be read.
    fn runs_needed(&self, _input: &JudgeInput<'_>) -> Result<Vec<RunNeeded>, ReleaseError> {
        Ok(Vec::new())
    }

    /// The eval suites of these definitions, each with the digest of its inputs.
    ///
    /// # Errors
    /// When the snapshot cannot be read.
    fn suites(&self, _definitions: &Files, _snapshot: &Tree) -> Result<Vec<(String, Digest)>, ReleaseError> {
        Ok(Vec::new())
    }

    /// Judges what a run of a suite answered, by the suite of the candidate. `asked`: the candidate or release that answered, such as `c4`.
    ///
    /// # Errors
    /// When there is no such suite, or the run is not one of it.
    fn weigh(
        &self,
        _input: &JudgeInput<'_>,
        suite: &str,
        _asked: &str,
        _run: &[u8],
    ) -> Result<Weighed, ReleaseError> {
        Err(ReleaseError::not_found("suite", suite, "the project has no suites"))
    }

    /// The kinds of trees that are derived from releases. What [`Judge::judge`] returns of them is not built again.
    fn derives(&self) -> Vec<&dyn Derive> {
        Vec::new()
    }
}

/// A frozen candidate and everything its verdict may depend on.
pub struct JudgeInput<'a> {
    /// The tenant's objects.
    pub objects: &'a TenantObjects,
    /// The candidate's definitions.
    pub definitions: &'a Arc<Files>,
    /// The root of the definitions tree.
    pub definitions_digest: Digest,
    /// The candidate's entries: [`EntryKey`] bytes → [`ashlar_model::EntryRecord`] bytes.
    pub snapshot: &'a Tree,
    /// What the channel serves now; `None` before the first release.
    pub base: Option<Base>,
    /// Definitions of earlier releases, newest first; empty unless compatibility is transitive.
    pub history: Vec<Arc<Files>>,
    /// The candidate's changes against its base: [`EntryKey`] bytes → [`ChangeRecord`] JSON.
    pub changes: &'a Tree,
    /// Who pushed definitions since the base.
    pub definition_authors: &'a BTreeSet<String>,
    /// Approvals that were given in this tenant for any of the changes at hand.
    pub approvals: &'a [Approval],
    /// What the changeset of the candidate declares to end.
    pub end: Option<&'a DeclaredEnd>,
    /// Waivers of this candidate by gate.
    pub waivers: &'a [(String, Waiver)],
    /// What is known of the runs that [`Judge::runs_needed`] names.
    pub runs: &'a [SuiteRun],
    /// Of suites whose run of what is served is not known: an earlier run to compare with.
    pub baselines: &'a BTreeMap<String, Baseline>,
    /// Roots of the definitions of all releases, newest first; empty when the definitions are those that are served.
    pub released: &'a [Digest],
    /// Earlier evidence of a gate for these inputs.
    pub evidence: &'a (dyn Fn(&str, &Digest) -> Option<GateReport> + Sync),
    /// When the judgement is made (sunsets and waivers depend on it).
    pub now: Timestamp,
}

/// A run of an eval suite that a verdict may depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunNeeded {
    /// The suite.
    pub suite: String,
    /// The digest of everything that its answers depend on.
    pub inputs: Digest,
    /// The same of what is served, when that has the suite.
    pub served: Option<Digest>,
}

/// The newest release before the one that is served whose answers a complete run shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The release.
    pub release: ReleaseId,
    /// The digest of everything that its answers depend on. Its run is among [`JudgeInput::runs`].
    pub inputs: Digest,
}

/// A run of an eval suite that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteRun {
    /// The suite.
    pub suite: String,
    /// The digest of everything that its answers depend on.
    pub inputs: Digest,
    /// The document that [`Judge::weigh`] made of it.
    pub object: Digest,
    /// Whether every case has a verdict. Only such a run counts.
    pub complete: bool,
    /// The candidate or release that was asked.
    pub asked: String,
}

impl From<EvidenceRow> for SuiteRun {
    fn from(row: EvidenceRow) -> Self {
        Self {
            suite: row.suite,
            inputs: row.inputs,
            object: row.object,
            complete: row.complete,
            asked: row.asked,
        }
    }
}

/// What a run of an eval suite showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// The digest of everything that its answers depend on.
    pub inputs: Digest,
    /// Whether every case has a verdict.
    pub complete: bool,
    /// `pass`, `fail` or `incomplete`.
    pub verdict: String,
    /// How many cases the suite has.
    pub cases: u64,
    /// How many of them passed.
    pub passed: u64,
    /// What made the run.
    pub producer: String,
    /// What is stored of it.
    pub document: Vec<u8>,
}

/// What a changeset declares to happen after it is published: its entries are taken down again. Who approves what the
/// changeset brings approves its end too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredEnd {
    /// The changeset.
    pub changeset: String,
    /// When, in RFC 3339.
    pub at: String,
    /// Its entries.
    pub keys: BTreeSet<EntryKey>,
    /// The changeset is published: a candidate of it that takes entries down is this end.
    pub due: bool,
}

/// What a channel serves when a candidate is judged.
#[derive(Clone)]
pub struct Base {
    /// The release.
    pub release: ReleaseId,
    /// Its definitions.
    pub definitions: Arc<Files>,
    /// The root of its definitions tree.
    pub definitions_digest: Digest,
    /// Its entries.
    pub snapshot: Tree,
    /// Roots of what was derived from it, by name (`lookup`).
    pub derived: BTreeMap<String, Digest>,
    /// The verdicts it was promoted with.
    pub gates: Vec<GateReport>,
}

/// Who changed an entry since the base, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// Everybody who wrote it since the base.
    pub authors: BTreeSet<String>,
    /// What a model wrote of it since the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
}

impl ChangeRecord {
    /// A change that a model had no part in.
    pub fn by(author: impl Into<String>) -> Self {
        Self { authors: [author.into()].into(), made: None }
    }
}

/// A changed entry with its record.
pub type Change = (EntryKey, ChangeRecord);

/// The outcome of [`Judge::judge`].
pub struct Judgement {
    /// Every gate's report.
    pub gates: Vec<GateReport>,
    /// Roots of what was derived from the candidate, by name.
    pub derived: BTreeMap<String, Digest>,
    /// New objects that the derived roots need.
    pub objects: Batch,
}

/// An approval that a candidate needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredApproval {
    /// The right its giver must hold: `pricing`, `legal`, `claim`, `owner:NAME`.
    pub right: String,
    /// The digest of exactly the changes that are approved.
    pub change: Digest,
    /// Who made them and so may not approve them.
    pub authors: BTreeSet<String>,
    /// What is approved, for people: entries with fields, or contracts.
    pub subjects: Vec<String>,
    /// A model wrote some of it: only somebody whom `governance.toml` names for the right may approve it.
    pub assisted: bool,
}

/// An approval that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The right it was given under.
    pub right: String,
    /// The digest of the approved changes.
    pub change: Digest,
    /// Who gave it.
    pub by: String,
    /// When, in RFC 3339.
    pub at: String,
}
