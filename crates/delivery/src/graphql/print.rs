//! Documents as clients print them. A client that was given a file does not send the file's bytes: it parses the document,
//! adds `__typename` where its cache needs it, and sends the hash of what its printer makes of that.

use std::fmt::Write as _;

use apollo_compiler::{
    ast::{
        Definition, DirectiveList, Document, Field, FragmentDefinition, OperationDefinition, Selection,
        Value, VariableDefinition,
    },
    name,
};

/// Arguments of a field on a line longer than this are printed one to a line.
const LINE_MAX: usize = 80;

/// Prints operations and fragments as graphql-js does.
pub(super) fn print(document: &Document) -> String {
    let mut out = String::new();
    for definition in &document.definitions {
        let mark = out.len();
        if mark > 0 {
            out.push_str("\n\n");
        }
        match definition {
            Definition::OperationDefinition(operation) => self::operation(&mut out, operation),
            Definition::FragmentDefinition(fragment) => self::fragment(&mut out, fragment),
            _ => out.truncate(mark),
        }
    }
    out
}

/// Adds `__typename` to every selection set but those of operations, where none is yet, as clients with a cache do.
pub(super) fn with_typenames(document: &mut Document) {
    for definition in &mut document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                inner_typenames(&mut operation.make_mut().selection_set);
            }
            Definition::FragmentDefinition(fragment) => typenames(&mut fragment.make_mut().selection_set),
            _ => {}
        }
    }
}

fn inner_typenames(set: &mut [Selection]) {
    for selection in set {
        match selection {
            Selection::Field(field) if !field.selection_set.is_empty() => {
                typenames(&mut field.make_mut().selection_set);
            }
            Selection::InlineFragment(inline) => typenames(&mut inline.make_mut().selection_set),
            _ => {}
        }
    }
}

fn typenames(set: &mut Vec<Selection>) {
    inner_typenames(set);
    let has = |s: &Selection| s.as_field().is_some_and(|f| f.name.starts_with("__"));
    if !set.iter().any(has) {
        let field = Field {
            alias: None,
            name: name!("__typename"),
            arguments: Vec::new(),
            directives: DirectiveList::default(),
            selection_set: Vec::new(),
        };
        set.push(Selection::Field(field.into()));
    }
}

/// A text without comments, blank lines and what surrounds it, as urql sends texts and what it printed. What is between
/// quotes stays.
pub(super) fn trimmed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' => quoted(rest),
            '#' => {
                rest = &rest[rest.find(['\n', '\r']).unwrap_or(rest.len())..];
                // A comment goes with the ends of lines behind it, which the next turn takes.
                if rest.is_empty() {
                    out.push('\n');
                }
                continue;
            }
            '\n' | '\r' => {
                rest = rest.trim_start_matches(['\n', '\r']);
                out.push('\n');
                continue;
            }
            other => other.len_utf8(),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out.trim().to_owned()
}

