use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use image::{
    DynamicImage, GrayAlphaImage, GrayImage, ImageDecoder, ImageError as CodecError, ImageFormat,
    ImageReader, Limits, RgbImage, RgbaImage, metadata::Orientation,
};

use crate::{
    Facts, Format, ImageError,
    colour::profile_to_keep,
    encode::{Kind, encode},
    facts::facts_and_orientation,
    head::{is_turned, jpeg_is_whole},
    limits::{DECODED_BYTES_MAX, MAX_SIDE, WIDTHS_MAX},
};

/// A smaller image made of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// What the bytes are.
    pub format: Format,
    /// The whole file.
    pub bytes: Vec<u8>,
}

/// Scales an image to each of `widths` that is smaller than its own, the narrowest first, each width once.
///
/// The aspect ratio is kept, the height rounded and at least one. Photos become JPEGs; pictures with transparency or
/// at most 256 colours become PNGs, or lossless WebPs where those are smaller. The orientation of a JPEG's camera is
/// applied, metadata is dropped; a colour profile other than sRGB stays, for without it the colours were wrong.
///
/// There are none of SVGs (sharp at every size), AVIFs and whatever moves, nor of a PNG or WebP that asks to be turned
/// when shown, for browsers disagree on those. A rendition may have more bytes than a very well-compressed original:
/// whoever offers both compares them.
///
/// # Errors
///
/// The errors of [`facts`](crate::facts); [`ImageError::Widths`] for more than [`WIDTHS_MAX`];
/// [`ImageError::TooHeavy`] for an image that needs more than [`DECODED_BYTES_MAX`] to decode; and what only decoding
/// shows to be damaged.
pub fn renditions(bytes: &[u8], widths: &[u32]) -> Result<Vec<Rendition>, ImageError> {
    if widths.len() > WIDTHS_MAX {
        return Err(ImageError::Widths { count: widths.len() });
    }
    let (facts, orientation) = facts_and_orientation(bytes)?;
    let mut widths: Vec<u32> =
        widths.iter().copied().filter(|width| (1..facts.width).contains(width)).collect();
    widths.sort_unstable();
    widths.dedup();
    let (Some(codec), false, false) = (codec(facts.format), facts.animated, widths.is_empty()) else {
        return Ok(Vec::new());
    };
    if facts.format == Format::Jpeg && !jpeg_is_whole(bytes) {
        return Err(ImageError::Truncated { format: facts.format });
    }
    // The decoders promise not to panic, yet they are large and what they read is foreign: a mistake in one must cost
    // one image and no more.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(bytes, codec, &facts, orientation)))
        .unwrap_or_else(|_| Err(ImageError::damaged(facts.format, "its decoder gave up on it")))?;
    let Some(original) = decoded else { return Ok(Vec::new()) };
    let kind = Kind::of(&original.picture, facts.format);
    let mut resizer = Resizer::new();
    widths.into_iter().map(|width| rendition(&original, kind, &facts, width, &mut resizer)).collect()
}

/// What decodes a format; none for those that are passed through.
const fn codec(format: Format) -> Option<ImageFormat> {
    match format {
        Format::Jpeg => Some(ImageFormat::Jpeg),
        Format::Png => Some(ImageFormat::Png),
        Format::Webp => Some(ImageFormat::WebP),
        Format::Gif => Some(ImageFormat::Gif),
        Format::Svg | Format::Avif => None,
    }
}

/// A decoded image: 8 bits a channel, an alpha channel only where there is transparency.
struct Original {
    picture: DynamicImage,
    /// How it is turned to be shown.
    orientation: Orientation,
    /// What its colours mean, where that is not sRGB.
    profile: Option<Vec<u8>>,
}

fn decode(
    bytes: &[u8],
    codec: ImageFormat,
    facts: &Facts,
    orientation: Orientation,
) -> Result<Option<Original>, ImageError> {
    let failed = |error| codec_error(error, facts.format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), codec);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let shown = if is_turned(orientation) { (height, width) } else { (width, height) };
    if shown != (facts.width, facts.height) {
        return Err(ImageError::damaged(facts.format, "it says two different sizes"));
    }
    if decoder.total_bytes() > DECODED_BYTES_MAX {
        return Err(ImageError::TooHeavy { format: facts.format });
    }
    if facts.format != Format::Jpeg && decoder.orientation().map_err(failed)? != Orientation::NoTransforms {
        return Ok(None);
    }
    let grey = !decoder.color_type().has_color();
    // A profile that cannot be read is none: the colours are then taken for sRGB, as browsers do.
    let profile = profile_to_keep(decoder.icc_profile().ok().flatten(), grey);
    let picture = plain(DynamicImage::from_decoder(decoder).map_err(failed)?);
    Ok(Some(Original { picture, orientation, profile }))
}

