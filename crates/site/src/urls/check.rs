//! What may stand in a rendered page, whatever template and content did: addresses by their context, no scripts in
//! attributes.
//!
//! Invariant: the pass reads HTML as browsers do. Where browsers differ by context (SVG, `noscript`, `select`), it writes the
//! page so that every reading gives the same elements. Its cost is linear. A rewriter of HTML such as `lol_html` follows one
//! reading only, and brings seven crates.

use std::{borrow::Cow, ops::Range};

use ashlar_model::Finding;
use memchr::{memchr, memchr2, memmem};

/// Replaces an address that is not allowed.
pub const BLOCKED: &str = "about:invalid#blocked";
/// Schemes that addresses may have.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];
/// Elements whose content is text to the tokenizer.
const RAW: [&str; 8] = ["script", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes"];
/// Elements inside which browsers read some of [`RAW`] as markup, or markup as text.
const ODD: [&str; 5] = ["svg", "math", "select", "noscript", "frameset"];
/// Elements of SVG that set an attribute, which may be an address.
const ANIMATIONS: [&str; 4] = ["animate", "set", "animatemotion", "animatetransform"];
/// Elements that show pictures, where a `data:image/…` can do nothing.
const PICTURES: [&str; 6] = ["img", "image", "source", "input", "link", "video"];

/// Bytes of a value that are looked at one by one.
const NEAR: usize = 24;

/// An address that was taken out of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The attribute.
    pub attribute: String,
    /// What it held, cut.
    pub value: String,
}

/// A part of a document.
pub(super) enum Seen<'h> {
    /// An attribute of a start tag; `quote` is 0 without quotes, `less` says whether `<` can be in its value. `all` contains the
    /// name too.
    Attribute { tag: &'h str, name: &'h str, value: Range<usize>, quote: u8, less: bool, all: Range<usize> },
    /// The text inside one of [`RAW`].
    Raw { tag: &'h str, json: bool, content: Range<usize>, odd: bool },
    /// The text inside a comment.
    Comment { content: Range<usize>, odd: bool },
    /// `/>` of one of [`RAW`], which only some readings close by it.
    Closes { tag: &'h str, at: Range<usize> },
    /// A `<` that begins something some readings see differently, or that never ends.
    Open { at: usize },
}

fn one_of(list: &[&'static str], name: &str) -> Option<&'static str> {
    list.iter().find(|n| n.eq_ignore_ascii_case(name)).copied()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

/// Bytes that end a name: 1 for that of a tag, 2 also for that of an attribute.
const ENDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 5 {
        table[b" \t\n\r\x0c"[n] as usize] = 1;
        n += 1;
    }
    table[b'/' as usize] = 1;
    table[b'>' as usize] = 1;
    table[b'=' as usize] = 2;
    table
};

/// What an element is to the tokenizer: its name when its content is text, and whether it is one of [`ODD`].
fn element(tag: &str) -> (Option<&'static str>, bool) {
    // No other lengths, and most elements have other ones.
    match tag.len() {
        3..=8 => (one_of(&RAW, tag), one_of(&ODD, tag).is_some()),
        _ => (None, false),
    }
}

/// What an attribute may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Address,
    Addresses,
    Set,
    Style,
    Document,
    Animation,
    Refresh,
    Script,
    Anything,
}

/// By its name without a prefix. The length tells most attributes apart before any byte is compared.
pub(super) fn holds(name: &str) -> Holds {
    let bytes = name.as_bytes();
    if bytes.len() > 2 && bytes[0] | 0x20 == b'o' && bytes[1] | 0x20 == b'n' && bytes[2].is_ascii_alphabetic()
    {
        return Holds::Script;
    }
    let is = |other: &[&str]| other.iter().any(|o| o.eq_ignore_ascii_case(name));
    match bytes.len() {
        2 if is(&["to", "by"]) => Holds::Animation,
        3 if is(&["src"]) => Holds::Address,
        4 if is(&["href", "data", "cite", "icon"]) => Holds::Address,
        4 if is(&["ping"]) => Holds::Addresses,
        4 if is(&["from"]) => Holds::Animation,
        5 if is(&["style"]) => Holds::Style,
        6 if is(&["action", "poster", "usemap", "dynsrc", "lowsrc"]) => Holds::Address,
        6 if is(&["srcset"]) => Holds::Set,
        6 if is(&["srcdoc"]) => Holds::Document,
        6 if is(&["values"]) => Holds::Animation,
        7 if is(&["profile", "classid", "archive"]) => Holds::Address,
        7 if is(&["content"]) => Holds::Refresh,
        8 if is(&["longdesc", "manifest", "codebase"]) => Holds::Address,
        10 if is(&["formaction", "background"]) => Holds::Address,
        11 if is(&["imagesrcset"]) => Holds::Set,
        _ => Holds::Anything,
    }
}

/// Where `</name` begins that ends raw text, from `at` on.
fn raw_end(bytes: &[u8], at: usize, name: &str) -> usize {
    let mut from = at;
    while let Some(found) = memmem::find(&bytes[from..], b"</") {
        let open = from + found;
        let rest = &bytes[open + 2..];
        let named = rest.get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()));
        if named && rest.get(name.len()).is_some_and(|b| is_space(*b) || matches!(b, b'/' | b'>')) {
            return open;
        }
        from = open + 2;
    }
    bytes.len()
}

