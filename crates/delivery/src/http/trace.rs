use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

/// The value of a `traceparent` header (W3C Trace Context, version 00) of an answer: the trace of the request, or a new
/// one, and a span of our own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traceparent([u8; Self::LEN]);

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(std::thread::current().id()) | 1);
}

/// SplitMix64. Trace ids have to be different, not secret.
fn next() -> u64 {
    STATE.with(|state| {
        let s = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(s);
        let z = (s ^ (s >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

impl Traceparent {
    /// The length of the header value in bytes.
    pub const LEN: usize = 55;

    /// Goes on with the trace of a request's header; starts a new one when there is none or it is malformed.
    pub fn follow(header: Option<&str>) -> Self {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-01";
        match header.map(str::as_bytes).filter(|h| well_formed(h)) {
            Some(h) => {
                out[3..35].copy_from_slice(&h[3..35]);
                out[53..].copy_from_slice(&h[53..55]);
            }
            None => {
                write_hex(next() | 1, &mut out[3..19]);
                write_hex(next(), &mut out[19..35]);
            }
        }
        write_hex(next() | 1, &mut out[36..52]);
        Self(out)
    }

    /// The header value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The 32 hexadecimal digits of the trace id.
    pub fn trace_id(&self) -> &str {
        std::str::from_utf8(&self.0[3..35]).unwrap_or_default()
    }
}

fn write_hex(number: u64, out: &mut [u8]) {
    // It fits: 16 digits for 8 bytes.
    let _ = hex::encode_to_slice(number.to_be_bytes(), out);
}

fn well_formed(h: &[u8]) -> bool {
    let digits = |part: &[u8]| part.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    let some = |part: &[u8]| part.iter().any(|b| *b != b'0');
    h.len() == Traceparent::LEN
        && h.starts_with(b"00-")
        && (h[35], h[52]) == (b'-', b'-')
        && digits(&h[3..35])
        && digits(&h[36..52])
        && digits(&h[53..])
        && some(&h[3..35])
        && some(&h[36..52])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_and_starts_traces() {
        let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let followed = Traceparent::follow(Some(given));
        assert_eq!(followed.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(well_formed(followed.as_bytes()));
        for bad in
            [None, Some(""), Some("01-x"), Some("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
        {
            let new = Traceparent::follow(bad);
            assert!(well_formed(new.as_bytes()));
            assert!(new != Traceparent::follow(bad));
        }
    }
}
