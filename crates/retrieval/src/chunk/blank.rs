//! Text without its markup, byte for byte where it was.

use std::ops::Range;

use super::{
    TextForm,
    lines::{Kind, Line, lines},
};

/// How far the end of a link's target is looked for, in bytes.
const TARGET_BYTES_MAX: usize = 4_000;
/// The longest run of backticks that opens code in a line.
const TICKS_MAX: usize = 8;

/// The text with spaces in place of its markup: marks of headings, lists, quotes, tables and emphasis, targets of links, tags, and the
/// fences of code. A line break takes the place of the mark of a heading, an item or a row, so that a sentence ends there. The result has as many
/// bytes, and what is left is where it was. Plain text stays as it is.
#[must_use]
pub fn blank(text: &str, form: TextForm) -> String {
    if form == TextForm::Plain {
        return text.to_owned();
    }
    let lines = lines(text);
    let mut canvas = Canvas { text: text.as_bytes(), out: text.as_bytes().to_vec() };
    for line in &lines {
        block_marks(&mut canvas, line);
    }
    let mut start = 0;
    while start < lines.len() {
        let is_code = |line: &Line| matches!(line.kind, Kind::Fence | Kind::Code);
        let length = lines[start..].iter().take_while(|line| !is_code(line)).count();
        if let [first, .., last] | [first @ last] = &lines[start..start + length] {
            Inline::new(&mut canvas, first.range.start..last.range.end).run();
        }
        start += length.max(1);
    }
    // Only whole characters were replaced, by spaces and line breaks.
    String::from_utf8(canvas.out).unwrap_or_else(|_| text.to_owned())
}

struct Canvas<'a> {
    text: &'a [u8],
    out: Vec<u8>,
}

impl Canvas<'_> {
    fn wipe(&mut self, range: Range<usize>) {
        for byte in &mut self.out[range] {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }

    /// Puts a line break in place of the mark of a block.
    fn breaks(&mut self, mark: usize) {
        self.out[mark] = b'\n';
        if mark > 0 && self.out[mark - 1] == b' ' {
            self.out[mark - 1] = b'\n';
        }
    }
}

fn block_marks(canvas: &mut Canvas<'_>, line: &Line) {
    let range = line.range.clone();
    match line.kind {
        Kind::Code => return,
        Kind::Fence | Kind::Rule | Kind::Underline | Kind::TableRule | Kind::Definition => {
            canvas.wipe(range);
            return;
        }
        Kind::Heading(_) | Kind::Item => {
            canvas.wipe(range.start..line.text);
            if line.mark < line.text {
                canvas.breaks(line.mark);
            }
        }
        Kind::Blank | Kind::Text | Kind::TableHeader | Kind::TableRow => canvas.wipe(range.start..line.mark),
    }
    if matches!(line.kind, Kind::Heading(_)) {
        closing_marks(canvas, line);
    }
    if matches!(line.kind, Kind::TableHeader | Kind::TableRow) {
        for at in line.mark..range.end {
            if canvas.text[at] == b'|' {
                canvas.out[at] = b' ';
            }
        }
        if canvas.text.get(line.mark) == Some(&b'|') {
            canvas.breaks(line.mark);
        }
    }
}

/// `## Title ##` and `## Title {#anchor}`.
fn closing_marks(canvas: &mut Canvas<'_>, line: &Line) {
    let content = &canvas.text[line.text..line.range.end];
    let trimmed = content.trim_ascii_end();
    let named = trimmed.ends_with(b"}").then(|| content.windows(2).rposition(|two| two == b"{#")).flatten();
    let hashes = trimmed.iter().rev().take_while(|byte| **byte == b'#').count();
    let from = match named {
        Some(at) => at,
        None if hashes < trimmed.len() && trimmed[trimmed.len() - hashes - 1] != b' ' => return,
        None => trimmed.len() - hashes,
    };
    canvas.wipe(line.text + from..line.range.end);
}

/// Markup inside lines. Each look ahead ends where the next one may begin, or remembers that it failed, so the time grows with
/// the text alone.
struct Inline<'a, 'b> {
    canvas: &'a mut Canvas<'b>,
    at: usize,
    end: usize,
    /// For each length of a run of backticks, up to where there is no other run of that length.
    no_ticks_until: [usize; TICKS_MAX + 1],
    may_have_comments: bool,
}

impl<'a, 'b> Inline<'a, 'b> {
    fn new(canvas: &'a mut Canvas<'b>, range: Range<usize>) -> Self {
        Self {
            canvas,
            at: range.start,
            end: range.end,
            no_ticks_until: [0; TICKS_MAX + 1],
            may_have_comments: true,
        }
    }

    fn byte(&self, at: usize) -> u8 {
        if at < self.end { self.canvas.text[at] } else { 0 }
    }

    fn wipe_to(&mut self, to: usize) {
        self.canvas.wipe(self.at..to);
        self.at = to;
    }

