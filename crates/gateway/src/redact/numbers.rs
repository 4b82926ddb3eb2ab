//! Numbers: cards, telephones, accounts, IPv4, and numbers that states give to people.

use super::{Found, begins, ends, national};
use crate::config::Kind;

/// Groups of digits that are looked at together.
const GROUPS_MAX: usize = 10;
/// Digits that are looked at together.
const DIGITS_MAX: usize = 24;

/// A group of digits, and what is between it and the one before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub start: usize,
    pub end: usize,
    /// The byte between; `(` or `)` when there are several; 0 before the first.
    pub between: u8,
}

impl Group {
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

fn digits_from(text: &[u8], at: usize) -> usize {
    text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The groups of digits from a place on, as far as they may belong together.
fn groups(text: &[u8], at: usize) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    let (mut start, mut between, mut total) = (at, 0, 0);
    loop {
        let len = digits_from(text, start);
        total += len;
        if len == 0 || out.len() == GROUPS_MAX || (total > DIGITS_MAX && !out.is_empty()) {
            return out;
        }
        let end = start + len;
        out.push(Group { start, end, between });
        let rest = &text[end..text.len().min(end + 4)];
        (between, start) = match rest {
            [b @ (b' ' | b'-' | b'.' | b'/'), d, ..] if d.is_ascii_digit() => (*b, end + 1),
            [b')', d, ..] if d.is_ascii_digit() => (b')', end + 1),
            [b')', b' ' | b'-' | b'/', d, ..] if d.is_ascii_digit() => (b')', end + 2),
            [b' ', b'(', d, ..] if d.is_ascii_digit() => (b'(', end + 2),
            // A space that does not break a line.
            [0xC2, 0xA0, d, ..] if d.is_ascii_digit() => (b' ', end + 2),
            _ => return out,
        };
    }
}

/// Whether all groups are separated by one of these bytes, the same one everywhere.
fn evenly(groups: &[Group], allowed: &[u8]) -> bool {
    let mut between = groups.iter().skip(1).map(|group| group.between);
    let Some(first) = between.next() else { return true };
    allowed.contains(&first) && between.all(|other| other == first)
}

/// The digits of some groups.
pub(super) fn joined(text: &[u8], groups: &[Group]) -> Vec<u8> {
    groups.iter().flat_map(|group| &text[group.start..group.end]).map(|byte| byte - b'0').collect()
}

/// Whether the check digit of Luhn is right.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

/// Whether digits are the number of a payment card.
fn is_card(digits: &[u8]) -> bool {
    let first =
        |count: usize| digits.iter().take(count).fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let (two, three, four, n) = (first(2), first(3), first(4), digits.len());
    let issued = match two {
        40..=49 => n == 13 || n == 16 || n == 19,
        51..=55 => n == 16,
        22..=27 => n == 16 && (2221..=2720).contains(&four),
        34 | 37 => n == 15,
        36 | 38 | 39 => n == 14,
        30 => n == 14 && three <= 305,
        35 => n == 16 && (3528..=3589).contains(&four),
        60 | 64 | 65 | 62 | 63 | 67 | 50 | 56..=58 => (16..=19).contains(&n),
        _ => false,
    };
    issued && luhn(digits) && digits.iter().any(|digit| *digit != digits[0])
}

/// Whether groups are a telephone number. `plus`: a plus sign is before them.
fn is_phone(text: &[u8], groups: &[Group], plus: bool, open: bool) -> bool {
    let total: usize = groups.iter().map(Group::len).sum();
    let lens: Vec<usize> = groups.iter().map(Group::len).collect();
    let Some(first) = groups.first() else { return false };
    let lead = &text[first.start..first.end];
    if plus {
        return lead[0] != b'0' && (8..=15).contains(&total);
    }
    if lead.starts_with(b"00") && lead.len() <= 5 && groups.len() > 1 {
        return (10..=17).contains(&total) && text[first.start + 2..first.end].first() != Some(&b'0');
    }
    // North America: area and exchange begin with 2 to 9.
    let three = match (lens.as_slice(), lead) {
        ([1, 3, 3, 4], b"1") => Some(&groups[1..]),
        ([3, 3, 4], _) => Some(groups),
        _ => None,
    };
    if let Some(three) = three {
        let separated = three.iter().skip(1).all(|group| group.between != b'/');
        let high = |group: &Group| (b'2'..=b'9').contains(&text[group.start]);
        return separated && high(&three[0]) && high(&three[1]);
    }
    // Elsewhere: a trunk prefix of 0, and at least two groups.
    let trunk = lead[0] == b'0' && (2..=6).contains(&lead.len()) && !lead.starts_with(b"00");
    let is_date = lens.len() == 3 && lens[0] == 2 && lens[1] == 2 && (lens[2] == 4 || lens[2] == 2);
    let separated = groups.iter().skip(1).all(|group| group.len() >= 2);
    let bracketed = open || groups.iter().any(|group| group.between == b')');
    let dotted = groups.iter().skip(1).any(|group| group.between == b'.');
    let enough = if bracketed { 8 } else { 9 };
    trunk
        && groups.len() > 1
        && separated
        && !is_date
        && (!dotted || lens.len() > 2)
        && (enough..=13).contains(&total)
}

fn is_ipv4(text: &[u8], groups: &[Group]) -> bool {
    let part = |group: &Group| {
        let digits = &text[group.start..group.end];
        let value = digits.iter().fold(0_u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
        digits.len() <= 3 && value <= 255 && (digits.len() == 1 || digits[0] != b'0')
    };
    groups.len() == 4 && evenly(groups, b".") && groups.iter().all(part)
}

/// The lengths of account numbers by country.
const IBANS: [(&[u8; 2], usize); 60] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MT", 31),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"TR", 26),
];

/// The end of an account number whose check digits are at a place.
fn iban(text: &[u8], at: usize) -> Option<usize> {
    let country = text.get(at.checked_sub(2)?..at)?;
    let upper: Vec<u8> = country.iter().map(u8::to_ascii_uppercase).collect();
    let (_, length) = IBANS.iter().find(|(code, _)| code.as_slice() == upper)?;
    let mut taken: Vec<u8> = upper;
    let mut next = at;
    while taken.len() < *length {
        match text.get(next)? {
            byte if byte.is_ascii_alphanumeric() => taken.push(byte.to_ascii_uppercase()),
            // Single spaces or hyphens between groups.
            b' ' | b'-' if text.get(next + 1).is_some_and(u8::is_ascii_alphanumeric) => {}
            _ => return None,
        }
        next += 1;
    }
    let turned = taken[4..].iter().chain(&taken[..4]);
    let rest = turned.fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    let checked = taken[2].is_ascii_digit() && taken[3].is_ascii_digit() && rest == 1;
    (checked && begins(text, at - 2) && ends(text, next)).then_some(next)
}

/// Looks at the first digit of a number. Returns where to go on.
pub(super) fn at(text: &[u8], at: usize, out: &mut Vec<Found>) -> usize {
    let own = at + digits_from(text, at);
    if !begins(text, at) {
        // Letters directly before: an account, or the number of a person.
        if let Some(end) = iban(text, at) {
            out.push(Found { kind: Kind::Iban, start: at - 2, end });
            return end;
        }
        if let Some((start, end)) = national::with_letters(text, at) {
            out.push(Found { kind: Kind::NationalId, start, end });
            return end;
        }
        return own;
    }
    if let Some((start, end)) = national::with_letters(text, at) {
        out.push(Found { kind: Kind::NationalId, start, end });
        return end;
    }
    let before = at.checked_sub(1).map(|before| text[before]);
    // Digits after a point are those of a fraction or a version.
    if before == Some(b'.') && at >= 2 && text[at - 2].is_ascii_digit() {
        return own;
    }
    let groups = groups(text, at);
    let open = before == Some(b'(');
    let plus = before == Some(b'+') || (open && at >= 2 && text[at - 2] == b'+');
    let ipv4 = groups.get(..4).filter(|four| is_ipv4(text, four));
    if let Some(end) = ipv4.map(|four| four[3].end)
        && ends(text, end)
        && !(text.get(end) == Some(&b'.') && text.get(end + 1).is_some_and(u8::is_ascii_digit))
    {
        out.push(Found { kind: Kind::Ip, start: at, end });
        return end;
    }
    for count in (1..=groups.len()).rev() {
        let part = &groups[..count];
        let end = part[count - 1].end;
        if !ends(text, end) {
            continue;
        }
        let digits = joined(text, part);
        let kind = if (12..=19).contains(&digits.len()) && evenly(part, b" -") && is_card(&digits) {
            Kind::Card
        } else if !plus && national::of_digits(text, part, &digits) {
            Kind::NationalId
        } else if digits.len() <= 17 && is_phone(text, part, plus, open) {
            Kind::Phone
        } else {
            continue;
        };
        let bracket = open && text[at..end].contains(&b')');
        let start = match (plus, bracket) {
            (true, true) if before == Some(b'(') => at - 2,
            (true, _) | (false, true) => at - 1,
            (false, false) => at,
        };
        out.push(Found { kind, start, end });
        return end;
    }
    own
}