/// Where a comment's text ends and what follows it begins.
fn comment_end(bytes: &[u8], text: usize) -> (usize, usize) {
    if bytes[text..].starts_with(b">") {
        return (text, text + 1);
    }
    if bytes[text..].starts_with(b"->") {
        return (text, text + 2);
    }
    let mut from = text;
    while let Some(found) = memmem::find(&bytes[from..], b"--") {
        let at = from + found;
        let rest = &bytes[at + 2..];
        if rest.starts_with(b">") {
            return (at, at + 3);
        }
        if rest.starts_with(b"!>") {
            return (at, at + 4);
        }
        from = at + 1;
    }
    (bytes.len(), bytes.len())
}

/// Reads the attributes of a tag from behind its name. Gives where the tag ends, and whether by `/>`; `None` when it does not.
fn attributes<'h>(
    html: &'h str,
    mut at: usize,
    mut see: impl FnMut(&'h str, Range<usize>, (u8, bool), Range<usize>),
) -> Option<(usize, bool)> {
    let bytes = html.as_bytes();
    let mut slash = false;
    loop {
        let byte = *bytes.get(at)?;
        match byte {
            b'>' => return Some((at + 1, slash)),
            b'/' => {
                slash = true;
                at += 1;
            }
            b if is_space(b) => {
                slash = false;
                at += 1;
            }
            _ => {
                slash = false;
                let start = at;
                // An equals sign at its start belongs to a name.
                at += 1;
                while bytes.get(at).is_some_and(|b| ENDS[usize::from(*b)] == 0) {
                    at += 1;
                }
                let name = start..at;
                let mut next = at;
                while bytes.get(next).is_some_and(|b| is_space(*b)) {
                    next += 1;
                }
                if bytes.get(next) != Some(&b'=') {
                    see(&html[name.clone()], at..at, (0, false), name);
                    continue;
                }
                at = next + 1;
                while bytes.get(at).is_some_and(|b| is_space(*b)) {
                    at += 1;
                }
                match *bytes.get(at)? {
                    b'>' => see(&html[name.clone()], at..at, (0, false), start..at),
                    quote @ (b'"' | b'\'') => {
                        let mut end = at + 1;
                        // Most values are short, and a call for each costs more than it saves.
                        let near = bytes.len().min(end + NEAR);
                        while end < near && bytes[end] != quote && bytes[end] != b'<' {
                            end += 1;
                        }
                        if end == near {
                            end += memchr2(quote, b'<', &bytes[end..])?;
                        }
                        let less = bytes[end] == b'<';
                        if less {
                            end += memchr(quote, &bytes[end..])?;
                        }
                        see(&html[name], at + 1..end, (quote, less), start..end + 1);
                        at = end + 1;
                    }
                    _ => {
                        let from = at;
                        while bytes.get(at).is_some_and(|b| !is_space(*b) && *b != b'>') {
                            at += 1;
                        }
                        see(&html[name], from..at, (0, true), start..at);
                    }
                }
            }
        }
    }
}

