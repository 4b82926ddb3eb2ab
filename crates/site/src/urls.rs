//! What may stand in a rendered page, whatever template and content did: addresses by their context, no scripts in
//! attributes.
//!
//! Invariant: the pass reads HTML as browsers do. Where browsers differ by context (SVG, `noscript`, `select`), it writes the
//! page so that every reading gives the same elements. Its cost is linear.

use std::{borrow::Cow, ops::Range};

use ashlar_model::Finding;
use memchr::{memchr, memchr2, memmem};

/// Stands where an address was that is not allowed.
pub const BLOCKED: &str = "about:invalid#blocked";
/// Schemes that addresses may have.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];
/// Elements whose content is text to the tokenizer.
const RAW: [&str; 8] = ["script", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes"];
/// Elements inside which browsers read some of [`RAW`] as markup, or markup as text.
const ODD: [&str; 5] = ["svg", "math", "select", "noscript", "frameset"];
/// Attributes that hold one address.
const ADDRESSES: [&str; 18] = [
    "href",
    "src",
    "action",
    "formaction",
    "poster",
    "data",
    "cite",
    "background",
    "longdesc",
    "manifest",
    "codebase",
    "profile",
    "usemap",
    "icon",
    "dynsrc",
    "lowsrc",
    "classid",
    "archive",
];
/// Elements of SVG that set an attribute, which may be an address, and the attributes that hold what it becomes.
const ANIMATIONS: [&str; 4] = ["animate", "set", "animatemotion", "animatetransform"];
const ANIMATED: [&str; 4] = ["values", "to", "from", "by"];
/// Elements that show pictures, where a `data:image/…` can do nothing.
const PICTURES: [&str; 6] = ["img", "image", "source", "input", "link", "video"];

/// An address that was taken out of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The attribute.
    pub attribute: String,
    /// What it held, cut.
    pub value: String,
}

/// A part of a document.
enum Seen<'h> {
    /// An attribute of a start tag; `quote` is 0 without quotes. `all` holds the name too.
    Attribute { tag: &'h str, name: &'h str, value: Range<usize>, quote: u8, all: Range<usize> },
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
    mut see: impl FnMut(&'h str, Range<usize>, u8, Range<usize>),
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
                while bytes.get(at).is_some_and(|b| !is_space(*b) && !matches!(b, b'/' | b'>' | b'=')) {
                    at += 1;
                }
                let name = start..at;
                let mut next = at;
                while bytes.get(next).is_some_and(|b| is_space(*b)) {
                    next += 1;
                }
                if bytes.get(next) != Some(&b'=') {
                    see(&html[name.clone()], at..at, 0, name);
                    continue;
                }
                at = next + 1;
                while bytes.get(at).is_some_and(|b| is_space(*b)) {
                    at += 1;
                }
                match *bytes.get(at)? {
                    b'>' => see(&html[name.clone()], at..at, 0, start..at),
                    quote @ (b'"' | b'\'') => {
                        let end = at + 1 + memchr(quote, &bytes[at + 1..])?;
                        see(&html[name], at + 1..end, quote, start..end + 1);
                        at = end + 1;
                    }
                    _ => {
                        let from = at;
                        while bytes.get(at).is_some_and(|b| !is_space(*b) && *b != b'>') {
                            at += 1;
                        }
                        see(&html[name], from..at, 0, start..at);
                    }
                }
            }
        }
    }
}

