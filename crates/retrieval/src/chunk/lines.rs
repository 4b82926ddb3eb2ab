//! The lines of a Markdown text, and what each is.

use std::ops::Range;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Blank,
    Text,
    /// A heading of a level from 1.
    Heading(u8),
    /// The line below a heading of `===` or `---`.
    Underline,
    /// `---` between paragraphs.
    Rule,
    /// The first or last line of a code block.
    Fence,
    Code,
    /// The first line of a list item.
    Item,
    TableHeader,
    /// The line below the header of a table.
    TableRule,
    TableRow,
    /// `[name]: target`.
    Definition,
}

/// A line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub kind: Kind,
    /// All of it but its end.
    pub range: Range<usize>,
    /// Where its text begins, behind white space, marks of quotes, and the mark of a heading or an item.
    pub text: usize,
    /// Where the mark begins.
    pub mark: usize,
}

/// Reads the lines of a text.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::new();
    let mut fence: Option<(u8, usize)> = None;
    let mut table = false;
    // Where the text of the last list item begins, in columns.
    let mut list: Option<usize> = None;
    let mut ranges = ranges(text).peekable();
    while let Some(range) = ranges.next() {
        let mark = range.start + prefix(&text[range.clone()]);
        let stripped = text[mark..range.end].trim_end();
        let mut line = Line { kind: Kind::Text, text: mark, mark, range };
        if let Some((byte, length)) = fence {
            let run = run_of(stripped, byte);
            line.kind = Kind::Code;
            if run >= length && run == stripped.len() {
                line.kind = Kind::Fence;
                fence = None;
            }
            out.push(line);
            continue;
        }
        table &= stripped.contains('|');
        let indent = indent(&text[line.range.clone()]);
        let before = out.last().map_or(Kind::Blank, |before| before.kind);
        // After a blank line, a line at the margin is no part of a list any more.
        let margin = indent < 2 && before == Kind::Blank && !stripped.is_empty() && item(stripped).is_none();
        list = list.filter(|_| !margin);
        let begun = matches!(before, Kind::Text | Kind::Item | Kind::TableRow | Kind::TableRule);
        if stripped.is_empty() {
            line.kind = Kind::Blank;
        } else if indent >= list.unwrap_or(0) + 4 && !begun {
            line.kind = Kind::Code;
        } else if table {
            line.kind = if is_table_rule(stripped) { Kind::TableRule } else { Kind::TableRow };
        } else if let Some(opened) = opens_fence(stripped) {
            line.kind = Kind::Fence;
            fence = Some(opened);
        } else if let Some((level, behind)) = heading(stripped) {
            line.kind = Kind::Heading(level);
            line.text = mark + behind;
        } else if let Some(level) = underline(stripped).filter(|_| is_lone_text(&out)) {
            line.kind = Kind::Underline;
            if let Some(before) = out.last_mut() {
                before.kind = Kind::Heading(level);
            }
        } else if is_rule(stripped) {
            line.kind = Kind::Rule;
        } else if let Some(behind) = item(stripped) {
            line.kind = Kind::Item;
            line.text = mark + behind;
            list = Some(line.text - line.range.start);
            fence = opens_fence(&stripped[behind..]);
            if fence.is_some() {
                line.kind = Kind::Fence;
            }
        } else if stripped.contains('|') && ranges.peek().is_some_and(|next| is_next_rule(text, next)) {
            line.kind = Kind::TableHeader;
            table = true;
        } else if is_definition(stripped) {
            line.kind = Kind::Definition;
        }
        out.push(line);
    }
    out
}

fn ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let from = start;
        start += line.len();
        from..from + line.trim_end_matches(['\n', '\r']).len()
    })
}

/// The length of white space and marks of quotes.
fn prefix(line: &str) -> usize {
    line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b'>')).count()
}

/// The white space before a line, in columns.
fn indent(line: &str) -> usize {
    line.bytes()
        .map_while(|byte| match byte {
            b' ' => Some(1),
            b'\t' => Some(4),
            _ => None,
        })
        .sum()
}

fn run_of(text: &str, byte: u8) -> usize {
    text.bytes().take_while(|b| *b == byte).count()
}

fn opens_fence(text: &str) -> Option<(u8, usize)> {
    let byte = text.bytes().next().filter(|b| matches!(b, b'`' | b'~'))?;
    let run = run_of(text, byte);
    (run >= 3 && (byte == b'~' || !text[run..].contains('`'))).then_some((byte, run))
}

fn heading(text: &str) -> Option<(u8, usize)> {
    let run = run_of(text, b'#');
    let rest = &text[run..];
    let level = u8::try_from(run).ok().filter(|level| (1..=6).contains(level))?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| (level, text.len() - rest.trim_start().len()))
}

fn underline(text: &str) -> Option<u8> {
    [(b'=', 1), (b'-', 2)]
        .into_iter()
        .find(|(byte, _)| run_of(text, *byte) == text.len())
        .map(|(_, level)| level)
}

/// Whether the last line is a paragraph of one line, which the next may underline.
fn is_lone_text(lines: &[Line]) -> bool {
    match lines {
        [.., before, last] => last.kind == Kind::Text && !matches!(before.kind, Kind::Text | Kind::Item),
        [last] => last.kind == Kind::Text,
        [] => false,
    }
}

fn is_rule(text: &str) -> bool {
    let mut marks = text.bytes().filter(|b| !matches!(b, b' ' | b'\t'));
    let Some(first) = marks.next().filter(|b| matches!(b, b'-' | b'*' | b'_')) else { return false };
    let mut count = 1;
    marks.all(|mark| {
        count += 1;
        mark == first
    }) && count >= 3
}

/// The length of the mark of a list item, with the white space behind it.
fn item(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let mark = match text.as_bytes().get(digits)? {
        b'-' | b'*' | b'+' if digits == 0 => 1,
        b'.' | b')' if (1..=9).contains(&digits) => digits + 1,
        _ => return None,
    };
    let rest = &text[mark..];
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| text.len() - rest.trim_start().len())
}

fn is_next_rule(text: &str, next: &Range<usize>) -> bool {
    let line = &text[next.clone()];
    is_table_rule(line[prefix(line)..].trim_end())
}

fn is_table_rule(text: &str) -> bool {
    text.contains('-')
        && text.contains('|')
        && text.bytes().all(|b| matches!(b, b'-' | b'|' | b':' | b' ' | b'\t'))
}

fn is_definition(text: &str) -> bool {
    let name = text.strip_prefix('[').filter(|rest| !rest.starts_with('^'));
    name.and_then(|rest| rest.split_once(']')).is_some_and(|(name, rest)| {
        !name.is_empty() && rest.starts_with(':') && rest[1..].split_whitespace().count() >= 1
    })
}
