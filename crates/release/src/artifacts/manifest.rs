//! The manifest object of a release.

use std::collections::BTreeMap;

use ashlar_model::{Digest, GateReport, canonical_json};
use ashlar_store::{Batch, TenantObjects, sql::NewCandidate};
use serde::{Deserialize, Serialize};

use crate::{ReleaseError, definitions::files::file_digests};

/// A release manifest: every digest that a release binds. Stored as canonical JSON; its digest names the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format: 1.
    pub format: u32,
    /// The root of its entries.
    pub snapshot: Digest,
    /// The root of its definitions.
    pub definitions: Digest,
    /// Every definition file with its digest, so that the manifest lists what it binds.
    pub files: BTreeMap<String, Digest>,
    /// Roots of what was derived from it, by name (`lookup`).
    pub derived: BTreeMap<String, Digest>,
    /// The digest of the gate reports it was promoted with.
    pub evidence: Digest,
    /// The manifest of the release before it.
    pub parent: Option<Digest>,
    /// How many entries it has.
    pub entries: u64,
}

/// Writes the gate evidence and the manifest of a candidate that is being promoted; the manifest's digest names the
/// release.
pub(crate) fn write(
    objects: &TenantObjects,
    batch: &mut Batch,
    frozen: &NewCandidate,
    gates: &[GateReport],
    parent: Option<Digest>,
) -> Result<Digest, ReleaseError> {
    let canonical = |e: ashlar_model::CanonicalError| ReleaseError::Task(e.to_string());
    // How long a gate took, and whether it was answered from evidence, is not part of what it found.
    let settled: Vec<GateReport> =
        gates.iter().map(|g| GateReport { duration_ms: 0.0, from_evidence: false, ..g.clone() }).collect();
    let evidence = batch.put(canonical_json(&settled).map_err(canonical)?);
    let manifest = Manifest {
        format: 1,
        snapshot: frozen.snapshot,
        definitions: frozen.definitions,
        files: file_digests(objects, &frozen.definitions)?,
        derived: frozen.derived.clone(),
        evidence,
        parent,
        entries: frozen.entries,
    };
    Ok(batch.put(canonical_json(&manifest).map_err(canonical)?))
}

/// Reads a manifest and checks that its bytes are those of its digest.
pub(crate) fn read(objects: &TenantObjects, digest: &Digest) -> Result<Manifest, ReleaseError> {
    let damaged = |why: String| ReleaseError::Corrupt { what: format!("manifest {}", digest.short()), why };
    let bytes = objects.get(digest)?;
    if Digest::of(&bytes) != *digest {
        return Err(damaged("its bytes are not those of its digest".to_owned()));
    }
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    match manifest.format {
        1 => Ok(manifest),
        n => Err(damaged(format!("its format is {n}; this binary reads 1"))),
    }
}
