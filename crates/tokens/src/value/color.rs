use std::fmt::Write;

use ::color::{ColorSpaceTag, DynamicColor};

use crate::value::number::Number;

/// A colour as it was written: its space, three components, and opacity. A component that is `none` is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Color {
    /// The space.
    pub space: Space,
    /// The components, in the ranges of CSS Color 4 for the space: 0 to 1 for RGB spaces, percentages from 0 to 100
    /// for HSL and HWB, degrees for hues.
    pub components: [Option<f64>; 3],
    /// From 0 to 1.
    pub alpha: f64,
    /// Red, green and blue that its author chose for programs that know only sRGB.
    pub fallback: Option<[u8; 3]>,
}

/// The colour spaces of the format, which are those of CSS Color 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// sRGB.
    Srgb,
    /// sRGB without its transfer curve.
    SrgbLinear,
    /// Hue, saturation, lightness of sRGB.
    Hsl,
    /// Hue, whiteness, blackness of sRGB.
    Hwb,
    /// CIE Lab.
    Lab,
    /// CIE LCH.
    Lch,
    /// Oklab.
    Oklab,
    /// OKLCH.
    Oklch,
    /// Display P3.
    DisplayP3,
    /// Adobe RGB (1998).
    A98Rgb,
    /// ProPhoto RGB.
    ProphotoRgb,
    /// ITU-R BT.2020.
    Rec2020,
    /// CIE XYZ under D65.
    XyzD65,
    /// CIE XYZ under D50.
    XyzD50,
}

const SPACES: [(Space, &str, ColorSpaceTag); 14] = [
    (Space::Srgb, "srgb", ColorSpaceTag::Srgb),
    (Space::SrgbLinear, "srgb-linear", ColorSpaceTag::LinearSrgb),
    (Space::Hsl, "hsl", ColorSpaceTag::Hsl),
    (Space::Hwb, "hwb", ColorSpaceTag::Hwb),
    (Space::Lab, "lab", ColorSpaceTag::Lab),
    (Space::Lch, "lch", ColorSpaceTag::Lch),
    (Space::Oklab, "oklab", ColorSpaceTag::Oklab),
    (Space::Oklch, "oklch", ColorSpaceTag::Oklch),
    (Space::DisplayP3, "display-p3", ColorSpaceTag::DisplayP3),
    (Space::A98Rgb, "a98-rgb", ColorSpaceTag::A98Rgb),
    (Space::ProphotoRgb, "prophoto-rgb", ColorSpaceTag::ProphotoRgb),
    (Space::Rec2020, "rec2020", ColorSpaceTag::Rec2020),
    (Space::XyzD65, "xyz-d65", ColorSpaceTag::XyzD65),
    (Space::XyzD50, "xyz-d50", ColorSpaceTag::XyzD50),
];

impl Space {
    /// The space with this word.
    pub fn parse(word: &str) -> Option<Self> {
        SPACES.iter().find(|(_, w, _)| *w == word).map(|(s, _, _)| *s)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        SPACES.iter().find(|(s, _, _)| *s == self).map_or("srgb", |(_, w, _)| w)
    }

    /// Every word, for messages.
    pub fn words() -> String {
        SPACES.map(|(_, word, _)| word).join(", ")
    }

    fn tag(self) -> ColorSpaceTag {
        SPACES.iter().find(|(s, _, _)| *s == self).map_or(ColorSpaceTag::Srgb, |(_, _, tag)| *tag)
    }

    /// The least and the greatest value of each component, where the space bounds it.
    pub(crate) fn ranges(self) -> [(f64, f64); 3] {
        const FREE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
        const HUE: (f64, f64) = (0.0, 360.0);
        match self {
            Self::Srgb
            | Self::SrgbLinear
            | Self::DisplayP3
            | Self::A98Rgb
            | Self::ProphotoRgb
            | Self::Rec2020 => [(0.0, 1.0); 3],
            Self::XyzD65 | Self::XyzD50 => [FREE; 3],
            Self::Hsl | Self::Hwb => [HUE, (0.0, 100.0), (0.0, 100.0)],
            Self::Lab => [(0.0, 100.0), FREE, FREE],
            Self::Oklab => [(0.0, 1.0), FREE, FREE],
            Self::Lch => [(0.0, 100.0), (0.0, f64::INFINITY), HUE],
            Self::Oklch => [(0.0, 1.0), (0.0, f64::INFINITY), HUE],
        }
    }
}

