//! Exported releases that are cut short, lie about lengths, or name what is not there.

use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

const MAGIC: &[u8; 8] = b"ASHBNDL1";

/// A bundle whose digests hold; `objects[0]` is its manifest.
fn bundle(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(blake3::hash(objects.first().map_or(&[], Vec::as_slice)).as_bytes());
    for object in objects {
        bytes.extend(u32::try_from(object.len()).unwrap_or(0).to_le_bytes());
        bytes.extend(object);
    }
    bytes.extend(u32::MAX.to_le_bytes());
    let end = blake3::hash(&bytes);
    bytes.extend(end.as_bytes());
    bytes
}

fn import(body: Vec<u8>) -> Load {
    Load::Api { method: "POST", path: "/releases/import".to_owned(), body }
}

fn noise(random: &mut Random, n: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(n + 8);
    while bytes.len() < n {
        bytes.extend(random.next().to_le_bytes());
    }
    bytes.truncate(n);
    bytes
}

/// A manifest in the form of a release, with digests that may lead nowhere.
fn manifest(inner: &str) -> Vec<u8> {
    let zero = "0".repeat(64);
    named(&zero, inner)
}

/// A manifest whose every digest is this one.
fn named(digest: &str, inner: &str) -> Vec<u8> {
    format!("{{\"format\":1,\"snapshot\":\"{digest}\",\"definitions\":\"{digest}\",\"files\":{{}},\"derived\":{{\"lookup\":\"{digest}\"}},\"evidence\":\"{digest}\",\"parent\":null,\"entries\":1{inner}}}").into_bytes()
}

/// A bundle taken apart into its objects; `None` when it is cut short.
pub fn objects(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut all, mut at) = (Vec::new(), 40);
    loop {
        let length = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        at += 4;
        if length == u32::MAX {
            return Some(all);
        }
        let end = at + length as usize;
        all.push(bytes.get(at..end)?.to_vec());
        at = end;
    }
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|w| w == from) {
        bytes[at + found..at + found + from.len()].copy_from_slice(to);
        at += found + from.len();
    }
}

/// A real release in which one object is changed and everything that names it follows, so that every digest holds.
pub fn tampered(real: &[Vec<u8>], random: &mut Random, changes: usize) -> Vec<u8> {
    let mut all = real.to_vec();
    for _ in 0..changes {
        let which = random.index(all.len());
        let other = random.index(all.len());
        let mut digests: Vec<blake3::Hash> = all.iter().map(|o| blake3::hash(o)).collect();
        let donor = all[other].clone();
        let object = &mut all[which];
        let at = random.index(object.len());
        match random.below(6) {
            0 if !object.is_empty() => object[at] ^= 1 << random.below(8),
            1 if !object.is_empty() => object[at] = [0, 1, 0x7f, 0x80, 0xff][random.index(5)],
            2 => object.truncate(at),
            3 => object.extend(donor),
            4 => *object = donor,
            // Names another object, or itself.
            _ if object.len() > 32 => {
                let at = random.index(object.len() - 32);
                object[at..at + 32].copy_from_slice(digests[other].as_bytes());
            }
            _ => object.clear(),
        }
        // An object that names itself never comes to rest.
        for _ in 0..64 {
            let moved: Vec<(blake3::Hash, blake3::Hash)> = all
                .iter()
                .zip(&digests)
                .map(|(object, before)| (*before, blake3::hash(object)))
                .filter(|(before, now)| before != now)
                .collect();
            if moved.is_empty() {
                break;
            }
            digests = all.iter().map(|o| blake3::hash(o)).collect();
            for (before, now) in moved {
                for object in &mut all {
                    replace(object, before.as_bytes(), now.as_bytes());
                    replace(object, before.to_hex().as_bytes(), now.to_hex().as_bytes());
                }
            }
        }
    }
    bundle(&all)
}

const BYTES: [usize; 4] = [100, 100_000, 10_000_000, 60_000_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "bundles", name: $name, sizes: $sizes, make: $make }
    };
}

