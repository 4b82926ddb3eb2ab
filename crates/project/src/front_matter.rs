//! Front matter: fields between two lines above the text of a Markdown file.

use ashlar_model::{Fields, Finding, read_toml, read_yaml};
use serde_json::Value;

use crate::text::sentence;

/// The largest front matter, in bytes.
const FRONT_MATTER_BYTES_MAX: usize = 1 << 20;

/// A Markdown file taken apart.
pub struct Document {
    /// The front matter; empty when there is none.
    pub fields: Fields,
    /// The line (from 1) of the file on which the front matter's text starts.
    pub fields_line: usize,
    /// The Markdown after it, with `\n` line ends and without blank lines around it.
    pub body: String,
    /// The line (from 1) of the file on which `body` starts.
    pub body_line: usize,
}

/// Splits text with optional YAML (`---`) or TOML (`+++`) front matter.
///
/// # Errors
/// What is wrong with the front matter, with its line.
pub fn split(path: &str, text: &str) -> Result<Document, Finding> {
    let text = match text.contains('\r') {
        true => std::borrow::Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => std::borrow::Cow::Borrowed(text),
    };
    let first = text.split('\n').next().unwrap_or_default().trim_end();
    let (fields, rest, rest_line) = match first {
        "---" | "+++" => {
            let start = text.find('\n').map_or(text.len(), |i| i + 1);
            let Some((len, after)) = closing(&text[start..], first) else {
                return Err(Finding::error(
                    "front-matter",
                    format!("{path}:1:1"),
                    format!("The front matter that starts with `{first}` has no closing `{first}` line."),
                )
                .help(format!("close it with a line that contains only `{first}`")));
            };
            let matter = &text[start..start + len];
            if len > FRONT_MATTER_BYTES_MAX {
                return Err(Finding::error(
                    "front-matter",
                    format!("{path}:1:1"),
                    format!("The front matter has {len} bytes; at most {FRONT_MATTER_BYTES_MAX} are read."),
                ));
            }
            let value = match first {
                "---" => read_yaml(path, 2, matter)?,
                _ => read_toml(path, 2, matter)?,
            };
            let fields = match value {
                Value::Object(map) => map,
                Value::Null => Fields::new(),
                _ => {
                    return Err(Finding::error(
                        "front-matter",
                        format!("{path}:2:1"),
                        sentence("the front matter is not a list of names with values"),
                    )
                    .help("write lines such as `title: About us`"));
                }
            };
            let after = start + after;
            (fields, &text[after..], text[..after].matches('\n').count() + 1)
        }
        _ => (Fields::new(), &text[..], 1),
    };
    let mut body = rest;
    let mut body_line = rest_line;
    while let Some((line, next)) = body.split_once('\n') {
        if !line.trim().is_empty() {
            break;
        }
        body = next;
        body_line += 1;
    }
    Ok(Document { fields, fields_line: 2, body: body.trim_end().to_owned(), body_line })
}

/// Length of the front matter and where the text after its closing line starts.
fn closing(text: &str, fence: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == fence {
            return Some((at, at + line.len()));
        }
        at += line.len();
    }
    None
}

/// The line (from 1) of the file on which a front matter field is, best effort: the line of its top-level key.
pub fn line_of_field(text: &str, name: &str) -> Option<usize> {
    let mut lines = text.lines().enumerate();
    let (_, first) = lines.next()?;
    let fence = first.trim_start_matches('\u{feff}').trim_end();
    if fence != "---" && fence != "+++" {
        return None;
    }
    lines.take_while(|(_, l)| l.trim_end() != fence).find_map(|(i, l)| {
        let rest = l.trim_start_matches('[').trim_start_matches(['"', '\'']).strip_prefix(name)?;
        let rest = rest.trim_start_matches(['"', '\'']).trim_start();
        rest.starts_with([':', '=', ']', '.']).then_some(i + 1)
    })
}