impl Color {
    /// Reads any colour that CSS can write; used for the older style of token files.
    pub fn from_css(text: &str) -> Option<Self> {
        let parsed = ::color::parse_color(text.trim()).ok()?;
        let (space, ..) = SPACES.iter().find(|(_, _, tag)| *tag == parsed.cs)?;
        let [a, b, c, alpha] = parsed.components;
        let part = |index: usize, value: f32| (!parsed.flags.missing().contains(index)).then(|| widen(value));
        let components = [part(0, a), part(1, b), part(2, c)];
        Some(Self { space: *space, components, alpha: widen(alpha), fallback: None })
    }

    fn dynamic(&self) -> DynamicColor {
        let [a, b, c] = self.components.map(|c| c.unwrap_or(0.0) as f32);
        DynamicColor {
            cs: self.space.tag(),
            flags: ::color::Flags::default(),
            components: [a, b, c, self.alpha as f32],
        }
    }

    fn to(self, tag: ColorSpaceTag) -> [f64; 3] {
        let [a, b, c, _] = self.dynamic().convert(tag).components;
        [f64::from(a), f64::from(b), f64::from(c)]
    }

    /// Red, green and blue of sRGB from 0 to 1, clipped to what sRGB can show, without opacity.
    pub fn srgb(&self) -> [f64; 3] {
        let raw = match self.space {
            Space::Srgb => self.components.map(|c| c.unwrap_or(0.0)),
            _ => self.to(ColorSpaceTag::Srgb),
        };
        raw.map(|c| c.clamp(0.0, 1.0))
    }

    /// Whether sRGB can show it without clipping.
    pub fn is_in_srgb(&self) -> bool {
        self.to(ColorSpaceTag::Srgb).iter().all(|c| (-0.002..=1.002).contains(c))
    }

    /// CIE L*a*b* under D50.
    pub fn lab(&self) -> [f64; 3] {
        self.to(ColorSpaceTag::Lab)
    }

    /// What is seen when it lies over `backdrop`, which is opaque: simple alpha compositing in sRGB, as browsers do.
    pub fn over(&self, backdrop: &Self) -> Self {
        if self.alpha >= 1.0 {
            return *self;
        }
        let (front, back) = (self.srgb(), backdrop.srgb());
        let mix = |i: usize| Some(front[i] * self.alpha + back[i] * (1.0 - self.alpha));
        Self { space: Space::Srgb, components: [mix(0), mix(1), mix(2)], alpha: 1.0, fallback: None }
    }

    /// `#rrggbb`, or `#rrggbbaa` when it is not opaque; clipped to sRGB.
    pub fn hex(&self) -> String {
        let mut out = String::with_capacity(9);
        self.write_hex(&mut out);
        out
    }

