use ashlar_model::Finding;

/// Line and column (both from 1, the column in characters) of a byte offset.
pub(crate) fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

/// The text of a file: UTF-8, without a byte order mark.
pub(crate) fn decode<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, Finding> {
    const HELP: &str = "save the file as UTF-8";
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(
            Finding::error("encoding", format!("{path}:1:1"), "The file is UTF-16, not UTF-8.").help(HELP)
        );
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|e| {
        let (line, column) = position(bytes, e.valid_up_to());
        let byte = bytes.get(e.valid_up_to()).copied().unwrap_or_default();
        Finding::error(
            "encoding",
            format!("{path}:{line}:{column}"),
            format!("The file is not UTF-8: byte 0x{byte:02x} cannot stand here."),
        )
        .help(HELP)
    })
}

/// A message of a parser as one sentence.
pub(crate) fn sentence(message: &str) -> String {
    let message = message.trim().trim_end_matches('.').replace('\n', ": ");
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}
