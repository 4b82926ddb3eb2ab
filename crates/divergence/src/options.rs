/// How strictly a file is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How the names of the system's custom properties begin, without dashes before, such as `acme-` or `semantic-`.
    /// Unknown variables are reported only when they begin so; colours go by their names without it in class names.
    pub prefixes: Vec<String>,
    /// How many pixels `1rem` is.
    pub root_font_px: f64,
    /// The deltaE2000 up to which a colour is almost a token's.
    pub near_color: f64,
    /// The share of a token's value up to which a length, duration, weight or number is almost a token's.
    pub near_length: f64,
    /// Raw values that are always fine. An entry is a whole value (`none`, `100%`), a unit that is fine with any number
    /// (`fr`, or `%` for percentages), or a value on properties that begin so (`border:1px`).
    pub allow: Vec<String>,
    /// Whether class names are read as Tailwind utilities.
    pub tailwind: bool,
}

/// Keywords that stand for no value of their own, and units that depend on the place and not on the system.
const ALLOWED: &str = "0 none auto inherit initial unset revert revert-layer currentcolor transparent % fr vw vh vi vb \
    vmin vmax svw svh svi svb svmin svmax lvw lvh lvi lvb lvmin lvmax dvw dvh dvi dvb dvmin dvmax cqw cqh cqi cqb \
    cqmin cqmax ch ex border:1px outline:1px column-rule:1px";

impl Default for Options {
    fn default() -> Self {
        Self {
            prefixes: Vec::new(),
            root_font_px: 16.0,
            near_color: 3.0,
            near_length: 0.15,
            allow: ALLOWED.split_ascii_whitespace().map(str::to_owned).collect(),
            tailwind: true,
        }
    }
}
