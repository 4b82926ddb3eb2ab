use std::ops::Range;

use oxc_ast::ast::*;
use oxc_span::{GetSpan, Span};

use crate::declaration::Declaration;
use crate::languages::template;
use crate::lexicon::Match;
use crate::lexicon::property::{Domain, Spec, Takes, is_unitless};
use crate::report::What;
use crate::scanner::Scanner;

/// Scans the style objects that an expression may be.
pub(crate) fn styles(scanner: &mut Scanner<'_>, expression: &Expression<'_>) {
    match expression {
        Expression::ObjectExpression(object) => style_object(scanner, object),
        Expression::ArrayExpression(array) => {
            for element in array.elements.iter().filter_map(ArrayExpressionElement::as_expression) {
                styles(scanner, element);
            }
        }
        Expression::ArrowFunctionExpression(arrow) => {
            if let ArrowFunctionBody::FunctionBody(body) = &arrow.body {
                returned(scanner, body);
            } else if let Some(expression) = arrow.get_expression() {
                styles(scanner, expression);
            }
        }
        Expression::FunctionExpression(function) => {
            if let Some(body) = &function.body {
                returned(scanner, body);
            }
        }
        _ => each_branch(expression, &mut |branch| styles(scanner, branch)),
    }
}

/// Scans what a function returns from its outermost block.
fn returned(scanner: &mut Scanner<'_>, body: &FunctionBody<'_>) {
    for statement in &body.statements {
        if let Statement::ReturnStatement(it) = statement
            && let Some(argument) = &it.argument
        {
            styles(scanner, argument);
        }
    }
}

/// Visits the expressions of which one becomes the value of a conditional, logical, bracketed or typed one.
fn each_branch(expression: &Expression<'_>, visit: &mut dyn FnMut(&Expression<'_>)) {
    match expression {
        Expression::ConditionalExpression(it) => {
            visit(&it.consequent);
            visit(&it.alternate);
        }
        Expression::LogicalExpression(it) => {
            visit(&it.left);
            visit(&it.right);
        }
        Expression::ParenthesizedExpression(it) => visit(&it.expression),
        Expression::TSAsExpression(it) => visit(&it.expression),
        Expression::TSSatisfiesExpression(it) => visit(&it.expression),
        Expression::TSNonNullExpression(it) => visit(&it.expression),
        _ => {}
    }
}

fn style_object(scanner: &mut Scanner<'_>, object: &ObjectExpression<'_>) {
    for property in &object.properties {
        match property {
            ObjectPropertyKind::ObjectProperty(property) => {
                let name = match &property.key {
                    PropertyKey::StaticIdentifier(id) => id.name.as_str(),
                    PropertyKey::StringLiteral(name) => name.value.as_str(),
                    // A computed key, such as a selector: only what is nested in it can be told.
                    _ => "",
                };
                style_value(scanner, &kebab(name), property.key.span(), &property.value);
            }
            ObjectPropertyKind::SpreadProperty(spread) => styles(scanner, &spread.argument),
        }
    }
}

fn style_value(scanner: &mut Scanner<'_>, property: &str, key: Span, value: &Expression<'_>) {
    match value {
        Expression::ObjectExpression(object) => style_object(scanner, object),
        Expression::StringLiteral(string) => {
            let (start, end) = (string.span.start as usize + 1, (string.span.end as usize).saturating_sub(1));
            if let Some(css) = scanner.text().get(start..end) {
                declaration(scanner, property, key, css, start);
            }
        }
        Expression::TemplateLiteral(literal) => {
            if let Some((css, at)) = template::filled(scanner.text(), literal, false) {
                declaration(scanner, property, key, &css, at);
            }
        }
        Expression::NumericLiteral(literal) => number(scanner, property, literal.value, literal.span),
        Expression::UnaryExpression(unary) if unary.operator == UnaryOperator::UnaryNegation => {
            if let Expression::NumericLiteral(literal) = &unary.argument {
                number(scanner, property, -literal.value, unary.span);
            }
        }
        Expression::ArrayExpression(array) => {
            for element in array.elements.iter().filter_map(ArrayExpressionElement::as_expression) {
                style_value(scanner, property, key, element);
            }
        }
        _ => each_branch(value, &mut |branch| style_value(scanner, property, key, branch)),
    }
}

