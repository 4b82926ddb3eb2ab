//! Design tokens: read (DTCG 2025.10 with resolver documents), resolve, check, build, compare, package.
//!
//! [`TokenSet`] contains every definition as it was read; [`TokenSet::resolve`] follows the references and gives
//! [`Resolved`], which everything behind it works on. A token's values are kept for the combinations of contexts that
//! can change it and no others, so that sixteen modifiers cost nothing where only one matters.
//!
//! Invariant: this crate does no I/O; files come in as text, and what is built goes out as text.

mod config;
mod index;
mod json;
mod outputs;
mod resolve;
mod rules;
mod source;
mod value;
mod variables;
mod versions;

pub use config::{
    CONFIG, Config, Contrast, Divergence, Layers, Motion, Names, Near, Severity, Target, Tolerance,
};
pub use outputs::{
    Build, BuildOptions, OUTPUT_BYTES_MAX, Output, OutputFile, Sink, attribute, build, css_name,
};
pub use resolve::{Combination, EXPANDED_BYTES_MAX, HOPS_MAX, Resolved, Token, VALUES_MAX, VARIANTS_MAX};
pub use rules::{Checked, check};
pub use source::extends::EXTENDS_MAX;
pub use source::resolver::{Fetch, READ_BYTES_MAX, SOURCES_MAX};
pub use source::{
    DEFINITIONS_MAX, Deprecation, FILE_BYTES_MAX, MODIFIERS_MAX, Modifier, NAME_BYTES_MAX, SourceFile,
    TOKENS_MAX, TokenSet,
};
pub use value::color::{Color, Space, apca, contrast_ratio, delta_e_2000};
pub use value::{Border, Dimension, Shadow, Stop, StrokeStyle, Transition, Type, Typography, Unit, Value};
pub use variables::variables;
pub use versions::diff::{Change, Diff, diff};
pub use versions::package::{Note, Package, changelog, pack};
pub use versions::version::{Bump, Version};
