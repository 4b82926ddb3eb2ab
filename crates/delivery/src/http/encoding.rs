//! Content encodings: which one a client wants, and compressing.

use std::io::Write;

/// The smallest body that is compressed, in bytes.
pub(crate) const COMPRESS_BYTES_MIN: usize = 1024;
/// The largest body that is compressed while a client waits, in bytes.
pub(crate) const COMPRESS_BYTES_MAX: usize = 8 << 20;
/// Brotli quality: beyond it time grows much faster than size shrinks.
const BROTLI_QUALITY: i32 = 5;

/// A content encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `gzip`
    Gzip,
    /// `br`
    Brotli,
}

impl Encoding {
    /// The name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// The encoding that an `Accept-Encoding` header prefers; `None` for no encoding. Brotli wins a tie.
    pub fn accepted(header: &str) -> Option<Self> {
        let (mut gzip, mut brotli, mut other, mut identity) = (None, None, None, None);
        for part in header.split(',').take(16) {
            let mut pieces = part.split(';');
            let name = pieces.next().unwrap_or_default().trim();
            let q = pieces.find_map(|p| p.trim().strip_prefix("q=")).map_or(1000, quality);
            match name {
                _ if name.eq_ignore_ascii_case("gzip") => gzip = Some(q),
                _ if name.eq_ignore_ascii_case("br") => brotli = Some(q),
                _ if name.eq_ignore_ascii_case("identity") => identity = Some(q),
                "*" => other = Some(q),
                _ => {}
            }
        }
        let gzip = gzip.or(other).unwrap_or(0);
        let brotli = brotli.or(other).unwrap_or(0);
        let best = gzip.max(brotli);
        if best == 0 || identity.is_some_and(|q| q > best) {
            return None;
        }
        Some(if brotli >= gzip { Self::Brotli } else { Self::Gzip })
    }

    /// The compressed form of a body.
    pub(crate) fn compress(self, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                out.write_all(body).ok()?;
                out.finish().ok()
            }
            Self::Brotli => {
                let mut out = Vec::new();
                let params =
                    brotli::enc::BrotliEncoderParams { quality: BROTLI_QUALITY, ..Default::default() };
                brotli::BrotliCompress(&mut &body[..], &mut out, &params).ok()?;
                Some(out)
            }
        }
    }
}

/// A quality value (`0.8`) in thousandths; 0 when it is not one.
pub(crate) fn quality(text: &str) -> u16 {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let fraction = digits.fold(0_u16, |n, b| n * 10 + u16::from(b.saturating_sub(b'0').min(9)));
    match whole {
        "1" => 1000,
        "0" => fraction,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiates_encodings() {
        for (header, expect) in [
            ("", None),
            ("gzip", Some("gzip")),
            ("gzip, br", Some("br")),
            ("gzip;q=1.0, br;q=0.5", Some("gzip")),
            ("*", Some("br")),
            ("br;q=0, *", Some("gzip")),
            ("deflate", None),
            ("identity, gzip;q=0.5", None),
            ("GZIP;q=0.001", Some("gzip")),
        ] {
            assert_eq!(Encoding::accepted(header).map(Encoding::name), expect, "{header}");
        }
    }
}