fn codec_error(error: CodecError, format: Format) -> ImageError {
    match error {
        CodecError::Limits(_) => ImageError::TooHeavy { format },
        CodecError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated { format }
        }
        other => ImageError::damaged(format, other),
    }
}

/// The same picture with 8 bits a channel, and without an alpha channel that says nothing.
fn plain(picture: DynamicImage) -> DynamicImage {
    let colour = picture.color();
    let opaque =
        |bytes: &[u8], channels| bytes.iter().skip(channels - 1).step_by(channels).all(|a| *a == u8::MAX);
    match (colour.has_color(), colour.has_alpha()) {
        (false, false) => DynamicImage::ImageLuma8(picture.into_luma8()),
        (true, false) => DynamicImage::ImageRgb8(picture.into_rgb8()),
        (false, true) => {
            let picture = picture.into_luma_alpha8();
            let opaque = opaque(picture.as_raw(), 2);
            let picture = DynamicImage::ImageLumaA8(picture);
            if opaque { picture.into_luma8().into() } else { picture }
        }
        (true, true) => {
            let picture = picture.into_rgba8();
            let opaque = opaque(picture.as_raw(), 4);
            let picture = DynamicImage::ImageRgba8(picture);
            if opaque { picture.into_rgb8().into() } else { picture }
        }
    }
}

fn rendition(
    original: &Original,
    kind: Kind,
    facts: &Facts,
    width: u32,
    resizer: &mut Resizer,
) -> Result<Rendition, ImageError> {
    let failed = |why: String| ImageError::Rendition { width, format: kind.format(), why };
    let height = height_for(width, facts);
    // Scaled as it is stored and turned after that: the turn then moves fewer pixels.
    let stored = if is_turned(original.orientation) { (height, width) } else { (width, height) };
    let mut picture = scaled(&original.picture, stored, resizer).map_err(failed)?;
    picture.apply_orientation(original.orientation);
    let (format, bytes) =
        encode(&picture, kind, original.profile.as_deref()).map_err(|error| failed(error.to_string()))?;
    Ok(Rendition { width, height, format, bytes })
}

/// The height that keeps the aspect ratio: rounded, and at least one.
fn height_for(width: u32, facts: &Facts) -> u32 {
    let (whole_width, whole_height) = (u64::from(facts.width), u64::from(facts.height));
    let height = (whole_height * u64::from(width) + whole_width / 2) / whole_width.max(1);
    u32::try_from(height).unwrap_or(facts.height).max(1)
}

/// Lanczos with three lobes, in whole numbers: SIMD or not, the same bytes. Colours are weighed by how much of them
/// shows.
fn scaled(picture: &DynamicImage, size: (u32, u32), resizer: &mut Resizer) -> Result<DynamicImage, String> {
    let pixels = match picture {
        DynamicImage::ImageLuma8(_) => PixelType::U8,
        DynamicImage::ImageLumaA8(_) => PixelType::U8x2,
        DynamicImage::ImageRgb8(_) => PixelType::U8x3,
        DynamicImage::ImageRgba8(_) => PixelType::U8x4,
        other => return Err(format!("its pixels are unexpected: {:?}", other.color())),
    };
    let (width, height) = size;
    let source = ImageRef::new(picture.width(), picture.height(), picture.as_bytes(), pixels)
        .map_err(|error| error.to_string())?;
    let mut target = Image::new(width, height, pixels);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    resizer.resize(&source, &mut target, &options).map_err(|error| error.to_string())?;
    let bytes = target.into_vec();
    match pixels {
        PixelType::U8 => GrayImage::from_raw(width, height, bytes).map(Into::into),
        PixelType::U8x2 => GrayAlphaImage::from_raw(width, height, bytes).map(Into::into),
        PixelType::U8x3 => RgbImage::from_raw(width, height, bytes).map(Into::into),
        _ => RgbaImage::from_raw(width, height, bytes).map(Into::into),
    }
    .ok_or_else(|| "its pixels do not fill it".to_owned())
}
