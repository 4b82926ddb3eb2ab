//! Vectors that a model made and that no tree names yet.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use ashlar_model::Digest;

/// Bytes of vectors that are remembered for another try.
const MADE_BYTES_MAX: usize = 256 << 20;

/// Vectors of segments that no tree names yet, by segment, model and rules.
#[derive(Default)]
pub(super) struct Made {
    known: VecDeque<(Digest, Arc<Vec<u8>>)>,
    bytes: usize,
}

impl Made {
    pub(super) fn get(made: &Mutex<Self>, name: &Digest) -> Option<Arc<Vec<u8>>> {
        let made = made.lock().unwrap_or_else(PoisonError::into_inner);
        made.known.iter().find(|(known, _)| known == name).map(|(_, vectors)| vectors.clone())
    }

    /// Forgets what a tree names now.
    pub(super) fn forget(made: &Mutex<Self>, names: &[Digest]) {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        made.known.retain(|(known, _)| !names.contains(known));
        made.bytes = made.known.iter().map(|(_, vectors)| vectors.len()).sum();
    }

    pub(super) fn keep(made: &Mutex<Self>, name: Digest, vectors: &Arc<Vec<u8>>) {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        made.bytes += vectors.len();
        made.known.push_back((name, vectors.clone()));
        while made.bytes > MADE_BYTES_MAX {
            let Some((_, oldest)) = made.known.pop_front() else { break };
            made.bytes -= oldest.len();
        }
    }
}
