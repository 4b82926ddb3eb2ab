use color::{AlphaColor, Lab, Srgb, parse_color};

/// A parsed colour, ready to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Paint {
    pub(crate) key: PaintKey,
    /// CIE L\*a\*b\* under D50, as `ashlar_tokens::Color::lab` gives it.
    pub(crate) lab: [f64; 3],
    pub(crate) alpha: f64,
}

/// What colours that look the same have in common: sRGB in 8 bits, or a rounded Lab outside of that gamut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PaintKey {
    Srgb([u8; 4]),
    Wide([i32; 4]),
}

/// How far a channel may lie outside of sRGB and still be rounded into it: the noise of a conversion.
const GAMUT_SLACK: f32 = 0.002;

impl Paint {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The parser slices by bytes, and no CSS colour has any other character.
        if !text.is_ascii() {
            return None;
        }
        let parsed = parse_color(text).ok()?;
        let srgb: AlphaColor<Srgb> = parsed.to_alpha_color();
        let lab: AlphaColor<Lab> = parsed.to_alpha_color();
        if srgb.components.iter().chain(&lab.components).any(|c| !c.is_finite()) {
            return None;
        }
        let [l, a, b, alpha] = lab.components.map(f64::from);
        let (lab, alpha) = ([l, a, b], alpha.clamp(0.0, 1.0));
        let inside = |c: &f32| (-GAMUT_SLACK..=1.0 + GAMUT_SLACK).contains(c);
        let key = if srgb.components[..3].iter().all(inside) {
            PaintKey::Srgb(srgb.components.map(|c| (c.clamp(0.0, 1.0) * 255.0).round() as u8))
        } else {
            PaintKey::Wide([l, a, b, alpha * 25.5].map(|v| (v * 10.0).round() as i32))
        };
        Some(Self { key, lab, alpha })
    }
}

#[cfg(test)]
mod tests {
    use ashlar_tokens::{Color, delta_e_2000};

    use super::*;

    /// What is reported of an app and what the rules tell of the tokens are the same figures.
    #[test]
    fn differences_are_those_of_tokens() {
        let pairs = [
            ("#1a2b3c", "#1c2b3c"),
            ("red", "#fe0000"),
            ("#c8c8c8", "#c8c8c9"),
            ("oklch(0.6 0.1 250)", "#58a"),
        ];
        for (one, two) in pairs {
            let ours = [one, two].map(|text| Paint::parse(text).unwrap().lab);
            let theirs = [one, two].map(|text| Color::from_css(text).unwrap().lab());
            let difference = delta_e_2000(ours[0], ours[1]);
            assert!((difference - delta_e_2000(theirs[0], theirs[1])).abs() < 1e-3, "{one} {two}");
            assert!(difference > 0.0 && (difference - delta_e_2000(ours[1], ours[0])).abs() < 1e-9);
        }
    }

    #[test]
    fn the_same_colour_in_other_words() {
        let key = |text| Paint::parse(text).map(|p| p.key);
        for same in ["#f00", "RED", "rgb(255 0 0)", "rgba(255,0,0,1)", "hsl(0 100% 50%)", "#FF0000FF"] {
            assert_eq!(key(same), key("#ff0000"), "{same}");
        }
        assert_eq!(key("#00000080"), key("rgb(0 0 0 / 50%)"));
        assert!(matches!(key("color(display-p3 1 0 0)"), Some(PaintKey::Wide(_))));
        assert_eq!(key("solid"), None);
        assert_eq!(key("rgb(from red r g b)"), None);
    }

    #[test]
    fn white_is_white() {
        let white = Paint::parse("#fff").map(|p| p.lab);
        assert!(white.is_some_and(|w| (w[0] - 100.0).abs() < 0.01 && w[1].abs() < 0.01 && w[2].abs() < 0.01));
    }
}
