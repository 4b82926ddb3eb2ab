//! Where each object of a tenant lies: 32 bytes of memory per object.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use ashlar_model::Digest;

use super::{format::Row, pack::Pack};

/// Digests are hashes already: the first eight bytes will do.
#[derive(Default)]
pub(crate) struct TakeFirst(u64);

impl Hasher for TakeFirst {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks_exact(8).take(1) {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.0 = u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// The first 16 bytes of a digest; BLAKE3 makes two objects with the same ones infeasible.
pub(crate) type Short = (u64, u64);

/// Hashes a [`Short`] by its first word.
#[derive(Default)]
pub(crate) struct FirstWord(u64, bool);

impl Hasher for FirstWord {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, n: u64) {
        if !self.1 {
            (self.0, self.1) = (n, true);
        }
    }
}

pub(crate) fn short(digest: &Digest) -> Short {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    (word(&digest.as_bytes()[..8]), word(&digest.as_bytes()[8..16]))
}

/// Objects are at most 1 GiB, so this bit of their length is free. It says that the bytes were read and hashed once.
const VERIFIED: u32 = 1 << 31;

/// No pack is this long, so these bits of an offset are free. They say how a collection has reached the object.
const MARKS: u64 = 0xff << 56;

struct Location {
    pack: u32,
    /// The length, and [`VERIFIED`].
    len: AtomicU32,
    /// The offset, and [`MARKS`].
    offset: AtomicU64,
}

impl Location {
    fn new(pack: u32, len: u32, offset: u64) -> Self {
        Self { pack, len: len.into(), offset: offset.into() }
    }

    fn offset(&self) -> u64 {
        self.offset.load(Ordering::Relaxed) & !MARKS
    }

    fn marks(&self) -> u64 {
        self.offset.load(Ordering::Relaxed) & MARKS
    }
}

/// Where an object lies.
#[derive(Clone)]
pub(crate) struct Found {
    pub pack: Arc<Pack>,
    pub offset: u64,
    pub len: u32,
    /// Whether this process has compared the bytes with the digest.
    pub verified: bool,
}

impl Found {
    fn is_at(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pack, &other.pack) && self.offset == other.offset
    }
}

/// An object whose bytes are not those of its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub digest: Digest,
    /// The pack with the damaged bytes.
    pub pack: String,
}

#[derive(Default)]
pub(crate) struct Index {
    locations: HashMap<Short, Location, BuildHasherDefault<FirstWord>>,
    packs: Vec<Option<Arc<Pack>>>,
    names: HashMap<String, u32>,
    damaged: HashMap<Short, Damage, BuildHasherDefault<FirstWord>>,
    /// Packs that could not be opened, with what is wrong with them.
    pub unreadable: Vec<(PathBuf, String)>,
    pub scanned: Option<(SystemTime, Instant)>,
    /// Whether a pack went that some objects were read from: another pack may have them too.
    pub dropped: bool,
    /// How often packs went or stopped being trusted with objects that may lie nowhere else.
    pub removals: u64,
    /// Marks of objects whose place went while a collection marks.
    kept_marks: HashMap<Short, u64, BuildHasherDefault<FirstWord>>,
    marking: bool,
}

