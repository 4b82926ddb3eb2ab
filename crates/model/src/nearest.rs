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
    let wanted: Vec<char> = folded(name).collect();
    let occurring = letters(name);
    let allowed = (wanted.len() / 3).clamp(1, 3);
    let mut best: Option<(usize, &str)> = None;
    let (mut other, mut rows) = (Vec::new(), Rows::default());
    for candidate in known.into_iter().take(KNOWN_MAX) {
        if candidate == name || candidate.len() > NAME_BYTES_MAX {
            continue;
        }
        let limit = best.map_or(allowed + 1, |(d, _)| d);
        // Each edit changes at most two of the letters that occur.
        if (letters(candidate) ^ occurring).count_ones() as usize > 2 * (limit - 1) {
            continue;
        }
        other.clear();
        other.extend(folded(candidate));
        if other.len().abs_diff(wanted.len()) >= limit {
            continue;
        }
        // A name of which nothing is left but the length is no likeness.
        let below = limit.min(wanted.len());
        if let Some(distance) = rows.edits(&wanted, &other, below) {
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

/// The known names, after the nearest one: for a reader who does not know the names.
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

fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|c| if c == '_' || c == ' ' { '-' } else { c.to_ascii_lowercase() })
}

/// Which letters occur in a name: a bit for each, some sharing theirs.
fn letters(name: &str) -> u64 {
    folded(name).fold(0, |set, c| set | 1 << (c as u32 % 64))
}

/// Memory for comparing names.
#[derive(Default)]
struct Rows {
    before: Vec<usize>,
    above: Vec<usize>,
    row: Vec<usize>,
}

impl Rows {
    /// Edits between two names, two swapped neighbours counting as one; `None` when they are not fewer than `limit`.
    fn edits(&mut self, a: &[char], b: &[char], limit: usize) -> Option<usize> {
        let Self { before, above, row } = self;
        let width = b.len() + 1;
        for list in [&mut *before, &mut *above, &mut *row] {
            list.clear();
            list.extend(0..width);
        }
        let mut least_before = 0;
        for i in 1..=a.len() {
            row[0] = i;
            let mut least = i;
            for j in 1..width {
                let same = a[i - 1] == b[j - 1];
                let mut edits = (above[j - 1] + usize::from(!same)).min(above[j] + 1).min(row[j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    edits = edits.min(before[j - 2] + 1);
                }
                row[j] = edits;
                least = least.min(edits);
            }
            // What follows builds on the last two rows.
            if least.min(least_before) >= limit {
                return None;
            }
            least_before = least;
            std::mem::swap(before, above);
            std::mem::swap(above, row);
        }
        Some(above[b.len()]).filter(|edits| *edits < limit)
    }
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
        check("slgu", Some("slug"));
        check("pbulished_ta", Some("published_at"));
        check("pbulsihde_ta", None);
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
