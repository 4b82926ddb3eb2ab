//! What a Markdown text may ask of a parser. Counted in one pass before it is parsed.

/// The largest Markdown text that is rendered, in bytes.
pub const MARKDOWN_BYTES_MAX: usize = 1 << 20;

/// How deep quotes and lists may nest.
pub const MARKDOWN_NESTING_MAX: usize = 60;

/// The most table cells, where a row counts as many as the widest row of its table.
pub const MARKDOWN_CELLS_MAX: usize = 100_000;

/// The most footnotes and references to them.
pub const MARKDOWN_FOOTNOTES_MAX: usize = 10_000;

/// A bound of the work inside blocks: characters that may begin something (`*`, `[`, `<`, quotes, …) times bytes of their
/// block, over all blocks. Parsers of Markdown look for an end from each beginning.
pub const MARKDOWN_WORK_MAX: usize = 100_000_000;

/// A text of so many bytes stays below [`MARKDOWN_WORK_MAX`], which no block exceeds whose length squared does not, and has fewer
/// than [`MARKDOWN_FOOTNOTES_MAX`] footnotes.
const SMALL_BYTES: usize = 10_000;
const _: () =
    assert!(SMALL_BYTES * SMALL_BYTES <= MARKDOWN_WORK_MAX && SMALL_BYTES <= MARKDOWN_FOOTNOTES_MAX);

/// Why a Markdown text is not rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarkdownTooMuch {
    /// See [`MARKDOWN_BYTES_MAX`].
    #[error("the Markdown has more than {MARKDOWN_BYTES_MAX} bytes")]
    Bytes,
    /// See [`MARKDOWN_NESTING_MAX`].
    #[error("quotes or lists nest deeper than {MARKDOWN_NESTING_MAX} on line {0}")]
    Nesting(usize),
    /// See [`MARKDOWN_CELLS_MAX`].
    #[error("the tables have more than {MARKDOWN_CELLS_MAX} cells by line {0}")]
    Cells(usize),
    /// See [`MARKDOWN_FOOTNOTES_MAX`].
    #[error("there are more than {MARKDOWN_FOOTNOTES_MAX} footnotes by line {0}")]
    Footnotes(usize),
    /// See [`MARKDOWN_WORK_MAX`].
    #[error("a paragraph has too many brackets, stars or quotes by line {0}")]
    Work(usize),
}

/// Checks that a Markdown text can be parsed in a time that grows with its size alone.
///
/// # Errors
/// The first bound that is crossed.
pub fn check_markdown(text: &str) -> Result<(), MarkdownTooMuch> {
    if text.len() > MARKDOWN_BYTES_MAX {
        return Err(MarkdownTooMuch::Bytes);
    }
    // A short text without tables cannot cross any bound but that of nesting.
    let counts = text.len() > SMALL_BYTES || text.contains('|');
    let mut counted = Counted { trusts_fences: true, counts, ..Counted::default() };
    for (at, line) in text.split(['\n', '\r']).enumerate() {
        counted.line(line, at + 1)?;
    }
    counted.end_of_group(text.lines().count())
}

#[derive(Default)]
struct Counted {
    /// Whether anything but nesting is counted.
    counts: bool,
    /// The present block: its bytes, and the characters in it that may begin something.
    bytes: usize,
    special: usize,
    /// The present lines without a blank one between them: how many, and the most `|` of one.
    rows: usize,
    widest: usize,
    /// In all blocks.
    work: usize,
    cells: usize,
    footnotes: usize,
    /// The open code fence: its character and length.
    fence: Option<(u8, usize)>,
    /// Whether a fence at the start of a line certainly is one. Inside raw HTML and lists it may not be.
    trusts_fences: bool,
}

impl Counted {
    fn line(&mut self, line: &str, number: usize) -> Result<(), MarkdownTooMuch> {
        let bytes = line.as_bytes();
        if let Some((mark, length)) = self.fence {
            let run = bytes.iter().take_while(|b| **b == mark).count();
            if run >= length && line[run..].trim().is_empty() {
                self.fence = None;
            }
            return Ok(());
        }
        let Prefix { nesting, content, columns, starts_block } = prefix(bytes);
        if nesting > MARKDOWN_NESTING_MAX {
            return Err(MarkdownTooMuch::Nesting(number));
        }
        let rest = &bytes[content..];
        if rest.is_empty() {
            return self.end_of_group(number);
        }
        if starts_block {
            self.end_of_block(number)?;
        }
        if let Some(mark) = rest.first().copied().filter(|b| matches!(b, b'`' | b'~')) {
            let run = rest.iter().take_while(|b| **b == mark).count();
            if run >= 3 && (mark == b'~' || !rest[run..].contains(&b'`')) {
                if content == 0 && self.trusts_fences {
                    self.end_of_group(number)?;
                    self.fence = Some((mark, run));
                    return Ok(());
                }
                self.trusts_fences = false;
            }
        }
        if rest[0] == b'<' && columns < 4 {
            self.trusts_fences = false;
        }
        if !self.counts {
            return Ok(());
        }
        let mut pipes = 0;
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'|' => pipes += 1,
                b'*' | b'_' | b'[' | b']' | b'<' | b'`' | b'~' | b'"' | b'\'' | b'!' | b'&' => {
                    self.special += 1
                }
                b'^' if at > 0 && rest[at - 1] == b'[' => self.footnotes += 1,
                _ => {}
            }
        }
        if self.footnotes > MARKDOWN_FOOTNOTES_MAX {
            return Err(MarkdownTooMuch::Footnotes(number));
        }
        self.bytes += rest.len() + 1;
        self.rows += 1;
        self.widest = self.widest.max(pipes);
        Ok(())
    }

    fn end_of_block(&mut self, number: usize) -> Result<(), MarkdownTooMuch> {
        self.work = self.work.saturating_add(self.special.saturating_mul(self.bytes));
        (self.bytes, self.special) = (0, 0);
        match self.work > MARKDOWN_WORK_MAX {
            true => Err(MarkdownTooMuch::Work(number)),
            false => Ok(()),
        }
    }

    fn end_of_group(&mut self, number: usize) -> Result<(), MarkdownTooMuch> {
        if self.widest > 0 {
            self.cells = self.cells.saturating_add(self.rows.saturating_mul(self.widest + 1));
        }
        (self.rows, self.widest) = (0, 0);
        self.end_of_block(number)?;
        match self.cells > MARKDOWN_CELLS_MAX {
            true => Err(MarkdownTooMuch::Cells(number)),
            false => Ok(()),
        }
    }
}

