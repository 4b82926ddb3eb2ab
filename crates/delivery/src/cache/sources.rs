use std::collections::BTreeSet;

use ashlar_model::{EntryId, EntryRecord, Locale, TypeName};

/// The key of an entry as trees have it: type, id and locale with NUL bytes between.
pub(crate) type Key = Box<[u8]>;

/// A look-up by a field that an answer depends on.
#[derive(Clone)]
pub(crate) struct Looked {
    pub(crate) source: TypeName,
    pub(crate) field: String,
    pub(crate) value: String,
    pub(crate) locales: Vec<Locale>,
    pub(crate) found: Option<EntryId>,
}

/// Everything a body is made from.
#[derive(Default)]
pub(crate) struct Sources {
    /// What was looked for by a field.
    pub(crate) looked: Vec<Looked>,
    /// Everything that was looked for: what was there, and what was not.
    pub(crate) read: Vec<(Key, Option<EntryRecord>)>,
    /// Types of which lists were read: then it is the answer of one release alone.
    pub(crate) lists: BTreeSet<TypeName>,
}

impl Sources {
    /// Adds what a body was made from that is part of this one.
    pub(crate) fn add(&mut self, part: &Self) {
        self.looked.extend_from_slice(&part.looked);
        self.read.extend_from_slice(&part.read);
    }
}