/// Reads a document from its beginning to its end.
fn walk<'h>(html: &'h str, see: &mut impl FnMut(Seen<'h>)) {
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
        let name_len = bytes[start..].iter().position(|b| is_space(*b) || matches!(b, b'/' | b'>'));
        let name_end = name_len.map_or(bytes.len(), |len| start + len);
        let tag = &html[start..name_end];
        let mut json = false;
        let end = attributes(html, name_end, |name, value, quote, all| {
            if !ends {
                json |= name.eq_ignore_ascii_case("type") && html[value.clone()].contains("json");
                see(Seen::Attribute { tag, name, value, quote, all });
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
        odd |= one_of(&ODD, tag).is_some();
        if let Some(raw) = one_of(&RAW, tag) {
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

fn judge(tag: &str, name: &str, value: &str) -> Verdict {
    let bytes = name.as_bytes();
    let first = bytes.first().map_or(0, u8::to_ascii_lowercase);
    // Most attributes are none of these.
    if !matches!(first, b'a'..=b'i' | b'l'..=b'p' | b's'..=b'v' | b'x') && !name.contains(':') {
        return Verdict::Stays;
    }
    if name.len() > 2 && bytes[..2].eq_ignore_ascii_case(b"on") && bytes[2].is_ascii_alphabetic() {
        return Verdict::Dropped;
    }
    let local = name.rsplit(':').next().unwrap_or(name);
    let is = |other: &str| local.eq_ignore_ascii_case(other);
    let fine = if one_of(&ADDRESSES, local).is_some() {
        // What most addresses begin with.
        if value.is_empty() || matches!(value.as_bytes()[0], b'/' | b'#' | b'?' | b'.') {
            return Verdict::Stays;
        }
        allowed(&resolved(value), one_of(&PICTURES, tag).is_some())
    } else if is("srcset") || is("imagesrcset") {
        set_allowed(&resolved(value))
    } else if is("style") {
        style_allowed(&resolved(value))
    } else if is("srcdoc") {
        return Verdict::Dropped;
    } else if is("ping") {
        resolved(value).split_ascii_whitespace().all(|address| allowed(address, false))
    } else if one_of(&ANIMATIONS, tag).is_some() && one_of(&ANIMATED, local).is_some() {
        resolved(value).split(';').all(|address| allowed(address, false))
    } else if is("content") && tag.eq_ignore_ascii_case("meta") {
        let text: String = resolved(value).chars().filter(|c| *c > ' ').collect();
        let text = text.to_ascii_lowercase();
        let refresh =
            text.bytes().next().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'.' | b';' | b','));
        let to = text.find("url=").map_or(text.as_str(), |at| &text[at + 4..]);
        let to = to.trim_start_matches(|c: char| !c.is_alphabetic());
        // Other elements of this name hold words.
        !refresh || !["javascript:", "vbscript:", "data:"].iter().any(|scheme| to.starts_with(scheme))
    } else {
        return Verdict::Stays;
    };
    if fine { Verdict::Stays } else { Verdict::Blocked }
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
        Seen::Attribute { tag, name, value, quote, all } => {
            let text = &html[value.clone()];
            let verdict = judge(tag, name, text);
            if verdict == Verdict::Stays {
                if memchr(b'<', text.as_bytes()).is_some() {
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

/// A template without its expressions, byte for byte: each byte of one that writes something is a control character.
fn masked(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = memchr(b'{', &bytes[at..]) {
        let open = at + found;
        let (close, with): (&[u8], u8) = match bytes.get(open + 1) {
            Some(b'{') => (b"}}", WRITES),
            Some(b'%') => (b"%}", b' '),
            Some(b'#') => (b"#}", b' '),
            _ => {
                at = open + 1;
                continue;
            }
        };
        let mut end = open + 2;
        while end < bytes.len() && !bytes[end..].starts_with(close) {
            // A text inside an expression may hold anything.
            if close != b"#}" && matches!(bytes[end], b'"' | b'\'') {
                let quote = bytes[end];
                end += 1;
                while let Some(next) = memchr2(quote, b'\\', bytes.get(end..).unwrap_or_default()) {
                    end += next;
                    if bytes[end] == quote {
                        break;
                    }
                    end += 2;
                }
            }
            end += 1;
        }
        let end = (end + 2).min(bytes.len());
        for (byte, was) in out[open..end].iter_mut().zip(&bytes[open..end]) {
            *byte = if *was == b'\n' { b'\n' } else { with };
        }
        at = end;
    }
    // What is not ASCII is replaced as a whole: an expression begins and ends with ASCII.
    String::from_utf8(out).unwrap_or_default()
}

/// Stands for what an expression writes.
const WRITES: u8 = 1;

/// What a template writes where escaping does not help.
pub fn lint(file: &str, source: &str) -> Vec<Finding> {
    let text = masked(source);
    let writes = |range: &Range<usize>| memchr(WRITES, &text.as_bytes()[range.clone()]).is_some();
    let place =
        |at: usize| format!("{file}:{}", 1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..at]).count());
    let mut out = Vec::new();
    walk(&text, &mut |seen| match seen {
        Seen::Attribute { name, value, quote, all, .. } => {
            let place = place(all.start);
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            let lower = name.to_ascii_lowercase();
            let handler =
                lower.len() > 2 && lower.starts_with("on") && lower.as_bytes()[2].is_ascii_alphabetic();
            if handler && writes(&value) {
                out.push(
                    Finding::error("template-handler", place, format!("`{name}` is a script, and a value in it can be one too."))
                        .help("remove the attribute; put behaviour into a file under site/ and pass values as `data-…` attributes"),
                );
            } else if handler {
                out.push(
                    Finding::warning(
                        "template-handler",
                        place,
                        format!("`{name}` never runs: it is removed from pages."),
                    )
                    .help("put behaviour into a file under site/"),
                );
            } else if lower == "srcdoc" && writes(&value) {
                out.push(
                    Finding::error(
                        "template-srcdoc",
                        place,
                        "A value inside `srcdoc` becomes markup, although it is escaped.",
                    )
                    .help("put the content into the page itself"),
                );
            } else if quote == 0 && writes(&value) {
                out.push(
                    Finding::error("template-unquoted", place, format!("The value of `{name}` has no quotes, so that a space in it begins another attribute."))
                        .help(format!("write {name}=\"{{{{ … }}}}\"")),
                );
            }
        }
        Seen::Raw { tag: tag @ ("script" | "style"), json: false, content, .. } if writes(&content) => {
            let at = content.start + memchr(WRITES, &text.as_bytes()[content.clone()]).unwrap_or(0);
            out.push(
                Finding::error(
                    "template-script",
                    place(at),
                    format!("A value inside <{tag}> is not escaped for it."),
                )
                .help("pass values as `data-…` attributes, or as JSON-LD with json_ld()"),
            );
        }
        _ => {}
    });
    out
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_judged_as_browsers_read_them() {
        for (address, link, picture) in [
            ("/x", true, true),
            ("#x", true, true),
            ("x/y:z", true, true),
            ("?a=javascript:", true, true),
            ("//other.example/", true, true),
            ("https://x.example/", true, true),
            ("HTTP://x.example/", true, true),
            ("mailto:a@b.example", true, true),
            ("tel:+441", true, true),
            ("javascript:alert(1)", false, false),
            ("JaVaScRiPt:alert(1)", false, false),
            (" \u{1}javascript:alert(1)", false, false),
            ("java\tscript\n:alert(1)", false, false),
            ("vbscript:x", false, false),
            ("data:text/html,<script>", false, false),
            ("data:image/png;base64,AA", false, true),
            ("DATA:IMAGE/svg+xml,x", false, true),
            ("blob:x", false, false),
            ("file:///etc/passwd", false, false),
            (":x", true, true),
            ("1a:x", true, true),
            ("\u{a0}javascript:x", true, true),
        ] {
            assert_eq!((allowed(address, false), allowed(address, true)), (link, picture), "{address:?}");
        }
    }

    #[test]
    fn pages_lose_what_is_not_allowed_and_nothing_else() {
        let off = |name: &str| format!("{name}=\"{BLOCKED}\"");
        for (given, expected) in [
            ("<a href=\"javascript:x\">y</a>", format!("<a {}>y</a>", off("href"))),
            ("<a href=javascript:x>y</a>", format!("<a {}>y</a>", off("href"))),
            ("<A HREF = 'javascript:x'>", format!("<A HREF = '{BLOCKED}'>")),
            ("<a href=\"java&#x73;cript&colon;x\">", format!("<a {}>", off("href"))),
            ("<a href=\"java&Tab;script:x\">", format!("<a {}>", off("href"))),
            ("<a href=\"&#1;&#0000106avascript:x\">", format!("<a {}>", off("href"))),
            ("<a/href=\"javascript:x\"/>", format!("<a/{}/>", off("href"))),
            ("<svg><a xlink:href=\"javascript:x\">", format!("<svg><a {}>", off("xlink:href"))),
            ("<svg><animate values=\"x;javascript:y\">", format!("<svg><animate {}>", off("values"))),
            (
                "<form action=\"javascript:x\"><button formaction=\"javascript:x\">",
                format!("<form {}><button {}>", off("action"), off("formaction")),
            ),
            (
                "<img src=\"data:image/png,x\" onerror=\"alert(1)\">",
                "<img src=\"data:image/png,x\" data-blocked=\"\">".to_owned(),
            ),
            ("<iframe src=\"data:image/png,x\">", format!("<iframe {}>", off("src"))),
            ("<iframe srcdoc=\"&lt;script&gt;\">", "<iframe data-blocked=\"\">".to_owned()),
            ("<img srcset=\"a.png 1x, javascript:x 2x\">", format!("<img {}>", off("srcset"))),
            ("<p style=\"background:url(javascript:x)\">", format!("<p {}>", off("style"))),
            (
                "<meta http-equiv=refresh content=\"0;url=javascript:x\">",
                format!("<meta http-equiv=refresh {}>", off("content")),
            ),
            ("<script><!--<script></script>", "<script>\\u003c!--\\u003cscript></script>".to_owned()),
            (
                "<svg><style><a title=\"</style><a href=\"javascript:x\">",
                format!("<svg><style>&lt;a title=\"</style><a {}>", off("href")),
            ),
            ("<p title=\"<a>\">", "<p title=\"&lt;a>\">".to_owned()),
            ("<svg><title/><a href=\"javascript:x\">", format!("<svg><title></title><a {}>", off("href"))),
            ("<p>a<b", "<p>a&lt;b".to_owned()),
            ("<b title=\"x><a href=javascript:y>", "&lt;b title=\"x>&lt;a href=javascript:y>".to_owned()),
        ] {
            assert_eq!(checked(given.to_owned()).0, expected, "{given}");
        }
        for same in [
            "<a href=\"/x?a=1&amp;b=2\">1 < 2</a>",
            "<!-- <a href=\"javascript:x\"> -->",
            "<!--[if mso]><table><tr><td><![endif]-->",
            "<img srcset=\"/a.png 1x, /b.png 2x\" src=\"data:image/gif;base64,R0\" alt=\"javascript:x\">",
            "<meta name=\"description\" content=\"5 tips: do this\">",
            "<script type=\"application/ld+json\">{\"a\":\"1 < 2\"}</script>",
            "<textarea><a href=\"javascript:x\"></textarea>",
            "<p style=\"margin:0 0 2px;background:url('/a.png')\" data-on=\"x\">one</p>",
            "<!doctype html><html lang=\"en\"><title>a & b</title>",
            "<svg viewBox=\"0 0 1 1\"><title>x</title><path d=\"M0 0\"/></svg>",
            "",
        ] {
            assert_eq!(checked(same.to_owned()), (same.to_owned(), Vec::new()), "{same}");
        }
    }

    #[test]
    fn templates_are_read_for_what_escaping_does_not_help() {
        let codes = |source: &str| {
            lint("t.html", source).into_iter().map(|f| format!("{} {}", f.code, f.place)).collect::<Vec<_>>()
        };
        for (source, expected) in [
            ("<a href=\"{{ x }}\" {% if y %}class=\"b\"{% endif %}>{{ z }}</a>", ""),
            ("<p>\n<a href={{ x }}>", "template-unquoted t.html:2"),
            ("<a onclick=\"{{ x }}\">", "template-handler t.html:1"),
            ("<a onclick=\"go()\">", "template-handler t.html:1"),
            ("<iframe srcdoc=\"{{ x }}\">", "template-srcdoc t.html:1"),
            ("<script>\nlet a = {{ x }};</script>", "template-script t.html:2"),
            ("<style>{{ x }}</style>", "template-script t.html:1"),
            ("<script type=\"application/json\">{{ x }}</script>", ""),
            ("<p>{{ \"}} <script>\" }} {# <a href={{ x }}> #}</p>", ""),
        ] {
            assert_eq!(codes(source).join(", "), expected, "{source}");
        }
    }

    proptest! {
        /// What was checked once is not changed again, and nothing that is not allowed is left.
        #[test]
        fn a_second_look_finds_nothing(parts in proptest::collection::vec(prop_oneof![
            Just("<a "), Just("href="), Just("\""), Just("'"), Just("javascript:x"), Just(">"), Just("</a>"), Just("<svg>"),
            Just("<style>"), Just("</style>"), Just("<!--"), Just("-->"), Just("--!>"), Just(" "), Just("/"), Just("=") ,
            Just("<script>"), Just("</script>"), Just("<noscript>"), Just("</noscript>"), Just("<title"), Just("onx=1"),
            Just("<![CDATA["), Just("]]>"), Just("<?x"), Just("&Tab;"), Just("ä"), Just("srcdoc"), Just("<select>"),
        ], 0..24)) {
            let (once, _) = checked(parts.concat());
            let (twice, blocked) = checked(once.clone());
            prop_assert_eq!(&once, &twice);
            prop_assert!(blocked.is_empty(), "{} {:?}", once, blocked);
        }
    }
}
