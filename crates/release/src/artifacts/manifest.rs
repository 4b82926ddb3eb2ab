//! The manifest object of a release.

use ashlar_model::{Digest, GateReport, canonical_json};
use ashlar_store::{Batch, TenantObjects, sql::NewCandidate};

use crate::{Manifest, ReleaseError, artifacts::definitions::file_digests};

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
