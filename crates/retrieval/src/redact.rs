//! A query as it may be written down.

/// The longest query that is written down, in bytes.
pub const REDACTED_BYTES_MAX: usize = 200;
/// From so many digits on, a word is a number of something.
const DIGITS_MIN: usize = 5;
/// From so many digits on, words of digits beside each other are one number.
const RUN_DIGITS_MIN: usize = 6;
/// From so many characters on, a word with digits or underscores is a key.
const KEY_CHARS_MIN: usize = 20;

/// A query in lower case, without what names a person or an account: addresses, numbers and keys. Names of people are words like
/// others and stay.
#[must_use]
pub fn redacted(query: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let words = query.split(|c: char| c.is_whitespace() || c.is_control());
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        let mut run = vec![word];
        if is_number(word) {
            while let Some(next) = words.next_if(|next| is_number(next)) {
                run.push(next);
            }
        }
        if is_number(word) && run.iter().map(|word| digits(word)).sum::<usize>() >= RUN_DIGITS_MIN {
            out.push("[number]".to_owned());
        } else {
            out.extend(run.into_iter().map(written));
        }
    }
    let mut line = out.join(" ");
    line.truncate(line.floor_char_boundary(REDACTED_BYTES_MAX));
    line
}

fn digits(word: &str) -> usize {
    word.chars().filter(|c| c.is_numeric()).count()
}

/// Whether a word is made of digits and what people write between them.
fn is_number(word: &str) -> bool {
    digits(word) > 0 && word.chars().all(|c| c.is_numeric() || "+-()/".contains(c))
}

fn written(word: &str) -> String {
    let long = word.chars().count() >= KEY_CHARS_MIN;
    let replaced = if word.contains('@') {
        "[email]"
    } else if word.contains("://") || word.starts_with("www.") {
        "[address]"
    } else if digits(word) >= DIGITS_MIN {
        "[number]"
    } else if long && (digits(word) > 0 || word.contains('_')) {
        "[key]"
    } else {
        return word.to_lowercase();
    };
    replaced.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_somebody_is_left_out() {
        for (query, expect) in [
            ("High  TIDE\ttable", "high tide table"),
            ("invoice for jo@example.com", "invoice for [email]"),
            ("call +49 30 1234 56 today", "call [number] today"),
            ("IBAN DE12500105170648489890", "iban [number]"),
            ("see https://example.com/?token=x", "see [address]"),
            ("ash_live_abcdefghijklmnopqr", "[key]"),
            ("prices 2026 2.3.1", "prices 2026 2.3.1"),
            ("Donaudampfschifffahrtsgesellschaft", "donaudampfschifffahrtsgesellschaft"),
            ("\u{0}\n", ""),
        ] {
            assert_eq!(redacted(query), expect, "{query}");
        }
        assert!(redacted(&"ä ".repeat(1_000)).len() <= REDACTED_BYTES_MAX);
    }
}
