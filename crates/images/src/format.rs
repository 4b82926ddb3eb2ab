use std::fmt;

/// How far into a text `<svg` is looked for.
const SVG_LOOK_BYTES: usize = 64 * 1024;

/// The kinds of image a site may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Photos, without transparency.
    Jpeg,
    /// Pixels kept exactly, with transparency; may be animated (APNG).
    Png,
    /// Photos or exact pixels, with transparency; may be animated.
    Webp,
    /// At most 256 colours; may be animated.
    Gif,
    /// Drawings, sharp at every size.
    Svg,
    /// Photos in fewer bytes; may be animated.
    Avif,
}

impl Format {
    /// The ending of its files, without the dot.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Svg => "svg",
            Self::Avif => "avif",
        }
    }

    /// What a server calls it (`Content-Type`).
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Svg => "image/svg+xml",
            Self::Avif => "image/avif",
        }
    }

    /// What a path's ending says; upper and lower case are the same.
    pub fn of_path(path: &str) -> Option<Self> {
        match ending_of(path)?.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" | "jpe" | "jfif" => Some(Self::Jpeg),
            "png" | "apng" => Some(Self::Png),
            "webp" => Some(Self::Webp),
            "gif" => Some(Self::Gif),
            "svg" => Some(Self::Svg),
            "avif" => Some(Self::Avif),
            _ => None,
        }
    }

    /// What the first bytes say.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => brands(bytes).any(is_avif).then_some(Self::Avif),
            _ => is_svg(bytes).then_some(Self::Svg),
        }
    }

    /// The name with its article, for sentences.
    pub(crate) const fn with_article(self) -> &'static str {
        match self {
            Self::Jpeg => "a JPEG",
            Self::Png => "a PNG",
            Self::Webp => "a WebP",
            Self::Gif => "a GIF",
            Self::Svg => "an SVG",
            Self::Avif => "an AVIF",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            Self::Gif => "GIF",
            Self::Svg => "SVG",
            Self::Avif => "AVIF",
        })
    }
}

/// What follows the last dot of a path's last part; a name that only begins with a dot has no ending.
pub(crate) fn ending_of(path: &str) -> Option<&str> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let (stem, ending) = name.rsplit_once('.')?;
    (!stem.is_empty() && !ending.is_empty()).then_some(ending)
}

/// The brands of an ISO media file (AVIF, HEIC, MP4): the major one, then those it is compatible with.
pub(crate) fn brands(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let length = bytes.first_chunk().map_or(0, |size| u32::from_be_bytes(*size) as usize);
    let head = bytes.get(..length.min(256)).unwrap_or(bytes);
    head.chunks_exact(4).enumerate().filter(|(at, _)| *at == 2 || *at >= 4).map(|(_, brand)| brand)
}

fn is_avif(brand: &[u8]) -> bool {
    matches!(brand, b"avif" | b"avis")
}

fn is_svg(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    if !text.starts_with(b"<") {
        return false;
    }
    let look = text.get(..SVG_LOOK_BYTES).unwrap_or(text);
    let html = look.get(..14).is_some_and(|start| start.eq_ignore_ascii_case(b"<!doctype html"));
    !html && look.windows(4).any(|part| part == b"<svg" || part == b":svg")
}
