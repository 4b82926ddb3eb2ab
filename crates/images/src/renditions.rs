use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError as CodecError, ImageFormat, ImageReader, Limits,
    RgbaImage, metadata::Orientation,
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
    let mut scaler = Scaler::of(original, facts);
    widths.into_iter().map(|width| scaler.rendition(width)).collect()
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
    // Four bytes a pixel is what scaling needs.
    if decoder.total_bytes().max(4 * u64::from(width) * u64::from(height)) > DECODED_BYTES_MAX {
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

/// What makes renditions of one image. Pixels are scaled with four channels, whatever the image has: the filters are
/// compiled once and not once per kind of pixel.
struct Scaler {
    picture: RgbaImage,
    /// What the pixels of the image are, and those of its renditions will be.
    colour: ColorType,
    orientation: Orientation,
    profile: Option<Vec<u8>>,
    kind: Kind,
    facts: Facts,
    resizer: Resizer,
}

impl Scaler {
    fn of(original: Original, facts: Facts) -> Self {
        let Original { picture, orientation, profile } = original;
        let (kind, colour) = (Kind::of(&picture, facts.format), picture.color());
        Self {
            picture: picture.into_rgba8(),
            colour,
            orientation,
            profile,
            kind,
            facts,
            resizer: Resizer::new(),
        }
    }

    fn rendition(&mut self, width: u32) -> Result<Rendition, ImageError> {
        let kind = self.kind;
        let failed = |why: String| ImageError::Rendition { width, format: kind.format(), why };
        let height = height_for(width, &self.facts);
        // Scaled as it is stored and turned after that: the turn then moves fewer pixels.
        let stored = if is_turned(self.orientation) { (height, width) } else { (width, height) };
        let mut picture = self.scaled(stored).map_err(failed)?;
        picture.apply_orientation(self.orientation);
        let (format, bytes) =
            encode(&picture, kind, self.profile.as_deref()).map_err(|error| failed(error.to_string()))?;
        Ok(Rendition { width, height, format, bytes })
    }

    /// Lanczos with three lobes, in whole numbers: SIMD or not, the same bytes. Colours are weighed by how much of them
    /// shows.
    fn scaled(&mut self, (width, height): (u32, u32)) -> Result<DynamicImage, String> {
        let (from_width, from_height) = self.picture.dimensions();
        let source = ImageRef::new(from_width, from_height, self.picture.as_raw(), PixelType::U8x4)
            .map_err(|error| error.to_string())?;
        let mut target = Image::new(width, height, PixelType::U8x4);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
        self.resizer.resize(&source, &mut target, &options).map_err(|error| error.to_string())?;
        let scaled = RgbaImage::from_raw(width, height, target.into_vec())
            .ok_or_else(|| "its pixels do not fill it".to_owned())?;
        let scaled = DynamicImage::ImageRgba8(scaled);
        Ok(match self.colour {
            ColorType::L8 => scaled.into_luma8().into(),
            ColorType::La8 => scaled.into_luma_alpha8().into(),
            ColorType::Rgb8 => scaled.into_rgb8().into(),
            _ => scaled,
        })
    }
}

/// The height that keeps the aspect ratio: rounded, and at least one.
fn height_for(width: u32, facts: &Facts) -> u32 {
    let (whole_width, whole_height) = (u64::from(facts.width), u64::from(facts.height));
    let height = (whole_height * u64::from(width) + whole_width / 2) / whole_width.max(1);
    u32::try_from(height).unwrap_or(facts.height).max(1)
}
