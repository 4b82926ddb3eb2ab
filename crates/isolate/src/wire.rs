//! Frames between a parent and its child: a kind, a length, and as many bytes.

use std::io::{self, Read, Write};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Parent: something later jobs refer to. Kind of job, digest, bytes.
    Load,
    /// Parent: that is not needed any more. Digest.
    Forget,
    /// Parent: a job. Kind of job, digest of what it refers to, bytes.
    Run,
    /// Parent: the answer to a question.
    Reply,
    /// Child: a question that the parent answers before the job goes on.
    Ask,
    /// Child: what it works on, for the message when it dies.
    Note,
    /// Child: the result.
    Done,
}

impl Kind {
    fn read(byte: u8) -> io::Result<Self> {
        Ok(match byte {
            b'L' => Self::Load,
            b'F' => Self::Forget,
            b'R' => Self::Run,
            b'A' => Self::Reply,
            b'Q' => Self::Ask,
            b'N' => Self::Note,
            b'D' => Self::Done,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "not a frame")),
        })
    }

    fn byte(self) -> u8 {
        match self {
            Self::Load => b'L',
            Self::Forget => b'F',
            Self::Run => b'R',
            Self::Reply => b'A',
            Self::Ask => b'Q',
            Self::Note => b'N',
            Self::Done => b'D',
        }
    }
}

/// Bytes before the body of a frame.
pub(crate) const HEAD_BYTES: usize = 5;
/// Frames up to this length are sent with one write, in bytes.
const ONE_WRITE_BYTES: usize = 256 << 10;

pub(crate) fn head(kind: Kind, len: usize) -> io::Result<[u8; HEAD_BYTES]> {
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "a frame is too long");
    let [a, b, c, d] = u32::try_from(len).map_err(too_long)?.to_le_bytes();
    Ok([kind.byte(), a, b, c, d])
}

pub(crate) fn read_head(head: [u8; HEAD_BYTES]) -> io::Result<(Kind, usize)> {
    let [kind, a, b, c, d] = head;
    Ok((Kind::read(kind)?, u32::from_le_bytes([a, b, c, d]) as usize))
}

/// Writes a frame whose body is `parts`, one behind the other.
pub(crate) fn write(to: &mut impl Write, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
    let len = parts.iter().map(|p| p.len()).sum();
    let head = head(kind, len)?;
    if len > ONE_WRITE_BYTES {
        to.write_all(&head)?;
        return parts.iter().try_for_each(|part| to.write_all(part));
    }
    // One write for small frames, which is most of them.
    let mut frame = Vec::with_capacity(HEAD_BYTES + len);
    frame.extend_from_slice(&head);
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    to.write_all(&frame)
}

/// Reads a frame.
pub(crate) fn read(from: &mut impl Read) -> io::Result<(Kind, Vec<u8>)> {
    let mut head = [0; HEAD_BYTES];
    from.read_exact(&mut head)?;
    let (kind, len) = read_head(head)?;
    let mut body = vec![0; len];
    from.read_exact(&mut body)?;
    Ok((kind, body))
}
