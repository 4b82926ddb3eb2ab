//! Pixels to bytes: which format a rendition gets, and its encoding.

use image::{
    DynamicImage, ImageEncoder, ImageResult,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
        webp::WebPEncoder,
    },
};

use crate::format::Format;

/// The quality of JPEG renditions, of 100.
pub const JPEG_QUALITY: u8 = 80;

/// A picture of more colours than this is taken for a photo.
const FEW_COLOURS: usize = 256;

/// How a picture is best stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Opaque, many colours: lossy.
    Photo,
    /// Transparency or few colours: exact.
    Drawing,
}

impl Kind {
    /// What a decoded picture is.
    pub fn of(picture: &DynamicImage, format: Format) -> Self {
        let photo = format == Format::Jpeg || !(picture.color().has_alpha() || has_few_colours(picture));
        if photo { Self::Photo } else { Self::Drawing }
    }

    /// The format that is tried first.
    pub const fn format(self) -> Format {
        match self {
            Self::Photo => Format::Jpeg,
            Self::Drawing => Format::Png,
        }
    }
}

fn has_few_colours(picture: &DynamicImage) -> bool {
    let channels = usize::from(picture.color().channel_count());
    let mut seen: Vec<&[u8]> = Vec::with_capacity(FEW_COLOURS);
    let mut last: &[u8] = &[];
    for pixel in picture.as_bytes().chunks_exact(channels) {
        if pixel == last {
            continue;
        }
        last = pixel;
        if let Err(at) = seen.binary_search(&pixel) {
            if seen.len() == FEW_COLOURS {
                return false;
            }
            seen.insert(at, pixel);
        }
    }
    true
}

/// The bytes of a picture and what they are: a JPEG of a photo; of a drawing a PNG, or a lossless WebP where that is
/// smaller.
pub(crate) fn encode(
    picture: &DynamicImage,
    kind: Kind,
    profile: Option<&[u8]>,
) -> ImageResult<(Format, Vec<u8>)> {
    match kind {
        Kind::Photo => {
            let mut bytes = Vec::new();
            let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
            write_picture(picture, encoder, profile)?;
            Ok((Format::Jpeg, bytes))
        }
        Kind::Drawing => {
            let (mut png, mut webp) = (Vec::new(), Vec::new());
            let encoder =
                PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive);
            write_picture(picture, encoder, profile)?;
            write_picture(picture, WebPEncoder::new_lossless(&mut webp), profile)?;
            Ok(if webp.len() < png.len() { (Format::Webp, webp) } else { (Format::Png, png) })
        }
    }
}

fn write_picture(
    picture: &DynamicImage,
    mut encoder: impl ImageEncoder,
    profile: Option<&[u8]>,
) -> ImageResult<()> {
    if let Some(profile) = profile {
        // An encoder that cannot keep a profile says so; the picture is still right in most colours.
        let _unsupported = encoder.set_icc_profile(profile.to_vec());
    }
    encoder.write_image(picture.as_bytes(), picture.width(), picture.height(), picture.color().into())
}
