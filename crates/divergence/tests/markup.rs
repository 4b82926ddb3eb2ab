//! What is found in HTML, JSX and Tailwind's classes.

mod common;

use ashlar_divergence::Language::{Html, Jsx};
use ashlar_divergence::{Kind, Language, Lexicon, Options};
use common::{check, known, report};

#[test]
fn html() {
    check(
        Html,
        "<!-- <b style='color:white'> --><p style=\"color: white; display: block\" class='bg-[#fff] x'>color: white</p>\n\
         <style>a { color: white }</style><script>color: white</script>",
        &[
            "raw color: white =color-surface",
            "raw bg: bg-[#fff] =color-surface => bg-[var(--semantic-color-surface)]",
            "raw color: white =color-surface",
        ],
        (3, 0),
    );
}

#[test]
fn style_objects() {
    check(
        Jsx,
        "const a = <p style={{ marginTop: '16px', color: \"#fff\", padding: 8, top: -8, zIndex: 3, lineHeight: 1.5, width: 300,
           background: on ? 'white' : `var(--semantic-color-surface)`, border: `${w}px solid white`, '--semantic-x': 1,
           '--semantic-y': 'red', fontWeight: 700 }}>white</p>",
        &[
            "raw margin-top: 16px =space-4 => var(--semantic-space-4)",
            "raw color: #fff =color-surface",
            "raw padding: 8 =space-2 => \"var(--semantic-space-2)\"",
            "raw top: -8 =space-2 => \"calc(var(--semantic-space-2) * -1)\"",
            "raw line-height: 1.5 =line-height-body => \"var(--semantic-line-height-body)\"",
            "raw background: white =color-surface => var(--semantic-color-surface)",
            "raw border: white =color-surface",
            "override --semantic-y: '--semantic-y': 'red",
            "raw font-weight: 700 =font-weight-bold => \"var(--semantic-font-weight-bold)\"",
        ],
        (10, 1),
    );
}

#[test]
fn class_lists_in_scripts() {
    check(
        Jsx,
        "let a = <A className='p-[16px]' other='p-[16px]'><b class={cn('p-[8px]', x === 'p-[8px]' && 'm-[8px]', f('p-[8px]'))}/>
         <c iconClassName={`gap-[8px] ${on ? 'mt-[8px]' : ''} p-${n} styles['p-[8px]']`}/></A>;
         const v = cva('text-[16px]', { variants: { size: { sm: ['leading-[1.5]'] } } }); x('p-[8px]');
         clsx({ 'py-[8px]': on });",
        &[
            "raw p: p-[16px] =space-4 => p-[var(--semantic-space-4)]",
            "raw p: p-[8px] =space-2 => p-[var(--semantic-space-2)]",
            "raw m: m-[8px] =space-2 => m-[var(--semantic-space-2)]",
            "raw gap: gap-[8px] =space-2 => gap-[var(--semantic-space-2)]",
            "raw mt: mt-[8px] =space-2 => mt-[var(--semantic-space-2)]",
            "raw text: text-[16px] =font-size-md => text-[length:var(--semantic-font-size-md)]",
            "raw leading: leading-[1.5] =line-height-body => leading-[var(--semantic-line-height-body)]",
            "raw py: py-[8px] =space-2 => py-[var(--semantic-space-2)]",
        ],
        (8, 0),
    );
}

#[test]
fn css_in_templates() {
    check(
        Jsx,
        "const B = styled.button.attrs({ x: 1 })<Props>`\n  ${mixin}\n  color: ${p => p.c}; // it's\n  gap: 8px;\n  padding: ${n}px 16px;\n  \
         ${A}:hover { color: ${p => p.on ? css`color: white;` : ''}; background: white }`;\n\
         const C = styled(B)`margin: 8px`; const d = html`color: white`; const e = css({ gap: 8, '&:hover': { color: 'white' } });",
        &[
            "raw gap: 8px =space-2 => var(--semantic-space-2)",
            "raw padding: 16px =space-4 => var(--semantic-space-4)",
            "raw color: white =color-surface",
            "raw background: white =color-surface => var(--semantic-color-surface)",
            "raw margin: 8px =space-2 => var(--semantic-space-2)",
            "raw gap: 8 =space-2 => \"var(--semantic-space-2)\"",
            "raw color: white =color-surface",
        ],
        (9, 0),
    );
}

