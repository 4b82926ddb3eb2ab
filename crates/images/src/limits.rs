//! What an image may be and take.

/// The most pixels an image may have from left to right, or from top to bottom.
pub const MAX_SIDE: u32 = 16_384;

/// The most pixels an image may have in all.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The most widths that can be asked for at once.
pub const WIDTHS_MAX: usize = 32;

/// The most memory a decoder may take for one image.
pub const DECODED_BYTES_MAX: u64 = 512 << 20;

/// The most bytes an SVG may have.
pub const SVG_BYTES_MAX: usize = 4 << 20;

/// The most attributes of one element of an SVG. Its parser compares each with every other.
pub const SVG_ATTRIBUTES_MAX: usize = 2_000;

/// The most definitions of namespaces in an SVG. Its parser looks through all of them for every element.
pub const SVG_NAMESPACES_MAX: usize = 500;

/// The most elements, texts and comments an SVG may have.
pub const SVG_NODES_MAX: u32 = 100_000;
