//! What the heads of the pixel formats say. Sizes come from `imagesize`; read here is what it does not tell: whether
//! an image moves, whether it has transparency, and how a camera was held. A JPEG is walked once for both.

use image::metadata::Orientation;

use crate::{error::ImageError, format::Format, format::brands};

/// The most segments or chunks walked before the pixels begin.
const SEGMENTS_MAX: usize = 4096;

/// The most blocks of a GIF walked to find its second picture (each has up to 255 bytes).
const GIF_BLOCKS_MAX: usize = 1 << 20;

/// How far into an AVIF its transparency is looked for.
const AVIF_LOOK_BYTES: usize = 64 * 1024;

/// What the head of a file says, before its size was judged.
pub(crate) struct Head {
    /// Pixels from left to right as stored.
    pub width: u64,
    /// Pixels from top to bottom as stored.
    pub height: u64,
    pub animated: bool,
    pub opaque: bool,
    pub orientation: Orientation,
}

impl Head {
    /// Whether showing it swaps width and height.
    pub fn is_turned(&self) -> bool {
        is_turned(self.orientation)
    }
}

/// Whether an orientation swaps width and height.
pub(crate) fn is_turned(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Reads forward and never past the end; running out of bytes is an error of its own.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    format: Format,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], at: usize, format: Format) -> Self {
        Self { bytes, at, format }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ImageError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..count).ok_or(ImageError::Truncated { format: self.format })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImageError> {
        self.take(N)?.try_into().map_err(|_| ImageError::Truncated { format: self.format })
    }

    fn byte(&mut self) -> Result<u8, ImageError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16_big(&mut self) -> Result<u16, ImageError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u16_little(&mut self) -> Result<u64, ImageError> {
        self.array().map(|bytes| u64::from(u16::from_le_bytes(bytes)))
    }

    fn damaged<T>(&self, why: &str) -> Result<T, ImageError> {
        Err(ImageError::damaged(self.format, why))
    }
}

/// The head of an image whose size `imagesize` reads.
fn sized(bytes: &[u8], format: Format, animated: bool, opaque: bool) -> Result<Head, ImageError> {
    let size = imagesize::blob_size(bytes).map_err(|error| match error {
        imagesize::ImageError::IoError(_) => ImageError::Truncated { format },
        other => ImageError::damaged(format, other),
    })?;
    let (width, height) = (size.width as u64, size.height as u64);
    Ok(Head { width, height, animated, opaque, orientation: Orientation::NoTransforms })
}

pub(crate) fn jpeg(bytes: &[u8]) -> Result<Head, ImageError> {
    jpeg_until_picture(bytes).map(|(head, _)| head)
}

/// Whether the picture of a JPEG has an end. Its decoder paints what is missing grey, which nobody wants to publish.
pub(crate) fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let picture = jpeg_until_picture(bytes).ok().and_then(|(_, at)| bytes.get(at..)).unwrap_or_default();
    picture.windows(2).any(|marker| marker == [0xFF, 0xD9])
}

/// The head, and where the picture begins.
fn jpeg_until_picture(bytes: &[u8]) -> Result<(Head, usize), ImageError> {
    let mut walk = Walk::new(bytes, 2, Format::Jpeg);
    let mut orientation = None;
    let mut size = None;
    for _ in 0..SEGMENTS_MAX {
        if walk.byte()? != 0xFF {
            return walk.damaged("there is something between its segments");
        }
        let mut marker = walk.byte()?;
        while marker == 0xFF {
            marker = walk.byte()?;
        }
        match marker {
            0x01 | 0xD0..=0xD7 => continue,
            0xD8 | 0xD9 | 0x00 => return walk.damaged("it has no picture"),
            0xDA => {
                let Some((width, height)) = size else {
                    return walk.damaged("its picture begins before its size");
                };
                let orientation = orientation.unwrap_or(Orientation::NoTransforms);
                let head = Head { width, height, animated: false, opaque: true, orientation };
                return Ok((head, walk.at));
            }
            _ => {}
        }
        let Some(length) = walk.u16_big()?.checked_sub(2) else {
            return walk.damaged("a segment has an impossible length");
        };
        let segment = walk.take(usize::from(length))?;
        match (marker, segment) {
            (0xC0..=0xC2, [bits, h1, h0, w1, w0, ..]) => {
                if *bits != 8 {
                    return walk.damaged("it has more than 8 bits a channel, which browsers cannot show");
                }
                let height = u64::from(u16::from_be_bytes([*h1, *h0]));
                let width = u64::from(u16::from_be_bytes([*w1, *w0]));
                size = size.or(Some((width, height)));
            }
            (0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF, _) => {
                return walk.damaged("it is of a kind that browsers cannot show");
            }
            (0xE1, [b'E', b'x', b'i', b'f', 0, 0, exif @ ..]) if orientation.is_none() => {
                orientation = Orientation::from_exif_chunk(exif);
            }
            _ => {}
        }
    }
    walk.damaged("it has too many segments")
}

