//! Reading objects: hot packs in few and in many packs, and what the first read of an object costs more.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::path::Path;

use ashlar_model::{Digest, TenantId};
use ashlar_store::{Objects, TenantObjects};
use divan::Bencher;

fn main() {
    divan::main();
}

const OBJECTS: usize = 4096;

/// Objects of about a kilobyte, as entries are, in so many packs.
fn filled(dir: &Path, packs: usize) -> (TenantObjects, Vec<Digest>) {
    let objects = Objects::open(dir, None).unwrap().tenant(&TenantId::main());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut digests = Vec::new();
    for pack in 0..packs {
        let mut batch = objects.batch();
        for n in 0..OBJECTS / packs {
            digests.push(batch.put(format!("{pack} {n} {}", "word ".repeat(200)).into_bytes()));
        }
        runtime.block_on(objects.commit(batch)).unwrap();
    }
    (objects, digests)
}

/// Reads in an order that jumps from pack to pack.
fn read_all(objects: &TenantObjects, digests: &[Digest], buffer: &mut Vec<u8>) {
    for n in 0..digests.len() {
        buffer.clear();
        objects.read_into(&digests[n * 1009 % digests.len()], buffer).unwrap();
    }
}

#[divan::bench(args = [1, 32], threads = [1, 2])]
fn hot(bencher: Bencher<'_, '_>, packs: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (objects, digests) = filled(dir.path(), packs);
    read_all(&objects, &digests, &mut Vec::new());
    bencher
        .with_inputs(|| Vec::with_capacity(4096))
        .bench_refs(|buffer| read_all(&objects, &digests, buffer));
}

/// Every read compares the bytes with the digest: a process that has just started.
#[divan::bench(args = [1, 32])]
fn first(bencher: Bencher<'_, '_>, packs: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (_, digests) = filled(dir.path(), packs);
    bencher
        .with_inputs(|| Objects::open(dir.path(), None).unwrap().tenant(&TenantId::main()))
        .bench_refs(|objects| read_all(objects, &digests, &mut Vec::with_capacity(4096)));
}
