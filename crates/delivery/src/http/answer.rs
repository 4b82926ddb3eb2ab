use bytes::Bytes;

use super::message::Written;

/// What [`write_quick`](crate::write_quick) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quick {
    /// The answer is written.
    Written(Written),
    /// The path is that of nothing; nothing is written.
    Nothing,
    /// The answer takes rendering, compressing or much reading; nothing is written.
    /// [`share_answer`](crate::share_answer) does it, away from threads that serve.
    Heavy,
}

/// An answer taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case with values, in the order they are sent.
    pub headers: Vec<(String, String)>,
    /// The body; empty for HEAD and 304.
    pub body: Bytes,
}

impl Answer {
    /// Takes apart what [`share_answer`](crate::share_answer) or [`write_problem`](crate::write_problem) wrote into an
    /// empty buffer, and the body beside it.
    pub fn read(message: Vec<u8>, written: Written, shared: Option<Bytes>) -> Self {
        let message = Bytes::from(message);
        let head_len = written.head_len.min(message.len());
        let body = shared.unwrap_or_else(|| message.slice(head_len..));
        let head = String::from_utf8_lossy(&message[..head_len]);
        let headers = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { status: written.status, headers, body }
    }
}
