//! One spelling for values that can be written in many ways.

use cssparser::{Parser, Token};

use crate::lexicon::paint::Paint;

/// How deep functions and blocks may nest in a value.
pub(crate) const DEPTH_MAX: u8 = 32;

/// A shadow in one spelling: two shadows are the same when this is. `None` for text that is no plain shadow.
pub(crate) fn shadow(text: &str) -> Option<String> {
    let mut parser = Parser::new(text);
    let mut layers: Vec<(Vec<String>, Vec<String>)> = vec![Default::default()];
    loop {
        parser.skip_whitespace();
        let start = parser.position();
        let Ok(token) = parser.next() else { break };
        let token = token.clone();
        let (numbers, words) = layers.last_mut()?;
        match &token {
            Token::Comma => layers.push(Default::default()),
            Token::Number { value, .. } if *value == 0.0 => numbers.push("0".to_owned()),
            Token::Dimension { value, .. } if *value == 0.0 => numbers.push("0".to_owned()),
            Token::Dimension { value, unit, .. } => {
                numbers.push(format!("{value}{}", unit.to_ascii_lowercase()))
            }
            Token::Ident(word) if word.eq_ignore_ascii_case("inset") => words.push("inset".to_owned()),
            Token::Ident(_) | Token::Hash(_) | Token::IDHash(_) => {
                words.push(paint(parser.slice_from(start))?);
            }
            Token::Function(_) => {
                parser.parse_nested_block(skip).ok()?;
                words.push(paint(parser.slice_from(start))?);
            }
            _ => return None,
        }
    }
    let layers = layers.iter_mut().map(|(numbers, words)| {
        // Blur and spread may be left out.
        while numbers.len() > 2 && numbers.last().is_some_and(|n| n == "0") {
            numbers.pop();
        }
        words.sort_unstable();
        (numbers.len() >= 2).then(|| format!("{} {}", numbers.join(" "), words.join(" ")))
    });
    Some(layers.collect::<Option<Vec<_>>>()?.join(","))
}

fn paint(text: &str) -> Option<String> {
    Paint::parse(text).map(|p| format!("{:?}", p.key))
}

/// Reads a block to its end.
pub(crate) fn skip<'i>(parser: &mut Parser<'i>) -> Result<(), cssparser::ParseError<()>> {
    while parser.next().is_ok() {}
    Ok(())
}

/// The four numbers of a `cubic-bezier(…)`, in ten thousandths.
pub(crate) fn easing(text: &str) -> Option<[i32; 4]> {
    let name = text.get(..13)?;
    let inner = text.get(13..)?.trim_end().strip_suffix(')')?;
    if !name.eq_ignore_ascii_case("cubic-bezier(") {
        return None;
    }
    let mut numbers = inner.split(',').map(|n| n.trim().parse::<f64>().ok().filter(|n| n.is_finite()));
    let four = [numbers.next()??, numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then(|| four.map(|n| (n * 10_000.0).round() as i32))
}

/// The families of a `font-family`, without quotes and in lower case.
pub(crate) fn families(text: &str) -> Vec<String> {
    let mut families = vec![String::new()];
    let (mut quote, mut space) = (None, false);
    for c in text.trim().chars() {
        match quote {
            None if c == ',' => {
                families.push(String::new());
                space = false;
                continue;
            }
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                continue;
            }
            Some(q) if q == c => {
                quote = None;
                continue;
            }
            _ => {}
        }
        let Some(family) = families.last_mut() else { continue };
        if c.is_whitespace() {
            space = !family.is_empty();
        } else {
            if std::mem::take(&mut space) {
                family.push(' ');
            }
            family.extend(c.to_lowercase());
        }
    }
    families
}

/// How many pixels an absolute unit is, or `rem` with that root size.
pub(crate) fn pixels(unit: &str, root_font_px: f64) -> Option<f64> {
    let is = |name: &str| unit.eq_ignore_ascii_case(name);
    Some(match unit {
        _ if is("px") => 1.0,
        _ if is("rem") => root_font_px,
        _ if is("in") => 96.0,
        _ if is("pt") => 96.0 / 72.0,
        _ if is("pc") => 16.0,
        _ if is("cm") => 96.0 / 2.54,
        _ if is("mm") => 9.6 / 2.54,
        _ if is("q") => 2.4 / 2.54,
        _ => return None,
    })
}

/// How many milliseconds a unit is.
pub(crate) fn milliseconds(unit: &str) -> Option<f64> {
    match unit {
        _ if unit.eq_ignore_ascii_case("ms") => Some(1.0),
        _ if unit.eq_ignore_ascii_case("s") => Some(1000.0),
        _ => None,
    }
}

/// Splits `12.5rem` into its number and its unit, as a tokenizer does; `None` for anything but one quantity.
pub(crate) fn quantity(text: &str) -> Option<(f64, String)> {
    let mut parser = Parser::new(text);
    let quantity = match parser.next().ok()? {
        Token::Number { value, .. } => (f64::from(*value), String::new()),
        Token::Dimension { value, unit, .. } => (f64::from(*value), unit.to_ascii_lowercase()),
        _ => return None,
    };
    parser.is_exhausted().then_some(quantity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shadows() {
        assert_eq!(shadow("0 1px 2px rgba(0,0,0,.5)"), shadow("rgb(0 0 0 / 50%) 0px 1px 2px 0"));
        assert_ne!(shadow("0 1px 2px #000"), shadow("inset 0 1px 2px #000"));
        assert_eq!(shadow("0 0 1px #000, 0 0 2px #fff"), shadow("0px 0px 1px black,0 0 2px white"));
        assert_eq!(shadow("none"), None);
        assert_eq!(shadow("0 1px var(--x)"), None);
    }

    #[test]
    fn easings_and_families() {
        assert_eq!(easing("cubic-bezier(.2, 0, 0, 1)"), Some([2000, 0, 0, 10_000]));
        assert_eq!(easing("CUBIC-BEZIER(0.2,0,0,1.0)"), easing("cubic-bezier(.2,0,0,1)"));
        assert_eq!(easing("cubic-bezier(.2,0,0)"), None);
        assert_eq!(easing("cubic-bezieré"), None);
        assert_eq!(families("\"Open  Sans\", Arial,sans-serif"), ["open sans", "arial", "sans-serif"]);
        assert_eq!(quantity("1.5rem"), Some((1.5, "rem".to_owned())));
        assert_eq!(quantity("1px 2px"), None);
    }
}
