use std::collections::BTreeMap;

use ashlar_model::{Digest, Files};
use ashlar_tokens::Modifier;
use bytes::Bytes;

use crate::{components::Components, style::style};

/// A file that pages refer to. Its address changes with its content, so that it may be kept forever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: Digest,
    /// The media type.
    pub media_type: &'static str,
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "pdf" => "application/pdf",
        "txt" => "text/plain; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        _ => "application/octet-stream",
    }
}

/// The files that pages refer to.
#[derive(Default)]
pub(crate) struct Assets {
    by_address: BTreeMap<String, Asset>,
    /// Address by path: `assets/logo.svg` → `/assets/…/logo.svg`.
    addresses: BTreeMap<String, String>,
}

/// The path of the style sheet, which is made of several files.
const STYLE: &str = "site.css";

impl Assets {
    /// The files of a project, and the modifiers of its tokens.
    pub(crate) fn load(files: &Files, components: &Components) -> (Self, Vec<Modifier>) {
        let mut assets = Self::default();
        for (path, bytes) in files.iter() {
            let name = match path.strip_prefix("assets/") {
                Some(name) => name,
                None => match path.strip_prefix("site/") {
                    Some(name) if name.ends_with(".js") => name,
                    _ => continue,
                },
            };
            assets.insert(path, name, bytes.to_vec());
        }
        // Style sheets name files as the project has them; readers get their addresses.
        let (mut css, modifiers) = style(files, components);
        for (path, address) in &assets.addresses {
            for quote in ['"', '\''] {
                let (named, known) =
                    (format!("url({quote}{path}{quote})"), format!("url({quote}{address}{quote})"));
                css = css.replace(&named, &known);
            }
        }
        assets.insert(STYLE, STYLE, css.into_bytes());
        (assets, modifiers)
    }

    fn insert(&mut self, path: &str, name: &str, bytes: Vec<u8>) {
        let digest = Digest::of(&bytes);
        let address = format!("/assets/{}/{name}", digest.short());
        self.addresses.insert(path.to_owned(), address.clone());
        let asset = Asset { bytes: Bytes::from(bytes), digest, media_type: media_type(name) };
        self.by_address.insert(address, asset);
    }

    pub(crate) fn addresses(&self) -> &BTreeMap<String, String> {
        &self.addresses
    }

    pub(crate) fn style_address(&self) -> Option<&str> {
        self.addresses.get(STYLE).map(String::as_str)
    }

    pub(crate) fn get(&self, address: &str) -> Option<&Asset> {
        self.by_address.get(address)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Asset)> {
        self.by_address.iter()
    }
}