/// The length of the string that `text` starts with.
fn quoted(text: &str) -> usize {
    if let Some(block) = text.strip_prefix("\"\"\"") {
        return block.rfind("\"\"\"").map_or(text.len(), |end| end + 6);
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn operation(out: &mut String, operation: &OperationDefinition) {
    let word = operation.operation_type.name();
    let mut head = word.to_owned();
    if let Some(name) = &operation.name {
        head.push(' ');
        head.push_str(name);
    }
    if !operation.variables.is_empty() {
        if operation.name.is_none() {
            head.push(' ');
        }
        head.push('(');
        for (n, variable) in operation.variables.iter().enumerate() {
            head.push_str(if n == 0 { "" } else { ", " });
            self::variable(&mut head, variable);
        }
        head.push(')');
    }
    directives(&mut head, &operation.directives);
    // An anonymous query without more is printed in its short form.
    if head != "query" {
        out.push_str(&head);
        out.push(' ');
    }
    selections(out, &operation.selection_set, 0);
}

fn variable(out: &mut String, variable: &VariableDefinition) {
    let _ = write!(out, "${}: {}", variable.name, variable.ty);
    if let Some(default) = &variable.default_value {
        out.push_str(" = ");
        value(out, default);
    }
    directives(out, &variable.directives);
}

fn fragment(out: &mut String, fragment: &FragmentDefinition) {
    let _ = write!(out, "fragment {} on {}", fragment.name, fragment.type_condition);
    directives(out, &fragment.directives);
    out.push(' ');
    selections(out, &fragment.selection_set, 0);
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

fn selections(out: &mut String, set: &[Selection], depth: usize) {
    out.push('{');
    for selection in set {
        line(out, depth + 1);
        match selection {
            Selection::Field(field) => self::field(out, field, depth + 1),
            Selection::FragmentSpread(spread) => {
                out.push_str("...");
                out.push_str(&spread.fragment_name);
                directives(out, &spread.directives);
            }
            Selection::InlineFragment(inline) => {
                out.push_str("...");
                if let Some(condition) = &inline.type_condition {
                    out.push_str(" on ");
                    out.push_str(condition);
                }
                directives(out, &inline.directives);
                out.push(' ');
                selections(out, &inline.selection_set, depth + 1);
            }
        }
    }
    line(out, depth);
    out.push('}');
}

fn field(out: &mut String, field: &Field, depth: usize) {
    let mark = out.len();
    if let Some(alias) = &field.alias {
        out.push_str(alias);
        out.push_str(": ");
    }
    out.push_str(&field.name);
    if !field.arguments.is_empty() {
        let all: Vec<String> = field.arguments.iter().map(|a| argument(&a.name, &a.value)).collect();
        let one_line = all.join(", ");
        // Printers count in UTF-16.
        let len = out[mark..].encode_utf16().count() + one_line.encode_utf16().count() + 2;
        if len > LINE_MAX {
            out.push('(');
            for argument in &all {
                line(out, depth + 1);
                out.push_str(argument);
            }
            line(out, depth);
            out.push(')');
        } else {
            let _ = write!(out, "({one_line})");
        }
    }
    directives(out, &field.directives);
    if !field.selection_set.is_empty() {
        out.push(' ');
        selections(out, &field.selection_set, depth);
    }
}

fn directives(out: &mut String, directives: &DirectiveList) {
    for directive in directives.iter() {
        let _ = write!(out, " @{}", directive.name);
        if !directive.arguments.is_empty() {
            let all: Vec<String> = directive.arguments.iter().map(|a| argument(&a.name, &a.value)).collect();
            let _ = write!(out, "({})", all.join(", "));
        }
    }
}

fn argument(name: &str, of: &Value) -> String {
    let mut out = format!("{name}: ");
    value(&mut out, of);
    out
}

fn value(out: &mut String, of: &Value) {
    match of {
        Value::Null => out.push_str("null"),
        Value::Enum(name) => out.push_str(name),
        Value::Variable(name) => {
            out.push('$');
            out.push_str(name);
        }
        Value::String(text) => string(out, text),
        Value::Float(number) => out.push_str(number.as_str()),
        Value::Int(number) => out.push_str(number.as_str()),
        Value::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::List(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                value(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (n, (name, item)) in fields.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                out.push_str(&argument(name, item));
            }
            out.push('}');
        }
    }
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_clients_do() {
        let text = "# A comment\n\nquery   Q($a: [Int!]! = [1,2], $b: String = \"x\\n#\") @d {\n  p: plan(id: \"a\", \
            locale: $b) @include(if: true) { ...F, ... on Plan { name } ... { price } }\n\n\n  planList(where: {price: {gte: 1.50, \
            lte: 1e3}}, sort: price_DESC, first: 100, after: null, locale: \"de\") { items { __typename } } }\nfragment F on Plan { key: slug }\n";
        let mut document = Document::parse(text, "q.graphql").unwrap();
        let printed = print(&document);
        assert_eq!(
            printed,
            "query Q($a: [Int!]! = [1, 2], $b: String = \"x\\n#\") @d {\n  p: plan(id: \"a\", locale: $b) @include(if: true) {\n    ...F\n    \
             ... on Plan {\n      name\n    }\n    ... {\n      price\n    }\n  }\n  planList(\n    where: {price: {gte: 1.50, lte: 1e3}}\n    \
             sort: price_DESC\n    first: 100\n    after: null\n    locale: \"de\"\n  ) {\n    items {\n      __typename\n    }\n  }\n}\n\n\
             fragment F on Plan {\n  key: slug\n}"
        );
        // What is printed is printed the same.
        assert_eq!(print(&Document::parse(&printed, "q.graphql").unwrap()), printed);
        with_typenames(&mut document);
        let with = print(&document);
        assert_eq!(with.matches("__typename").count(), 6, "{with}");
        assert!(with.ends_with("fragment F on Plan {\n  key: slug\n  __typename\n}"), "{with}");
        assert_eq!(print(&Document::parse("{ a }", "q.graphql").unwrap()), "{\n  a\n}");
        assert_eq!(
            print(&Document::parse("query($a: Int) { a }", "q.graphql").unwrap()),
            "query ($a: Int) {\n  a\n}"
        );
        assert_eq!(
            trimmed("# c\n\nquery A { # d\n\n  a(b: \"#\\\"\n\n\") }\n"),
            "query A { \n  a(b: \"#\\\"\n\n\") }"
        );
    }
}
