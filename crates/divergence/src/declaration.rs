//! One declaration of a property or a variable.

use crate::{
    lexicon::property::{Spec, Takes},
    report::What,
    scanner::{Scanner, lower},
    value::{Value, Verdict},
};

/// Where a declaration's parts stand, and how its language writes values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declaration<'d> {
    /// The property as it is written.
    pub(crate) property: &'d str,
    /// The offset of the property in the file.
    pub(crate) property_at: usize,
    /// The value as CSS, of the same length as in the file.
    pub(crate) value: &'d str,
    /// The offset of the value in the file.
    pub(crate) value_at: usize,
    /// Whether Sass computes with the value before a browser sees it.
    pub(crate) sass: bool,
    /// Whether the place may hold anything, so that it counts only with a token or a divergence.
    pub(crate) optional: bool,
}

impl Scanner<'_> {
    /// Judges a declaration and counts it.
    pub(crate) fn declaration(&mut self, d: Declaration<'_>) {
        let mark = self.mark();
        let (spec, is_variable) = match d.property.as_bytes() {
            [b'-', b'-', ..] => {
                let name = d.property.get(2..).unwrap_or_default();
                self.defines(name);
                if self.lexicon.known(name).is_some() || self.lexicon.claims(name) {
                    return self.redefinition(d);
                }
                (Spec::of_variable(name, d.value), true)
            }
            [b'$', name @ ..] => {
                let name = std::str::from_utf8(name).unwrap_or_default();
                self.defines(name);
                (Spec::of_variable(name, d.value), true)
            }
            _ => (Spec::of(&lower(d.property)).unwrap_or(Spec::NONE), false),
        };
        let spec = self.lexicon.judged(spec);
        let (property, css, at) = (d.property, d.value, d.value_at);
        let verdict = Value { property, css, at, spec, is_variable }.judge(self);
        let counts = !is_variable && !d.optional && !spec.exact_only && spec.takes != Takes::NONE;
        if counts || verdict.token || self.mark() > mark {
            self.count(verdict.token, mark);
        }
        if d.sass && (property.starts_with('$') || is_computed(property, css)) {
            // Sass would compute with the text of `var(…)`, and fail or write nonsense.
            for found in self.since(mark).iter_mut().filter(|f| f.what == What::RawValue) {
                found.fix = None;
            }
        }
    }

    /// A custom property of the system that is defined again: one divergence, whatever its value.
    fn redefinition(&mut self, d: Declaration<'_>) {
        let (value, mark) = (d.value.trim_end(), self.mark());
        self.add(What::Override, d.property_at..d.value_at + value.len(), d.property, None, None);
        let spec = Spec::NONE;
        let (property, css, at) = (d.property, d.value, d.value_at);
        let verdict: Verdict = Value { property, css, at, spec, is_variable: true }.judge(self);
        self.count(verdict.token, mark);
    }
}

/// Whether Sass computes with a value: it has an operator outside of what CSS itself computes or separates by `/`.
fn is_computed(property: &str, value: &str) -> bool {
    if value.contains("calc(") {
        return value.contains('$');
    }
    let slash_separates =
        ["font", "border", "background", "inset", "mask"].iter().any(|p| property.starts_with(p));
    value.bytes().any(|b| matches!(b, b'*' | b'+' | b'%') || b == b'/' && !slash_separates)
        || value.contains(" - ")
}
