//! Where each object of a tenant lies: 32 bytes of memory per object.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Instant, SystemTime},
};

use ashlar_model::Digest;

use crate::pack::{Pack, Row};

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

struct Location {
    pack: u32,
    /// The length, and [`VERIFIED`].
    len: AtomicU32,
    offset: u64,
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
            let location = Location { pack: number, len: row.len.into(), offset: row.offset };
            self.locations.insert(key, location);
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
        Some(Found { pack, offset: location.offset, len: len & !VERIFIED, verified: len & VERIFIED != 0 })
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.locations.contains_key(&short(digest))
    }

    /// Notes that the bytes at this place are those of the digest.
    pub(crate) fn verified(&self, digest: &Digest, found: &Found) {
        if let Some(location) = self.locations.get(&short(digest))
            && location.offset == found.offset
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
        self.locations.remove(&short(digest));
        self.note_damage(Damage { digest: *digest, pack: found.pack.name.clone() });
        true
    }

    /// Takes over what another process, or this one before it was started again, has found.
    pub(crate) fn note_damage(&mut self, damage: Damage) {
        let key = short(&damage.digest);
        if self.locations.get(&key).is_some_and(|l| self.names.get(&damage.pack) == Some(&l.pack)) {
            self.locations.remove(&key);
        }
        if !self.locations.contains_key(&key) {
            self.damaged.insert(key, damage);
        }
    }

    /// Uses another place for an object from now on.
    pub(crate) fn relocate(&mut self, digest: &Digest, to: &Found) {
        let Some(number) = self.names.get(&to.pack.name).copied() else { return };
        let location = Location { pack: number, len: (to.len | VERIFIED).into(), offset: to.offset };
        self.locations.insert(short(digest), location);
        self.damaged.remove(&short(digest));
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
        self.locations.retain(|_, l| !numbers.contains(&l.pack));
        self.names.retain(|_, n| !numbers.contains(n));
        for number in numbers {
            if let Some(slot) = self.packs.get_mut(number as usize) {
                *slot = None;
            }
        }
        forgotten
    }
}
