//! Patterns of paths.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Patterns, of which one has to match a whole path: `*` is anything within a name, `?` one character, `**` any number of
/// directories, `[ab]` one of these characters, `{a,b}` one of these patterns.
#[derive(Debug, Clone, Default)]
pub struct Globs(GlobSet);

impl Globs {
    /// Reads patterns.
    ///
    /// # Errors
    /// The pattern that cannot be read, and why.
    pub fn new<P: AsRef<str>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern.as_ref()).literal_separator(true).build();
            set.add(glob.map_err(|e| e.to_string())?);
        }
        set.build().map(Self).map_err(|e| e.to_string())
    }

    /// Whether a path matches.
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::Globs;

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
            ("a.{md,mdx}", "a.mdx", true),
        ] {
            assert_eq!(Globs::new([pattern]).unwrap().matches(path), expect, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let error = Globs::new(["**/*.md", "a["]).unwrap_err();
        assert!(error.contains("a["), "{error}");
    }
}