struct Prefix {
    /// Markers of quotes and lists, with what the indentation may continue.
    nesting: usize,
    /// Where the text behind them begins.
    content: usize,
    /// Columns of white space before it, behind the last marker.
    columns: usize,
    /// Whether the line begins a block of its own whatever comes before it.
    starts_block: bool,
}

fn prefix(line: &[u8]) -> Prefix {
    let (mut at, mut columns, mut markers, mut spaces) = (0, 0, 0, 0);
    let mut starts_block = false;
    while let Some(byte) = line.get(at) {
        let blank_behind = |n: usize| line.get(at + n).is_none_or(|b| matches!(b, b' ' | b'\t'));
        match byte {
            b' ' => columns += 1,
            b'\t' => columns += 4,
            b'>' => {
                markers += 1;
                spaces += columns;
                columns = 0;
            }
            b'-' | b'+' | b'*' if blank_behind(1) => {
                // An empty item does not interrupt a paragraph.
                starts_block |=
                    columns < 4 && spaces == 0 && line.get(at + 2).is_some_and(|b| !b.is_ascii_whitespace());
                markers += 1;
                spaces += columns;
                columns = 0;
            }
            b'0'..=b'9' => {
                let digits = line[at..].iter().take(10).take_while(|b| b.is_ascii_digit()).count();
                if !(matches!(line.get(at + digits), Some(b'.' | b')')) && blank_behind(digits + 1)) {
                    break;
                }
                markers += 1;
                at += digits;
                spaces += columns;
                columns = 0;
            }
            b'#' if columns < 4 && spaces == 0 => {
                let run = line[at..].iter().take_while(|b| **b == b'#').count();
                starts_block |= run <= 6 && line.get(at + run).is_none_or(|b| matches!(b, b' ' | b'\t'));
                break;
            }
            _ => break,
        }
        at += 1;
    }
    // A list inside a list is indented by two columns at least.
    Prefix {
        nesting: markers + (spaces + columns.min(4 * MARKDOWN_NESTING_MAX)) / 4,
        content: at,
        columns,
        starts_block,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_passes() {
        let page = "# Title\n\nSome *text* with [a link](/x \"y\") and `code`.\n\n> quoted\n> > twice\n\n- a\n  - b\n    1. c\n\n| a | b |\n|---|---|\n| c | d |\n\n```js\nconst a = [[[[[[\"\"]]]]]];\n```\n\nA footnote[^1].\n\n[^1]: Here.\n";
        assert_eq!(check_markdown(&page.repeat(3_000)), Ok(()));
        let list = "- **fixed** [#12](https://example.com/12): it's \"done\"\n".repeat(8_000);
        assert_eq!(check_markdown(&list), Ok(()));
        let code = format!("```json\n{}```\n", "{\"a\": [\"b\", \"c\"]}\n".repeat(20_000));
        assert_eq!(check_markdown(&code), Ok(()));
        // A short text cannot ask too much but by nesting.
        for text in ["[", "*a ", "[^1]", "<a "] {
            assert_eq!(check_markdown(&text.repeat(10_000 / text.len())), Ok(()));
        }
        assert!(check_markdown(&"> ".repeat(100)).is_err());
    }

    #[test]
    fn what_asks_too_much_does_not() {
        for text in [
            ">".repeat(50_000),
            "> ".repeat(50_000),
            "- ".repeat(50_000),
            "1. ".repeat(50_000),
            "[".repeat(100_000),
            "[a](".repeat(50_000),
            "*a ".repeat(100_000),
            "\"a ".repeat(100_000),
            "`a``".repeat(50_000),
            "<a ".repeat(100_000),
            format!("{}\n{}\n{}", "|a".repeat(2_000), "|-".repeat(2_000), "|\n".repeat(2_000)),
            "[^1]".repeat(20_000),
            // What looks like a fence and is none.
            format!("- a\n  ```\n{}", "[".repeat(100_000)),
            format!("> ```\n{}", "[".repeat(100_000)),
            format!("<!--\n\n```\n-->\n{}", "[".repeat(100_000)),
            format!("``` `\n{}", "[".repeat(100_000)),
            "2. [[[[[[[[[[\n".repeat(5_000),
            "    - [[[[[[[[[[\n".repeat(5_000),
            "x".repeat(2 << 20),
        ] {
            assert!(check_markdown(&text).is_err(), "{}", &text[..40]);
        }
    }
}
