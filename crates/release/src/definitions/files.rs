//! Definition files as a tree: path → digest of the bytes.

use std::collections::BTreeMap;

use ashlar_model::{Digest, Files};
use ashlar_store::{Batch, TenantObjects, Tree};

use crate::ReleaseError;

/// Writes a definitions tree: path → digest of the file's bytes.
pub(crate) fn write_files(files: &Files, batch: &mut Batch) -> Result<Digest, ReleaseError> {
    let edits: Vec<_> = files
        .iter()
        .map(|(path, bytes)| {
            let digest = batch.put(bytes.to_vec());
            (path.as_bytes().to_vec(), Some(digest.as_bytes().to_vec()))
        })
        .collect();
    Ok(Tree::empty().apply(&edits, batch)?.root())
}

/// The files of a definitions tree with their digests.
pub(crate) fn file_digests(
    objects: &TenantObjects,
    root: &Digest,
) -> Result<BTreeMap<String, Digest>, ReleaseError> {
    digests_under(objects, root, "")
}

/// The files whose paths begin with `prefix`, with their digests.
fn digests_under(
    objects: &TenantObjects,
    root: &Digest,
    prefix: &str,
) -> Result<BTreeMap<String, Digest>, ReleaseError> {
    let damaged = |why: &str| ReleaseError::Corrupt {
        what: format!("definitions {}", root.short()),
        why: why.to_owned(),
    };
    Tree::open(objects, root)?
        .prefix(prefix.as_bytes())
        .map(|item| {
            let (path, digest) = item?;
            let path = String::from_utf8(path.to_vec()).map_err(|_| damaged("a path is not text"))?;
            let digest = <[u8; 32]>::try_from(&digest[..]).map_err(|_| damaged("a value is not a digest"))?;
            Ok((path, Digest::from_bytes(digest)))
        })
        .collect()
}

/// Reads a definitions tree.
pub(crate) fn read_files(objects: &TenantObjects, root: &Digest) -> Result<Files, ReleaseError> {
    read_under(objects, root, "")
}

/// Reads the files of a definitions tree whose paths begin with `prefix`.
///
/// # Errors
/// When they cannot be read.
pub fn read_under(objects: &TenantObjects, root: &Digest, prefix: &str) -> Result<Files, ReleaseError> {
    let mut files = Files::new();
    for (path, digest) in digests_under(objects, root, prefix)? {
        let bytes = objects.get(&digest)?;
        if Digest::of(&bytes) != digest {
            let what = format!("definition file `{path}`");
            return Err(ReleaseError::Corrupt {
                what,
                why: "its bytes are not those of its digest".to_owned(),
            });
        }
        files.insert(&path, bytes.to_vec()).map_err(|e| ReleaseError::Corrupt {
            what: format!("definitions {}", root.short()),
            why: e.to_string(),
        })?;
    }
    Ok(files)
}
