//! "Did you mean …": the known name that is closest to one that is not known.

/// Names longer than this are not compared, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// Known names that are looked at.
const KNOWN_MAX: usize = 10_000;

/// The name in `known` that `name` was probably meant to be. At most 10,000 names of at most 100 bytes are looked at.
///
/// Case, `_` and `-` do not count. Otherwise one edit in three characters is allowed, and three in all; two swapped
/// letters are one edit.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let wanted = folded(name);
    let allowed = (wanted.len() / 3).clamp(1, 3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known.into_iter().take(KNOWN_MAX) {
        if candidate == name || candidate.len() > NAME_BYTES_MAX {
            continue;
        }
        let other = folded(candidate);
        if other.len().abs_diff(wanted.len()) > allowed {
            continue;
        }
        let limit = best.map_or(allowed + 1, |(d, _)| d);
        let distance = edits(&wanted, &other);
        // A name of which nothing is left but the length is no likeness.
        if distance < limit && distance < wanted.len() {
            best = Some((distance, candidate));
            if distance == 0 {
                break;
            }
        }
    }
    best.map(|(_, name)| name)
}

/// What to do about an unknown name: the nearest known one, else `otherwise`.
pub fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: impl Into<String>,
) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.into(),
    }
}

/// What there is, after the nearest of it: for a reader who does not know the names.
pub fn nearest_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, there_is: &str) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`? {there_is}"),
        None => there_is.to_owned(),
    }
}

/// What to do about a message of a parser such as ``unknown field `titel`, expected one of `title`, `slug` ``: the nearest
/// of the names that it lists. `otherwise` when it is no such message, or none is near.
pub fn nearest_in_message(message: &str, otherwise: &str) -> String {
    let words = ["unknown field `", "unknown variant `"];
    let after = words.iter().find_map(|word| Some(&message[message.find(word)? + word.len()..]));
    let found = after.and_then(|after| {
        let (name, rest) = after.split_once('`')?;
        let (_, listed) = rest.split_once("expected")?;
        nearest(name, listed.split('`').skip(1).step_by(2))
    });
    found.map_or_else(|| otherwise.to_owned(), |near| format!("did you mean `{near}`?"))
}

fn folded(name: &str) -> Vec<char> {
    name.chars().map(|c| if c == '_' || c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Edits between two names, two swapped neighbours counting as one.
fn edits(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before = vec![0; width];
    let mut above: Vec<usize> = (0..width).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; width];
        for j in 1..width {
            let same = a[i - 1] == b[j - 1];
            row[j] = (above[j - 1] + usize::from(!same)).min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["title", "slug", "summary", "price", "published_at", "en"];
        let check = |name: &str, expect: Option<&str>| assert_eq!(nearest(name, known), expect, "{name}");
        check("titel", Some("title"));
        check("Title", Some("title"));
        check("published-at", Some("published_at"));
        check("sumary", Some("summary"));
        check("prices", Some("price"));
        check("colour", None);
        check("x", None);
        check("", None);
        check(&"t".repeat(101), None);
        assert_eq!(did_you_mean("slg", known, "no"), "did you mean `slug`?");
        assert_eq!(did_you_mean("colour", known, "the fields are: …"), "the fields are: …");
    }

    #[test]
    fn reads_messages_of_parsers() {
        let message = "unknown field `locale`, expected one of `name`, `locales`, `channels`";
        assert_eq!(nearest_in_message(message, ""), "did you mean `locales`?");
        let message = "unknown variant `backwards`, expected `backward` or `full`";
        assert_eq!(nearest_in_message(message, "-"), "did you mean `backward`?");
        assert_eq!(nearest_in_message("invalid type: integer", "-"), "-");
        assert_eq!(nearest_in_message("unknown field `", "-"), "-");
    }
}
