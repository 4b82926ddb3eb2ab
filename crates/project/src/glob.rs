/// Whether a path matches a pattern: `*` is anything within a segment, `?` one character, `**` any number of whole
/// segments. `**/x` also matches `x`.
pub fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    // One row of the table "does pattern[p..] match path[s..]", filled from the end: linear space, no backtracking.
    let mut row = vec![false; path.len() + 1];
    row[path.len()] = true;
    for part in pattern.iter().rev() {
        let mut next = vec![false; path.len() + 1];
        for s in (0..=path.len()).rev() {
            next[s] = if *part == "**" {
                row[s] || (s < path.len() && next[s + 1])
            } else {
                s < path.len() && row[s + 1] && segment(part.as_bytes(), path[s].as_bytes())
            };
        }
        row = next;
    }
    row[0]
}

fn segment(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((sp, st)) => {
                    p = sp + 1;
                    t = st + 1;
                    star = Some((sp, st + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, path, expect) in [
            ("**/*.md", "a.md", true),
            ("**/*.md", "x/y/a.md", true),
            ("**/*.md", "x/y/a.mdx", false),
            ("de/**", "de/a/b", true),
            ("de/**", "en/a", false),
            ("**/_*/**", "a/_drafts/x.md", true),
            ("a?c*", "abcd", true),
            ("*", "a/b", false),
        ] {
            assert_eq!(matches(pattern, path), expect, "{pattern} {path}");
        }
    }
}
