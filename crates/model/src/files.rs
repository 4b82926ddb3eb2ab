use std::collections::BTreeMap;

/// The largest definition file, in bytes.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// The most bytes all definition files of a project may hold.
pub const FILES_BYTES_MAX: usize = 256 << 20;
/// The most definition files of a project.
pub const FILES_MAX: usize = 50_000;

/// Definition files of a project, in memory: relative path with `/` separators → raw bytes.
///
/// The same readers work on a directory, on pushed definitions and on those frozen in a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    map: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

/// A file that cannot be among the definitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// Absolute, with `..`, backslashes or empty segments.
    #[error("`{0}` is not a relative path with `/` separators")]
    Path(String),
    /// One file is too large.
    #[error("`{path}` has {bytes} bytes; a definition file may have {FILE_BYTES_MAX}")]
    FileTooLarge {
        /// The file.
        path: String,
        /// Its size.
        bytes: usize,
    },
    /// All together are too large or too many.
    #[error("the definitions are more than {FILES_MAX} files or {FILES_BYTES_MAX} bytes at `{0}`")]
    TooMany(String),
    /// Not UTF-8 where text is expected.
    #[error("`{path}` is not UTF-8 text (first bad byte at offset {offset})")]
    Encoding {
        /// The file.
        path: String,
        /// Where the first bad byte is.
        offset: usize,
    },
}

impl Files {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file.
    ///
    /// # Errors
    /// When the path leaves the project or a bound is crossed; nothing is changed then.
    pub fn insert(&mut self, path: &str, content: Vec<u8>) -> Result<(), FilesError> {
        let bad_segment = |s: &str| s.is_empty() || s == "." || s == ".." || s.contains(['\\', '\0']);
        if path.len() > 1024 || path.split('/').any(bad_segment) {
            return Err(FilesError::Path(path.chars().take(120).collect()));
        }
        if content.len() > FILE_BYTES_MAX {
            return Err(FilesError::FileTooLarge { path: path.to_owned(), bytes: content.len() });
        }
        let old = self.map.get(path).map_or(0, Vec::len);
        let bytes = self.bytes - old + content.len();
        if bytes > FILES_BYTES_MAX || (self.map.len() >= FILES_MAX && !self.map.contains_key(path)) {
            return Err(FilesError::TooMany(path.to_owned()));
        }
        self.bytes = bytes;
        self.map.insert(path.to_owned(), content);
        Ok(())
    }

    /// The bytes of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.map.get(path).map(Vec::as_slice)
    }

    /// The text of a file, without a byte order mark; `None` when there is no such file.
    ///
    /// # Errors
    /// When the file is not UTF-8.
    pub fn text(&self, path: &str) -> Result<Option<&str>, FilesError> {
        let Some(bytes) = self.get(path) else { return Ok(None) };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        std::str::from_utf8(bytes)
            .map(Some)
            .map_err(|e| FilesError::Encoding { path: path.to_owned(), offset: e.valid_up_to() })
    }

    /// All files in path order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.map.iter().map(|(p, b)| (p.as_str(), b.as_slice()))
    }

    /// The files directly or deeper under `folder` (no trailing slash) whose names end in `suffix`, in path order.
    pub fn under<'a>(
        &'a self,
        folder: &str,
        suffix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let prefix = format!("{folder}/");
        let range = self.map.range(prefix.clone()..);
        range
            .take_while(move |(p, _)| p.starts_with(&prefix))
            .filter(move |(p, _)| p.ends_with(suffix))
            .map(|(p, b)| (p.as_str(), b.as_slice()))
    }

    /// The bytes of all files.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many files.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_project() {
        let mut files = Files::new();
        for bad in ["/etc/passwd", "../x", "a/../b", "a//b", "", "a\\b", "./a"] {
            assert!(matches!(files.insert(bad, vec![]), Err(FilesError::Path(_))), "{bad}");
        }
        files.insert("contracts/a.v1.json", b"{}".to_vec()).unwrap();
        files.insert("contracts-old/a.json", b"{}".to_vec()).unwrap();
        assert_eq!(files.under("contracts", ".json").count(), 1);
    }

    #[test]
    fn encoding_errors_name_the_byte() {
        let mut files = Files::new();
        files.insert("a.toml", b"\xef\xbb\xbfx = 1".to_vec()).unwrap();
        files.insert("b.toml", b"ok\xff".to_vec()).unwrap();
        assert_eq!(files.text("a.toml").unwrap(), Some("x = 1"));
        assert_eq!(
            files.text("b.toml").unwrap_err().to_string(),
            "`b.toml` is not UTF-8 text (first bad byte at offset 2)"
        );
        assert_eq!(files.text("c.toml").unwrap(), None);
    }
}