    fn run(mut self) {
        while self.at < self.end {
            let (here, next) = (self.byte(self.at), self.byte(self.at + 1));
            match here {
                b'\\' if next.is_ascii_punctuation() => {
                    self.wipe_to(self.at + 1);
                    self.at += 1;
                }
                b'`' => self.code(),
                b'<' => self.tag(next),
                b'!' if next == b'[' => self.wipe_to(self.at + 1),
                b'[' => self.opening(next),
                b']' => self.closing(next),
                b'*' => self.wipe_to(self.at + 1),
                b'~' if next == b'~' => self.wipe_to(self.at + 2),
                b'_' if !self.is_inside_word() => self.wipe_to(self.at + 1),
                b'&' => self.entity(),
                _ => self.at += 1,
            }
        }
    }

    /// Whether letters stand on both sides.
    fn is_inside_word(&self) -> bool {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'_';
        self.at > 0 && letter(self.canvas.text[self.at - 1]) && letter(self.byte(self.at + 1))
    }

    fn ticks(&self, at: usize) -> usize {
        self.canvas.text[at..self.end].iter().take_while(|byte| **byte == b'`').count()
    }

    fn code(&mut self) {
        let run = self.ticks(self.at);
        let opened = self.at + run;
        self.wipe_to(opened);
        if run > TICKS_MAX {
            return;
        }
        let mut at = opened.max(self.no_ticks_until[run]);
        while at < self.end && !self.is_blank_line(at) {
            if self.byte(at) != b'`' {
                at += 1;
                continue;
            }
            let other = self.ticks(at);
            if other == run {
                self.canvas.wipe(at..at + run);
                self.at = at + run;
                return;
            }
            at += other;
        }
        self.no_ticks_until[run] = at;
    }

    /// Whether a blank line begins behind the line break at this place.
    fn is_blank_line(&self, at: usize) -> bool {
        self.byte(at) == b'\n' && matches!(self.byte(at + 1), b'\n' | b'\r')
    }

    fn tag(&mut self, next: u8) {
        let text = &self.canvas.text[self.at..self.end];
        if text.starts_with(b"<!--") {
            let closed = if self.may_have_comments { find(&text[4..], b"-->") } else { None };
            self.may_have_comments = closed.is_some();
            let to = closed.map_or(self.at + 4, |at| self.at + 4 + at + 3);
            self.wipe_to(to);
            return;
        }
        if !(next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?' | b'>')) {
            self.at += 1;
            return;
        }
        let mut at = self.at + 1;
        while at < self.end && !self.is_blank_line(at) {
            match self.byte(at) {
                b'>' if self.byte(at - 1) != b'=' => {
                    self.wipe_to(at + 1);
                    return;
                }
                b'<' => break,
                _ => at += 1,
            }
        }
        self.at += 1;
    }

    fn opening(&mut self, next: u8) {
        let is_task = matches!(next, b' ' | b'x' | b'X') && self.byte(self.at + 2) == b']';
        if is_task && self.byte(self.at + 3) == b' ' {
            self.wipe_to(self.at + 3);
            return;
        }
        let name = &self.canvas.text[self.at + 1..self.end];
        let stops = |byte: &u8| matches!(byte, b'[' | b']' | b'\n');
        match name.iter().position(stops).filter(|at| next == b'^' && name[*at] == b']') {
            Some(length) => self.wipe_to(self.at + length + 2),
            None => self.wipe_to(self.at + 1),
        }
    }

    fn closing(&mut self, next: u8) {
        self.wipe_to(self.at + 1);
        match next {
            b'(' => {
                let mut depth = 0_usize;
                let limit = self.end.min(self.at + TARGET_BYTES_MAX);
                for at in self.at..limit {
                    match self.byte(at) {
                        b'(' => depth += 1,
                        b')' if depth == 1 => {
                            self.wipe_to(at + 1);
                            return;
                        }
                        b')' => depth -= 1,
                        b']' if self.byte(at + 1) == b'(' => return,
                        b'\n' if self.is_blank_line(at) => return,
                        _ => {}
                    }
                }
            }
            b'[' => {
                let name = &self.canvas.text[self.at + 1..self.end];
                let stop = name.iter().position(|byte| matches!(byte, b'[' | b']' | b'\n'));
                if let Some(length) = stop.filter(|at| name[*at] == b']') {
                    self.wipe_to(self.at + length + 2);
                }
            }
            _ => {}
        }
    }

    fn entity(&mut self) {
        let rest = &self.canvas.text[self.at + 1..self.end.min(self.at + 12)];
        let name = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'#').count();
        let to = if name > 0 && rest.get(name) == Some(&b';') { self.at + name + 2 } else { self.at + 1 };
        if to > self.at + 1 {
            self.wipe_to(to);
        } else {
            self.at = to;
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
