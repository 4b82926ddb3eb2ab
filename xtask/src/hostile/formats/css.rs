//! Style sheets of components and of the site.

use super::text::{nested, pieces};
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

fn css(random: &mut Random, text: impl Into<Vec<u8>>) -> Load {
    let path = if random.below(2) == 0 { "site/site.css" } else { "components/notice.v1/style.css" };
    Load::file(path, text)
}

const DEEP: [usize; 4] = [20, 500, 50_000, 1_000_000];
const MANY: [usize; 4] = [100, 10_000, 100_000, 500_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "css", name: $name, sizes: $sizes, make: $make }
    };
}

/// Nesting, long selectors, many references.
pub const ALL: &[Generator] = &[
    generator!("rules", DEEP, |r, n| css(r, nested("a{", "", "}", n))),
    generator!("rules-unclosed", DEEP, |r, n| css(r, "a{".repeat(n))),
    generator!("media", DEEP, |r, n| css(r, nested("@media print{", "", "}", n))),
    generator!("parentheses", DEEP, |r, n| css(r, format!("a{{width:{}}}", nested("calc(", "1px", ")", n)))),
    generator!("brackets", DEEP, |r, n| css(r, "[(".repeat(n))),
    generator!("closing", DEEP, |r, n| css(r, "})]".repeat(n))),
    generator!("is", DEEP, |r, n| css(r, format!("{}{{}}", nested(":is(", "a", ")", n)))),
    generator!("selector", MANY, |r, n| css(r, format!("{}{{}}", "a>b~".repeat(n)))),
    generator!("selectors", MANY, |r, n| css(r, format!("{}{{}}", pieces(n, ",", |i| format!(".c{i}"))))),
    generator!("nested-lists", [3, 8, 20, 60], |r, n| css(r, nested("&:is(a,b) c,&:is(d,e) f{", "", "}", n))),
    generator!("variables", MANY, |r, n| css(
        r,
        format!("a{{{}}}", "color:var(--semantic-color-text);".repeat(n))
    )),
    generator!("unknown-variables", MANY, |r, n| css(
        r,
        format!("a{{{}}}", pieces(n, ";", |i| format!("color:var(--x{i})")))
    )),
    generator!("defined-variables", MANY, |r, n| css(
        r,
        format!(":root{{{}}}", pieces(n, ";", |i| format!("--x{i}:var(--x{})", i + 1)))
    )),
    generator!("fallbacks", DEEP, |r, n| css(
        r,
        format!("a{{color:{}}}", nested("var(--semantic-color-text,", "red", ")", n))
    )),
    generator!("urls", MANY, |r, n| css(
        r,
        format!("a{{{}}}", "background:url(\"assets/mark.svg\");".repeat(n))
    )),
    generator!("url-unclosed", MANY, |r, n| css(r, "url(".repeat(n))),
    generator!("urls-outside", [1, 2, 3, 4], |r, n| {
        let to =
            ["../../../etc/passwd", "http://127.0.0.1:1/", "assets/../ashlar.toml", "javascript:1"][n % 4];
        css(r, format!("a{{background:url(\"{to}\")}} @import \"{to}\";"))
    }),
    generator!("imports", MANY, |r, n| css(r, "@import \"site/site.css\";".repeat(n))),
    generator!("comments", MANY, |r, n| css(r, "/*".repeat(n))),
    generator!("texts", MANY, |r, n| css(r, "a{content:\"".repeat(n))),
    generator!("escapes", MANY, |r, n| css(r, format!("a{{content:\"{}\"}}", "\\10ffff".repeat(n)))),
    generator!("style-end", [1, 2, 3, 4], |r, n| css(r, "</style><script>alert(1)</script>".repeat(n))),
    generator!("braces", MANY, |r, n| css(r, "{}".repeat(n))),
    generator!("semicolons", MANY, |r, n| css(r, format!("a{{{}}}", ";".repeat(n)))),
];
