//! Tokens as the scanner knows them.

/// What the scanner knows of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The CSS custom property without the leading dashes, such as `semantic-color-text-default`.
    pub name: String,
    /// What the token's value is.
    pub kind: Kind,
    /// The CSS text of the value in the default contexts, with aliases resolved, such as `#1a2b3c` or `1rem`.
    pub value: String,
    /// Why the token should no longer be used; the reason may be empty.
    pub deprecated: Option<String>,
    /// The name of the token to use instead of a deprecated one.
    pub replaced_by: Option<String>,
    /// Suggestions prefer lower ranks: tokens of the semantic layer have 0, those of components 1, others 2.
    pub rank: u8,
}

/// What a token's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any CSS colour.
    Color,
    /// A length.
    Dimension,
    /// A time.
    Duration,
    /// A list of font families.
    FontFamily,
    /// A font weight from 1 to 1000.
    FontWeight,
    /// A number without a unit.
    Number,
    /// An easing curve.
    CubicBezier,
    /// A `box-shadow`.
    Shadow,
    /// Anything else: its uses are recognised, but no raw value is compared with it.
    Other,
}
