//! Where raw values hide in apps: variables, style functions, attributes; what comments accept, and what is fixed.

mod common;

use ashlar_divergence::Language::{Css, Html, Jsx, Scss};
use ashlar_divergence::{Kind, Lexicon, Options, scan};
use common::{check, known, report};

#[test]
fn variables_by_what_their_names_say() {
    check(
        Css,
        ":root { --card-padding: 16px; --card-bg: #fff; --fade-duration: 200ms; --font-sans: 'Inter', sans-serif; --hero-shadow: 0 1px 2px rgb(0 0 0 / 20%);
           --size: 6px; --card-radius: 5px; --columns: 3; --breakpoint-md: 768px; --odd: 17px }",
        &[
            "raw --card-padding: 16px =space-4 => var(--semantic-space-4)",
            "raw --card-bg: #fff =color-surface => var(--semantic-color-surface)",
            "raw --fade-duration: 200ms =duration-fast => var(--semantic-duration-fast)",
            "raw --font-sans: 'Inter', sans-serif =font-family-body => var(--semantic-font-family-body)",
            "raw --hero-shadow: 0 1px 2px rgb(0 0 0 / 20%) =shadow-card => var(--semantic-shadow-card)",
            "raw --card-radius: 5px",
        ],
        (6, 0),
    );
    // Sass would compute with the text of a `var(…)`.
    check(
        Scss,
        "$gutter-gap: 8px;\n$brand: #0055ff;",
        &["raw $gutter-gap: 8px =space-2", "raw $brand: #0055ff =color-background-brand"],
        (2, 0),
    );
}

#[test]
fn functions_that_take_style_objects() {
    for (before, after, fix) in [
        ("const s = makeStyles((theme) => ({ root: { padding: ", " } }));", true),
        ("const s = makeStyles(function () { return { root: { padding: ", " } } });", true),
        ("const s = createStyles({ root: { padding: ", " } });", true),
        ("const s = stylex.create({ root: { padding: ", " } });", true),
        ("import { style } from '@vanilla-extract/css'; const s = style({ padding: ", " });", true),
        ("const a = <Box sx={{ padding: ", " }} />;", true),
        ("const a = <View contentContainerStyle={{ padding: ", " }} />;", true),
        ("const s = StyleSheet.create({ root: { padding: ", " } });", false),
    ] {
        let text = format!("{before}'16px'{after}");
        let found = report(&common::lexicon(), Jsx, &text);
        let lines: Vec<String> = found.divergences.iter().map(common::line).collect();
        let fixed = if fix { " => var(--semantic-space-4)" } else { "" };
        assert_eq!(lines, [format!("raw padding: 16px =space-4{fixed}")], "{text}");
    }
    check(Jsx, "const s = style({ padding: '16px' });", &[], (0, 0));
}

#[test]
fn attributes_that_paint() {
    check(
        Html,
        "<svg><path fill=\"#0055ff\" stroke='none'/><stop stop-color=white></svg><font color=red>",
        &[
            "raw fill: #0055ff =color-background-brand",
            "raw stop-color: white =color-surface => var(--semantic-color-surface)",
        ],
        (2, 0),
    );
    check(
        Jsx,
        "const a = <><Icon color=\"#ff00aa\" size={16} /><Icon color=\"primary\" /><path fill={on ? '#c8c8c8' : 'none'} /><Card borderColor=\"#c8c8c8\" /></>;",
        &[
            "raw color: #ff00aa",
            "raw fill: #c8c8c8 =color-border-default",
            "raw border-color: #c8c8c8 =color-border-default",
        ],
        (3, 0),
    );
}

#[test]
fn comments_accept_with_a_reason() {
    let text = "a {\n  /* diverge-ok: a partner's brand */\n  color: #ff0000;\n  background: #ff0000;\n}\n\
                b { color: #ff0000 } /* diverge-ok: the same */\n\nc { /* diverge-ok: */ color: #00ff00 }\n";
    let found = report(&common::lexicon(), Css, text);
    let lines: Vec<usize> = found.divergences.iter().map(|d| d.line).collect();
    assert_eq!((lines, found.suppressed, found.without_reason), (vec![4, 8], 2, vec![8]));
    assert_eq!(found.overrides, 2);
    let script = "const a = { // diverge-ok: measured by hand\n};\nconst b = <p style={{ padding: 16 }} />; // diverge-ok: why not\n";
    assert_eq!(report(&common::lexicon(), Jsx, script).suppressed, 1);
}

#[test]
fn only_what_is_certain_is_fixed() {
    let tokens = vec![
        known("semantic-color-text-link", Kind::Color, "#0055ff"),
        known("semantic-color-text-action", Kind::Color, "#0055ff"),
        known("semantic-color-background-brand", Kind::Color, "#0055ff"),
        known("semantic-space-md", Kind::Dimension, "16px"),
        known("semantic-space-wide", Kind::Dimension, "2rem"),
        known("base-space-3", Kind::Dimension, "12px"),
    ];
    let lexicon = Lexicon::new(tokens, Options { prefixes: vec!["semantic-".into()], ..Options::default() });
    let fixes = |css: &str| -> Vec<(usize, Option<String>)> {
        let found = scan(&lexicon, Css, css).divergences.into_iter();
        found.map(|d| (d.nearest.map_or(0, |n| n.candidates), d.fix)).collect()
    };
    let fix = |text: &str| Some(text.to_owned());
    // Two text colours have this value; one ground has it.
    assert_eq!(fixes("a { color: #0055ff }"), [(2, None)]);
    assert_eq!(fixes("a { background: #0055ff }"), [(1, fix("var(--semantic-color-background-brand)"))]);
    // None is for lines.
    assert!(fixes("a { border-color: #0055ff }")[0].1.is_none());
    // A length that grows with the font stays one; the other way round it becomes one.
    assert_eq!(fixes("a { padding: 1rem }"), [(1, None)]);
    assert_eq!(fixes("a { padding: 16px }"), [(1, fix("var(--semantic-space-md)"))]);
    assert_eq!(fixes("a { padding: 32px }"), [(1, fix("var(--semantic-space-wide)"))]);
    // Raw values of the system are for its semantic tokens.
    assert_eq!(fixes("a { padding: 12px }"), [(1, None)]);
}
