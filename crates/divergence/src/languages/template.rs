use oxc_ast::ast::TemplateLiteral;

use crate::languages::css;
use crate::scanner::Scanner;
use crate::value::HOLE;

/// Scans the CSS of a tagged template.
pub(crate) fn sheet(scanner: &mut Scanner<'_>, template: &TemplateLiteral<'_>) {
    if let Some((css, at)) = filled(scanner.text(), template, true) {
        css::sheet(scanner, &css::without_line_comments(&css), at);
    }
}

/// The text of a template and its place, with every `${…}` replaced by something of the same length: by a word that
/// means nothing, or, in `statements`, by spaces where one would begin, as a mixin brings declarations of its own.
pub(crate) fn filled(
    text: &str,
    template: &TemplateLiteral<'_>,
    statements: bool,
) -> Option<(String, usize)> {
    let (first, last) = (template.quasis.first()?, template.quasis.last()?);
    let at = first.span.start as usize;
    let mut css = text.get(at..last.span.end as usize)?.as_bytes().to_vec();
    for pair in template.quasis.windows(2) {
        let [before, after] = pair else { continue };
        let from = (before.span.end as usize).checked_sub(at)?;
        let to = (after.span.start as usize).checked_sub(at)?;
        let begins =
            statements && css.get(..from)?.trim_ascii_end().last().is_none_or(|b| b";{}/".contains(b));
        css.get_mut(from..to)?.fill(if begins { b' ' } else { HOLE });
    }
    Some((String::from_utf8(css).ok()?, at))
}