/// Sizes are bytes where nothing else is said.
pub const ALL: &[Generator] = &[
    generator!("noise", BYTES, |r, n| import(noise(r, n))),
    generator!("magic-and-noise", BYTES, |r, n| {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(noise(r, n));
        import(bytes)
    }),
    generator!("cut-short", BYTES, |r, n| {
        let whole = bundle(&[manifest(""), noise(r, n)]);
        let keep = r.index(whole.len());
        import(whole[..keep].to_vec())
    }),
    generator!("extended", BYTES, |r, n| {
        let mut bytes = bundle(&[manifest("")]);
        bytes.extend(noise(r, n));
        import(bytes)
    }),
    generator!("bit-flip", BYTES, |r, n| {
        let mut bytes = bundle(&[manifest(""), noise(r, n)]);
        let at = r.index(bytes.len());
        bytes[at] ^= 1 << r.below(8);
        import(bytes)
    }),
    generator!("huge-length", [1, 2, 3, 4], |_, n| {
        let length: u32 = [1 << 30, (1 << 30) - 1, u32::MAX - 1, 1 << 31][n % 4];
        let mut bytes = bundle(&[manifest("")]);
        bytes.truncate(40);
        bytes.extend(length.to_le_bytes());
        bytes.extend([0; 64]);
        import(bytes)
    }),
    generator!("objects", [10, 1_000, 100_000, 1_000_000], |_, n| {
        let mut all = vec![manifest("")];
        all.extend((0..n as u32).map(|i| i.to_le_bytes().to_vec()));
        import(bundle(&all))
    }),
    generator!("empty-objects", [10, 1_000, 100_000, 4_000_000], |_, n| {
        let mut all = vec![manifest("")];
        all.extend(std::iter::repeat_n(Vec::new(), n));
        import(bundle(&all))
    }),
    generator!("large-object", BYTES, |_, n| import(bundle(&[manifest(""), vec![b'a'; n]]))),
    generator!("manifest-depth", [10, 128, 10_000, 5_000_000], |_, n| {
        import(bundle(&[super::text::nested("[", "", "]", n).into_bytes()]))
    }),
    generator!("manifest-text", BYTES, |_, n| import(bundle(&[manifest(&format!(
        ",\"note\":\"{}\"",
        "a".repeat(n)
    ))]))),
    generator!("manifest-keys", [10, 1_000, 100_000, 1_000_000], |_, n| {
        import(bundle(&[manifest(&super::text::pieces(n, "", |i| format!(",\"k{i}\":0")))]))
    }),
    generator!("manifest-not-json", BYTES, |r, n| import(bundle(&[noise(r, n)]))),
    generator!("nothing", [0, 1, 2, 3], |_, n| import(vec![b'A'; n])),
    // A real release, changed; the size is how often.
    generator!("tampered", [1, 1, 3, 20], |_, n| Load::Tampered(n)),
    generator!("tampered-again", [1, 1, 3, 20], |_, n| Load::Tampered(n)),
    generator!("tampered-once-more", [1, 1, 3, 20], |_, n| Load::Tampered(n)),
    generator!("tree-to-itself", [1, 2, 3, 4], |r, n| {
        let nodes: Vec<Vec<u8>> = (0..n).map(|_| noise(r, 256)).collect();
        let digest = blake3::hash(&nodes[0]).to_hex().to_string();
        let mut all = vec![named(&digest, "")];
        all.extend(nodes);
        import(bundle(&all))
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_hold_after_every_change() {
        let leaf = b"an entry".to_vec();
        let tree = [b"node:".as_slice(), blake3::hash(&leaf).as_bytes()].concat();
        let real = vec![named(&blake3::hash(&tree).to_hex(), ""), tree, leaf];
        assert_eq!(objects(&bundle(&real)).as_ref(), Some(&real));
        let mut linked = 0;
        for seed in 0..50 {
            let bytes = tampered(&real, &mut Random(seed), 1);
            assert_eq!(bytes[bytes.len() - 32..], *blake3::hash(&bytes[..bytes.len() - 32]).as_bytes());
            let all = objects(&bytes).unwrap_or_default();
            assert_eq!(bytes[8..40], *blake3::hash(&all[0]).as_bytes());
            let name = blake3::hash(&all[1]).to_hex().to_string();
            linked += usize::from(all != real && String::from_utf8_lossy(&all[0]).contains(&name));
        }
        assert!(linked > 5, "{linked} of 50 changes were below the manifest");
    }
}
