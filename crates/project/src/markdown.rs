//! Links in Markdown. Rendering is not done here.

use comrak::{Arena, Options, nodes::NodeValue, parse_document};

/// A link to another place of the same site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// As written, without query and fragment: `/docs/start`, `../start`.
    pub target: String,
    /// The line within the text, from 1.
    pub line: usize,
}

/// The most links that are taken from one text.
pub const LINKS_MAX: usize = 10_000;

/// The internal links of a Markdown text: inline and reference links, and `href` attributes of raw HTML and MDX
/// components (best effort). Left out are anchors on the same page, addresses with a scheme (`https:`, `mailto:`), and
/// addresses with another host (`//host`). Images are not links.
pub fn links(text: &str) -> Vec<Link> {
    let mut out = Vec::new();
    // Most short texts have no link at all; parsing them would be the largest cost of checking a project.
    if !(text.contains("](") || text.contains("]:") || text.contains("href")) {
        return out;
    }
    // Such a text is shown as it was written: without links.
    if ashlar_model::check_markdown(text).is_err() {
        return out;
    }
    let arena = Arena::new();
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.footnotes = true;
    let root = parse_document(&arena, text, &options);
    for node in root.descendants() {
        if out.len() >= LINKS_MAX {
            break;
        }
        let data = node.data.borrow();
        let line = data.sourcepos.start.line.max(1);
        match &data.value {
            NodeValue::Link(link) => push(&mut out, &link.url, line),
            NodeValue::HtmlBlock(block) => hrefs(&block.literal, line, &mut out),
            NodeValue::HtmlInline(html) => hrefs(html, line, &mut out),
            _ => {}
        }
    }
    out
}

fn push(out: &mut Vec<Link>, url: &str, line: usize) {
    let target = url.trim().split(['#', '?']).next().unwrap_or_default();
    let scheme = target.split(['/', '.']).next().is_some_and(|first| first.contains(':'));
    if target.is_empty() || target.starts_with("//") || scheme || target.contains(['{', '<', '\\']) {
        return;
    }
    out.push(Link { target: target.to_owned(), line });
}

/// `href="…"` and `href='…'` in raw HTML.
fn hrefs(html: &str, line: usize, out: &mut Vec<Link>) {
    let (mut at, mut lines, mut counted) = (0, 0, 0);
    while let Some(found) = html[at..].find("href") {
        if out.len() >= LINKS_MAX {
            return;
        }
        let start = at + found;
        lines += html[counted..start].matches('\n').count();
        counted = start;
        at = start + 4;
        let named = html[..start].chars().next_back().is_some_and(char::is_whitespace);
        let Some(value) = html[at..].trim_start().strip_prefix('=').map(str::trim_start) else { continue };
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
        if !named {
            continue;
        }
        if let Some((url, _)) = value[1..].split_once(quote) {
            push(out, url, line + lines);
        }
    }
}

/// Resolves a link of a page at `route` to an absolute path without a trailing slash: `../b` on `/docs/a` is `/b`… as
/// a browser does it for a page whose address has no trailing slash. `None` when it leads above the root.
pub fn resolve(route: &str, target: &str) -> Option<String> {
    // Routes are written as people read them; links may be percent-encoded.
    let target = &match percent_encoding::percent_decode_str(target).decode_utf8() {
        Ok(text) if !text.chars().any(char::is_control) => text,
        _ => std::borrow::Cow::Borrowed(target),
    };
    let mut parts: Vec<&str> = Vec::new();
    if !target.starts_with('/') {
        parts.extend(route.split('/').filter(|p| !p.is_empty()));
        parts.pop();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, usize)]) {
        let got = links(text);
        let got: Vec<_> = got.iter().map(|l| (l.target.as_str(), l.line)).collect();
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn finds_internal_links() {
        check("[a](/x) and [b](../y#part)\n\n[c][r]\n\n[r]: /z?q=1", &[("/x", 1), ("../y", 1), ("/z", 3)]);
        check("[a](https://e.com) [b](mailto:x@y) [c](#here) [d](//e.com/x) ![i](/i.png)", &[]);
        check("`[a](/x)`\n\n```\n[b](/y)\n```", &[]);
        check(
            "text\n\n<Card href=\"/docs/a\" data-href='/no'>\n<a\nhref='/b'>x</a>",
            &[("/docs/a", 3), ("/b", 5)],
        );
        check("| a | b |\n|---|---|\n| [x](/t) | y |", &[("/t", 3)]);
        check("<ReadMore>See [x](/inline).</ReadMore>", &[("/inline", 1)]);
    }

    #[test]
    fn resolves_like_a_browser() {
        for (route, target, expect) in [
            ("/docs/a", "/b/", Some("/b")),
            ("/docs/a", "b", Some("/docs/b")),
            ("/docs/a", "../b", Some("/b")),
            ("/docs/a", "./b/./c", Some("/docs/b/c")),
            ("/a", "../../b", None),
            ("/", "b", Some("/b")),
            ("/a", "/caf%C3%A9", Some("/café")),
            ("/a", "/caf%C3", Some("/caf%C3")),
            ("/a", "/x%00y", Some("/x%00y")),
        ] {
            assert_eq!(resolve(route, target).as_deref(), expect, "{route} {target}");
        }
    }
}
