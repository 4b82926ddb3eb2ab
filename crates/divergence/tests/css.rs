//! What is found in CSS and SCSS.

mod common;

use ashlar_divergence::Language::{Css, Scss};
use common::check;

#[test]
fn colours_and_what_they_paint() {
    check(
        Css,
        "a { color: #1A2B3C }",
        &["raw color: #1A2B3C =color-text-default => var(--semantic-color-text-default)"],
        (1, 0),
    );
    check(
        Css,
        "a { background: rgb(26, 43, 60) no-repeat }",
        &[
            "raw background: rgb(26, 43, 60) =color-background-strong => var(--semantic-color-background-strong)",
        ],
        (1, 0),
    );
    check(Css, "a { border: 1px solid #c8c8c9 }", &["raw border: #c8c8c9 ~color-border-default"], (1, 0));
    check(Css, "a { color: red; fill: transparent; stroke: currentColor }", &["raw color: red"], (3, 0));
    check(
        Css,
        "a { background-image: linear-gradient(90deg, white 0%, #0055ff) }",
        &[
            "raw background-image: white =color-surface => var(--semantic-color-surface)",
            "raw background-image: #0055ff =color-background-brand => var(--semantic-color-background-brand)",
        ],
        (1, 0),
    );
    check(
        Css,
        "a { color: #00000080 }",
        &["raw color: #00000080 =color-scrim => var(--semantic-color-scrim)"],
        (1, 0),
    );
    check(Css, "a { background: url(#fff) } #fff { display: block }", &[], (1, 0));
}

#[test]
fn lengths_by_what_they_measure() {
    check(
        Css,
        "a { padding: 16px 1em 9px 0; font-size: 16px; margin: -8px auto; width: 300px; height: 1rem }",
        &[
            "raw padding: 16px =space-4 => var(--semantic-space-4)",
            "raw padding: 9px ~space-2",
            "raw font-size: 16px =font-size-md => var(--semantic-font-size-md)",
            "raw margin: -8px =space-2 => calc(var(--semantic-space-2) * -1)",
            "raw height: 1rem =space-4 => var(--semantic-space-4)",
        ],
        (4, 0),
    );
    check(
        Css,
        "a { letter-spacing: -.02em; border-radius: 6.5px; line-height: 1.5; border-width: 2px; top: 5% }",
        &[
            "raw letter-spacing: -.02em =tracking-tight => var(--semantic-tracking-tight)",
            "raw border-radius: 6.5px ~radius-md",
            "raw line-height: 1.5 =line-height-body => var(--semantic-line-height-body)",
            "raw border-width: 2px =border-width-thin => var(--semantic-border-width-thin)",
        ],
        (5, 0),
    );
    check(
        Css,
        "a { gap: calc(100% - 16px) }",
        &["raw gap: 16px =space-4 => var(--semantic-space-4)"],
        (1, 0),
    );
}

#[test]
fn motion_and_type() {
    check(
        Css,
        "a { transition: color .2s cubic-bezier(0.2, 0, 0, 1) 0s, opacity 250ms ease }",
        &[
            "raw transition: .2s =duration-fast => var(--semantic-duration-fast)",
            "raw transition: cubic-bezier(0.2, 0, 0, 1) =ease-out => var(--semantic-ease-out)",
            "raw transition: 250ms",
        ],
        (1, 0),
    );
    check(
        Css,
        "a { font: bold 700 16px/1.5 Inter; font-weight: 600; font-family: Inter,sans-serif !important }",
        &[
            "raw font: 700 =font-weight-bold => var(--semantic-font-weight-bold)",
            "raw font: 16px =font-size-md => var(--semantic-font-size-md)",
            "raw font-weight: 600 ~font-weight-bold",
            "raw font-family: Inter,sans-serif =font-family-body => var(--semantic-font-family-body)",
        ],
        (3, 0),
    );
    check(
        Css,
        "a { box-shadow: 0px 1px 2px 0 #0003 } b { box-shadow: 0 0 0 3px var(--ring, #0055ff) } c { box-shadow: none }",
        &[
            "raw box-shadow: 0px 1px 2px 0 #0003 =shadow-card => var(--semantic-shadow-card)",
            "raw box-shadow: #0055ff =color-background-brand",
        ],
        (3, 0),
    );
    check(Css, "@font-face { font-family: Inter; font-weight: 700 } a { color: inherit }", &[], (1, 0));
}

#[test]
fn tokens_known_unknown_and_deprecated() {
    check(Css, "a { color: var(--semantic-color-text-default, #123); display: var(--mine) }", &[], (1, 1));
    check(
        Css,
        "a { color: var(--semantic-color-text-defualt, #1a2b3c) }",
        &[
            "unknown color: --semantic-color-text-defualt ~color-text-default",
            "raw color: #1a2b3c =color-text-default => var(--semantic-color-text-default)",
        ],
        (1, 0),
    );
    check(
        Css,
        "a { background: var( --semantic-color-old , var(--semantic-color-gone)) }",
        &[
            "deprecated background: --semantic-color-old =color-background-brand => --semantic-color-background-brand",
            "deprecated background: --semantic-color-gone",
        ],
        (1, 1),
    );
    check(
        Css,
        ":root { --semantic-color-surface: #eee; --semantic-new: 1px; --mine: #ffffff; --list: a, red; --n: 16px }",
        &[
            "override --semantic-color-surface: --semantic-color-surface: #eee",
            "override --semantic-new: --semantic-new: 1px",
            "raw --mine: #ffffff =color-surface => var(--semantic-color-surface)",
        ],
        (3, 0),
    );
    check(Css, "a { grid-template-columns: var(--semantic-space-4) 1fr; display: flex }", &[], (1, 1));
}

#[test]
fn broken_and_nested_css() {
    check(
        Css,
        "a { colo r: #fff; : red; color: ; &:hover { color: white } @media (min-width: 16px) { gap: 8px } } } b { gap: 8px",
        &[
            "raw color: white =color-surface",
            "raw gap: 8px =space-2 => var(--semantic-space-2)",
            "raw gap: 8px =space-2 => var(--semantic-space-2)",
        ],
        (4, 0),
    );
    check(Css, "/* color: white; */ a { /* x */ color /* y: z */: white }", &[], (0, 0));
    check(
        Css,
        "a { content: \"; color: white\"; background: url(data:x;color:white) white }",
        &["raw background: white =color-surface => var(--semantic-color-surface)"],
        (1, 0),
    );
}

#[test]
fn scss() {
    check(
        Scss,
        "// color: white;\n$brand: #0055ff; // it's\n$map: (a: #fff, red: 8px);\n.a { &-b { color: darken(#1a2b3c, 5%); gap: 8px; \
         margin: 8px + $x; padding: math.div(16px, 2) $red; @include x($c: #fff); width: #{$a}px; color: map.get($m, red) } }",
        &[
            "raw $brand: #0055ff =color-background-brand",
            "raw $map: #fff =color-surface",
            "raw color: #1a2b3c =color-text-default",
            "raw gap: 8px =space-2 => var(--semantic-space-2)",
            "raw margin: 8px =space-2",
        ],
        (7, 0),
    );
    check(
        Scss,
        "@mixin a { @apply p-[16px] }",
        &["raw p: p-[16px] =space-4 => p-[var(--semantic-space-4)]"],
        (1, 0),
    );
}
