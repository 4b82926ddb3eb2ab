use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use crate::declaration::Declaration;
use crate::languages::css;
use crate::languages::tailwind;
use crate::scanner::Scanner;

/// A piece of a page that is read in another language, by its place in the file.
enum Piece {
    Sheet { start: usize, end: usize, sass: bool },
    Declarations { start: usize, end: usize },
    Classes { start: usize, end: usize },
    Paint { property: &'static str, start: usize, end: usize },
}

/// Scans a page: its `<style>` elements, the attributes `style` and `class`, and those of SVG that paint.
pub(crate) fn page(scanner: &mut Scanner<'_>, text: &str) {
    for piece in pieces(text) {
        match piece {
            Piece::Sheet { start, end, sass } => {
                let Some(sheet) = text.get(start..end) else { continue };
                if sass { css::scss(scanner, sheet, start) } else { css::sheet(scanner, sheet, start) }
            }
            Piece::Declarations { start, end } => {
                if let Some(declarations) = text.get(start..end) {
                    css::sheet(scanner, declarations, start);
                }
            }
            Piece::Paint { property, start, end } => {
                if let Some(value) = text.get(start..end) {
                    let space = value.len() - value.trim_ascii_start().len();
                    scanner.declaration(Declaration {
                        property,
                        property_at: start,
                        value: value.trim_ascii(),
                        value_at: start + space,
                        sass: false,
                        optional: true,
                    });
                }
            }
            Piece::Classes { start, end } => {
                if let Some(classes) = text.get(start..end).filter(|_| scanner.lexicon.options.tailwind) {
                    tailwind::classes(scanner, classes, start);
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Attribute {
    Style,
    Class,
    Lang,
    Paint(&'static str),
    Other,
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = vec![];
    let (mut attribute, mut in_style, mut sass, mut sheet) = (Attribute::Other, false, false, None);
    let mut emitter =
        CallbackEmitter::new(|event: CallbackEvent<'_>, span: Span<usize>| -> Option<Infallible> {
            match event {
                CallbackEvent::OpenStartTag { name } => {
                    (in_style, sass, attribute) = (name == b"style", false, Attribute::Other);
                }
                CallbackEvent::AttributeName { name } => {
                    attribute = match name {
                        b"style" => Attribute::Style,
                        b"class" => Attribute::Class,
                        b"lang" => Attribute::Lang,
                        b"fill" => Attribute::Paint("fill"),
                        b"stroke" => Attribute::Paint("stroke"),
                        b"stop-color" => Attribute::Paint("stop-color"),
                        b"flood-color" => Attribute::Paint("flood-color"),
                        _ => Attribute::Other,
                    };
                }
                CallbackEvent::AttributeValue { value } => {
                    let (start, end) = (span.start, span.end);
                    match std::mem::replace(&mut attribute, Attribute::Other) {
                        Attribute::Style => pieces.push(Piece::Declarations { start, end }),
                        Attribute::Class => pieces.push(Piece::Classes { start, end }),
                        Attribute::Lang => sass = in_style && value == b"scss",
                        Attribute::Paint(property) => pieces.push(Piece::Paint { property, start, end }),
                        Attribute::Other => {}
                    }
                }
                CallbackEvent::CloseStartTag { .. } if in_style => sheet = Some(span.end),
                CallbackEvent::EndTag { name: b"style" } => {
                    if let Some(start) = sheet.take() {
                        pieces.push(Piece::Sheet { start, end: span.start, sass });
                    }
                }
                _ => {}
            }
            None
        });
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(text, emitter).finish();
    if let Some(start) = sheet {
        pieces.push(Piece::Sheet { start, end: text.len(), sass });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(text: &str) -> Vec<(&'static str, &str)> {
        let slice = |piece| match piece {
            Piece::Sheet { start, end, sass } => (if sass { "scss" } else { "css" }, text.get(start..end)),
            Piece::Declarations { start, end } => ("style", text.get(start..end)),
            Piece::Classes { start, end } => ("class", text.get(start..end)),
            Piece::Paint { property, start, end } => (property, text.get(start..end)),
        };
        pieces(text).into_iter().map(slice).map(|(kind, slice)| (kind, slice.unwrap_or("?"))).collect()
    }

    #[test]
    fn pieces_are_where_they_stand() {
        let text = "<p>é\r\n&amp;</p><style>a{b:c}</style><i class=\"x y\" style='color: red' id=q>\r\n<b class=z></b>";
        let expected = [("css", "a{b:c}"), ("class", "x y"), ("style", "color: red"), ("class", "z")];
        assert_eq!(slices(text), expected);
    }

    #[test]
    fn entities_do_not_move_what_follows() {
        let text = "<i style=\"a: &quot;é&quot;; b: c\" class=\"d\"/><style lang=\"scss\">$x: y;</style>";
        let expected = [("style", "a: &quot;é&quot;; b: c"), ("class", "d"), ("scss", "$x: y;")];
        assert_eq!(slices(text), expected);
    }
}
