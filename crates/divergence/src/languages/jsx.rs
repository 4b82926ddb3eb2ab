//! JavaScript and TypeScript: class lists, style objects and CSS in templates.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use oxc_allocator::Allocator;
use oxc_ast::ast::*;
use oxc_ast_visit::{Visit, walk};
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType};

use crate::scanner::Scanner;
use crate::{languages::style_object, languages::tailwind, languages::template};

/// Functions whose string arguments are class lists.
const CLASS_FUNCTIONS: [&str; 9] =
    ["clsx", "cn", "cx", "classNames", "classnames", "cva", "tv", "twMerge", "twJoin"];

/// Functions whose arguments are style objects, or objects or functions that give them.
const STYLE_FUNCTIONS: [&str; 8] = [
    "css",
    "keyframes",
    "makeStyles",
    "createStyles",
    "withStyles",
    "createUseStyles",
    "createStyleSheet",
    "mergeStyleSets",
];
/// The same in files that import them from vanilla-extract; elsewhere these words mean anything.
const VANILLA_FUNCTIONS: [&str; 5] = ["style", "styleVariants", "globalStyle", "recipe", "globalKeyframes"];

/// What the parser and the visitor use of the stack for an opening bracket and for any other word or sign, at most; they
/// recurse, and running out of stack ends the process.
const STACK_PER_BRACKET: usize = if cfg!(debug_assertions) { 24 * 1024 } else { 4 * 1024 };
const STACK_PER_SIGN: usize = if cfg!(debug_assertions) { 8 * 1024 } else { 2 * 1024 };
/// What may be used of a stack that is already there.
const STACK_HERE_MAX: usize = 1024 * 1024;
/// What may be set aside for one file; the system backs only what is really used.
const STACK_MAX: usize = 1024 * 1024 * 1024;

/// Scans a module or script.
pub(crate) fn module(scanner: &mut Scanner<'_>, text: &str) {
    let stack = stack_bytes_max(text);
    let read = AssertUnwindSafe(|| read_module(scanner, text));
    let done = if stack <= STACK_HERE_MAX {
        catch_unwind(read).is_ok()
    } else if stack <= STACK_MAX {
        thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(stack + STACK_HERE_MAX);
            thread.spawn_scoped(scope, read).is_ok_and(|t| t.join().is_ok())
        })
    } else {
        return scanner.note("too large to read as JavaScript");
    };
    if !done {
        scanner.note("could not be read as JavaScript");
    }
}

/// An upper bound of the stack that a text can need: every level of recursion takes at least one bracket, word or sign.
fn stack_bytes_max(text: &str) -> usize {
    let (mut brackets, mut signs, mut in_word) = (0usize, 0usize, false);
    for byte in text.bytes() {
        let word = byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'_' || byte == b'$';
        match byte {
            b'(' | b'[' | b'{' | b'<' => brackets += 1,
            _ if word => signs += usize::from(!in_word),
            b' ' | b'\n' | b'\r' | b'\t' | b')' | b']' | b'}' | b'>' | b';' | b',' | b'"' | b'\'' => {}
            _ => signs += 1,
        }
        in_word = word;
    }
    brackets * STACK_PER_BRACKET + signs * STACK_PER_SIGN
}

fn read_module(scanner: &mut Scanner<'_>, text: &str) {
    // The file's name is not known here, so the dialects are tried; most files are the first.
    let dialects = [SourceType::tsx(), SourceType::ts(), SourceType::jsx().with_script(true)];
    let mut errors = vec![];
    let vanilla = text.contains("@vanilla-extract/");
    for dialect in dialects {
        let allocator = Allocator::default();
        let parsed = Parser::new(&allocator, text, dialect).parse();
        let Some(error) = parsed.diagnostics.first().map(ToString::to_string) else {
            Styles { scanner, in_classes: false, vanilla }.visit_program(&parsed.program);
            return;
        };
        errors.push((parsed.panicked, error));
    }
    let readable = errors.iter().position(|(panicked, _)| !panicked);
    let Some((_, error)) = errors.get(readable.unwrap_or_default()) else { return };
    if let Some(dialect) = readable.and_then(|r| dialects.get(r)) {
        let allocator = Allocator::default();
        let parsed = Parser::new(&allocator, text, *dialect).parse();
        Styles { scanner, in_classes: false, vanilla }.visit_program(&parsed.program);
    }
    scanner.note(error.as_str());
}

struct Styles<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    /// Whether strings are class lists here.
    in_classes: bool,
    /// Whether the functions of vanilla-extract are used.
    vanilla: bool,
}

impl Styles<'_, '_> {
    /// Visits with strings being class lists, or not.
    fn with_classes(&mut self, in_classes: bool, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.in_classes, in_classes);
        visit(self);
        self.in_classes = outer;
    }

    fn classes(&mut self, start: u32, end: u32) {
        if !self.scanner.lexicon.options.tailwind {
            return;
        }
        let (start, end) = (start as usize, end as usize);
        if let Some(list) = self.scanner.text().get(start..end) {
            tailwind::classes(self.scanner, list, start);
        }
    }
}