impl Index {
    /// Makes the objects of a pack known. Returns those that were damaged elsewhere and are whole again.
    pub(crate) fn add(&mut self, pack: Pack, rows: &[Row]) -> Vec<Digest> {
        let name = pack.name.clone();
        let number = match self.names.get(&name) {
            // The file was replaced by a whole one.
            Some(known) => *known,
            None => {
                self.packs.push(None);
                u32::try_from(self.packs.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let trusted = pack.trusted.load(Ordering::Relaxed);
        if let Some(slot) = self.packs.get_mut(number as usize) {
            *slot = Some(Arc::new(pack));
        }
        self.names.insert(name.clone(), number);
        self.locations.reserve(rows.len());
        let mut healed = Vec::new();
        for row in rows {
            let key = short(&row.digest);
            if !self.damaged.is_empty()
                && let Some(damage) = self.damaged.get(&key)
            {
                if damage.pack == name {
                    continue;
                }
                self.damaged.remove(&key);
                healed.push(row.digest);
            }
            let mut location = Location::new(number, row.len, row.offset);
            match self.locations.entry(key) {
                Entry::Occupied(mut known) => {
                    // A copy that stays comes before one that may go.
                    let stays = |l: &Location| {
                        let pack = self.packs.get(l.pack as usize).and_then(Option::as_ref);
                        l.pack != number && pack.is_some_and(|p| p.trusted.load(Ordering::Relaxed))
                    };
                    if trusted || !stays(known.get()) {
                        *location.offset.get_mut() |= known.get().marks();
                        known.insert(location);
                    }
                }
                Entry::Vacant(slot) => {
                    if self.marking {
                        *location.offset.get_mut() |= self.kept_marks.remove(&key).unwrap_or(0);
                    }
                    slot.insert(location);
                }
            }
        }
        healed
    }

    /// Forgets which objects of a pack are damaged, because its file was replaced. Returns them.
    pub(crate) fn pardon(&mut self, pack: &str) -> Vec<Digest> {
        let mut pardoned = Vec::new();
        self.damaged.retain(|_, damage| {
            let of_pack = damage.pack == pack;
            if of_pack {
                pardoned.push(damage.digest);
            }
            !of_pack
        });
        pardoned
    }

    pub(crate) fn find(&self, digest: &Digest) -> Option<Found> {
        let location = self.locations.get(&short(digest))?;
        let pack = self.packs.get(location.pack as usize)?.clone()?;
        let len = location.len.load(Ordering::Relaxed);
        Some(Found { pack, offset: location.offset(), len: len & !VERIFIED, verified: len & VERIFIED != 0 })
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.locations.contains_key(&short(digest))
    }

    /// Whether a pack that stays has the object.
    pub(crate) fn is_stored(&self, digest: &Digest) -> bool {
        let pack = self.locations.get(&short(digest)).and_then(|l| self.packs.get(l.pack as usize)?.as_ref());
        pack.is_some_and(|p| p.trusted.load(Ordering::Relaxed))
    }

    /// Takes all marks away, before a collection marks what is needed.
    pub(crate) fn begin_marking(&mut self) {
        self.marking = true;
        self.kept_marks.clear();
        for location in self.locations.values_mut() {
            *location.offset.get_mut() &= !MARKS;
        }
    }

    pub(crate) fn end_marking(&mut self) {
        self.marking = false;
        self.kept_marks = HashMap::default();
    }

    /// Marks an object. `None`: it is not known here. `Some(true)`: it had this mark already.
    pub(crate) fn mark(&self, digest: &Digest, mark: u8) -> Option<bool> {
        let bit = u64::from(mark) << 56;
        let location = self.locations.get(&short(digest))?;
        Some(location.offset.fetch_or(bit, Ordering::Relaxed) & bit == bit)
    }

    /// Whether a collection has reached the object in this way; 0 for any.
    pub(crate) fn is_marked(&self, digest: &Digest, mark: u8) -> bool {
        let bit = if mark == 0 { MARKS } else { u64::from(mark) << 56 };
        let key = short(digest);
        let marks = self.locations.get(&key).map(Location::marks);
        marks.or_else(|| self.kept_marks.get(&key).copied()).is_some_and(|m| m & bit != 0)
    }

    /// Notes that the bytes at this place are those of the digest.
    pub(crate) fn verified(&self, digest: &Digest, found: &Found) {
        if let Some(location) = self.locations.get(&short(digest))
            && location.offset() == found.offset
            && self.names.get(&found.pack.name) == Some(&location.pack)
        {
            location.len.fetch_or(VERIFIED, Ordering::Relaxed);
        }
    }

    /// Notes that the bytes at this place are not those of the digest. Says whether the object lay there until now.
    pub(crate) fn damage(&mut self, digest: &Digest, found: &Found) -> bool {
        if !self.find(digest).is_some_and(|now| now.is_at(found)) {
            return false;
        }
        self.remove(&short(digest));
        self.note_damage(Damage { digest: *digest, pack: found.pack.name.clone() });
        true
    }

    /// Takes over what another process, or this one before it was started again, has found.
    pub(crate) fn note_damage(&mut self, damage: Damage) {
        let key = short(&damage.digest);
        if self.locations.get(&key).is_some_and(|l| self.names.get(&damage.pack) == Some(&l.pack)) {
            self.remove(&key);
        }
        if !self.locations.contains_key(&key) {
            self.damaged.insert(key, damage);
        }
    }

    /// Uses another place for an object from now on.
    pub(crate) fn relocate(&mut self, digest: &Digest, to: &Found) {
        let Some(number) = self.names.get(&to.pack.name).copied() else { return };
        let verified = if to.verified { VERIFIED } else { 0 };
        let key = short(digest);
        let marks = self.locations.get(&key).map(Location::marks).or_else(|| self.kept_marks.remove(&key));
        let location = Location::new(number, to.len | verified, to.offset | marks.unwrap_or(0));
        self.locations.insert(key, location);
        self.damaged.remove(&key);
    }

    /// Removes the place of an object. A mark that it had is kept for its next place.
    fn remove(&mut self, key: &Short) {
        if let Some(location) = self.locations.remove(key)
            && self.marking
            && location.marks() != 0
        {
            self.kept_marks.insert(*key, location.marks());
        }
    }

    pub(crate) fn is_damaged(&self, digest: &Digest) -> bool {
        !self.damaged.is_empty() && self.damaged.contains_key(&short(digest))
    }

    pub(crate) fn damaged(&self) -> impl Iterator<Item = &Damage> {
        self.damaged.values()
    }

    pub(crate) fn has_pack(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(crate) fn pack(&self, name: &str) -> Option<&Arc<Pack>> {
        self.packs.get(*self.names.get(name)? as usize)?.as_ref()
    }

    pub(crate) fn packs(&self) -> impl Iterator<Item = &Arc<Pack>> {
        self.packs.iter().flatten()
    }

    /// How many packs and objects there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.names.len(), self.locations.len())
    }

    /// Drops the packs whose names `gone` picks. Returns the damaged objects of these packs: they are missing now.
    pub(crate) fn drop_packs(&mut self, gone: impl Fn(&str) -> bool) -> Vec<Digest> {
        let mut forgotten = Vec::new();
        self.damaged.retain(|_, damage| {
            let stays = !gone(&damage.pack);
            if !stays {
                forgotten.push(damage.digest);
            }
            stays
        });
        let numbers: HashSet<u32> =
            self.names.iter().filter(|(name, _)| gone(name)).map(|(_, number)| *number).collect();
        if numbers.is_empty() {
            return forgotten;
        }
        let (marking, kept, before) = (self.marking, &mut self.kept_marks, self.locations.len());
        self.locations.retain(|key, l| {
            let stays = !numbers.contains(&l.pack);
            if !stays && marking && l.marks() != 0 {
                kept.insert(*key, l.marks());
            }
            stays
        });
        if self.locations.len() < before {
            self.dropped = true;
            self.removals += 1;
        }
        self.names.retain(|_, n| !numbers.contains(n));
        for number in numbers {
            if let Some(slot) = self.packs.get_mut(number as usize) {
                *slot = None;
            }
        }
        forgotten
    }
}
