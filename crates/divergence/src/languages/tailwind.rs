//! Tailwind's utility classes.

use crate::declaration::Declaration;
use crate::languages::palette::palette;
use crate::lexicon::Match;
use crate::lexicon::property::{Domain, Role, Spec, Takes, color, length};
use crate::report::What;
use crate::scanner::Scanner;
use crate::value::Value;

/// Scans the classes of a list that is at `at` in the file.
pub(crate) fn classes(scanner: &mut Scanner<'_>, list: &str, at: usize) {
    let mut start = None;
    for (i, byte) in list.bytes().chain([b' ']).enumerate() {
        if !byte.is_ascii_whitespace() {
            start.get_or_insert(i);
        } else if let Some(from) = start.take() {
            class(scanner, list.get(from..i).unwrap_or_default(), at + from);
        }
    }
}

/// One class: its variants and marks are taken off, and what is left is judged.
fn class(scanner: &mut Scanner<'_>, class: &str, at: usize) {
    if !class.contains(['-', '[', '(']) {
        return;
    }
    let start = after_variants(class.as_bytes());
    let utility = class.get(start..).unwrap_or_default();
    let bare = utility.trim_start_matches(['!', '-']);
    let at = at + start + (utility.len() - bare.len());
    let bare = bare.trim_end_matches('!');
    if let Some(inner) = bare.strip_prefix('[') {
        arbitrary_property(scanner, inner, at + 1);
    } else if let Some((name, rest)) = bare.split_once("-[") {
        let Some(end) = rest.rfind(']') else { return };
        arbitrary(scanner, name, rest.get(..end).unwrap_or_default(), at);
    } else if let Some((name, rest)) = bare.split_once("-(") {
        let Some(end) = rest.rfind(')') else { return };
        shorthand(scanner, name, rest.get(..end).unwrap_or_default(), at + name.len() + 2);
    } else {
        named(scanner, bare, at);
    }
}

/// The index after the last `:` that is outside of brackets.
fn after_variants(class: &[u8]) -> usize {
    let (mut open, mut start) = (0usize, 0);
    for (i, byte) in class.iter().enumerate() {
        match byte {
            b'[' | b'(' => open += 1,
            b']' | b')' => open = open.saturating_sub(1),
            b':' if open == 0 => start = i + 1,
            _ => {}
        }
    }
    start
}

/// `[color:#fff]`: a declaration between brackets.
fn arbitrary_property(scanner: &mut Scanner<'_>, inner: &str, at: usize) {
    let Some((property, value)) = inner.rfind(']').and_then(|end| inner.get(..end)?.split_once(':')) else {
        return;
    };
    let css = spaced(value);
    let mark = scanner.mark();
    scanner.declaration(Declaration {
        property,
        property_at: at,
        value: &css,
        value_at: at + property.len() + 1,
        sass: false,
        optional: false,
    });
    tighten(scanner, mark);
}

/// `bg-[#123456]`: any CSS value between brackets. `at` is where the utility begins.
fn arbitrary(scanner: &mut Scanner<'_>, name: &str, inner: &str, at: usize) {
    let Some(spec) = utility(name) else { return };
    let (hint, value) = hinted(inner);
    let value_at = at + name.len() + 2 + hint.len();
    if value.starts_with("--") {
        return reference(scanner, name, value, value_at);
    }
    let spec = scanner.lexicon.judged(spec);
    let (css, mark) = (spaced(value), scanner.mark());
    let verdict = Value { property: name, css: &css, at: value_at, spec, is_variable: false }.judge(scanner);
    if verdict.token || scanner.mark() > mark || spec.takes != Takes::NONE && !spec.exact_only {
        scanner.count(verdict.token, mark);
    }
    tighten(scanner, mark);
    // A class with one raw value is reported and replaced as a whole.
    let whole = at..at + name.len() + inner.len() + 3;
    let Some(text) = scanner.text().get(whole.clone()) else { return };
    if let [only] = scanner.since(mark)
        && only.what == What::RawValue
        && (only.offset, only.len) == (value_at, value.len())
    {
        let is_length = value.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        let hint = if hint.is_empty() { type_hint(name, is_length) } else { hint };
        only.fix = only.fix.take().map(|fix| format!("{name}-[{hint}{fix}]"));
        (only.offset, only.len, only.text) = (whole.start, whole.len(), text.to_owned());
    }
}

/// `bg-(--name)`, the short form of `bg-[var(--name)]`.
fn shorthand(scanner: &mut Scanner<'_>, name: &str, inner: &str, at: usize) {
    let (hint, value) = hinted(inner);
    if value.starts_with("--") {
        reference(scanner, name, value, at + hint.len());
    }
}

