//! Where sentences end.

/// The sentences of a text: they end at a full stop, question mark or exclamation mark before white space, at the full stops of
/// Chinese and Japanese, at blank lines, and before the items of lists and the rows of tables. Abbreviations are not known,
/// so some sentences are cut in two; what uses them must bear that.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (sentence, after) = rest.split_at(end(rest));
            rest = after;
            let sentence = sentence.trim();
            if !sentence.is_empty() {
                return Some(sentence);
            }
        }
        None
    })
}

fn end(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = at + c.len_utf8();
        let next = chars.peek().map(|(_, next)| *next);
        let ends = match c {
            '.' | '!' | '?' | '…' => next.is_none_or(char::is_whitespace),
            '。' | '！' | '？' => true,
            '\n' => next.is_some_and(|next| matches!(next, '\n' | '-' | '*' | '|' | '#' | '>')),
            _ => false,
        };
        if ends {
            return after;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[test]
    fn ends_are_found() {
        let of = |text| sentences(text).collect::<Vec<_>>();
        assert_eq!(of("It costs 4.50 a month. Is it? Yes!"), ["It costs 4.50 a month.", "Is it?", "Yes!"]);
        assert_eq!(of("潮が満ちる。引く。"), ["潮が満ちる。", "引く。"]);
        assert_eq!(of("One\ntwo\n\nthree\n- four\n- five"), ["One\ntwo", "three", "- four", "- five"]);
        assert!(of("  \n ").is_empty());
    }
}
