//! Server-sent events, read from bytes that come in any pieces.

use std::borrow::Cow;

use super::{Fault, FaultKind};

/// The largest event, in bytes.
pub const EVENT_BYTES_MAX: usize = 8 << 20;

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its name; empty when it has none.
    pub name: &'a str,
    /// Its data; lines are joined by line breaks.
    pub data: Cow<'a, [u8]>,
}

/// Reads events.
#[derive(Debug, Default)]
pub struct SseReader {
    buf: Vec<u8>,
    /// Where the next event begins.
    at: usize,
    /// Until where no end of an event was found.
    looked: usize,
}

/// The end of a line: where its text ends, and where the next line begins. A lone CR at the end may be half of a line end.
fn line_end(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let at = from + memchr::memchr2(b'\n', b'\r', bytes.get(from..)?)?;
    match bytes[at] {
        b'\n' => Some((at, at + 1)),
        _ => match bytes.get(at + 1) {
            Some(b'\n') => Some((at, at + 2)),
            Some(_) => Some((at, at + 1)),
            None => None,
        },
    }
}

impl SseReader {
    /// Adds bytes.
    ///
    /// # Errors
    /// When an event is longer than [`EVENT_BYTES_MAX`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.at > 0 {
            self.buf.drain(..self.at);
            self.looked -= self.at;
            self.at = 0;
        }
        if self.buf.len() + bytes.len() > EVENT_BYTES_MAX {
            let message = format!("an event of the provider has more than {EVENT_BYTES_MAX} bytes");
            return Err(Fault::new(FaultKind::Upstream, "upstream_malformed", message));
        }
        self.buf.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes that are no whole event yet.
    #[must_use]
    pub fn left(&self) -> &[u8] {
        self.buf.get(self.at..).unwrap_or_default()
    }

    /// The next whole event. Comments and events without data are skipped.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        loop {
            let (from, mut line) = (self.at, self.looked.max(self.at));
            let end = loop {
                let Some((end, next)) = line_end(&self.buf, line) else {
                    self.looked = line;
                    return None;
                };
                if end == line {
                    break next;
                }
                line = next;
            };
            self.at = end;
            self.looked = end;
            if memchr::memmem::find(&self.buf[from..end], b"data").is_some() {
                let event = event(&self.buf[from..end]);
                if !event.data.is_empty() {
                    return Some(event);
                }
            }
        }
    }
}

fn event(bytes: &[u8]) -> Event<'_> {
    let mut out = Event { name: "", data: Cow::Borrowed(b"") };
    let (mut line, mut any) = (0, false);
    while let Some((end, next)) = line_end(bytes, line) {
        let text = &bytes[line..end];
        line = next;
        let (field, value) = match memchr::memchr(b':', text) {
            Some(at) => (&text[..at], text[at + 1..].strip_prefix(b" ").unwrap_or(&text[at + 1..])),
            None => (text, &b""[..]),
        };
        match field {
            b"event" => out.name = std::str::from_utf8(value).unwrap_or_default(),
            b"data" if any => {
                let data = out.data.to_mut();
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            b"data" => (out.data, any) = (Cow::Borrowed(value), true),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut reader = SseReader::default();
        let mut out = Vec::new();
        for piece in pieces {
            reader.push(piece).unwrap();
            while let Some(event) = reader.next_event() {
                out.push((event.name.to_owned(), String::from_utf8_lossy(&event.data).into_owned()));
            }
        }
        out
    }

    #[test]
    fn events_are_read() {
        let text =
            b": hello\n\nevent: a\ndata: 1\ndata:2\n\nretry: 5\n\ndata: {\"x\": 1}\r\n\r\ndata\n\nid: 1\rdata: y\r\rdata: z\n\n";
        let read = all(&[text]);
        let want = [("a", "1\n2"), ("", "{\"x\": 1}"), ("", "y"), ("", "z")];
        assert_eq!(read, want.map(|(n, d)| (n.to_owned(), d.to_owned())));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = SseReader::default();
        let piece = vec![b'x'; 1 << 20];
        let failed = (0..9).find_map(|_| reader.push(&piece).err());
        assert_eq!(failed.unwrap().code, "upstream_malformed");
    }

    proptest! {
        #[test]
        fn where_bytes_are_cut_changes_nothing(cuts in prop::collection::vec(0_usize..70, 0..6)) {
            let text: &[u8] = b"event: a\r\ndata: one\r\n\r\n: c\n\ndata: two\ndata: three\n\nevent: b\rdata: 4\r\rdata: 5\n\n";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assert_eq!(all(&pieces), all(&[text]));
        }
    }
}