fn reference(scanner: &mut Scanner<'_>, property: &str, value: &str, at: usize) {
    let variable = value.split([',', ')', ' ']).next().unwrap_or_default();
    let Some(name) = variable.strip_prefix("--") else { return };
    let mark = scanner.mark();
    let known = scanner.refer(name, at..at + variable.len(), property);
    let counts = utility(property).map(|spec| scanner.lexicon.judged(spec));
    let counts = counts.is_some_and(|spec| spec.takes != Takes::NONE && !spec.exact_only);
    if known || counts || scanner.mark() > mark {
        scanner.count(known, mark);
    }
}

/// `bg-red-500`, `p-4`, `bg-surface`: a value by its name.
fn named(scanner: &mut Scanner<'_>, utility_class: &str, at: usize) {
    let bare = utility_class.split_once('/').map_or(utility_class, |(bare, _modifier)| bare);
    for (dash, _) in bare.match_indices('-') {
        let (Some(name), Some(value)) = (bare.get(..dash), bare.get(dash + 1..)) else { continue };
        let Some(spec) = utility(name) else { continue };
        let spec = scanner.lexicon.judged(spec);
        if spec.takes.has(Takes::COLOR) && color_class(scanner, name, value, bare, spec.role, at) {
            return;
        }
        if spec.takes != Takes::NONE && !spec.exact_only && is_scale_step(name, value) {
            return scanner.count(false, scanner.mark());
        }
    }
}

/// Judges a class that names a colour; returns whether it does.
fn color_class(
    scanner: &mut Scanner<'_>,
    name: &str,
    value: &str,
    bare: &str,
    role: Role,
    at: usize,
) -> bool {
    let (lexicon, mark) = (scanner.lexicon, scanner.mark());
    if let Some(known) = lexicon.color_by_tail(value) {
        if known.deprecated.is_some() {
            let nearest = lexicon.replacement(known).map(Match::nearest);
            scanner.add(What::DeprecatedToken, at..at + bare.len(), name, nearest, None);
        }
        scanner.count(true, mark);
        return true;
    }
    if matches!(value, "transparent" | "current" | "inherit") {
        scanner.count(false, mark);
        return true;
    }
    let Some(hex) = palette(value) else { return false };
    let hex = format!("#{hex}");
    let best = lexicon.color(&hex).and_then(|close| lexicon.best_color(&hex, &close, role));
    let fix =
        best.filter(|b| b.sure).map(|b| format!("{name}-[{}var(--{})]", type_hint(name, false), b.name));
    scanner.add(What::RawValue, at..at + bare.len(), name, best.map(Match::nearest), fix);
    scanner.count(false, mark);
    true
}

/// The variable fixes of classes hold no spaces.
fn tighten(scanner: &mut Scanner<'_>, mark: usize) {
    for found in scanner.since(mark) {
        if let Some(fix) = found.fix.as_mut().filter(|f| f.contains(' ')) {
            fix.retain(|c| c != ' ');
        }
    }
}

/// Splits `length:12px` into `length:` and `12px`.
fn hinted(inner: &str) -> (&str, &str) {
    let name = inner.bytes().take_while(|b| b.is_ascii_lowercase() || *b == b'-').count();
    match inner.as_bytes().get(name) {
        Some(b':') if name > 0 => inner.split_at(name + 1),
        _ => ("", inner),
    }
}

/// What Tailwind needs to know of a variable when a utility takes several kinds of value.
fn type_hint(name: &str, is_length: bool) -> &'static str {
    match name {
        "text" if !is_length => "color:",
        "text" | "outline" | "stroke" | "ring" | "decoration" if is_length => "length:",
        _ if is_length && name.starts_with("border") => "length:",
        _ => "",
    }
}

/// An arbitrary value as CSS, of the same length: `_` stands for a space, but not in the name of a variable.
fn spaced(value: &str) -> String {
    let mut in_name = false;
    let mut last = ' ';
    value
        .chars()
        .map(|c| {
            in_name = (in_name || c == '-' && last == '-') && (c.is_ascii_alphanumeric() || "-_".contains(c));
            last = c;
            if c == '_' && !in_name { ' ' } else { c }
        })
        .collect()
}

