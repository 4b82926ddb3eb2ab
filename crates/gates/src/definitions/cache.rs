//! Definitions that were read, kept for those who ask for them again.

use std::sync::{Arc, Mutex, PoisonError};

use ashlar_model::Files;

use super::{Definitions, files_digest, trial::Trials};

/// Fewer than this many are not dropped for their size: a candidate, its base and the working definitions.
const KEPT_MIN: usize = 3;
/// How many bytes the files of parsed definitions that are kept may have; what is made of them takes several times as much.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// How many parsed definitions are kept: those of a candidate, its base and what is being worked on, for a few tenants.
const KEPT_MAX: usize = 16;

/// Parsed definitions by the digest of their files.
#[derive(Default)]
pub(crate) struct DefinitionsCache {
    /// With the bytes of their files, the one that was used last at the end.
    kept: Mutex<Vec<(Arc<Definitions>, usize)>>,
    trials: Option<Trials>,
}

impl DefinitionsCache {
    /// Definitions are read only after they passed a trial.
    pub(crate) fn tried(trials: Trials) -> Self {
        Self { kept: Mutex::default(), trials: Some(trials) }
    }

    pub(crate) fn get(&self, files: &Files) -> Arc<Definitions> {
        let digest = files_digest(files);
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = kept.iter().position(|(d, _)| d.digest == digest) {
                let found = kept.remove(at);
                kept.push(found.clone());
                return found.0;
            }
        }
        if let Some(trials) = &self.trials
            && let Err((finding, passing)) = trials.admit(files)
        {
            let refused = Arc::new(Definitions::refused(digest, *finding));
            if !passing {
                self.keep(&refused, 0);
            }
            return refused;
        }
        // Parsed outside the lock: hundreds of schemas take a while, and other tenants go on meanwhile.
        let loaded = Arc::new(Definitions::load(files));
        self.keep(&loaded, files.bytes());
        loaded
    }

    fn keep(&self, definitions: &Arc<Definitions>, bytes: usize) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((definitions.clone(), bytes));
        while kept.len() > KEPT_MAX
            || (kept.len() > KEPT_MIN && kept.iter().map(|(_, bytes)| bytes).sum::<usize>() > KEPT_BYTES_MAX)
        {
            kept.remove(0);
        }
    }
}
