//! Addresses: e-mail and the Internet Protocol.

use std::net::Ipv6Addr;

use super::{Found, begins, ends, is_word};
use crate::config::Kind;

/// The longest part of an address before `@`, in bytes.
const LOCAL_MAX: usize = 64;
/// The longest domain, in bytes.
const DOMAIN_MAX: usize = 253;
/// The longest address of IPv6, in bytes.
const IPV6_MAX: usize = 45;

/// Looks at `@`. Returns where to go on.
pub(super) fn email(text: &[u8], at: usize, out: &mut Vec<Found>) -> usize {
    let is_local = |byte: &u8| is_word(*byte) || b".!#$%&'*+/?^`{|}~-".contains(byte);
    let before =
        text[at.saturating_sub(LOCAL_MAX)..at].iter().rev().take_while(|byte| is_local(byte)).count();
    let mut start = at - before;
    // Quotes, brackets of code and a full stop before the address are not part of it.
    while start < at && !is_word(text[start]) {
        start += 1;
    }
    let rest = &text[at + 1..text.len().min(at + 1 + DOMAIN_MAX)];
    let is_domain = |byte: &u8| is_word(*byte) || *byte == b'-' || *byte == b'.';
    let mut end = at + 1 + rest.iter().take_while(|byte| is_domain(byte)).count();
    while end > at + 1 && !is_word(text[end - 1]) {
        end -= 1;
    }
    let domain = &text[at + 1..end];
    let mut labels = domain.split(|byte| *byte == b'.');
    let last = labels.next_back().unwrap_or_default();
    let named = last.len() >= 2 && last.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
    let mut others = labels.peekable();
    let whole = others.peek().is_some() && others.all(|label| !label.is_empty());
    if start < at
        && at > 0
        && is_word(text[at - 1])
        && named
        && whole
        && std::str::from_utf8(&text[start..end]).is_ok()
    {
        out.push(Found { kind: Kind::Email, start, end });
        return end;
    }
    at + 1
}

/// Looks at a colon that may be in an address of IPv6.
pub(super) fn ipv6(text: &[u8], at: usize, out: &mut Vec<Found>) {
    if out.last().is_some_and(|last| last.kind == Kind::Ip && last.end > at) {
        return;
    }
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b':';
    let before = text[at.saturating_sub(IPV6_MAX)..at].iter().rev().take_while(|byte| is_part(byte)).count();
    let start = at - before;
    let rest = &text[at..text.len().min(at + IPV6_MAX)];
    let mut end = at + rest.iter().take_while(|byte| is_part(byte) || **byte == b'.').count();
    let single = |end: usize| text[end - 1] == b':' && (end < start + 2 || text[end - 2] != b':');
    while end > at && (text[end - 1] == b'.' || single(end)) {
        end -= 1;
    }
    let part = &text[start..end];
    // Times and paths of programs are made of the same letters: a digit is needed, and more than an empty address.
    let likely = part.len() >= 4
        && part.iter().any(u8::is_ascii_digit)
        && part.iter().filter(|b| **b == b':').count() >= 2;
    let address =
        std::str::from_utf8(part).ok().filter(|_| likely).and_then(|part| part.parse::<Ipv6Addr>().ok());
    if begins(text, start) && ends(text, end) && address.is_some_and(|address| !address.is_loopback()) {
        out.push(Found { kind: Kind::Ip, start, end });
    }
}