pub(crate) fn png(bytes: &[u8]) -> Result<Head, ImageError> {
    let mut walk = Walk::new(bytes, 8, Format::Png);
    let mut animated = false;
    let mut opaque = true;
    for index in 0..SEGMENTS_MAX {
        let length = walk.array().map(u32::from_be_bytes)? as usize;
        let kind = walk.array::<4>()?;
        if (index == 0) != (&kind == b"IHDR") {
            return walk.damaged("its size is missing at the start, or there twice");
        }
        if &kind == b"IDAT" {
            return sized(bytes, Format::Png, animated, opaque);
        }
        let chunk = walk.take(length)?;
        walk.take(4)?;
        match (&kind, chunk) {
            (b"IHDR", [_, _, _, _, _, _, _, _, _, colours, _, _, _]) => opaque = !matches!(colours, 4 | 6),
            (b"IHDR" | b"IEND", _) => return walk.damaged("it has no picture"),
            (b"tRNS", _) => opaque = false,
            (b"acTL", [a, b, c, d, ..]) => animated = u32::from_be_bytes([*a, *b, *c, *d]) > 1,
            _ => {}
        }
    }
    walk.damaged("it has too many chunks before its picture")
}

pub(crate) fn webp(bytes: &[u8]) -> Result<Head, ImageError> {
    let mut walk = Walk::new(bytes, 12, Format::Webp);
    let kind = walk.array::<4>()?;
    walk.take(4)?;
    let (animated, opaque) = match &kind {
        b"VP8 " => {
            if walk.array::<6>()?.get(3..) != Some(&[0x9D, 0x01, 0x2A]) {
                return walk.damaged("its picture does not begin as it should");
            }
            (false, true)
        }
        b"VP8L" => {
            let [mark, .., last] = walk.array::<5>()?;
            if mark != 0x2F {
                return walk.damaged("its picture does not begin as it should");
            }
            (false, last & 0x10 == 0)
        }
        b"VP8X" => {
            let flags = walk.byte()?;
            (flags & 0x02 != 0, flags & 0x10 == 0)
        }
        _ => return walk.damaged("it has no picture"),
    };
    sized(bytes, Format::Webp, animated, opaque)
}

pub(crate) fn gif(bytes: &[u8]) -> Result<Head, ImageError> {
    let mut walk = Walk::new(bytes, 6, Format::Gif);
    let screen = (walk.u16_little()?, walk.u16_little()?);
    let [flags, _, _] = walk.array::<3>()?;
    walk.take(colour_table_bytes(flags))?;
    let (mut pictures, mut opaque) = (0_u32, true);
    // The first picture must be there; what follows it, only for finding out whether there is a second one.
    match gif_pictures(&mut walk, screen, &mut pictures, &mut opaque) {
        Err(ImageError::Truncated { .. }) if pictures > 0 => {}
        result => result?,
    }
    if pictures == 0 {
        return walk.damaged("it has no picture");
    }
    sized(bytes, Format::Gif, pictures > 1, opaque)
}

/// Walks the blocks until the second picture or the end.
fn gif_pictures(
    walk: &mut Walk<'_>,
    screen: (u64, u64),
    pictures: &mut u32,
    opaque: &mut bool,
) -> Result<(), ImageError> {
    for _ in 0..SEGMENTS_MAX {
        match walk.byte()? {
            0x21 => {
                let control = walk.byte()? == 0xF9;
                let first = gif_blocks(walk)?;
                if control && first.is_some_and(|flags| flags & 1 == 1) {
                    *opaque = false;
                }
            }
            0x2C => {
                *pictures += 1;
                if *pictures > 1 {
                    return Ok(());
                }
                let (left, top) = (walk.u16_little()?, walk.u16_little()?);
                let size = (walk.u16_little()?, walk.u16_little()?);
                *opaque &= (left, top) == (0, 0) && size.0 >= screen.0 && size.1 >= screen.1;
                let flags = walk.byte()?;
                walk.take(colour_table_bytes(flags))?;
                walk.byte()?;
                gif_blocks(walk)?;
            }
            0x3B => return Ok(()),
            _ => return walk.damaged("there is something between its pictures"),
        }
    }
    walk.damaged("it has too many parts")
}

fn colour_table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Skips blocks until the empty one; the first byte of the first.
fn gif_blocks(walk: &mut Walk<'_>) -> Result<Option<u8>, ImageError> {
    let mut first = None;
    for _ in 0..GIF_BLOCKS_MAX {
        let length = walk.byte()?;
        if length == 0 {
            return Ok(first);
        }
        let block = walk.take(usize::from(length))?;
        first = first.or(block.first().copied());
    }
    walk.damaged("a picture in it has too many blocks")
}

pub(crate) fn avif(bytes: &[u8]) -> Result<Head, ImageError> {
    let animated = brands(bytes).any(|brand| brand == b"avis");
    let look = bytes.get(..AVIF_LOOK_BYTES).unwrap_or(bytes);
    let alpha = b"auxiliary:alpha";
    let opaque = !look.windows(alpha.len()).any(|part| part == alpha);
    sized(bytes, Format::Avif, animated, opaque)
}
