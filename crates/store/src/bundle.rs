//! One verifiable file with everything a release needs.
//!
//! `"ASHBNDL1"`, the digest of the manifest (32 bytes), then objects as length u32 (little-endian) and bytes, a length of
//! `u32::MAX` as end mark, and the BLAKE3 of everything before (32 bytes). Objects are named by their digests, so each is
//! verified as it is read; the last digest shows a file that was cut short or extended.

use std::io::{Read, Write};

use ashlar_model::Digest;

use crate::{StoreError, TenantObjects, pack::OBJECT_BYTES_MAX};

const MAGIC: &[u8; 8] = b"ASHBNDL1";
const END: u32 = u32::MAX;
/// Objects are stored whenever this many bytes have gathered.
const FLUSH_BYTES: usize = 32 << 20;

fn unreadable(error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => StoreError::corrupt("the bundle", "it is cut short"),
        _ => StoreError::Io { op: "read", path: "the bundle".to_owned(), source: error },
    }
}

/// Writes the manifest and everything else that is reachable.
///
/// # Errors
/// When an object is missing or the file cannot be written.
pub fn write(
    objects: &TenantObjects,
    manifest: &Digest,
    reachable: impl Iterator<Item = Digest>,
    out: &mut impl Write,
) -> Result<u64, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        out.write_all(bytes).map_err(|source| StoreError::Io {
            op: "write",
            path: "the bundle".to_owned(),
            source,
        })
    };
    put(MAGIC)?;
    put(manifest.as_bytes())?;
    let mut count = 0;
    for digest in std::iter::once(*manifest).chain(reachable) {
        let bytes = objects.get(&digest)?;
        if Digest::of(&bytes) != digest {
            let what = format!("object {}", digest.short());
            return Err(StoreError::corrupt(what, "its bytes are not those of its digest"));
        }
        let len =
            u32::try_from(bytes.len()).map_err(|_| StoreError::Usage("an object is larger than 1 GiB"))?;
        put(&len.to_le_bytes())?;
        put(&bytes)?;
        count += 1;
    }
    put(&END.to_le_bytes())?;
    let digest = hasher.finalize();
    out.write_all(digest.as_bytes()).and_then(|()| out.flush()).map_err(|source| StoreError::Io {
        op: "write",
        path: "the bundle".to_owned(),
        source,
    })?;
    Ok(count)
}

/// Reads a bundle and stores its objects; returns the digest of its manifest. Objects of a bundle that turns out to be
/// damaged are referenced by nothing.
///
/// # Errors
/// When it is not a bundle, is cut short or was tampered with, or an object cannot be stored.
pub async fn read(objects: &TenantObjects, mut source: impl Read + Send) -> Result<Digest, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut take = |source: &mut dyn Read, buffer: &mut [u8]| {
        source.read_exact(buffer).map_err(unreadable)?;
        hasher.update(buffer);
        Ok::<(), StoreError>(())
    };
    let damaged = |why: &str| StoreError::corrupt("the bundle", why);
    let mut head = [0; 40];
    take(&mut source, &mut head)?;
    if head[..8] != *MAGIC {
        return Err(damaged("it does not start like a bundle"));
    }
    let mut manifest = [0; 32];
    manifest.copy_from_slice(&head[8..]);
    let manifest = Digest::from_bytes(manifest);
    let mut batch = objects.batch();
    let mut first = true;
    loop {
        let mut len = [0; 4];
        take(&mut source, &mut len)?;
        let len = u32::from_le_bytes(len);
        if len == END {
            break;
        }
        if len as usize > OBJECT_BYTES_MAX {
            return Err(damaged("an object is larger than 1 GiB"));
        }
        let mut bytes = Vec::new();
        let mut left = len as usize;
        // Grows with what is really there, so that a false length costs no memory.
        while left > 0 {
            let start = bytes.len();
            bytes.resize(start + left.min(1 << 20), 0);
            take(&mut source, &mut bytes[start..])?;
            left -= bytes.len() - start;
        }
        let digest = batch.put(bytes);
        if std::mem::take(&mut first) && digest != manifest {
            return Err(damaged("its manifest is not what it says"));
        }
        if batch.bytes() > FLUSH_BYTES {
            objects.commit(std::mem::replace(&mut batch, objects.batch())).await?;
        }
    }
    if first {
        return Err(damaged("it has no manifest"));
    }
    let mut end = [0; 32];
    source.read_exact(&mut end).map_err(unreadable)?;
    if *hasher.finalize().as_bytes() != end {
        return Err(damaged("its content is not what was written"));
    }
    objects.commit(batch).await?;
    Ok(manifest)
}
