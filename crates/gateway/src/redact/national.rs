//! Numbers that states give to people. All of them have check digits or a strict form.

use super::{
    begins, ends,
    numbers::{Group, luhn},
};

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(*digit))
}

fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum()
}

/// Whether all separators are these, one by one.
fn between(groups: &[Group], separators: &[u8]) -> bool {
    groups.len() == separators.len() + 1
        && groups.iter().skip(1).zip(separators).all(|(group, separator)| group.between == *separator)
}

fn day_and_month(month: u64, day: u64) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Digits of nothing but one value are examples.
fn varied(digits: &[u8]) -> bool {
    digits.iter().any(|digit| *digit != digits[0])
}

/// Whether groups of digits are the number of a person.
pub(super) fn of_digits(text: &[u8], groups: &[Group], digits: &[u8]) -> bool {
    let lens: Vec<usize> = groups.iter().map(Group::len).collect();
    if !(9..=15).contains(&digits.len()) || !varied(digits) {
        return false;
    }
    match lens.as_slice() {
        [3, 2, 4] => united_states(groups, digits),
        [3, 3, 3, 2] => between(groups, b"..-") && brazil(digits),
        [3, 4, 4, 2] => between(groups, b"...") && switzerland(digits),
        [4, 4, 4] => between(groups, b"  ") && india(digits),
        [2, 2, 2, 3, 2] => between(groups, b"..-.") && belgium(digits),
        [6, 4] | [8, 4] => between(groups, b"-") && sweden(&digits[digits.len() - 10..]),
        [11] => germany(digits) || poland(digits),
        [2, 3, 3, 3] => between(groups, b"   ") && germany(digits),
        [13] => switzerland(digits),
        [15] | [13, 2] | [1, 2, 2, 2, 3, 3, 2] => france(digits),
        [9] => named(text, groups[0].start, &[b"bsn", b"burgerservicenummer"]) && netherlands(digits),
        _ => false,
    }
}

/// Whether one of these words is shortly before a place.
fn named(text: &[u8], at: usize, words: &[&[u8]]) -> bool {
    let before = text[at.saturating_sub(28)..at].to_ascii_lowercase();
    words.iter().any(|word| before.windows(word.len()).any(|part| part == *word))
}

fn united_states(groups: &[Group], digits: &[u8]) -> bool {
    let area = number(&digits[..3]);
    let even = between(groups, b"--") || between(groups, b"  ");
    even && area != 0 && area != 666 && area < 900 && number(&digits[3..5]) != 0 && number(&digits[5..]) != 0
}

fn brazil(digits: &[u8]) -> bool {
    let check = |count: usize| {
        let weights: Vec<u32> = (2..=count as u32 + 1).rev().collect();
        let rest = weighted(&digits[..count], &weights) * 10 % 11;
        if rest == 10 { 0 } else { rest }
    };
    check(9) == u32::from(digits[9]) && check(10) == u32::from(digits[10])
}

fn switzerland(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..12], &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
    digits.starts_with(&[7, 5, 6]) && (10 - sum % 10) % 10 == u32::from(digits[12])
}

fn belgium(digits: &[u8]) -> bool {
    let (first, check) = (number(&digits[..9]), number(&digits[9..]));
    let born = |first: u64| 97 - first % 97 == check;
    born(first) || born(2_000_000_000 + first)
}

fn sweden(digits: &[u8]) -> bool {
    let (month, day) = (number(&digits[2..4]), number(&digits[4..6]));
    // Coordination numbers count days from 61.
    (day_and_month(month, day) || (day > 60 && day_and_month(month, day - 60))) && luhn(digits)
}

