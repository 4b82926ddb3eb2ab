use ashlar_model::Finding;
pub(crate) use ashlar_model::{position, sentence};

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
            format!("The file is not UTF-8: byte 0x{byte:02x} is not allowed here."),
        )
        .help(HELP)
    })
}
