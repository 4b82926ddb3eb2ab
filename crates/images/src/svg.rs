//! How large a drawing is, and whether it is safe to publish: nothing that runs, nothing that fetches.

use image::metadata::Orientation;
use roxmltree::{Document, Error as XmlError, Node, ParsingOptions};

use crate::{
    error::ImageError,
    format::Format,
    head::Head,
    limits::{SVG_ATTRIBUTES_MAX, SVG_BYTES_MAX, SVG_NAMESPACES_MAX, SVG_NODES_MAX},
};

const SVG_NAMESPACE: &str = "http://www.w3.org/2000/svg";
const HTML_NAMESPACE: &str = "http://www.w3.org/1999/xhtml";
const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// Elements that run code, or hold documents that could.
const RUNNING: [&str; 9] =
    ["script", "foreignobject", "iframe", "embed", "object", "audio", "video", "handler", "listener"];

/// Elements that move others.
const MOVING: [&str; 5] = ["animate", "animatemotion", "animatetransform", "animatecolor", "set"];

/// What may stand in an address besides a place in the same drawing: pictures and fonts that are part of the file.
const EMBEDDED: [&str; 9] = [
    "data:image/png",
    "data:image/jpeg",
    "data:image/jpg",
    "data:image/gif",
    "data:image/webp",
    "data:image/avif",
    "data:font/",
    "data:application/font-",
    "data:application/x-font-",
];

pub(crate) fn head(bytes: &[u8]) -> Result<Head, ImageError> {
    if bytes.len() > SVG_BYTES_MAX {
        return Err(ImageError::SvgTooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| match error.error_len() {
        None => ImageError::Truncated { format: Format::Svg },
        Some(_) => ImageError::damaged(Format::Svg, "it is not UTF-8"),
    })?;
    // Browsers expand entities and fill in attributes from these; a drawing needs neither.
    if text.contains("<!ENTITY") || text.contains("<!ATTLIST") {
        return unsafe_for("definitions of entities or attributes in its document type");
    }
    // Markup has no `<` inside, so that each piece has at least as many `=` as the element in it has attributes.
    let many = |piece: &[u8]| piece.iter().filter(|b| **b == b'=').take(SVG_ATTRIBUTES_MAX + 1).count();
    if text.as_bytes().split(|b| *b == b'<').any(|piece| many(piece) > SVG_ATTRIBUTES_MAX)
        || text.matches("xmlns").take(SVG_NAMESPACES_MAX + 1).count() > SVG_NAMESPACES_MAX
    {
        return Err(ImageError::SvgTooLarge);
    }
    let options = ParsingOptions { allow_dtd: true, nodes_limit: SVG_NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        XmlError::NodesLimitReached | XmlError::AttributesLimitReached | XmlError::NamespacesLimitReached => {
            ImageError::SvgTooLarge
        }
        XmlError::UnexpectedEndOfStream | XmlError::UnclosedRootNode => {
            ImageError::Truncated { format: Format::Svg }
        }
        other => ImageError::damaged(Format::Svg, other),
    })?;
    let root = document.root_element();
    if !root.tag_name().name().eq_ignore_ascii_case("svg") {
        return Err(ImageError::Unknown);
    }
    if !root.has_tag_name((SVG_NAMESPACE, "svg")) {
        return Err(ImageError::damaged(Format::Svg, format!("`xmlns=\"{SVG_NAMESPACE}\"` is missing")));
    }
    let mut animated = false;
    for node in document.descendants() {
        animated |= inspect(node)?;
    }
    let (width, height) = size(root)?;
    Ok(Head { width, height, animated, opaque: false, orientation: Orientation::NoTransforms })
}

fn unsafe_for<T>(what: impl Into<String>) -> Result<T, ImageError> {
    Err(ImageError::SvgUnsafe { what: what.into() })
}

/// Refuses what is not safe; whether the node moves something.
fn inspect(node: Node<'_, '_>) -> Result<bool, ImageError> {
    if node.is_pi() {
        return unsafe_for("a processing instruction such as `<?xml-stylesheet?>`");
    }
    if !node.is_element() {
        return Ok(false);
    }
    let element = node.tag_name().name();
    let name = element.to_ascii_lowercase();
    if RUNNING.contains(&name.as_str()) {
        return unsafe_for(format!("a `<{element}>`"));
    }
    if node.tag_name().namespace() == Some(HTML_NAMESPACE) {
        return unsafe_for(format!("the HTML element `<{element}>`"));
    }
    for attribute in node.attributes() {
        inspect_attribute(attribute.name(), attribute.namespace(), attribute.value())?;
    }
    let mut animated = MOVING.contains(&name.as_str());
    if name == "style" {
        let css: String =
            node.children().filter(Node::is_text).filter_map(|text| text.text()).collect::<String>();
        let css = css.to_ascii_lowercase();
        if css.contains('\\') || fetches(&css) {
            return unsafe_for("a `<style>` that fetches something or hides what it does");
        }
        animated |= css.contains("@keyframes");
    }
    Ok(animated)
}

