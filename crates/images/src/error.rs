use crate::{
    format::Format,
    limits::{DECODED_BYTES_MAX, MAX_PIXELS, MAX_SIDE, SVG_BYTES_MAX, SVG_NODES_MAX, WIDTHS_MAX},
};

/// Why an image cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The bytes are in no known format.
    #[error("this is not an image that browsers can show; use a JPEG, PNG, WebP, GIF, AVIF or SVG")]
    Unknown,
    /// The file stops in the middle.
    #[error("the {format} stops too early; it was probably not copied completely")]
    Truncated {
        /// What it began as.
        format: Format,
    },
    /// The file breaks the rules of its format.
    #[error("the {format} is damaged: {why}; save it again with an image editor")]
    Damaged {
        /// What it began as.
        format: Format,
        /// What is wrong with it.
        why: String,
    },
    /// More pixels than are allowed.
    #[error(
        "the image is {width} × {height} pixels large; at most {MAX_SIDE} a side and {} million in all are allowed",
        MAX_PIXELS / 1_000_000
    )]
    TooLarge {
        /// Pixels from left to right.
        width: u64,
        /// Pixels from top to bottom.
        height: u64,
    },
    /// Decoding it would take more memory than is allowed.
    #[error(
        "the {format} needs more than {} MiB to decode; make it smaller or save it with 8 bits a channel",
        DECODED_BYTES_MAX >> 20
    )]
    TooHeavy {
        /// What it is.
        format: Format,
    },
    /// There is nothing to see.
    #[error("the image has a width or a height of zero")]
    Empty,
    /// A drawing of too many bytes or parts.
    #[error("the SVG is larger than {} MiB or has more than {SVG_NODES_MAX} parts; simplify it", SVG_BYTES_MAX >> 20)]
    SvgTooLarge,
    /// A drawing that does not say its size.
    #[error("the SVG does not say how large it is; give it a `viewBox`, or a `width` and a `height`")]
    SvgUnsized,
    /// A drawing that could run code or fetch something.
    #[error("the SVG is not safe to publish: it has {what}; remove that")]
    SvgUnsafe {
        /// What it has.
        what: String,
    },
    /// The file's ending says something else than its content.
    #[error("{path} is {}; rename it to end in .{}", format.with_article(), format.ending())]
    Ending {
        /// The path as it was given.
        path: String,
        /// What the content is.
        format: Format,
    },
    /// More widths at once than are allowed.
    #[error("{count} widths were asked for; at most {WIDTHS_MAX} are allowed")]
    Widths {
        /// How many.
        count: usize,
    },
    /// A smaller image could not be made.
    #[error("a {width} pixels wide {format} could not be made: {why}")]
    Rendition {
        /// The width asked for.
        width: u32,
        /// What it should have become.
        format: Format,
        /// What is wrong.
        why: String,
    },
}

impl ImageError {
    pub(crate) fn damaged(format: Format, why: impl ToString) -> Self {
        Self::Damaged { format, why: why.to_string() }
    }
}
