//! What a contract reaches through references: bounded, and part of its digest.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{Digest, canonical_json};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use crate::{
    cost::SCHEMA_CHAIN_MAX,
    refs::{Documents, Place, look_up, referenced, target},
};

/// The most bytes that the contracts of a project reach through `$ref`s, each counted for every contract that reaches it.
const REACHED_BYTES_MAX: usize = 256 << 20;
/// The most files that one contract reaches.
const REACHED_FILES_MAX: usize = 1_000;
/// What visiting a file costs besides its bytes.
const EACH_BYTES: usize = 16_000;

/// How the files of a project refer to each other.
pub(super) struct Links {
    /// The size of each file, and the files that it refers to directly.
    files: FxHashMap<String, (usize, BTreeSet<String>)>,
    /// Bytes that may still be reached.
    left: usize,
}

impl Links {
    /// `sizes`: each file with its bytes.
    pub(super) fn of<'f>(documents: &Documents, sizes: impl Iterator<Item = (&'f str, usize)>) -> Self {
        let files = sizes.filter_map(|(file, size)| {
            let schema = documents.get(file)?;
            Some((file.to_owned(), (size, referenced(schema, file))))
        });
        Self { files: files.collect(), left: REACHED_BYTES_MAX }
    }

    /// Takes the bytes of every file that `file` refers to, itself included; `false` when there are more than are left.
    pub(super) fn reach(&mut self, file: &str) -> bool {
        let (mut seen, mut waiting) = (FxHashSet::default(), vec![file]);
        while let Some((file, (size, next))) = waiting.pop().and_then(|f| self.files.get_key_value(f)) {
            if !seen.insert(file.as_str()) {
                continue;
            }
            match self.left.checked_sub(EACH_BYTES + size) {
                Some(rest) => self.left = rest,
                None => return false,
            }
            if seen.len() > REACHED_FILES_MAX {
                return false;
            }
            waiting.extend(next.iter().map(String::as_str).filter(|f| self.files.contains_key(*f)));
        }
        true
    }

    /// The digest of a schema and of every schema that it refers to.
    pub(super) fn digest(&self, documents: &Documents, file: &str) -> Digest {
        let (mut parts, mut waiting) = (BTreeMap::new(), vec![file]);
        while let Some(file) = waiting.pop() {
            if let (Some(schema), Some((_, next))) = (documents.get(file), self.files.get(file))
                && parts.insert(file, schema).is_none()
            {
                waiting.extend(next.iter().map(String::as_str));
            }
        }
        Digest::of(&canonical_json(&(file, parts)).unwrap_or_default())
    }
}

/// Finds chains of `$ref`s that lead back to themselves without a step into the value.
#[derive(Default)]
pub(super) struct Circles {
    /// Places whose chains end, so that each is followed once.
    ends: FxHashSet<Place>,
}

impl Circles {
    /// Whether the reference at a place leads into a circle. A chain that is too long is refused for that elsewhere.
    pub(super) fn is_circular(&mut self, documents: &Documents, file: &str, pointer: &str) -> bool {
        let mut place = Place { file: file.to_owned(), pointer: pointer.to_owned() };
        let mut seen = Vec::new();
        while seen.len() <= SCHEMA_CHAIN_MAX && !self.ends.contains(&place) {
            let next = look_up(documents, &place).and_then(|s| s.get("$ref")).and_then(Value::as_str);
            let Some(next) = next.map(|next| target(&place.file, next)) else { break };
            seen.push(std::mem::replace(&mut place, next));
            if seen.contains(&place) {
                return true;
            }
        }
        // What lies beyond a chain that is too long is not known.
        let known = if seen.len() > SCHEMA_CHAIN_MAX { 2 } else { seen.len() };
        self.ends.extend(seen.into_iter().take(known));
        false
    }
}
