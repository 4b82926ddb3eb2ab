use image::metadata::Orientation;

use crate::{
    error::ImageError,
    format::{Format, ending_of},
    head::{self, Head},
    limits::{MAX_PIXELS, MAX_SIDE},
    svg,
};

/// What is known of an image without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// What it really is.
    pub format: Format,
    /// Pixels from left to right as shown, with the orientation of a camera applied.
    pub width: u32,
    /// Pixels from top to bottom as shown.
    pub height: u32,
    /// Whether it moves.
    pub animated: bool,
    /// Whether it is opaque, as far as its head says: `false` means that it might not be.
    pub opaque: bool,
}

impl Head {
    fn facts(&self, format: Format) -> Result<Facts, ImageError> {
        let (width, height) =
            if self.is_turned() { (self.height, self.width) } else { (self.width, self.height) };
        if width == 0 || height == 0 {
            return Err(ImageError::Empty);
        }
        match (u32::try_from(width), u32::try_from(height)) {
            (Ok(wide), Ok(high)) if wide.max(high) <= MAX_SIDE && width * height <= MAX_PIXELS => {
                let (animated, opaque) = (self.animated, self.opaque);
                Ok(Facts { format, width: wide, height: high, animated, opaque })
            }
            _ => Err(ImageError::TooLarge { width, height }),
        }
    }
}

/// What an image really is and how large, read from its head; of an SVG, from the whole drawing.
///
/// The work is bounded: no pixels are decoded, at most a fixed number of segments is walked, and an SVG has at most
/// [`SVG_BYTES_MAX`](crate::SVG_BYTES_MAX) and [`SVG_NODES_MAX`](crate::SVG_NODES_MAX).
///
/// # Errors
///
/// When it is no known image, damaged or cut off before its size is known, too large, empty, or an SVG that is not
/// safe to publish.
pub fn facts(bytes: &[u8]) -> Result<Facts, ImageError> {
    let (head, format) = read_head(bytes)?;
    head.facts(format)
}

/// The same as [`facts`], and an error when the file's ending says something else than its content. A path without
/// an ending says nothing.
///
/// # Errors
///
/// The errors of [`facts`], and [`ImageError::Ending`].
pub fn facts_of(path: &str, bytes: &[u8]) -> Result<Facts, ImageError> {
    let format = Format::of_bytes(bytes).ok_or(ImageError::Unknown)?;
    if ending_of(path).is_some() && Format::of_path(path) != Some(format) {
        return Err(ImageError::Ending { path: path.to_owned(), format });
    }
    facts(bytes)
}

/// The facts and the orientation that is to be applied.
pub(crate) fn facts_and_orientation(bytes: &[u8]) -> Result<(Facts, Orientation), ImageError> {
    let (head, format) = read_head(bytes)?;
    Ok((head.facts(format)?, head.orientation))
}

fn read_head(bytes: &[u8]) -> Result<(Head, Format), ImageError> {
    let format = Format::of_bytes(bytes).ok_or(ImageError::Unknown)?;
    let head = match format {
        Format::Jpeg => head::jpeg(bytes),
        Format::Png => head::png(bytes),
        Format::Webp => head::webp(bytes),
        Format::Gif => head::gif(bytes),
        Format::Avif => head::avif(bytes),
        Format::Svg => svg::head(bytes),
    }?;
    Ok((head, format))
}
