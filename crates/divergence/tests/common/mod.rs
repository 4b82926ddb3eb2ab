//! A small design system to scan against.
#![allow(dead_code)]

use ashlar_divergence::{Divergence, Kind, Known, Language, Lexicon, Options, Report, What, scan};

pub fn known(name: &str, kind: Kind, value: &str) -> Known {
    let rank = u8::from(!name.starts_with("semantic-")) * 2;
    Known { name: name.into(), kind, value: value.into(), deprecated: None, replaced_by: None, rank }
}

pub fn tokens() -> Vec<Known> {
    let old = |name: &str, value: &str, by: Option<&str>| Known {
        deprecated: Some("renamed".into()),
        replaced_by: by.map(str::to_owned),
        ..known(name, Kind::Color, value)
    };
    vec![
        known("base-gray-900", Kind::Color, "#1a2b3c"),
        known("semantic-color-text-default", Kind::Color, "#1a2b3c"),
        known("semantic-color-background-strong", Kind::Color, "rgb(26 43 60)"),
        known("semantic-color-background-brand", Kind::Color, "#0055ff"),
        known("semantic-color-border-default", Kind::Color, "rgb(200 200 200)"),
        known("semantic-color-surface", Kind::Color, "#ffffff"),
        known("semantic-color-scrim", Kind::Color, "rgb(0 0 0 / 50%)"),
        old("semantic-color-old", "#0055ff", Some("semantic-color-older")),
        old("semantic-color-older", "#0055ff", Some("--semantic-color-background-brand")),
        old("semantic-color-gone", "#ff00ff", None),
        known("semantic-space-4", Kind::Dimension, "1rem"),
        known("semantic-space-2", Kind::Dimension, "8px"),
        known("semantic-font-size-md", Kind::Dimension, "16px"),
        known("semantic-font-size-lg", Kind::Dimension, "20px"),
        known("semantic-radius-md", Kind::Dimension, "6px"),
        known("semantic-border-width-thin", Kind::Dimension, "2px"),
        known("semantic-tracking-tight", Kind::Dimension, "-0.02em"),
        known("semantic-duration-fast", Kind::Duration, "200ms"),
        known("semantic-ease-out", Kind::CubicBezier, "cubic-bezier(.2,0,0,1)"),
        known("semantic-font-family-body", Kind::FontFamily, "\"Inter\", sans-serif"),
        known("semantic-font-weight-bold", Kind::FontWeight, "700"),
        known("semantic-line-height-body", Kind::Number, "1.5"),
        known("semantic-shadow-card", Kind::Shadow, "0 1px 2px rgb(0 0 0 / 20%)"),
    ]
}

pub fn lexicon() -> Lexicon {
    Lexicon::new(tokens(), Options { prefixes: vec!["semantic-".into()], ..Options::default() })
}

/// Scans and checks what holds for every report.
pub fn report(lexicon: &Lexicon, language: Language, text: &str) -> Report {
    let report = scan(lexicon, language, text);
    for d in &report.divergences {
        assert_eq!(text.get(d.offset..d.offset + d.len), Some(d.text.as_str()), "{d:?} in {text:?}");
        let line_start = text[..d.offset].rfind('\n').map_or(0, |n| n + 1);
        assert_eq!(d.line, 1 + text[..d.offset].matches('\n').count());
        assert_eq!(d.column, 1 + text[line_start..d.offset].chars().count());
    }
    assert!(report.tokens <= report.declarations, "{report:?}");
    assert!(report.overrides <= report.declarations.min(report.divergences.len()), "{report:?}");
    assert_eq!(report.overrides == 0, report.divergences.is_empty(), "{report:?}");
    report
}

/// One line per divergence.
pub fn line(d: &Divergence) -> String {
    let what = match d.what {
        What::RawValue => "raw",
        What::Override => "override",
        What::UnknownToken => "unknown",
        What::DeprecatedToken => "deprecated",
    };
    let near = d.nearest.as_ref().map_or(String::new(), |n| {
        let sign = if n.exact { "=" } else { "~" };
        format!(" {sign}{}", n.name.trim_start_matches("semantic-"))
    });
    let fix = d.fix.as_ref().map_or(String::new(), |f| format!(" => {f}"));
    format!("{what} {}: {}{near}{fix}", d.property, d.text)
}

/// Checks the divergences of a text, and how many declarations it has and how many of them use tokens.
#[track_caller]
pub fn check(language: Language, text: &str, expected: &[&str], counts: (usize, usize)) {
    let report = report(&lexicon(), language, text);
    let lines: Vec<_> = report.divergences.iter().map(line).collect();
    assert_eq!(lines, expected, "{text}");
    assert_eq!((report.declarations, report.tokens), counts, "declarations and tokens of {text}");
}
