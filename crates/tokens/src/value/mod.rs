pub(crate) mod color;
pub(crate) mod css_value;
mod number;

use crate::value::color::Color;

/// The type of a token: those of the format, and two that tools write beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// A colour in one of the fourteen colour spaces.
    Color,
    /// A length.
    Dimension,
    /// One font family or a list, the preferred one first.
    FontFamily,
    /// A weight from 1 to 1000.
    FontWeight,
    /// A time.
    Duration,
    /// A timing function.
    CubicBezier,
    /// A number without a unit.
    Number,
    /// The style of a line.
    StrokeStyle,
    /// Colour, width and style of a border.
    Border,
    /// Duration, delay and timing function.
    Transition,
    /// One or more shadows.
    Shadow,
    /// Colours along an axis.
    Gradient,
    /// Everything that sets type.
    Typography,
    /// A text; not of the format.
    Text,
    /// A truth value; not of the format.
    Boolean,
}

impl Type {
    /// Every type, with the word the format has for it.
    pub const ALL: [(Self, &'static str); 15] = [
        (Self::Color, "color"),
        (Self::Dimension, "dimension"),
        (Self::FontFamily, "fontFamily"),
        (Self::FontWeight, "fontWeight"),
        (Self::Duration, "duration"),
        (Self::CubicBezier, "cubicBezier"),
        (Self::Number, "number"),
        (Self::StrokeStyle, "strokeStyle"),
        (Self::Border, "border"),
        (Self::Transition, "transition"),
        (Self::Shadow, "shadow"),
        (Self::Gradient, "gradient"),
        (Self::Typography, "typography"),
        (Self::Text, "string"),
        (Self::Boolean, "boolean"),
    ];

    /// The type with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(t, _)| *t)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(t, _)| *t == self).map_or("", |(_, w)| w)
    }

    /// Whether the format itself has it.
    pub fn is_standard(self) -> bool {
        !matches!(self, Self::Text | Self::Boolean)
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.word())
    }
}

/// The unit of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// CSS pixels.
    Px,
    /// Times the root font size.
    Rem,
    /// Times the font size; not of the format.
    Em,
    /// Density-independent pixels; not of the format.
    Dp,
    /// Any other unit that CSS has for lengths, such as `vw`; not of the format.
    Css(&'static str),
}

/// Units of CSS that the format does not have, with their length in CSS pixels where nothing else decides it.
const UNITS: [(&str, Option<f64>); 40] = [
    ("%", None),
    ("vw", None),
    ("vh", None),
    ("vi", None),
    ("vb", None),
    ("vmin", None),
    ("vmax", None),
    ("svw", None),
    ("svh", None),
    ("svi", None),
    ("svb", None),
    ("svmin", None),
    ("svmax", None),
    ("lvw", None),
    ("lvh", None),
    ("lvi", None),
    ("lvb", None),
    ("lvmin", None),
    ("lvmax", None),
    ("dvw", None),
    ("dvh", None),
    ("dvi", None),
    ("dvb", None),
    ("dvmin", None),
    ("dvmax", None),
    ("cqw", None),
    ("cqh", None),
    ("cqmin", None),
    ("cqmax", None),
    ("ch", None),
    ("ex", None),
    ("cap", None),
    ("lh", None),
    ("rlh", None),
    ("pt", Some(4.0 / 3.0)),
    ("pc", Some(16.0)),
    ("in", Some(96.0)),
    ("cm", Some(96.0 / 2.54)),
    ("mm", Some(9.6 / 2.54)),
    ("q", Some(2.4 / 2.54)),
];

impl Unit {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "px" => Self::Px,
            "rem" => Self::Rem,
            "em" => Self::Em,
            "dp" => Self::Dp,
            _ => Self::Css(UNITS.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(word))?.0),
        })
    }

    /// The word for it in CSS: what is density-independent on Android is a pixel on the web.
    pub fn css(self) -> &'static str {
        match self {
            Self::Px | Self::Dp => "px",
            Self::Rem => "rem",
            Self::Em => "em",
            Self::Css(unit) => unit,
        }
    }

    /// The word for it in the format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dp => "dp",
            other => other.css(),
        }
    }
}