fn inspect_attribute(name: &str, namespace: Option<&str>, value: &str) -> Result<(), ImageError> {
    let lower = name.to_ascii_lowercase();
    let value = value.trim().to_ascii_lowercase();
    let is_handler = |name: &str| name.starts_with("on");
    if namespace.is_none() && is_handler(&lower) {
        return unsafe_for(format!("the event handler `{name}`"));
    }
    match lower.as_str() {
        "base" if namespace == Some(XML_NAMESPACE) => {
            return unsafe_for("an `xml:base`, which turns its references into others");
        }
        "href" | "src" if !is_own(&value) => {
            return unsafe_for(format!("a `{name}` that points outside of it (`{}`)", shortened(&value)));
        }
        "attributename" => {
            let target = value.rsplit(':').next().unwrap_or(&value);
            if target == "href" || is_handler(target) {
                return unsafe_for(format!("an animation of `{target}`"));
            }
        }
        _ => {}
    }
    // Escapes could spell `url(` in other letters.
    let escaped = value.contains('\\') && (lower == "style" || value.contains('('));
    if escaped || fetches(&value) {
        return unsafe_for(format!("a `{name}` that fetches something (`{}`)", shortened(&value)));
    }
    Ok(())
}

/// Whether an address stays within the file.
fn is_own(address: &str) -> bool {
    address.is_empty()
        || address.starts_with('#')
        || EMBEDDED.iter().any(|embedded| address.starts_with(embedded))
}

/// Whether CSS (in lower case, without escapes) refers to something outside of the file.
fn fetches(css: &str) -> bool {
    let mut addresses = css.split("url(").skip(1);
    ["@import", "image-set(", "src("].iter().any(|word| css.contains(word))
        || addresses.any(|rest| {
            !is_own(rest.trim_start_matches(|c: char| c.is_whitespace() || c == '"' || c == '\''))
        })
}

fn shortened(value: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let mut short: String = value.chars().take(CHARACTERS_MAX).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}

/// The size on screen: what `width` and `height` say, and the `viewBox` where they are silent.
fn size(root: Node<'_, '_>) -> Result<(u64, u64), ImageError> {
    let width = root.attribute("width").and_then(pixels);
    let height = root.attribute("height").and_then(pixels);
    let shape = root.attribute("viewBox").and_then(view_box);
    let (width, height) = match (width, height, shape) {
        (Some(width), Some(height), _) => (width, height),
        (_, _, Some((wide, high))) if wide <= 0.0 || high <= 0.0 => return Err(ImageError::Empty),
        (Some(width), None, Some((wide, high))) => (width, width * high / wide),
        (None, Some(height), Some((wide, high))) => (height * wide / high, height),
        (None, None, Some(shape)) => shape,
        (_, _, None) => return Err(ImageError::SvgUnsized),
    };
    Ok((whole(width), whole(height)))
}

/// Whole pixels: none only when nothing is there.
fn whole(pixels: f64) -> u64 {
    // `as` cuts off at both ends, which is what is wanted.
    if pixels > 0.0 { (pixels.round() as u64).max(1) } else { 0 }
}

/// A length in pixels; none when it depends on something outside (`%`, `em`) or is no length.
fn pixels(length: &str) -> Option<f64> {
    let length = length.trim();
    let unit_at = length.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
    let (number, unit) = length.split_at(unit_at.unwrap_or(length.len()));
    let each = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "px" => 1.0,
        "pt" => 96.0 / 72.0,
        "pc" => 16.0,
        "in" => 96.0,
        "cm" => 96.0 / 2.54,
        "mm" => 96.0 / 25.4,
        "q" => 96.0 / 101.6,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * each).filter(|pixels| pixels.is_finite())
}

fn view_box(value: &str) -> Option<(f64, f64)> {
    let mut numbers = value.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty());
    let mut next = || numbers.next()?.parse::<f64>().ok().filter(|number| number.is_finite());
    let (_, _, width, height) = (next()?, next()?, next()?, next()?);
    numbers.next().is_none().then_some((width, height))
}