    pub(crate) fn write_hex(&self, out: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let [r, g, b] = self.srgb();
        let alpha = (self.alpha < 1.0).then_some(self.alpha);
        out.push('#');
        for part in [r, g, b].into_iter().chain(alpha) {
            let byte = (part * 255.0).round() as u8;
            out.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
    }

    /// The shortest CSS that means exactly this colour: a hex notation where eight bits are enough, else the function of
    /// its space.
    pub fn css(&self) -> String {
        let mut out = String::new();
        self.write_css(&mut out);
        out
    }

    pub(crate) fn write_css(&self, out: &mut String) {
        if self.space == Space::Srgb {
            // What stood as `#1a2b3c` somewhere comes back as it was, whatever number of digits a tool wrote.
            let near = |c: f64| ((c * 255.0) - (c * 255.0).round()).abs() < 0.02;
            let exact = self.components.iter().all(|c| c.is_some_and(near));
            if exact && (self.alpha >= 1.0 || near(self.alpha)) {
                self.write_hex(out);
                return;
            }
            if exact {
                let [r, g, b] = self.srgb().map(|c| (c * 255.0).round());
                let _ = write!(out, "rgb({r} {g} {b} / {})", Number(self.alpha));
                return;
            }
        }
        let percent = |index: usize| match self.space {
            Space::Hsl | Space::Hwb => index > 0,
            _ => false,
        };
        let _ = match self.space {
            Space::Hsl | Space::Hwb | Space::Lab | Space::Lch | Space::Oklab | Space::Oklch => {
                write!(out, "{}(", self.space.word())
            }
            _ => write!(out, "color({} ", self.space.word()),
        };
        for (index, component) in self.components.iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            match component {
                None => out.push_str("none"),
                Some(value) => {
                    let _ = write!(out, "{}", Number(*value));
                    if percent(index) {
                        out.push('%');
                    }
                }
            }
        }
        if self.alpha < 1.0 {
            let _ = write!(out, " / {}", Number(self.alpha));
        }
        out.push(')');
    }
}

