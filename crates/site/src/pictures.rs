use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, LazyLock, OnceLock},
};

use ashlar_images::{Facts, Format, Rendition, facts_of, renditions};
use ashlar_model::{Digest, Files, Finding, escaped};
use bytes::Bytes;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::assets::Asset;

/// Widths of renditions, in pixels: telephones, tablets, desks, and twice of these.
const WIDTHS: [u32; 6] = [400, 640, 960, 1280, 1920, 2560];
/// How many bytes of renditions are kept in memory, over all releases.
const KEPT_BYTES: u64 = 192 << 20;

/// A rendition that was made.
struct Kept {
    width: u32,
    format: Format,
    bytes: Bytes,
    digest: Digest,
}

type Made = Arc<Vec<Kept>>;

impl From<Rendition> for Kept {
    fn from(made: Rendition) -> Self {
        let Rendition { width, format, bytes, .. } = made;
        Self { width, format, digest: Digest::of(&bytes), bytes: Bytes::from(bytes) }
    }
}

impl Kept {
    fn asset(&self) -> Asset {
        Asset { bytes: self.bytes.clone(), digest: self.digest, media_type: self.format.media_type() }
    }
}

/// Renditions by the digest of their image: releases come and go, and images mostly stay.
static KEPT: LazyLock<Cache<Digest, Made>> = LazyLock::new(|| {
    let weight = |_: &Digest, made: &Made| {
        u32::try_from(made.iter().map(|r| r.bytes.len()).sum::<usize>() + 200).unwrap_or(u32::MAX)
    };
    Cache::builder().max_capacity(KEPT_BYTES).weigher(weight).build()
});

/// An image of the project.
struct Picture {
    facts: Facts,
    bytes: Bytes,
    digest: Digest,
    /// The address of the image itself.
    address: String,
    /// Where its renditions lie: `/assets/<digest>/`, and the name without its ending.
    base: (String, String),
    used: OnceLock<()>,
}

/// What a template says of an image it shows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImageCall<'a> {
    pub(crate) path: Cow<'a, str>,
    pub(crate) alt: Cow<'a, str>,
    pub(crate) sizes: Cow<'a, str>,
    pub(crate) class: Cow<'a, str>,
    pub(crate) eager: bool,
}

/// The images under `assets/`, by path.
#[derive(Default)]
pub(crate) struct Pictures(BTreeMap<String, Picture>);

impl Pictures {
    /// Reads the head of every image. One that lies about what it is, or is unsafe, is a finding.
    pub(crate) fn load(files: &Files, addresses: &BTreeMap<String, String>) -> (Self, Vec<Finding>) {
        let (mut map, mut findings) = (BTreeMap::new(), Vec::new());
        for (path, bytes) in files.iter() {
            // Icons are put into pages as they are, like templates, and need not say that they are SVG.
            if !path.starts_with("assets/") || Format::of_path(path).is_none() {
                continue;
            }
            let facts = match facts_of(path, bytes) {
                Ok(facts) => facts,
                Err(e) => {
                    findings.push(
                        Finding::error("image", path, format!("The image cannot be used: {e}."))
                            .help("save it again as what its name says, without scripts and links"),
                    );
                    continue;
                }
            };
            let Some(address) = addresses.get(path) else { continue };
            let Some((dir, name)) = address.rsplit_once('/') else { continue };
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
            let picture = Picture {
                facts,
                bytes: Bytes::copy_from_slice(bytes),
                digest: Digest::of(bytes),
                address: address.clone(),
                base: (dir.to_owned(), stem),
                used: OnceLock::new(),
            };
            map.insert(path.to_owned(), picture);
        }
        (Self(map), findings)
    }

    /// An `img` element that says its size, so that nothing moves when it comes, and offers smaller renditions. `None`
    /// when there is no such image.
    pub(crate) fn element(&self, call: &ImageCall<'_>) -> Option<String> {
        let ImageCall { path, alt, sizes, class, eager } = call;
        let picture = self.0.get(path.as_ref())?;
        let made = picture.made();
        let mut srcset = String::new();
        for (at, rendition) in made.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            let _ = write!(srcset, "{comma}{} {}w", picture.address_of(rendition), rendition.width);
        }
        if !srcset.is_empty() {
            let _ = write!(srcset, ", {} {}w", picture.address, picture.facts.width);
        }
        let mut out = format!("<img src=\"{}\"", escaped(&picture.address));
        if !srcset.is_empty() {
            let _ = write!(out, " srcset=\"{}\" sizes=\"{}\"", escaped(&srcset), escaped(sizes));
        }
        let Facts { width, height, .. } = picture.facts;
        let _ = write!(out, " width=\"{width}\" height=\"{height}\" alt=\"{}\"", escaped(alt));
        if !class.is_empty() {
            let _ = write!(out, " class=\"{}\"", escaped(class));
        }
        out.push_str(if *eager {
            " fetchpriority=\"high\">"
        } else {
            " loading=\"lazy\" decoding=\"async\">"
        });
        Some(out)
    }

    /// Whether the renditions of the image at an address are made, or there is no such image.
    pub(crate) fn has_at_hand(&self, address: &str) -> bool {
        let Some((dir, _)) = address.rsplit_once('/') else { return true };
        let picture = self.0.values().find(|p| p.base.0 == dir);
        picture.is_none_or(|p| KEPT.contains_key(&p.digest))
    }

    /// The rendition at an address.
    pub(crate) fn rendition(&self, address: &str) -> Option<Asset> {
        let (dir, _) = address.rsplit_once('/')?;
        let picture = self.0.values().find(|p| p.base.0 == dir)?;
        let made = picture.made();
        let found = made.iter().find(|r| picture.address_of(r) == address)?;
        Some(found.asset())
    }

    /// Every rendition that a page has offered so far.
    pub(crate) fn offered(&self) -> Vec<(String, Asset)> {
        let used = self.0.values().filter(|p| p.used.get().is_some());
        used.flat_map(|p| {
            let made = p.made();
            made.iter().map(|r| (p.address_of(r), r.asset())).collect::<Vec<_>>()
        })
        .collect()
    }
}

impl Picture {
    /// Its renditions, smaller ones first; none that weighs more than the image itself.
    fn made(&self) -> Made {
        let _ = self.used.set(());
        KEPT.get_with(self.digest, || {
            // What cannot be scaled is shown as it is.
            let mut made = renditions(&self.bytes, &WIDTHS).unwrap_or_default();
            made.retain(|r| r.bytes.len() < self.bytes.len());
            made.sort_by_key(|r| r.width);
            Arc::new(made.into_iter().map(Kept::from).collect())
        })
    }

    fn address_of(&self, rendition: &Kept) -> String {
        format!("{}/{}-{}.{}", self.base.0, self.base.1, rendition.width, rendition.format.ending())
    }
}
