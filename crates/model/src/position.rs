//! Places in a text: of a byte, and of what a JSON pointer leads to.

/// Line and column (both from 1, the column in characters) of a byte offset.
pub fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

/// A message of a parser as one sentence.
pub fn sentence(message: &str) -> String {
    let message = message.trim().trim_end_matches('.').replace('\n', ": ");
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}

/// A name as a step of a JSON pointer.
pub fn pointer_step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The line (from 1) on which the value under `pointer` begins; that of the nearest ancestor when there is no such value.
/// The text is valid JSON.
pub fn line_of(text: &str, pointer: &str) -> usize {
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0 };
    let mut found = scanner.skip_space();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        match scanner.enter(&step) {
            Some(at) => found = at,
            None => break,
        }
    }
    1 + text.as_bytes()[..found.min(text.len())].iter().filter(|b| **b == b'\n').count()
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) -> usize {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at
    }

    /// Moves to a member of the object or array at the present place; returns where its key or value begins.
    fn enter(&mut self, step: &str) -> Option<usize> {
        self.skip_space();
        match self.peek()? {
            b'{' => {
                self.at += 1;
                loop {
                    let key_at = self.skip_space();
                    if self.peek()? != b'"' {
                        return None;
                    }
                    self.skip_value()?;
                    let key: Option<String> = serde_json::from_slice(&self.bytes[key_at..self.at]).ok();
                    self.skip_space();
                    self.at += 1;
                    self.skip_space();
                    if key.as_deref() == Some(step) {
                        return Some(key_at);
                    }
                    self.skip_value()?;
                    self.skip_space();
                    if self.peek()? != b',' {
                        return None;
                    }
                    self.at += 1;
                }
            }
            b'[' => {
                self.at += 1;
                let mut left: usize = step.parse().ok()?;
                loop {
                    let at = self.skip_space();
                    if self.peek()? == b']' {
                        return None;
                    }
                    if left == 0 {
                        return Some(at);
                    }
                    left -= 1;
                    self.skip_value()?;
                    self.skip_space();
                    if self.peek()? != b',' {
                        return None;
                    }
                    self.at += 1;
                }
            }
            _ => None,
        }
    }

    fn skip_value(&mut self) -> Option<()> {
        self.skip_space();
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    while self.peek()? != b'"' {
                        self.at += if self.peek()? == b'\\' { 2 } else { 1 };
                    }
                    self.at += 1;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                b if b.is_ascii_whitespace() => self.at += 1,
                _ => {
                    while self
                        .peek()
                        .is_some_and(|b| !matches!(b, b',' | b'}' | b']') && !b.is_ascii_whitespace())
                    {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_lead_to_lines() {
        let text =
            "{\n  \"a\": {\n    \"b/c\": [1,\n      {\"x\": \"}\\\"\"},\n      3]\n  },\n  \"d\": true\n}";
        for (pointer, line) in [
            ("", 1),
            ("/a", 2),
            ("/a/b~1c", 3),
            ("/a/b~1c/1", 4),
            ("/a/b~1c/1/x", 4),
            ("/a/b~1c/2", 5),
            ("/d", 7),
            ("/a/no", 2),
            ("/zz", 1),
        ] {
            assert_eq!(line_of(text, pointer), line, "{pointer}");
        }
        assert_eq!(line_of("{\"a\\", "/b"), 1, "text that is cut off");
    }
}
