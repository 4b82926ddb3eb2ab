use proptest::prelude::*;

use super::*;
use crate::urls::lint;

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

#[test]
fn what_was_blocked_is_not_blocked_again() {
    let (once, blocked) = checked("<a href=javascript:x>".to_owned());
    assert_eq!(blocked.len(), 1);
    assert_eq!(checked(once.clone()), (once, Vec::new()));
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