/// The shortest decimal that names this `f32`, as an `f64`: 0.1 stays 0.1.
fn widen(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// How different two colours look, from their L*a*b* values: about 1 is the least difference that is seen.
///
/// Sharma, Wu, Dalal: "The CIEDE2000 Color-Difference Formula: Implementation Notes, Supplementary Test Data, and
/// Mathematical Observations", Color Research & Application 30 (2005).
pub fn delta_e_2000(one: [f64; 3], two: [f64; 3]) -> f64 {
    let [l1, a1, b1] = one;
    let [l2, a2, b2] = two;
    let pow7 = |v: f64| v.powi(7);
    let chroma = f64::midpoint(a1.hypot(b1), a2.hypot(b2));
    let g = 0.5 * (1.0 - (pow7(chroma) / (pow7(chroma) + pow7(25.0))).sqrt());
    let (a1, a2) = (a1 * (1.0 + g), a2 * (1.0 + g));
    let (c1, c2) = (a1.hypot(b1), a2.hypot(b2));
    let hue = |a: f64, b: f64| {
        if a == 0.0 && b == 0.0 { 0.0 } else { b.atan2(a).to_degrees().rem_euclid(360.0) }
    };
    let (h1, h2) = (hue(a1, b1), hue(a2, b2));
    let grey = c1 * c2 == 0.0;
    let dh = match h2 - h1 {
        _ if grey => 0.0,
        d if d > 180.0 => d - 360.0,
        d if d < -180.0 => d + 360.0,
        d => d,
    };
    let (dl, dc) = (l2 - l1, c2 - c1);
    let dhue = 2.0 * (c1 * c2).sqrt() * (dh / 2.0).to_radians().sin();
    let (l, c) = (f64::midpoint(l1, l2), f64::midpoint(c1, c2));
    let h = match (h1 - h2).abs() {
        _ if grey => h1 + h2,
        d if d <= 180.0 => f64::midpoint(h1, h2),
        _ if h1 + h2 < 360.0 => f64::midpoint(h1 + h2, 360.0),
        _ => f64::midpoint(h1 + h2, -360.0),
    };
    let cos = |degrees: f64| degrees.to_radians().cos();
    let t = 1.0 - 0.17 * cos(h - 30.0) + 0.24 * cos(2.0 * h) + 0.32 * cos(3.0 * h + 6.0)
        - 0.20 * cos(4.0 * h - 63.0);
    let rotation = 30.0 * (-((h - 275.0) / 25.0).powi(2)).exp();
    let rc = 2.0 * (pow7(c) / (pow7(c) + pow7(25.0))).sqrt();
    let sl = 1.0 + 0.015 * (l - 50.0).powi(2) / (20.0 + (l - 50.0).powi(2)).sqrt();
    let (sc, sh) = (1.0 + 0.045 * c, 1.0 + 0.015 * c * t);
    let rt = -(2.0 * rotation).to_radians().sin() * rc;
    let (l, c, h) = (dl / sl, dc / sc, dhue / sh);
    (l * l + c * c + h * h + rt * c * h).max(0.0).sqrt()
}

/// The contrast ratio of WCAG 2.2, from 1 to 21; both colours are taken as opaque.
pub fn contrast_ratio(one: &Color, two: &Color) -> f64 {
    let luminance = |color: &Color| {
        let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        let [r, g, b] = color.srgb().map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (one, two) = (luminance(one), luminance(two));
    (one.max(two) + 0.05) / (one.min(two) + 0.05)
}

/// The lightness contrast Lc of APCA (0.1.9), from about -108 to 106: negative for light text on a dark ground.
pub fn apca(text: &Color, ground: &Color) -> f64 {
    let screen = |color: &Color| {
        let [r, g, b] = color.srgb().map(|c| c.powf(2.4));
        let y = 0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b;
        if y < 0.022 { y + (0.022 - y).powf(1.414) } else { y }
    };
    let (text, ground) = (screen(text), screen(ground));
    if (ground - text).abs() < 0.0005 {
        return 0.0;
    }
    let contrast = if ground > text {
        (ground.powf(0.56) - text.powf(0.57)) * 1.14
    } else {
        (ground.powf(0.65) - text.powf(0.62)) * 1.14
    };
    match contrast {
        c if c.abs() < 0.1 => 0.0,
        c if c > 0.0 => (c - 0.027) * 100.0,
        c => (c + 0.027) * 100.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the supplementary test data of Sharma, Wu and Dalal.
    #[test]
    fn differences_of_the_literature() {
        for (one, two, expected) in [
            ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
            ([50.0, 3.1571, -77.2803], [50.0, 0.0, -82.7485], 2.8615),
            ([50.0, -1.3802, -84.2814], [50.0, 0.0, -82.7485], 1.0),
            ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
            ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0009], 7.1792),
            ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0011], 7.2195),
            ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
            ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
            ([2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082),
        ] {
            assert!((delta_e_2000(one, two) - expected).abs() < 0.0001, "{one:?} {two:?}");
            assert!((delta_e_2000(two, one) - expected).abs() < 0.0001, "{two:?} {one:?}");
        }
    }

    #[test]
    fn contrast_of_known_pairs() {
        let css = |text: &str| Color::from_css(text).unwrap();
        assert!((contrast_ratio(&css("#000"), &css("#fff")) - 21.0).abs() < 1e-9);
        assert!((contrast_ratio(&css("#777"), &css("#fff")) - 4.478).abs() < 0.001);
        // The reference values of APCA's own documentation.
        assert!((apca(&css("#888"), &css("#fff")) - 63.056).abs() < 0.01);
        assert!((apca(&css("#fff"), &css("#888")) + 68.541).abs() < 0.01);
        assert!((apca(&css("#000"), &css("#aaa")) - 58.146).abs() < 0.01);
    }

    #[test]
    fn colours_come_back_as_css() {
        for (text, css) in [
            ("#1a2b3c", "#1a2b3c"),
            ("#1A2B3C80", "#1a2b3c80"),
            ("oklch(0.6 0.1 250)", "oklch(0.6 0.1 250)"),
            ("color(display-p3 1 0.5 0 / 0.5)", "color(display-p3 1 0.5 0 / 0.5)"),
            ("hsl(120 50% 40%)", "hsl(120 50% 40%)"),
            ("rebeccapurple", "#663399"),
            ("oklch(0.6 none 250)", "oklch(0.6 none 250)"),
        ] {
            assert_eq!(Color::from_css(text).unwrap().css(), css);
        }
        assert!(Color::from_css("bluish").is_none());
        assert!(!Color::from_css("color(display-p3 0 1 0)").unwrap().is_in_srgb());
    }
}
