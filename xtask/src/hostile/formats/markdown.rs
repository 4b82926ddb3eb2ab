//! Markdown in an entry's body: depth, unclosed marks, tables, footnotes, raw HTML.

use super::text::{nested, pieces};
use crate::hostile::corpus::{Generator, Load};

const DEEP: [usize; 4] = [20, 500, 50_000, 400_000];
const MANY: [usize; 4] = [100, 5_000, 50_000, 500_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "markdown", name: $name, sizes: $sizes, make: $make }
    };
}

/// What is known to be quadratic in one parser or another.
pub const ALL: &[Generator] = &[
    generator!("quotes", DEEP, |_, n| Load::page(&format!("{}a", ">".repeat(n)))),
    generator!("quotes-spaced", DEEP, |_, n| Load::page(&format!("{}a", "> ".repeat(n)))),
    generator!("quote-lines", [10, 100, 1_000, 4_000], |_, n| Load::page(
        &pieces(n, "\n", |i| ">".repeat(i + 1))
    )),
    generator!("lists", DEEP, |_, n| Load::page(&format!("{}a", "- ".repeat(n)))),
    generator!("numbered-lists", DEEP, |_, n| Load::page(&format!("{}a", "1. ".repeat(n)))),
    generator!("list-lines", [10, 100, 1_000, 4_000], |_, n| {
        Load::page(&pieces(n, "\n", |i| format!("{}- a", "  ".repeat(i))))
    }),
    generator!("lists-in-quotes", DEEP, |_, n| Load::page(&format!("{}a", "> - ".repeat(n)))),
    generator!("brackets", DEEP, |_, n| Load::page(&"[".repeat(n))),
    generator!("brackets-closed", DEEP, |_, n| Load::page(&nested("[", "a", "]", n))),
    generator!("links", DEEP, |_, n| Load::page(&nested("[", "a", "](b)", n))),
    generator!("unclosed-links", DEEP, |_, n| Load::page(&"[a](".repeat(n))),
    generator!("link-parentheses", DEEP, |_, n| Load::page(&format!("[a]({})", nested("(", "", ")", n)))),
    generator!("images", DEEP, |_, n| Load::page(&nested("![", "a", "](b)", n))),
    generator!("emphasis", DEEP, |_, n| Load::page(&"*a **a ".repeat(n))),
    generator!("emphasis-closed", DEEP, |_, n| Load::page(&nested("*a **a ", "b", " a** a*", n))),
    generator!("stars", DEEP, |_, n| Load::page(&format!("a{}b", "*".repeat(n)))),
    generator!("underscores", DEEP, |_, n| Load::page(&"a_".repeat(n))),
    generator!("tildes", DEEP, |_, n| Load::page(&"~~a ".repeat(n))),
    generator!("backticks", [10, 100, 1_000, 3_000], |_, n| {
        Load::page(&pieces(n, "", |i| format!("e{}", "`".repeat(i + 1))))
    }),
    generator!("code-fences", MANY, |_, n| Load::page(&"```\n".repeat(n))),
    generator!("angles", DEEP, |_, n| Load::page(&"<".repeat(n))),
    generator!("html-tags", DEEP, |_, n| Load::page(&nested("<b>", "a", "</b>", n))),
    generator!("html-blocks", DEEP, |_, n| Load::page(&"<div>\n".repeat(n))),
    generator!("comments", DEEP, |_, n| Load::page(&"a <!-- ".repeat(n))),
    generator!("declarations", DEEP, |_, n| Load::page(&"a <!A ".repeat(n))),
    generator!("cdata", DEEP, |_, n| Load::page(&"a <![CDATA[ ".repeat(n))),
    generator!("processing", DEEP, |_, n| Load::page(&"a <? ".repeat(n))),
    generator!("attributes", DEEP, |_, n| Load::page(&format!("<a {}>", "x=\"1\" ".repeat(n)))),
    generator!("table-columns", MANY, |_, n| {
        Load::page(&format!("{}\n{}\n{}", "|a".repeat(n), "|-".repeat(n), "|b".repeat(n)))
    }),
    generator!("table-square", [10, 100, 2_000, 20_000], |_, n| {
        Load::page(&format!("{}\n{}\n{}", "|a".repeat(n), "|-".repeat(n), "|b\n".repeat(n)))
    }),
    generator!("footnotes", MANY, |_, n| Load::page(&pieces(n, "\n", |i| format!("[^{i}]\n\n[^{i}]: a")))),
    generator!("footnote-cycle", MANY, |_, n| Load::page(&pieces(n, "\n\n", |i| format!(
        "[^{i}]: [^{}]",
        i + 1
    )))),
    generator!("same-footnote", MANY, |_, n| Load::page(&format!("{}\n\n[^a]: b", "[^a]".repeat(n)))),
    generator!("references", MANY, |_, n| Load::page(&pieces(n, "\n", |i| format!("[r{i}]: /en/home")))),
    generator!("references-used", [10, 100, 5_000, 50_000], |_, n| {
        Load::page(&format!("{}\n\n[a]: /{}", "[a] ".repeat(n), "x".repeat(n)))
    }),
    generator!("link-title", MANY, |_, n| Load::page(&"[a]: b '".repeat(n))),
    generator!("entities", MANY, |_, n| Load::page(&"&".repeat(n))),
    generator!("backslashes", MANY, |_, n| Load::page(&"\\".repeat(n))),
    generator!("headings", MANY, |_, n| Load::page(&"# a\n".repeat(n))),
    generator!("setext", MANY, |_, n| Load::page(&"a\n=\n".repeat(n))),
    generator!("task-lists", MANY, |_, n| Load::page(&"- [ ] a\n".repeat(n))),
    generator!("autolinks", MANY, |_, n| Load::page(&"<http://a> ".repeat(n))),
    generator!("page-links", [10, 1_000, 20_000, 200_000], |_, n| {
        Load::page(&pieces(n, "\n", |i| format!("[a](/en/p{i})")))
    }),
    generator!("carriage-returns", MANY, |_, n| Load::page(&"\r".repeat(n))),
    generator!("null-bytes", MANY, |_, n| Load::page(&"\u{0}".repeat(n))),
    generator!("math", MANY, |_, n| Load::page(&"$$a ".repeat(n))),
    generator!("scripts", [1, 2, 3, 4], |_, n| {
        Load::page(
            [
                "<script>alert(1)</script>",
                "<img src=x onerror=alert(1)>",
                "[a](javascript:alert(1))",
                "<svg><style><img title=\"</style><img src=x onerror=alert(1)>\">",
            ][n % 4],
        )
    }),
];
