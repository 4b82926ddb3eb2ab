//! Whether a text says certain words.

/// A text in one form: lower case, single spaces, straight quotes, without emphasis of Markdown.
#[must_use]
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '`' => {}
            '\u{2018}' | '\u{2019}' => out.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{201e}' | '«' | '»' => out.push('"'),
            c if c.is_whitespace() || c == '\u{202f}' => {
                if !out.ends_with(' ') && !out.is_empty() {
                    out.push(' ');
                }
            }
            c => out.extend(c.to_lowercase()),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Whether a plain text has a wording as whole words. A number is whole as well: `39` is not in `139`, `39.5` or `39,000`.
#[must_use]
pub(super) fn says(plain_text: &str, wording: &str) -> bool {
    let wanted = plain(wording);
    if wanted.is_empty() {
        return false;
    }
    let is_number = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (first, last) = (wanted.chars().next(), wanted.chars().next_back());
    plain_text.match_indices(&wanted).any(|(at, found)| {
        let mut before = plain_text[..at].chars().rev();
        let mut after = plain_text[at + found.len()..].chars();
        let (b1, a1) = (before.next(), after.next());
        let (b2, a2) = (before.next(), after.next());
        let point = |c: Option<char>| matches!(c, Some('.' | ','));
        let begins = !(is_word(first) && is_word(b1) || is_number(first) && point(b1) && is_number(b2));
        let ends = !(is_word(last) && is_word(a1) || is_number(last) && point(a1) && is_number(a2));
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_and_numbers_are_whole() {
        let check = |text: &str, wording: &str, wanted: bool| {
            assert_eq!(says(&plain(text), wording), wanted, "{wording} in {text}");
        };
        check("It costs **39 EUR**.", "39 EUR", true);
        check("It costs 39.", "39", true);
        check("It costs 139 EUR.", "39 EUR", false);
        check("It costs 39.50 EUR.", "39", false);
        check("It costs 39,000 EUR.", "39", false);
        check("It costs 0.39 EUR.", "39 EUR", false);
        check("Price: 39, per month", "39", true);
        check("The harbour’s\u{a0}office", "harbour's office", true);
        check("unsafe", "safe", false);
        check("ÜBER die Warteliste", "über", true);
        check("anything", " ", false);
    }

    proptest! {
        #[test]
        fn a_text_says_each_of_its_words(words in prop::collection::vec("[a-zäß]{1,8}|[0-9]{1,4}", 1..12), pick in 0_usize..12) {
            let text = words.join(" ");
            prop_assert!(says(&plain(&text), &words[pick % words.len()]));
        }

        #[test]
        fn nothing_panics(text in ".{0,60}", wording in ".{0,8}") {
            let _ = says(&plain(&text), &wording);
        }
    }
}
