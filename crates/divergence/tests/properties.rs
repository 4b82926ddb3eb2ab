//! What holds for every text: no panic, places that are places, and fixes that fix.

mod common;

use std::sync::LazyLock;

use ashlar_divergence::{Language, Lexicon, What, fix};
use common::report;
use proptest::prelude::*;

static LEXICON: LazyLock<Lexicon> = LazyLock::new(common::lexicon);

const LANGUAGES: [Language; 4] = [Language::Css, Language::Scss, Language::Html, Language::Jsx];

/// Scans, fixes and scans again, in every language.
fn hold(text: &str) -> Result<(), TestCaseError> {
    for language in LANGUAGES {
        let before = report(&LEXICON, language, text);
        let wanted = before.divergences.iter().filter(|d| d.fix.is_some()).count();
        let (fixed, applied) = fix(text, &before.divergences);
        prop_assert_eq!(applied, wanted, "fixes overlap in {:?} {:?}", language, text);
        let after = report(&LEXICON, language, &fixed);
        if before.note.is_some() || after.note.is_some() {
            continue;
        }
        // Only what had no fix is left, but for values that come to light as a fix names a variable.
        let left = after.divergences.iter().filter(|d| d.fix.is_some()).map(common::line).collect::<Vec<_>>();
        prop_assert!(left.is_empty(), "{:?}: {:?} -> {:?} still has {:?}", language, text, fixed, left);
        let unfixed =
            |r: &ashlar_divergence::Report| r.divergences.iter().filter(|d| d.fix.is_none()).count();
        prop_assert_eq!(unfixed(&before), unfixed(&after), "{:?}: {:?} -> {:?}", language, text, fixed);
    }
    Ok(())
}

/// Pieces from which texts are made that come close to source code.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a { ",
        "}",
        ";",
        ":",
        "color: ",
        "padding: ",
        "border: ",
        "font-family: ",
        "box-shadow: ",
        "transition: ",
        "font: ",
        "--x: ",
        "--semantic-x: ",
        "$x: ",
        "#1a2b3c",
        "#fff",
        "white",
        "rgb(26 43 60)",
        "rgb(",
        "oklch(0.6 0.1 250)",
        "16px",
        "-8px",
        "1rem",
        "0",
        "-0.02em",
        "200ms",
        "cubic-bezier(.2,0,0,1)",
        "Inter, sans-serif",
        "'",
        "\"",
        "700",
        "1.5",
        "0 1px 2px rgb(0 0 0 / 20%)",
        "var(--semantic-color-old, ",
        "var(--semantic-space-4)",
        "var(",
        "calc(",
        "url(",
        ")",
        "(",
        "/*",
        "*/",
        "//",
        "\n",
        "\r\n",
        " ",
        "é",
        "😀",
        "\\",
        "!important",
        "@media x {",
        "@font-face {",
        "@apply ",
        "#{",
        "<style>",
        "</style>",
        "<p class=\"",
        "<p style=\"",
        "<p className=\"",
        "<p style={{ color: ",
        "<p style={{ padding: ",
        "}}>",
        "</p>",
        "bg-[#1a2b3c]",
        "hover:text-[16px]",
        "p-4",
        "mt-[-8px]",
        "bg-red-500",
        "[color:#fff]",
        "bg-(--semantic-color-old)",
        "/",
        "-",
        "cn('",
        "')",
        "css`",
        "styled.a`",
        "`",
        "${",
        "const a = ",
        ",",
        "=>",
        "<!--",
        "-->",
        "&quot;",
        "{",
        "[",
        "]",
        "8",
        "-8",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in any::<String>()) {
        hold(&text)?;
    }

    #[test]
    fn texts_like_source(pieces in prop::collection::vec(piece(), 0..24)) {
        hold(&pieces.concat())?;
    }

    #[test]
    fn style_objects(property in prop::sample::select(vec!["padding", "color", "marginTop", "--x"]), value in piece()) {
        hold(&format!("<p style={{{{ {property}: '{value}' }}}} className=\"{value}\" />"))?;
        hold(&format!("<p style={{{{ {property}: {value} }}}} />"))?;
    }

    #[test]
    fn fixes_of_another_text(text in any::<String>(), pieces in prop::collection::vec(piece(), 0..24)) {
        for language in LANGUAGES {
            let _ = fix(&text, &report(&LEXICON, language, &pieces.concat()).divergences);
        }
    }
}

#[test]
fn overrides_are_never_fixed() {
    let found = report(&LEXICON, Language::Css, ":root { --semantic-color-surface: #fff }");
    assert!(found.divergences.iter().all(|d| d.what == What::Override && d.fix.is_none()));
}

#[test]
fn a_fix_does_not_become_part_of_the_name_before_it() {
    hold("<p style={{ color: #fff#1a2b3c").unwrap();
    hold("a { color: #fff#1a2b3c }").unwrap();
}