fn germany(digits: &[u8]) -> bool {
    let mut counts = [0_u8; 10];
    digits[..10].iter().for_each(|digit| counts[usize::from(*digit)] += 1);
    let repeated = counts.iter().filter(|count| **count > 1).count();
    let form = digits[0] != 0 && repeated == 1 && counts.iter().all(|count| *count <= 3);
    let product = digits[..10].iter().fold(10_u32, |product, digit| {
        let sum = (u32::from(*digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    form && (11 - product) % 10 == u32::from(digits[10])
}

fn poland(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..10], &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    // The century is in the month.
    let month = number(&digits[2..4]) % 20;
    day_and_month(month, number(&digits[4..6])) && (10 - sum % 10) % 10 == u32::from(digits[10])
}

fn france(digits: &[u8]) -> bool {
    let month = number(&digits[3..5]);
    let form = matches!(digits[0], 1 | 2) && ((1..=12).contains(&month) || month >= 20);
    form && 97 - number(&digits[..13]) % 97 == number(&digits[13..])
}

fn netherlands(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum % 11 == u32::from(digits[8])
}

/// The check of Verhoeff, as the multiplication of a dihedral group.
fn india(digits: &[u8]) -> bool {
    const PERMUTED: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    fn times(a: u8, b: u8) -> u8 {
        match (a < 5, b < 5) {
            (true, true) => (a + b) % 5,
            (true, false) => (a + b - 5) % 5 + 5,
            (false, true) => (a - 5 + 5 - b) % 5 + 5,
            (false, false) => (a + 5 - b) % 5,
        }
    }
    let permuted = |digit: u8, times: usize| (0..times).fold(digit, |digit, _| PERMUTED[usize::from(digit)]);
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |check, (place, digit)| times(check, permuted(*digit, place % 8)));
    digits[0] >= 2 && check == 0
}

/// The number of a person with letters in it, whose first digit is at a place.
pub(super) fn with_letters(text: &[u8], at: usize) -> Option<(usize, usize)> {
    italy(text, at).or_else(|| united_kingdom(text, at)).or_else(|| spain(text, at))
}

fn italy(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at.checked_sub(6)?;
    let code: Vec<u8> = text.get(start..start + 16)?.iter().map(u8::to_ascii_uppercase).collect();
    // Six letters, then digits and letters of which some digits may be written as letters.
    let form = code.iter().enumerate().all(|(place, byte)| match place {
        0..=5 | 8 | 11 | 15 => byte.is_ascii_uppercase(),
        _ => byte.is_ascii_digit(),
    });
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let value = |byte: u8| usize::from(if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' });
    if !form || !begins(text, start) || !ends(text, start + 16) {
        return None;
    }
    let sum: u32 = code[..15]
        .iter()
        .enumerate()
        .map(|(place, byte)| if place % 2 == 0 { ODD[value(*byte)] } else { value(*byte) as u32 })
        .sum();
    (sum % 26 == u32::from(code[15] - b'A')).then_some((start, start + 16))
}

fn united_kingdom(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let spaced = at >= 3 && text[at - 1] == b' ';
    let start = at.checked_sub(if spaced { 3 } else { 2 })?;
    let (first, second) = (text[start], text[start + 1]);
    let letter = |byte: u8, not: &[u8]| byte.is_ascii_uppercase() && !not.contains(&byte);
    let refused: [&[u8; 2]; 7] = [b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"];
    let good = letter(first, b"DFIQUV")
        && letter(second, b"DFIQUVO")
        && refused.iter().all(|pair| **pair != [first, second]);
    if !good || !begins(text, start) {
        return None;
    }
    let (mut digits, mut next) = (0, at);
    while digits < 6 {
        match text.get(next)? {
            byte if byte.is_ascii_digit() => digits += 1,
            b' ' if digits > 0 && digits % 2 == 0 => {}
            _ => return None,
        }
        next += 1;
    }
    next += usize::from(text.get(next) == Some(&b' '));
    let end = next + 1;
    (matches!(text.get(next), Some(b'A'..=b'D')) && ends(text, end)).then_some((start, end))
}

fn spain(text: &[u8], at: usize) -> Option<(usize, usize)> {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let foreign = at.checked_sub(1).map(|before| text[before]).filter(|byte| (b'X'..=b'Z').contains(byte));
    let (start, count, first) = match foreign {
        Some(letter) => (at - 1, 7, u64::from(letter - b'X')),
        None => (at, 8, 0),
    };
    let digits: Vec<u8> = text.get(at..at + count)?.iter().map(|byte| byte.wrapping_sub(b'0')).collect();
    if digits.iter().any(|digit| *digit > 9) || !begins(text, start) {
        return None;
    }
    let next = at + count + usize::from(text.get(at + count) == Some(&b'-'));
    let letter =
        LETTERS[((first * 10_000_000 * u64::from(foreign.is_some()) + number(&digits)) % 23) as usize];
    (text.get(next) == Some(&letter) && ends(text, next + 1)).then_some((start, next + 1))
}