/// What a utility sets, by its name before the value.
fn utility(name: &str) -> Option<Spec> {
    const BORDER: Spec =
        Spec { takes: Takes::COLOR.and(Takes::LENGTH), domain: Domain::Line, ..color(Role::Line) };
    const TEXT: Spec =
        Spec { takes: Takes::COLOR.and(Takes::LENGTH), domain: Domain::FontSize, ..color(Role::Text) };
    Some(match name {
        "bg" | "from" | "via" | "to" => color(Role::Ground),
        "text" => TEXT,
        "caret" | "decoration" | "placeholder" => color(Role::Text),
        "accent" => color(Role::Any),
        "fill" => color(Role::Fill),
        "stroke" | "outline" | "ring" | "ring-offset" | "inset-ring" => color(Role::Line),
        "border" | "border-t" | "border-r" | "border-b" | "border-l" | "border-x" | "border-y"
        | "border-s" | "border-e" | "divide" => BORDER,
        "shadow" => Spec { takes: Takes::COLOR.and(Takes::SHADOW), ..color(Role::Shadow) },
        "inset-shadow" | "drop-shadow" | "text-shadow" => color(Role::Shadow),
        "p" | "px" | "py" | "pt" | "pr" | "pb" | "pl" | "ps" | "pe" | "m" | "mx" | "my" | "mt" | "mr"
        | "mb" | "ml" | "ms" | "me" | "gap" | "gap-x" | "gap-y" | "space-x" | "space-y" | "inset"
        | "inset-x" | "inset-y" | "top" | "right" | "bottom" | "left" | "start" | "end" | "scroll-p"
        | "scroll-px" | "scroll-py" | "scroll-pt" | "scroll-pr" | "scroll-pb" | "scroll-pl" | "scroll-m"
        | "scroll-mx" | "scroll-my" | "scroll-mt" | "scroll-mr" | "scroll-mb" | "scroll-ml" | "indent" => {
            length(Domain::Space)
        }
        "w" | "h" | "size" | "min-w" | "min-h" | "max-w" | "max-h" | "basis" => {
            Spec { exact_only: true, ..length(Domain::Size) }
        }
        "rounded" | "rounded-t" | "rounded-r" | "rounded-b" | "rounded-l" | "rounded-s" | "rounded-e"
        | "rounded-tl" | "rounded-tr" | "rounded-bl" | "rounded-br" | "rounded-ss" | "rounded-se"
        | "rounded-es" | "rounded-ee" => length(Domain::Radius),
        "leading" => Spec { takes: Takes::LENGTH.and(Takes::NUMBER), ..length(Domain::LineHeight) },
        "tracking" => length(Domain::LetterSpacing),
        "font" => Spec { takes: Takes::WEIGHT, ..length(Domain::Weight) },
        "opacity" => Spec { takes: Takes::NUMBER, ..length(Domain::Opacity) },
        "z" => Spec { takes: Takes::NUMBER, ..length(Domain::Layer) },
        "duration" | "delay" => Spec { takes: Takes::TIME, ..color(Role::Any) },
        "ease" => Spec { takes: Takes::EASING, ..color(Role::Any) },
        "animate" => Spec { takes: Takes::TIME.and(Takes::EASING), ..color(Role::Any) },
        _ => return None,
    })
}

/// Whether a utility's value is a step of Tailwind's own scales, as in `p-4` and `text-sm`, and not `text-center`.
fn is_scale_step(name: &str, value: &str) -> bool {
    let number = value.starts_with(|c: char| c.is_ascii_digit());
    let size = |v: &str| {
        let v = v.trim_start_matches(|c: char| c.is_ascii_digit());
        matches!(v, "xs" | "sm" | "md" | "lg" | "xl")
    };
    match name {
        "text" => value == "base" || size(value),
        "font" => matches!(
            value,
            "thin"
                | "extralight"
                | "light"
                | "normal"
                | "medium"
                | "semibold"
                | "bold"
                | "extrabold"
                | "black"
        ),
        "leading" => number || matches!(value, "none" | "tight" | "snug" | "normal" | "relaxed" | "loose"),
        "tracking" => matches!(value, "tighter" | "tight" | "normal" | "wide" | "wider" | "widest"),
        "ease" => matches!(value, "linear" | "in" | "out" | "in-out"),
        "shadow" => size(value) || matches!(value, "inner" | "none"),
        "border" | "divide" | "bg" | "from" | "via" | "to" | "stroke" | "outline" | "ring" => false,
        _ if name.starts_with("rounded") => size(value) || matches!(value, "none" | "full"),
        _ => number || matches!(value, "px" | "auto" | "full"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_and_hints() {
        let rest = |class: &'static str| class.get(after_variants(class.as_bytes())..);
        assert_eq!(rest("md:hover:bg-[url(a:b)]"), Some("bg-[url(a:b)]"));
        assert_eq!(rest("[&>*]:p-4"), Some("p-4"));
        assert_eq!(rest("data-[a:b]:p-4"), Some("p-4"));
        assert_eq!(hinted("length:12px"), ("length:", "12px"));
        assert_eq!(hinted("12px"), ("", "12px"));
        assert_eq!(spaced("0_1px_var(--my_x)_#000"), "0 1px var(--my_x) #000");
    }
}