/// Reads a document from its beginning to its end.
pub(super) fn walk<'h>(html: &'h str, see: &mut impl FnMut(Seen<'h>)) {
    let bytes = html.as_bytes();
    let (mut at, mut odd) = (0, false);
    while let Some(found) = memchr(b'<', &bytes[at..]) {
        let open = at + found;
        let (start, ends) = match (bytes.get(open + 1), bytes.get(open + 2)) {
            (Some(b), _) if b.is_ascii_alphabetic() => (open + 1, false),
            (Some(b'/'), Some(b)) if b.is_ascii_alphabetic() => (open + 2, true),
            (Some(b'!'), _) if bytes[open..].starts_with(b"<!--") => {
                let (text, after) = comment_end(bytes, open + 4);
                see(Seen::Comment { content: open + 4..text, odd });
                at = after;
                continue;
            }
            (Some(b'!'), _) if bytes[open..].starts_with(b"<![") => {
                see(Seen::Open { at: open });
                at = open + 3;
                continue;
            }
            (Some(b'/'), Some(b'>')) => {
                at = open + 3;
                continue;
            }
            (Some(b'!' | b'?' | b'/'), _) => {
                at = memchr(b'>', &bytes[open..]).map_or(bytes.len(), |end| open + end + 1);
                continue;
            }
            _ => {
                at = open + 1;
                continue;
            }
        };
        let name_len = bytes[start..].iter().position(|b| ENDS[usize::from(*b)] == 1);
        let name_end = name_len.map_or(bytes.len(), |len| start + len);
        let tag = &html[start..name_end];
        let mut json = false;
        let end = attributes(html, name_end, |name, value, (quote, less), all| {
            if !ends {
                json |= name.len() == 4
                    && name.eq_ignore_ascii_case("type")
                    && html[value.clone()].contains("json");
                see(Seen::Attribute { tag, name, value, quote, less, all });
            }
        });
        let Some((after, closed)) = end else {
            // A tag that never ends is no tag, and what follows it is none either.
            let mut from = open;
            while let Some(next) = memchr(b'<', &bytes[from..]) {
                see(Seen::Open { at: from + next });
                from += next + 1;
            }
            return;
        };
        at = after;
        if ends {
            continue;
        }
        let (raw, is_odd) = element(tag);
        odd |= is_odd;
        if let Some(raw) = raw {
            if closed && odd {
                see(Seen::Closes { tag: raw, at: after - 2..after });
                continue;
            }
            let end = raw_end(bytes, at, raw);
            see(Seen::Raw { tag: raw, json, content: at..end, odd });
            at = end;
        }
    }
}

