//! Responsive images: what an image really is ([`facts`], [`facts_of`]) and smaller ones made of it ([`renditions`]).
//!
//! Bytes come in and bytes go out. What an image is, its first bytes say; its file's ending is only compared with
//! that. Every size is the one on screen: a JPEG that its camera turned counts as turned.
//!
//! Invariants: this crate does no I/O and keeps no state; the same input gives the same bytes (on one kind of processor:
//! whether the decoders' SIMD agrees with their plain code is theirs to promise); no
//! input makes it panic; nothing is decoded before its size was read and found within [`MAX_SIDE`] and
//! [`MAX_PIXELS`].

mod colour;
mod encode;
mod error;
mod facts;
mod format;
mod head;
mod limits;
mod renditions;
mod svg;

pub use encode::JPEG_QUALITY;
pub use error::ImageError;
pub use facts::{Facts, facts, facts_of};
pub use format::Format;
pub use limits::{
    DECODED_BYTES_MAX, MAX_PIXELS, MAX_SIDE, SVG_ATTRIBUTES_MAX, SVG_BYTES_MAX, SVG_NAMESPACES_MAX,
    SVG_NODES_MAX, WIDTHS_MAX,
};
pub use renditions::{Rendition, renditions};
