//! Files with one JSON object on each line.

use std::collections::HashMap;

use ashlar_model::Finding;
use serde_json::Value;

use super::{
    bounds::{CASE_BYTES_MAX, DEPTH_MAX, FINDINGS_MAX},
    fields::Wrong,
};

/// What the lines of a file are, in words.
pub(super) struct Kind {
    /// The code of findings about one line.
    pub code: &'static str,
    /// The code of findings about the file.
    pub file_code: &'static str,
    /// One of them.
    pub one: &'static str,
    /// The most of them.
    pub most: usize,
}

/// Reads the lines of a file. Empty lines and lines that begin with `//` are skipped. `read` gives the id of a line and what it says. What is
/// wrong comes with its line and its field.
pub(super) fn read_lines<T>(
    path: &str,
    bytes: &[u8],
    kind: &Kind,
    read: impl Fn(Value, usize, &mut Vec<Wrong>) -> (String, T),
) -> (Vec<T>, Vec<Finding>) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut found: Vec<T> = Vec::new();
    let mut lines: HashMap<String, usize> = HashMap::new();
    let mut findings = Vec::new();
    for (bytes, line) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() || bytes.starts_with(b"//") {
            continue;
        }
        let mut wrong: Vec<Wrong> = Vec::new();
        match parse(bytes, kind) {
            Err(why) => wrong.push(why),
            Ok(value) => {
                let (id, item) = read(value, line, &mut wrong);
                found.push(item);
                if let Some(first) = lines.get(&id) {
                    let message = format!("The id `{id}` is used in line {first}.");
                    wrong.push(("/id".to_owned(), message, "choose another id".to_owned()));
                }
                lines.insert(id, line);
            }
        }
        for (at, message, help) in wrong {
            let place = if at.is_empty() { format!("{path}:{line}") } else { format!("{path}:{line} {at}") };
            findings.push(Finding::error(kind.code, place, message).help(help));
        }
        if findings.len() >= FINDINGS_MAX {
            break;
        }
        if found.len() > kind.most {
            let message = format!("The file has more than {} {}s.", kind.most, kind.one);
            let finding = Finding::error(kind.file_code, format!("{path}:{line}"), message);
            findings.push(finding.help("split the suite"));
            break;
        }
    }
    (found, findings)
}

fn parse(bytes: &[u8], kind: &Kind) -> Result<Value, Wrong> {
    let refuse = |message: String, help: &str| (String::new(), message, help.to_owned());
    if bytes.len() > CASE_BYTES_MAX {
        let message =
            format!("The {} has {} bytes; at most {CASE_BYTES_MAX} are possible.", kind.one, bytes.len());
        return Err(refuse(message, "shorten it"));
    }
    if is_deep(bytes) {
        let message = format!("The {} is nested deeper than {DEPTH_MAX} levels.", kind.one);
        return Err(refuse(message, "flatten it"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let said = error.to_string();
        let why = said.split(" at line ").next().unwrap_or(&said).to_owned();
        refuse(format!("Column {}: {why}.", error.column()), "write one JSON object on the line")
    })
}

/// How deep brackets are nested. Those in texts do not count.
fn is_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
