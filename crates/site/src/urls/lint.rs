//! What the source of a template writes where escaping does not help.

use std::ops::Range;

use ashlar_model::Finding;
use memchr::{memchr, memchr2};

use super::check::{Seen, walk};

/// A template without its expressions, byte for byte: each byte of one that writes something is a control character.
fn masked(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = memchr(b'{', &bytes[at..]) {
        let open = at + found;
        let (close, with): (&[u8], u8) = match bytes.get(open + 1) {
            Some(b'{') => (b"}}", WRITES),
            Some(b'%') => (b"%}", b' '),
            Some(b'#') => (b"#}", b' '),
            _ => {
                at = open + 1;
                continue;
            }
        };
        let mut end = open + 2;
        while end < bytes.len() && !bytes[end..].starts_with(close) {
            // A text inside an expression may hold anything.
            if close != b"#}" && matches!(bytes[end], b'"' | b'\'') {
                let quote = bytes[end];
                end += 1;
                while let Some(next) = memchr2(quote, b'\\', bytes.get(end..).unwrap_or_default()) {
                    end += next;
                    if bytes[end] == quote {
                        break;
                    }
                    end += 2;
                }
            }
            end += 1;
        }
        let end = (end + 2).min(bytes.len());
        for (byte, was) in out[open..end].iter_mut().zip(&bytes[open..end]) {
            *byte = if *was == b'\n' { b'\n' } else { with };
        }
        at = end;
    }
    // What is not ASCII is replaced as a whole: an expression begins and ends with ASCII.
    String::from_utf8(out).unwrap_or_default()
}

/// Stands for what an expression writes.
const WRITES: u8 = 1;

/// What a template writes where escaping does not help.
pub fn lint(file: &str, source: &str) -> Vec<Finding> {
    let text = masked(source);
    let writes = |range: &Range<usize>| memchr(WRITES, &text.as_bytes()[range.clone()]).is_some();
    let place =
        |at: usize| format!("{file}:{}", 1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..at]).count());
    let mut out = Vec::new();
    walk(&text, &mut |seen| match seen {
        Seen::Attribute { name, value, quote, all, .. } => {
            let place = place(all.start);
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            let lower = name.to_ascii_lowercase();
            let handler =
                lower.len() > 2 && lower.starts_with("on") && lower.as_bytes()[2].is_ascii_alphabetic();
            if handler && writes(&value) {
                out.push(
                    Finding::error("template-handler", place, format!("`{name}` is a script, and a value in it can be one too."))
                        .help("remove the attribute; put behaviour into a file under site/ and pass values as `data-…` attributes"),
                );
            } else if handler {
                out.push(
                    Finding::warning(
                        "template-handler",
                        place,
                        format!("`{name}` never runs: it is removed from pages."),
                    )
                    .help("put behaviour into a file under site/"),
                );
            } else if lower == "srcdoc" && writes(&value) {
                out.push(
                    Finding::error(
                        "template-srcdoc",
                        place,
                        "A value inside `srcdoc` becomes markup, although it is escaped.",
                    )
                    .help("put the content into the page itself"),
                );
            } else if quote == 0 && writes(&value) {
                out.push(
                    Finding::error("template-unquoted", place, format!("The value of `{name}` has no quotes, so that a space in it begins another attribute."))
                        .help(format!("write {name}=\"{{{{ … }}}}\"")),
                );
            }
        }
        Seen::Raw { tag: tag @ ("script" | "style"), json: false, content, .. } if writes(&content) => {
            let at = content.start + memchr(WRITES, &text.as_bytes()[content.clone()]).unwrap_or(0);
            out.push(
                Finding::error(
                    "template-script",
                    place(at),
                    format!("A value inside <{tag}> is not escaped for it."),
                )
                .help("pass values as `data-…` attributes, or as JSON-LD with json_ld()"),
            );
        }
        _ => {}
    });
    out
}