/// A length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dimension {
    /// How many.
    pub value: f64,
    /// Of what.
    pub unit: Unit,
}

impl Dimension {
    /// In CSS pixels, with a root font size of 16; `None` for what depends on the font or the window.
    pub fn px(self) -> Option<f64> {
        match self.unit {
            Unit::Px | Unit::Dp => Some(self.value),
            Unit::Rem => Some(self.value * 16.0),
            Unit::Em => None,
            Unit::Css(unit) => {
                let px = UNITS.iter().find(|(u, _)| *u == unit)?.1?;
                Some(self.value * px)
            }
        }
    }
}

/// The style of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum StrokeStyle {
    /// A word of CSS, such as `dashed`.
    Named(&'static str),
    /// Lengths of dashes and gaps, and the form of the ends.
    Dashes(Vec<Dimension>, &'static str),
}

/// A border.
#[derive(Debug, Clone, PartialEq)]
pub struct Border {
    /// Its colour.
    pub color: Color,
    /// Its width.
    pub width: Dimension,
    /// Its style.
    pub style: StrokeStyle,
    /// Parts that the format does not have, as members of a JSON object; kept where an output can hold them.
    pub rest: Option<Box<str>>,
}

/// A transition.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// In milliseconds.
    pub duration: f64,
    /// In milliseconds.
    pub delay: f64,
    /// The timing function.
    pub timing: [f64; 4],
    /// Parts that the format does not have, as members of a JSON object; kept where an output can hold them.
    pub rest: Option<Box<str>>,
}

/// One shadow.
#[derive(Debug, Clone, PartialEq)]
pub struct Shadow {
    /// Its colour.
    pub color: Color,
    /// To the right.
    pub x: Dimension,
    /// Downwards.
    pub y: Dimension,
    /// How soft.
    pub blur: Dimension,
    /// How much larger than the box.
    pub spread: Dimension,
    /// Whether it falls inwards.
    pub inset: bool,
    /// Parts that the format does not have, as members of a JSON object; kept where an output can hold them.
    pub rest: Option<Box<str>>,
}

/// One colour of a gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// The colour.
    pub color: Color,
    /// Where, from 0 to 1.
    pub position: f64,
    /// Parts that the format does not have, as members of a JSON object; kept where an output can hold them.
    pub rest: Option<Box<str>>,
}

/// Everything that sets type.
#[derive(Debug, Clone, PartialEq)]
pub struct Typography {
    /// Families, the preferred one first.
    pub family: Vec<Box<str>>,
    /// The font size.
    pub size: Dimension,
    /// From 1 to 1000.
    pub weight: f64,
    /// Between letters.
    pub spacing: Option<Dimension>,
    /// Times the font size.
    pub line_height: Option<f64>,
    /// Parts that the format does not have, as members of a JSON object; kept where an output can hold them.
    pub rest: Option<Box<str>>,
}

/// A value without any reference left in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// See [`Type::Color`].
    Color(Color),
    /// See [`Type::Dimension`].
    Dimension(Dimension),
    /// See [`Type::FontFamily`].
    FontFamily(Vec<Box<str>>),
    /// See [`Type::FontWeight`].
    FontWeight(f64),
    /// Milliseconds.
    Duration(f64),
    /// See [`Type::CubicBezier`].
    CubicBezier([f64; 4]),
    /// See [`Type::Number`].
    Number(f64),
    /// See [`Type::StrokeStyle`].
    StrokeStyle(StrokeStyle),
    /// See [`Type::Border`].
    Border(Box<Border>),
    /// See [`Type::Transition`].
    Transition(Transition),
    /// See [`Type::Shadow`].
    Shadow(Vec<Shadow>),
    /// See [`Type::Gradient`].
    Gradient(Vec<Stop>),
    /// See [`Type::Typography`].
    Typography(Box<Typography>),
    /// See [`Type::Text`].
    Text(Box<str>),
    /// See [`Type::Boolean`].
    Boolean(bool),
}
