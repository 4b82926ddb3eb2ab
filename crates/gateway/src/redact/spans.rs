//! The parts of a text that are replaced.

use std::ops::Range;

use super::{
    Rules,
    fields::{unescaped, valued},
    find, label,
};
use crate::config::Kind;

/// A part of a text that is replaced.
#[derive(Debug)]
pub(super) struct Span {
    pub at: Range<usize>,
    /// What its placeholder is called.
    pub label: &'static str,
    /// What is restored, when it is not the text itself.
    pub value: Option<String>,
    /// For a number of JSON: the backslashes before the quotes that its placeholder gets, so that the text stays JSON.
    pub number: Option<usize>,
}

impl Span {
    /// Writes a placeholder.
    pub fn quoted(&self, placeholder: &str, out: &mut String) {
        let Some(slashes) = self.number else { return out.push_str(placeholder) };
        let quote = |out: &mut String| {
            out.extend(std::iter::repeat_n('\\', slashes));
            out.push('"');
        };
        quote(out);
        out.push_str(placeholder);
        quote(out);
    }
}

/// What rules find in a text, in order, beside what is known of it. `known`: parts with their labels. `escapes`: what restores the text
/// writes values as JSON. Of two that overlap, the second one keeps what remains of it, so that no part of a value stays.
pub(super) fn spans(
    text: &str,
    rules: Rules<'_>,
    known: &[(Range<usize>, &'static str)],
    escapes: bool,
) -> Vec<Span> {
    let plain = |at: Range<usize>, label| Span { at, label, value: None, number: None };
    let mut out: Vec<Span> = Vec::new();
    // What fields have comes first of those that begin at the same place: a number that is part of it is not one of its own.
    if rules.kinds.contains(&Kind::Field) {
        let field = label(Kind::Field);
        for one in rules.names.into_iter().flat_map(|names| valued(text, names)) {
            let value = Some(one.value(text, escapes));
            out.push(Span { number: one.number.then_some(one.slashes), label: field, value, at: one.at });
        }
        let values = rules.values.into_iter().flat_map(|values| values.find(text));
        out.extend(values.map(|(start, end)| plain(start..end, field)));
    }
    out.extend(
        find(text, rules.kinds).into_iter().map(|found| plain(found.start..found.end, label(found.kind))),
    );
    out.extend(known.iter().map(|(at, label)| plain(at.clone(), label)));
    out.sort_by_key(|span| span.at.start);
    let mut end = 0;
    out.retain_mut(|span| {
        if span.at.end <= end {
            return false;
        }
        if span.at.start < end {
            (span.at.start, span.value, span.number) = (end, None, None);
        }
        if escapes && span.value.is_none() && text[span.at.clone()].contains('\\') {
            span.value = unescaped(&text[span.at.clone()]);
        }
        end = span.at.end;
        true
    });
    out
}
