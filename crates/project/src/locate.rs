/// The line (from 1) on which the value that a JSON pointer names starts, in JSON text that is well formed; the
/// nearest enclosing value when the pointer leads further than the text.
pub fn line_of_pointer(text: &str, pointer: &str) -> usize {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    scan.space();
    let mut found = scan.at;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        match scan.enter(&part) {
            Some(at) => found = at,
            None => break,
        }
    }
    text.as_bytes()[..found.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or_default()
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// Steps into the member or item of the value at hand; returns where its key, or the item itself, starts.
    fn enter(&mut self, part: &str) -> Option<usize> {
        self.space();
        let open = self.peek();
        if open != b'{' && open != b'[' {
            return None;
        }
        self.at += 1;
        let mut index = 0_usize;
        loop {
            self.space();
            let start = self.at;
            let matches = match (open, self.peek()) {
                (_, 0 | b'}' | b']') => return None,
                (b'{', b'"') => {
                    self.string();
                    let key: Option<String> = serde_json::from_slice(&self.bytes[start..self.at]).ok();
                    self.space();
                    self.at += 1;
                    self.space();
                    key.as_deref() == Some(part)
                }
                (b'{', _) => return None,
                _ => part.parse() == Ok(index),
            };
            if matches {
                return Some(start);
            }
            self.value();
            self.space();
            if self.peek() != b',' {
                return None;
            }
            self.at += 1;
            index += 1;
        }
    }

    fn string(&mut self) {
        self.at += 1;
        while self.at < self.bytes.len() {
            match self.peek() {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.bytes.len();
    }

    /// Steps over one value.
    fn value(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            match self.peek() {
                b'"' => self.string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth == 0 => return,
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' if depth == 0 => return,
                _ => self.at += 1,
            }
            if depth == 0 && matches!(self.peek(), b',' | b'}' | b']') {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::line_of_pointer;

    #[test]
    fn lines_of_values() {
        let text = "{\n  \"a\": [1,\n {\"b/c\": \"x,}\\\"\",\n \"d\": 2}],\n \"e\": null\n}";
        for (pointer, line) in [
            ("", 1),
            ("/a", 2),
            ("/a/0", 2),
            ("/a/1", 3),
            ("/a/1/b~1c", 3),
            ("/a/1/d", 4),
            ("/e", 5),
            ("/a/1/zz", 3),
            ("/zz", 1),
        ] {
            assert_eq!(line_of_pointer(text, pointer), line, "{pointer}");
        }
        assert_eq!(line_of_pointer("{\"a\\", "/b"), 1);
    }
}