fn declaration(scanner: &mut Scanner<'_>, property: &str, key: Span, css: &str, at: usize) {
    if property.is_empty() {
        return;
    }
    let space = css.len() - css.trim_ascii_start().len();
    scanner.declaration(Declaration {
        property,
        property_at: key.start as usize,
        value: css.trim_ascii(),
        value_at: at + space,
        sass: false,
        optional: false,
    });
}

/// Judges an attribute of JSX that paints, such as `fill="#fff"`. What it contains can also be the name of a colour of a
/// component, which is neither counted nor judged.
pub(crate) fn paint(scanner: &mut Scanner<'_>, property: &str, key: Span, value: &Expression<'_>) {
    match value {
        Expression::StringLiteral(string) => painted(scanner, property, key, string.span),
        _ => each_branch(value, &mut |branch| paint(scanner, property, key, branch)),
    }
}

/// The same for a string between quotes.
pub(crate) fn painted(scanner: &mut Scanner<'_>, property: &str, key: Span, string: Span) {
    let (start, end) = (string.start as usize + 1, (string.end as usize).saturating_sub(1));
    let Some(css) = scanner.text().get(start..end) else { return };
    let space = css.len() - css.trim_ascii_start().len();
    scanner.declaration(Declaration {
        property,
        property_at: key.start as usize,
        value: css.trim_ascii(),
        value_at: start + space,
        sass: false,
        optional: true,
    });
}

/// A number is a number of pixels, but for properties whose values have no unit.
fn number(scanner: &mut Scanner<'_>, property: &str, value: f64, span: Span) {
    let Some(spec) = Spec::of(property) else { return };
    let lexicon = scanner.lexicon;
    let mut spec = lexicon.judged(spec);
    spec.exact_only |= spec.domain == Domain::Line;
    let unitless = is_unitless(property);
    let wanted = if unitless { Takes::NUMBER.and(Takes::WEIGHT) } else { Takes::LENGTH };
    if !spec.takes.has(wanted) {
        return;
    }
    let find = |v: f64| match unitless {
        false => lexicon.length(v, "px", spec),
        true if spec.takes.has(Takes::WEIGHT) => lexicon.weight(v, spec),
        true => lexicon.number(v, spec),
    };
    let direct = find(value);
    let opposite = if value < 0.0 && !direct.is_some_and(|d| d.exact) { find(-value) } else { None };
    let found = opposite.or(direct);
    let allowed = value == 0.0 || {
        let unit = if unitless { "" } else { "px" };
        lexicon.allows(property, &format!("{value}{unit}"))
    };
    let raw = !allowed && (found.is_some() || !spec.exact_only);
    let mark = scanner.mark();
    if raw {
        let range: Range<usize> = span.start as usize..span.end as usize;
        let fix = found.filter(|f| f.sure).map(|f| match opposite {
            Some(_) => format!("\"calc(var(--{}) * -1)\"", f.name),
            None => format!("\"var(--{})\"", f.name),
        });
        scanner.add(What::RawValue, range, property, found.map(Match::nearest), fix);
    }
    if raw || !spec.exact_only {
        scanner.count(false, mark);
    }
}

/// `backgroundColor` as `background-color`; custom properties stay as they are.
fn kebab(name: &str) -> String {
    if name.starts_with("--") || !name.bytes().any(|b| b.is_ascii_uppercase()) {
        return name.to_owned();
    }
    let mut kebab = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_css() {
        assert_eq!(kebab("backgroundColor"), "background-color");
        assert_eq!(kebab("WebkitTextFillColor"), "-webkit-text-fill-color");
        assert_eq!(kebab("--myColor"), "--myColor");
        assert_eq!(kebab("color"), "color");
    }
}
