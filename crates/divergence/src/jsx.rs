//! JavaScript and TypeScript: class lists, style objects and CSS in templates.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use oxc_allocator::Allocator;
use oxc_ast::ast::*;
use oxc_ast_visit::{Visit, walk};
use oxc_parser::Parser;
use oxc_span::SourceType;

use crate::scanner::Scanner;
use crate::{style_object, tailwind, template};

/// Functions whose string arguments are class lists.
const CLASS_FUNCTIONS: [&str; 9] =
    ["clsx", "cn", "cx", "classNames", "classnames", "cva", "tv", "twMerge", "twJoin"];

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
    let read = AssertUnwindSafe(|| read(scanner, text));
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

fn read(scanner: &mut Scanner<'_>, text: &str) {
    // The file's name is not known here, so the dialects are tried; most files are the first.
    let dialects = [SourceType::tsx(), SourceType::ts(), SourceType::jsx().with_script(true)];
    let mut errors = vec![];
    for dialect in dialects {
        let allocator = Allocator::default();
        let parsed = Parser::new(&allocator, text, dialect).parse();
        let Some(error) = parsed.diagnostics.first().map(ToString::to_string) else {
            Styles { scanner, in_classes: false }.visit_program(&parsed.program);
            return;
        };
        errors.push((parsed.panicked, error));
    }
    let readable = errors.iter().position(|(panicked, _)| !panicked);
    let Some((_, error)) = errors.get(readable.unwrap_or_default()) else { return };
    if let Some(dialect) = readable.and_then(|r| dialects.get(r)) {
        let allocator = Allocator::default();
        let parsed = Parser::new(&allocator, text, *dialect).parse();
        Styles { scanner, in_classes: false }.visit_program(&parsed.program);
    }
    scanner.note(error.as_str());
}

struct Styles<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    /// Whether strings are class lists here.
    in_classes: bool,
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
        if let ("style" | "css", JSXAttributeValue::ExpressionContainer(container)) = (name, value)
            && let Some(style) = container.expression.as_expression()
        {
            style_object::styles(self.scanner, style);
        }
        let in_classes = matches!(name, "className" | "class") || name.ends_with("ClassName");
        self.with_classes(in_classes, |v| v.visit_jsx_attribute_value(value));
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        let name = it.callee.get_identifier_reference().map_or("", |id| id.name.as_str());
        if name == "css" || is_styled(&it.callee) {
            for argument in it.arguments.iter().filter_map(Argument::as_expression) {
                style_object::styles(self.scanner, argument);
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