/// An attribute's value with its character references resolved, as far as they can be part of a scheme.
fn resolved(value: &str) -> Cow<'_, str> {
    if memchr(b'&', value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    // These and no others stand for what a scheme is made of, or for what an address leaves out.
    const NAMED: [(&str, &str); 10] = [
        ("colon;", ":"),
        ("Tab;", "\t"),
        ("NewLine;", "\n"),
        ("plus;", "+"),
        ("period;", "."),
        ("fjlig;", "fj"),
        ("lpar;", "("),
        ("bsol;", "\\"),
        ("quot;", "\""),
        ("amp;", "&"),
    ];
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(number) = rest.strip_prefix('#') {
            let (digits, radix) = match number.strip_prefix(['x', 'X']) {
                Some(hex) => (hex, 16),
                None => (number, 10),
            };
            let len = digits.bytes().take_while(|b| char::from(*b).is_digit(radix)).count();
            if len > 0 {
                let code = u32::from_str_radix(&digits[..len], radix).unwrap_or(0xfffd);
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                rest = digits[len..].strip_prefix(';').unwrap_or(&digits[len..]);
                continue;
            }
        } else if let Some((name, stands)) = NAMED.iter().find(|(n, _)| rest.starts_with(n)) {
            out.push_str(stands);
            rest = &rest[name.len()..];
            continue;
        }
        out.push('&');
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether an address, as a browser reads it, may be followed or loaded. `picture`: where only a picture can be shown.
fn allowed(address: &str, picture: bool) -> bool {
    let mut scheme = String::new();
    // What a look before this one put in place.
    if address == BLOCKED {
        return true;
    }
    let mut rest = address.trim_start_matches(|c: char| c <= ' ').char_indices();
    let after = loop {
        match rest.next() {
            // Browsers leave these out.
            Some((_, '\t' | '\n' | '\r')) => {}
            Some((_, ':')) if !scheme.is_empty() => break rest.as_str(),
            Some((_, c)) if c.is_ascii_alphabetic() => scheme.push(c.to_ascii_lowercase()),
            Some((_, c @ ('0'..='9' | '+' | '-' | '.'))) if !scheme.is_empty() => scheme.push(c),
            // It has no scheme.
            _ => return true,
        }
        // None that is allowed is so long.
        scheme.truncate(20);
    };
    if scheme == "data" && picture {
        let media: String = after.chars().take(12).filter(|c| !c.is_control()).collect();
        return media.to_ascii_lowercase().starts_with("image/");
    }
    SCHEMES.contains(&scheme.as_str())
}

/// Whether a link may lead to this address: a path, a fragment, or one with the scheme http, https, mailto or tel.
pub fn url_allowed(address: &str) -> bool {
    allowed(address, false)
}

/// `a.png 1x, b.png 2x`.
fn set_allowed(set: &str) -> bool {
    let mut rest = set;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            return true;
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        if !allowed(&rest[..end], true) {
            return false;
        }
        let bare = rest[..end].ends_with(',');
        rest = &rest[end..];
        if !bare {
            rest = rest.find(',').map_or("", |comma| &rest[comma..]);
        }
    }
}

/// What a style may not do: load what an address may not, or run.
fn style_allowed(style: &str) -> bool {
    let lower = style.to_ascii_lowercase();
    if ["\\", "expression(", "-moz-binding", "behavior:", "@import", "javascript:", "vbscript:", "/*"]
        .iter()
        .any(|word| lower.contains(word))
    {
        return false;
    }
    let mut rest = lower.as_str();
    while let Some(at) = rest.find("url(") {
        rest = &rest[at + 4..];
        let inner = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\''));
        if !allowed(inner, true) {
            return false;
        }
    }
    true
}

/// What becomes of an attribute.
#[derive(PartialEq, Eq)]
enum Verdict {
    Stays,
    /// Its value is replaced.
    Blocked,
    /// It goes altogether.
    Dropped,
}

/// A name without its prefix.
pub(super) fn local(name: &str) -> &str {
    match name.bytes().any(|b| b == b':') {
        true => name.rsplit(':').next().unwrap_or(name),
        false => name,
    }
}

fn judge(tag: &str, holds: Holds, value: &str) -> Verdict {
    let fine = match holds {
        Holds::Anything => true,
        Holds::Script | Holds::Document => return Verdict::Dropped,
        // What most addresses begin with.
        Holds::Address if matches!(value.as_bytes().first(), None | Some(b'/' | b'#' | b'?' | b'.')) => true,
        Holds::Address => allowed(&resolved(value), one_of(&PICTURES, tag).is_some()),
        Holds::Addresses => resolved(value).split_ascii_whitespace().all(|address| allowed(address, false)),
        Holds::Set => set_allowed(&resolved(value)),
        Holds::Style => style_allowed(&resolved(value)),
        Holds::Animation if one_of(&ANIMATIONS, tag).is_some() => {
            resolved(value).split(';').all(|address| allowed(address, false))
        }
        Holds::Refresh if tag.eq_ignore_ascii_case("meta") => refresh_allowed(&resolved(value)),
        Holds::Animation | Holds::Refresh => true,
    };
    if fine { Verdict::Stays } else { Verdict::Blocked }
}

