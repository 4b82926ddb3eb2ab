//! Answers that are asked for again and again, whole: head and body as they are sent. What a request costs beyond the kernel's share
//! is mostly finding the body, reading it from its pack and writing fifteen header lines, and all of that comes out the same until
//! the channel moves.
//!
//! An answer is kept when the same request misses twice in a row in its set. So readers of more entries than fit here pay for
//! little more than the look.

use std::{
    hash::Hasher,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustc_hash::FxHasher;

use crate::http::{Encoding, Out, RequestParts, Traceparent, Written};

/// Answers per set.
const WAYS: usize = 4;
/// Bytes of memory per set; answers of two kilobytes fill it by a half.
const SET_BYTES: usize = 4 << 10;
/// Larger answers are not kept: looking them up costs little beside sending them.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Answers to longer requests are not kept, in bytes of path, query and language.
const REQUEST_BYTES_MAX: usize = 1 << 10;
/// How many sets are searched for room.
const SETS_TRIED: usize = 8;
/// One of so many answers gets in when something has to go for it.
const REFUSED: usize = 4;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const TRACE: &[u8] = b"\r\ntraceparent: ";

/// Kept answers, in sets by the hash of their request.
pub(crate) struct Ready {
    /// A set is never waited for: a request that finds it locked is answered without it.
    sets: Box<[Line]>,
    bytes: AtomicUsize,
    bytes_max: usize,
    /// The set that is looked through next for room.
    hand: AtomicUsize,
    /// How often there was no room.
    full: AtomicUsize,
}

/// One line of the processor's cache: most looks of readers of many entries touch nothing else.
#[derive(Default)]
#[repr(align(64))]
struct Line(Mutex<Set>);

#[derive(Default)]
struct Set {
    answers: [Option<Arc<Kept>>; WAYS],
    hashes: [u32; WAYS],
    /// Whether it was sent since room was last looked for.
    used: [bool; WAYS],
    /// The last request that was not here.
    asked: u32,
}

struct Kept {
    /// The release.
    number: u64,
    /// See [`variant`].
    variant: u8,
    path_len: usize,
    query_len: usize,
    request_len: usize,
    /// Behind the request, without status line and added lines.
    head_len: usize,
    /// Where the value of `traceparent` is in the head.
    trace_at: usize,
    /// Whether it counts as a composed body.
    composed: bool,
    /// Path, query and `Accept-Language`; then the rest of the head; then the body.
    bytes: Box<[u8]>,
}

/// What is known of a request.
pub(crate) enum Look {
    /// The answer is written. Whether its body was composed.
    Written(Written, bool),
    /// It is not here.
    Unknown,
    /// It is not here, and is kept when it is given to [`Ready::keep`].
    Wanted(u64),
}

/// What an answer depends on besides path, query and language.
fn variant(parts: &RequestParts<'_>) -> u8 {
    let encoding = match parts.accept_encoding.and_then(Encoding::accepted) {
        None => 0,
        Some(Encoding::Gzip) => 1,
        Some(Encoding::Brotli) => 2,
    };
    encoding | u8::from(parts.private) << 2
}

impl Kept {
    fn answers(&self, number: u64, variant: u8, parts: &RequestParts<'_>) -> bool {
        let request = &self.bytes[..self.request_len];
        let (path, rest) = request.split_at(self.path_len);
        let (query, language) = rest.split_at(self.query_len);
        self.number == number
            && self.variant == variant
            && path == parts.path.as_bytes()
            && query == parts.query.unwrap_or_default().as_bytes()
            && language == parts.accept_language.unwrap_or_default().as_bytes()
    }

    fn weight(&self) -> usize {
        self.bytes.len() + 100
    }
}

impl Ready {
    /// Room for about `bytes_max` bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let sets = (bytes_max / SET_BYTES).clamp(1, 1 << 20);
        Self {
            sets: (0..sets).map(|_| Line::default()).collect(),
            bytes: AtomicUsize::new(0),
            bytes_max,
            hand: AtomicUsize::new(0),
            full: AtomicUsize::new(0),
        }
    }

    fn set(&self, at: usize) -> Option<MutexGuard<'_, Set>> {
        self.sets[at % self.sets.len()].0.try_lock().ok()
    }

    /// Answers a request from what is kept.
    pub(crate) fn look(&self, number: u64, parts: &RequestParts<'_>, out: &mut Out<'_>) -> Look {
        let (query, language) = (parts.query.unwrap_or_default(), parts.accept_language.unwrap_or_default());
        let plain = parts.method == "GET" && parts.if_none_match.is_none() && out.shared.is_none();
        if !plain || parts.path.len() + query.len() + language.len() > REQUEST_BYTES_MAX {
            return Look::Unknown;
        }
        let variant = variant(parts);
        let mut hasher = FxHasher::default();
        hasher.write_u64(number << 8 | u64::from(variant));
        for part in [parts.path, query, language] {
            hasher.write(part.as_bytes());
        }
        let hash = hasher.finish();
        let mark = (hash >> 32) as u32;
        let Some(mut set) = self.set(hash as usize) else { return Look::Unknown };
        let found = (0..WAYS).find_map(|way| {
            let kept = set.answers[way].as_ref().filter(|_| set.hashes[way] == mark)?;
            kept.answers(number, variant, parts).then(|| (way, kept.clone()))
        });
        let Some((way, kept)) = found else {
            let again = std::mem::replace(&mut set.asked, mark) == mark;
            return if again { Look::Wanted(hash) } else { Look::Unknown };
        };
        set.used[way] = true;
        drop(set);
        let answer = &kept.bytes[kept.request_len..];
        out.buf.extend_from_slice(OK);
        out.buf.extend_from_slice(parts.extra_head);
        let rest = out.buf.len();
        out.buf.extend_from_slice(answer);
        let trace_at = rest + kept.trace_at;
        out.buf[trace_at..trace_at + Traceparent::LEN].copy_from_slice(parts.traceparent.as_bytes());
        let head_len = rest + kept.head_len - out.start;
        let written = Written { status: 200, head_len, body_len: answer.len() - kept.head_len };
        Look::Written(written, kept.composed)
    }

    /// Keeps an answer that was just written, if there is room or something that nobody asks for.
    pub(crate) fn keep(
        &self,
        hash: u64,
        number: u64,
        parts: &RequestParts<'_>,
        (out, written, composed): (&Out<'_>, &Written, bool),
    ) {
        let message = &out.buf[out.start..];
        let rest = OK.len() + parts.extra_head.len();
        let whole = message.len() == written.head_len + written.body_len && message.starts_with(OK);
        if !whole || written.status != 200 || message.len() > ANSWER_BYTES_MAX || written.head_len < rest {
            return;
        }
        let head = &message[rest - 2..written.head_len];
        let Some(trace_at) = head.windows(TRACE.len()).position(|w| w == TRACE) else { return };
        let (query, language) = (parts.query.unwrap_or_default(), parts.accept_language.unwrap_or_default());
        let request_len = parts.path.len() + query.len() + language.len();
        let mut bytes = Vec::with_capacity(request_len + message.len() - rest);
        for part in [parts.path, query, language] {
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&message[rest..]);
        let kept = Kept {
            number,
            variant: variant(parts),
            path_len: parts.path.len(),
            query_len: query.len(),
            request_len,
            head_len: written.head_len - rest,
            trace_at: trace_at + TRACE.len() - 2,
            composed,
            bytes: bytes.into(),
        };
        if !self.has_room(kept.weight()) {
            return;
        }
        let Some(mut set) = self.set(hash as usize) else { return };
        let free = (0..WAYS).find(|way| set.answers[*way].is_none());
        match free.or_else(|| (0..WAYS).find(|way| !set.used[*way])) {
            Some(way) => {
                self.drop_way(&mut set, way);
                self.bytes.fetch_add(kept.weight(), Ordering::Relaxed);
                set.hashes[way] = (hash >> 32) as u32;
                set.answers[way] = Some(Arc::new(kept));
            }
            // All are sent often; those that are not sent again go next time.
            None => set.used = [false; WAYS],
        }
    }

    fn drop_way(&self, set: &mut Set, way: usize) {
        if let Some(gone) = set.answers[way].take() {
            self.bytes.fetch_sub(gone.weight(), Ordering::Relaxed);
        }
        set.used[way] = false;
    }

    /// Makes room by dropping what was not sent since the hand last passed. Looks through a few sets only.
    fn has_room(&self, bytes: usize) -> bool {
        let fits = || self.bytes.load(Ordering::Relaxed) + bytes <= self.bytes_max;
        // Readers of more than fits here would spend their time on pushing each other's answers out.
        if !fits() && !self.full.fetch_add(1, Ordering::Relaxed).is_multiple_of(REFUSED) {
            return false;
        }
        for _ in 0..SETS_TRIED {
            if fits() {
                return true;
            }
            let Some(mut set) = self.set(self.hand.fetch_add(1, Ordering::Relaxed)) else { continue };
            for way in 0..WAYS {
                if !std::mem::take(&mut set.used[way]) {
                    self.drop_way(&mut set, way);
                }
            }
        }
        fits()
    }
}