impl<'a> Visit<'a> for Styles<'_, '_> {
    fn visit_jsx_attribute(&mut self, it: &JSXAttribute<'a>) {
        let Some(value) = &it.value else { return };
        let name = match &it.name {
            JSXAttributeName::Identifier(name) => name.name.as_str(),
            JSXAttributeName::NamespacedName(_) => "",
        };
        let expression = match value {
            JSXAttributeValue::ExpressionContainer(container) => container.expression.as_expression(),
            _ => None,
        };
        let is_style = matches!(name, "style" | "css" | "sx") || name.ends_with("Style");
        if let Some(style) = expression.filter(|_| is_style) {
            let mark = self.scanner.mark();
            style_object::styles(self.scanner, style);
            if name == "sx" {
                // Numbers of `sx` are steps of a scale that the component library has, and not pixels.
                self.scanner.since(mark).iter_mut().filter(|d| is_number(&d.text)).for_each(|d| d.fix = None);
            }
        } else if let Some(property) = painted(name) {
            let (mark, key) = (self.scanner.mark(), it.name.span());
            match value {
                JSXAttributeValue::StringLiteral(string) => {
                    style_object::painted(self.scanner, property, key, string.span)
                }
                _ => {
                    if let Some(expression) = expression {
                        style_object::paint(self.scanner, property, key, expression);
                    }
                }
            }
            if !matches!(name, "fill" | "stroke" | "stopColor" | "floodColor") {
                // Whether a component takes a `var(…)` as a colour is for its author to say.
                self.scanner.since(mark).iter_mut().for_each(|d| d.fix = None);
            }
        }
        let in_classes = matches!(name, "className" | "class") || name.ends_with("ClassName");
        self.with_classes(in_classes, |v| v.visit_jsx_attribute_value(value));
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        let name = it.callee.get_identifier_reference().map_or("", |id| id.name.as_str());
        let native = is_native_sheet(&it.callee);
        if STYLE_FUNCTIONS.contains(&name)
            || native
            || is_styled(&it.callee)
            || is_sheet(&it.callee)
            || self.vanilla && VANILLA_FUNCTIONS.contains(&name)
        {
            let mark = self.scanner.mark();
            for argument in it.arguments.iter().filter_map(Argument::as_expression) {
                style_object::styles(self.scanner, argument);
            }
            if native {
                // There are no custom properties there.
                self.scanner.since(mark).iter_mut().for_each(|d| d.fix = None);
            }
        }
        self.with_classes(false, |v| v.visit_expression(&it.callee));
        self.with_classes(CLASS_FUNCTIONS.contains(&name), |v| v.visit_arguments(&it.arguments));
    }

    fn visit_tagged_template_expression(&mut self, it: &TaggedTemplateExpression<'a>) {
        let name = it.tag.get_identifier_reference().map_or("", |id| id.name.as_str());
        if name == "tw" {
            return self.with_classes(true, |v| v.visit_template_literal(&it.quasi));
        }
        if matches!(name, "css" | "keyframes" | "createGlobalStyle" | "injectGlobal") || is_styled(&it.tag) {
            template::sheet(self.scanner, &it.quasi);
        }
        self.with_classes(false, |v| {
            v.visit_expression(&it.tag);
            v.visit_template_literal(&it.quasi);
        });
    }

    fn visit_string_literal(&mut self, it: &StringLiteral<'a>) {
        if self.in_classes {
            self.classes(it.span.start + 1, it.span.end.saturating_sub(1));
        }
    }

    fn visit_template_element(&mut self, it: &TemplateElement<'a>) {
        if self.in_classes {
            self.classes(it.span.start, it.span.end);
        }
    }

    fn visit_binary_expression(&mut self, it: &BinaryExpression<'a>) {
        // Strings that are compared are no classes; strings that are joined are.
        let joins = it.operator == BinaryOperator::Addition;
        self.with_classes(self.in_classes && joins, |v| walk::walk_binary_expression(v, it));
    }

    fn visit_computed_member_expression(&mut self, it: &ComputedMemberExpression<'a>) {
        self.visit_expression(&it.object);
        self.with_classes(false, |v| v.visit_expression(&it.expression));
    }
}

/// The property of an attribute of JSX that paints.
fn painted(name: &str) -> Option<&'static str> {
    Some(match name {
        "fill" => "fill",
        "stroke" => "stroke",
        "stopColor" | "stop-color" => "stop-color",
        "floodColor" | "flood-color" => "flood-color",
        "color" | "textColor" | "tintColor" | "iconColor" => "color",
        "bg" | "bgColor" | "bgcolor" | "backgroundColor" => "background-color",
        "borderColor" => "border-color",
        _ if name.ends_with("Color") => "accent-color",
        _ => return None,
    })
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

/// `StyleSheet.create`.
fn is_native_sheet(callee: &Expression<'_>) -> bool {
    is_member(callee, |object, name| object == "StyleSheet" && name == "create")
}

/// `stylex.create` and its like.
fn is_sheet(callee: &Expression<'_>) -> bool {
    is_member(callee, |object, name| {
        matches!(object, "stylex" | "css") && matches!(name, "create" | "keyframes" | "defineVars")
    })
}

fn is_member(callee: &Expression<'_>, wanted: impl Fn(&str, &str) -> bool) -> bool {
    let Expression::StaticMemberExpression(member) = callee else { return false };
    matches!(&member.object, Expression::Identifier(id) if wanted(id.name.as_str(), member.property.name.as_str()))
}

/// Whether an expression makes styled components: `styled.x`, `styled(X)`, `styled.x.attrs(…)`, `css.global`.
fn is_styled(expression: &Expression<'_>) -> bool {
    let mut expression = expression;
    let mut hops = 0;
    while hops < 8 {
        hops += 1;
        expression = match expression {
            Expression::StaticMemberExpression(member) => &member.object,
            Expression::CallExpression(call) if hops > 1 || is_callee_styled(call) => &call.callee,
            Expression::Identifier(id) => return hops > 1 && id.name == "styled",
            _ => return false,
        };
    }
    false
}

fn is_callee_styled(call: &CallExpression<'_>) -> bool {
    matches!(&call.callee, Expression::Identifier(id) if id.name == "styled")
        || matches!(&call.callee, Expression::StaticMemberExpression(_) | Expression::CallExpression(_))
}