#[test]
fn tailwind_classes() {
    check(
        Html,
        "<p class=\"md:hover:!text-[#1a2b3c]/50 text-center text-sm -mt-[8px] mt-[-8px] p-4 border-2 w-[300px] w-[16px]
           shadow-[0_1px_2px_rgb(0_0_0/20%)] shadow-[0_0_3px_#fff] bg-(--semantic-color-old) bg-[var(--semantic-color-typo)]
           bg-surface fill-white border-t-red-500 border-[2px] [color:#fff] font-[700] flex bg-[url(#fff)] bg-[--semantic-color-surface]\">",
        &[
            "raw text: text-[#1a2b3c] =color-text-default => text-[color:var(--semantic-color-text-default)]",
            "raw mt: mt-[8px] =space-2 => mt-[var(--semantic-space-2)]",
            "raw mt: mt-[-8px] =space-2 => mt-[calc(var(--semantic-space-2)*-1)]",
            "raw w: w-[16px] =space-4 => w-[var(--semantic-space-4)]",
            "raw shadow: shadow-[0_1px_2px_rgb(0_0_0/20%)] =shadow-card => shadow-[var(--semantic-shadow-card)]",
            "raw shadow: shadow-[0_0_3px_#fff]",
            "deprecated bg: --semantic-color-old =color-background-brand => --semantic-color-background-brand",
            "unknown bg: --semantic-color-typo",
            "raw fill: fill-white =color-surface",
            "raw border-t: border-t-red-500",
            "raw border: border-[2px] =border-width-thin => border-[length:var(--semantic-border-width-thin)]",
            "raw color: #fff =color-surface",
            "raw font: font-[700] =font-weight-bold => font-[var(--semantic-font-weight-bold)]",
        ],
        (18, 3),
    );
}

#[test]
fn what_cannot_be_read_has_a_note() {
    let lexicon = common::lexicon();
    assert!(report(&lexicon, Jsx, "const = = ;;; <p").note.is_some());
    assert!(report(&lexicon, Jsx, "let a = <T>(x: T) => x; let b = <T>x;").note.is_none());
    assert!(
        report(&lexicon, Language::Css, &" ".repeat(ashlar_divergence::TEXT_BYTES_MAX + 1)).note.is_some()
    );
    for deep in [
        "(",
        "[",
        "{",
        "!",
        "a=>",
        "- ",
        "<a>",
        "`${",
        "if(a)",
        "if(a){}else ",
        "a?b:",
        "a+",
        "a.b(",
        "new ",
        "class extends ",
    ] {
        let text = deep.repeat(20_000);
        report(&lexicon, Jsx, &text);
        report(&lexicon, Language::Css, &text);
        report(&lexicon, Language::Scss, &text);
        report(&lexicon, Language::Html, &text);
    }
    report(&lexicon, Language::Css, &format!("a {{ color: {}", "calc(".repeat(100_000)));
}

#[test]
fn options() {
    let token = || vec![known("space", Kind::Dimension, "10px")];
    let found = |options: Options, text: &str| {
        report(&Lexicon::new(token(), options), Language::Css, text)
            .divergences
            .iter()
            .map(common::line)
            .collect::<Vec<_>>()
    };
    // It has the value, and would not grow with the reader's font.
    let exact = ["raw gap: 1rem =space"];
    assert_eq!(found(Options { root_font_px: 10.0, ..Options::default() }, "a { gap: 1rem }"), exact);
    assert_eq!(
        found(Options { allow: vec!["gap:1rem".into()], ..Options::default() }, "a { gap: 1rem }").len(),
        0
    );
    assert_eq!(
        found(Options { near_length: 0.0, ..Options::default() }, "a { gap: 11px }"),
        ["raw gap: 11px"]
    );
    // A system without colours has nothing to say about them.
    assert_eq!(found(Options::default(), "a { color: red; transition: all 1s }").len(), 0);
    let off = Lexicon::new(token(), Options { tailwind: false, ..Options::default() });
    assert_eq!(report(&off, Html, "<p class='p-[10px]'>").divergences.len(), 0);
}

#[test]
fn a_byte_order_mark_and_other_line_ends() {
    check(
        Jsx,
        "\u{feff}let a = 'é';\r\nlet b = <p style={{ color: 'white' }} />;",
        &["raw color: white =color-surface"],
        (1, 0),
    );
}

#[test]
fn a_lexicon_is_shared_between_threads() {
    let lexicon = common::lexicon();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| report(&lexicon, Language::Css, "a { color: #fefefe }"));
        }
    });
}