/// The content of a `meta` element, which may be `0;url=…`.
fn refresh_allowed(content: &str) -> bool {
    let text: String = content.chars().filter(|c| *c > ' ').collect();
    let text = text.to_ascii_lowercase();
    if !text.bytes().next().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'.' | b';' | b',')) {
        return true;
    }
    let to = text.find("url=").map_or(text.as_str(), |at| &text[at + 4..]);
    let to = to.trim_start_matches(|c: char| !c.is_alphabetic());
    // Other elements of this name hold words.
    !["javascript:", "vbscript:", "data:"].iter().any(|scheme| to.starts_with(scheme))
}

/// Writes every `<` of a text that could begin something as `how`.
fn without_markup(text: &str, how: &str, which: impl Fn(&[u8]) -> bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out: Option<String> = None;
    let (mut at, mut done) = (0, 0);
    while let Some(found) = memchr(b'<', &bytes[at..]) {
        let open = at + found;
        at = open + 1;
        if which(&bytes[at..]) {
            let out = out.get_or_insert_with(String::new);
            out.push_str(&text[done..open]);
            out.push_str(how);
            done = at;
        }
    }
    out.map(|mut out| {
        out.push_str(&text[done..]);
        out
    })
}

fn begins(rest: &[u8]) -> bool {
    rest.first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'/' | b'!' | b'?'))
}

/// What a rendered page becomes: the same when there is nothing to object to.
pub fn checked(html: String) -> (String, Vec<Blocked>) {
    let mut blocked = Vec::new();
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    walk(&html, &mut |seen| match seen {
        Seen::Attribute { tag, name, value, quote, less, all } => {
            let what = holds(local(name));
            if what == Holds::Anything && !less {
                return;
            }
            let text = &html[value.clone()];
            let verdict = judge(tag, what, text);
            if verdict == Verdict::Stays {
                if less && memchr(b'<', text.as_bytes()).is_some() {
                    edits.push((value, text.replace('<', "&lt;")));
                }
                return;
            }
            blocked.push(Blocked {
                attribute: name.to_ascii_lowercase(),
                value: resolved(text).chars().filter(|c| !c.is_control()).take(100).collect(),
            });
            match verdict {
                // Something stays, so that what was around it does not grow together.
                Verdict::Dropped => edits.push((all, "data-blocked=\"\"".to_owned())),
                _ if quote == 0 => edits.push((value, format!("\"{BLOCKED}\""))),
                _ => edits.push((value, BLOCKED.to_owned())),
            }
        }
        Seen::Raw { tag, content, odd, .. } => {
            let text = &html[content.clone()];
            let new = match tag {
                "script" => without_markup(text, "\\u003c", |rest| {
                    let script = rest.get(..6).is_some_and(|n| n.eq_ignore_ascii_case(b"script"));
                    script || rest.starts_with(b"!--") || (odd && begins(rest))
                }),
                _ if odd => without_markup(text, "&lt;", begins),
                _ => None,
            };
            edits.extend(new.map(|new| (content, new)));
        }
        Seen::Comment { content, odd } => {
            let new = odd.then(|| without_markup(&html[content.clone()], "&lt;", begins)).flatten();
            edits.extend(new.map(|new| (content, new)));
        }
        Seen::Closes { tag, at } => edits.push((at, format!("></{tag}>"))),
        Seen::Open { at } => edits.push((at..at + 1, "&lt;".to_owned())),
    });
    if edits.is_empty() {
        return (html, blocked);
    }
    // Parts are seen in order, except that those of a tag that never ends come again as a whole.
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(html.len() + 64);
    let mut done = 0;
    for (range, new) in edits {
        if range.start < done {
            continue;
        }
        out.push_str(&html[done..range.start]);
        out.push_str(&new);
        done = range.end;
    }
    out.push_str(&html[done..]);
    (out, blocked)
}

impl Blocked {
    /// As a finding of a gate.
    pub fn finding(&self, place: &str) -> Finding {
        Finding::error(
            "url-blocked",
            place,
            format!("`{}` gets `{}`, which is not allowed there.", self.attribute, self.value),
        )
        .help("use a path, a fragment, or an address with https, http, mailto or tel")
    }
}

#[cfg(test)]
mod tests;
