//! Documents compiled into plans: what is valid and bounded is decided once, not for every request.

use std::{collections::BTreeMap, sync::Arc};

use apollo_compiler::{
    ExecutableDocument, Node,
    ast::{DirectiveList, Value as Literal},
    executable::{Field as AstField, Operation as AstOperation, Selection, SelectionSet},
    parser::Parser,
    validation::Valid,
};
use ashlar_model::TypeName;
use serde_json::Value;

use super::schema::{Root, Schema};
use super::slot::{Kind, Slot};
use crate::search::{LIMIT_DEFAULT, LIMIT_MAX};

/// The largest document, in bytes.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 64 << 10;
/// The most tokens of a document.
const TOKENS_MAX: usize = 8_000;
/// How deep braces may nest.
const NESTED_MAX: usize = 64;
/// How deep fields may nest.
pub const DEPTH_MAX: usize = 12;
/// The most entries an operation may read, by the estimate made before it runs.
pub const COST_MAX: u64 = 2_000;
/// The entries a list of references counts for.
const REFERENCES_COUNTED: u64 = 10;
/// The entries that a search or a question counts for, beside those it shows.
const SEARCH_COUNTED: u64 = 400;
/// The most entries that an answer cites.
const ANSWER_COUNTED: u64 = 3;
/// Items of a page when `first` is not given, and at most.
pub(crate) const FIRST: usize = 20;
pub(crate) const FIRST_MAX: usize = 100;
/// The most selections that compiling an operation looks at: a fragment counts each time it is spread.
const VISITED_MAX: usize = 400_000;
/// The most compiled selections of a document.
const SELECTIONS_MAX: usize = 20_000;

/// Something against a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) code: &'static str,
    /// Line and column, both from 1, when it is about a place.
    pub(crate) at: Option<(usize, usize)>,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Objection {
    fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, at: None, message: message.into(), help: help.into() }
    }
}

/// An operation that can be run.
pub(crate) struct Plan {
    pub(crate) name: Option<String>,
    pub(crate) fields: Arc<Selected>,
    pub(crate) depth: usize,
    pub(crate) cost: u64,
    pub(crate) introspection: bool,
    pub(crate) document: Arc<Valid<ExecutableDocument>>,
    pub(crate) operation: Node<AstOperation>,
}

/// What is selected of one object type.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    pub(crate) type_name: String,
    pub(crate) fields: Vec<Selecting>,
    /// Members to look for.
    pub(crate) members: Vec<String>,
    depth: usize,
    cost: u64,
}

/// One field of an answer.
#[derive(Debug)]
pub(crate) struct Selecting {
    pub(crate) key: String,
    /// `"key":`
    pub(crate) written: Vec<u8>,
    pub(crate) show: Show,
    /// The position in `members` of what it shows.
    pub(crate) member: usize,
    pub(crate) below: Below,
    /// It is there when all conditions of one of these hold; always when one is empty.
    pub(crate) when: Vec<Conditions>,
}

/// `@include` and `@skip`: the variable, and the value it must have.
pub(crate) type Conditions = Vec<(String, bool)>;

/// Where a field comes from.
#[derive(Debug)]
pub(crate) enum Show {
    Member(Slot),
    Id,
    Type,
    Locale,
    Typename,
    /// A field of `Query`, with its arguments.
    Root(Root, Arguments),
    /// The items of a page.
    Items,
    /// The cursor of the next page.
    NextCursor,
}

/// What is selected of the objects a field leads to, by object type.
pub(crate) type Below = BTreeMap<String, Arc<Selected>>;

/// The arguments of a field, by name.
pub(crate) type Arguments = BTreeMap<String, Argument>;

/// A value of an argument.
#[derive(Debug, Clone)]
pub(crate) enum Argument {
    Is(Value),
    Variable(String),
    List(Vec<Argument>),
    Object(BTreeMap<String, Argument>),
}

impl Argument {
    fn read(literal: &Literal) -> Self {
        match literal {
            Literal::Null => Self::Is(Value::Null),
            Literal::Enum(name) => Self::Is(Value::from(name.as_str())),
            Literal::Variable(name) => Self::Variable(name.to_string()),
            Literal::String(text) => Self::Is(Value::from(text.as_str())),
            Literal::Float(number) => Self::Is(number.try_to_f64().map_or(Value::Null, Value::from)),
            Literal::Int(number) => Self::Is(match number.try_to_i32() {
                Ok(whole) => Value::from(whole),
                // A whole number where a Float is wanted.
                Err(_) => number.try_to_f64().map_or(Value::Null, Value::from),
            }),
            Literal::Boolean(b) => Self::Is(Value::from(*b)),
            Literal::List(items) => Self::List(items.iter().map(|i| Self::read(i)).collect()),
            Literal::Object(fields) => {
                Self::Object(fields.iter().map(|(name, v)| (name.to_string(), Self::read(v))).collect())
            }
        }
    }

    /// Its value; `None` when it is a variable that is not given.
    pub(crate) fn value(&self, variables: &serde_json::Map<String, Value>) -> Option<Value> {
        match self {
            Self::Is(value) => Some(value.clone()),
            Self::Variable(name) => variables.get(name).cloned(),
            Self::List(items) => {
                Some(Value::Array(items.iter().map(|i| i.value(variables).unwrap_or(Value::Null)).collect()))
            }
            Self::Object(fields) => Some(Value::Object(
                fields.iter().filter_map(|(n, v)| Some((n.clone(), v.value(variables)?))).collect(),
            )),
        }
    }
}

/// A parser that keeps to what a document may hold.
pub(crate) fn parser() -> Parser {
    Parser::new().recursion_limit(NESTED_MAX).token_limit(TOKENS_MAX)
}

/// Parses and validates a document and compiles its operations.
pub(crate) fn compile(schema: &Schema, text: &str, file: &str) -> Result<Vec<Plan>, Vec<Objection>> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("the document has more than {DOCUMENT_BYTES_MAX} bytes");
        return Err(vec![Objection::new("query-too-large", message, "split it into several files")]);
    }
    let invalid = |errors: &apollo_compiler::validation::DiagnosticList| -> Vec<Objection> {
        let mut out: Vec<Objection> = errors
            .iter()
            .take(50)
            .map(|e| Objection {
                code: "query-invalid",
                at: e.line_column_range().map(|r| (r.start.line, r.start.column)),
                message: e.error.to_string().trim().to_owned(),
                help: "`ashlar contracts types --lang graphql` shows the schema".to_owned(),
            })
            .collect();
        out.dedup();
        out
    };
    let parsed = parser().parse_executable(&schema.valid, text, file);
    let document =
        parsed.map_err(|e| invalid(&e.errors))?.validate(&schema.valid).map_err(|e| invalid(&e.errors))?;
    let document = Arc::new(document);
    let mut plans = Vec::new();
    let mut objections = Vec::new();
    for operation in document.operations.iter() {
        let mut compiler =
            Compiler { schema, document: &document, known: BTreeMap::new(), made: 0, visited: 0 };
        match compiler.operation(operation) {
            Ok((fields, introspection)) => plans.push(Plan {
                name: operation.name.as_ref().map(ToString::to_string),
                depth: fields.depth,
                cost: fields.cost,
                introspection,
                fields,
                document: document.clone(),
                operation: operation.clone(),
            }),
            Err(mut objection) => {
                objection.at = objection.at.or_else(|| {
                    let place = operation.location()?.line_column(&document.sources)?;
                    Some((place.line, place.column))
                });
                objections.push(objection);
            }
        }
    }
    if plans.is_empty() && objections.is_empty() {
        objections.push(Objection::new(
            "query-empty",
            "the document has no operation",
            "write `query Name { … }`; fragments alone answer nothing",
        ));
    }
    if objections.is_empty() { Ok(plans) } else { Err(objections) }
}

/// Selection sets that are merged, with the conditions each is under.
type Sets<'d> = Vec<(&'d SelectionSet, Conditions)>;
type Known = BTreeMap<(Vec<(usize, Conditions)>, String), Arc<Selected>>;

struct Compiler<'s, 'd> {
    schema: &'s Schema,
    document: &'d ExecutableDocument,
    known: Known,
    made: usize,
    visited: usize,
}

impl<'d> Compiler<'_, 'd> {
    fn operation(&mut self, operation: &'d Node<AstOperation>) -> Result<(Arc<Selected>, bool), Objection> {
        if !operation.is_query() {
            return Err(Objection::new(
                "query-kind",
                format!("a {} cannot be run here", operation.operation_type),
                "content is changed through drafts and releases; write `query`",
            ));
        }
        let mut own = 0;
        let mut introspection = false;
        for field in operation.root_fields(self.document) {
            match field.name.as_str() {
                "__schema" | "__type" => introspection = true,
                "__typename" => {}
                _ => own += 1,
            }
        }
        if introspection && own > 0 {
            return Err(Objection::new(
                "query-introspection",
                "introspection cannot be combined with content",
                "ask for `__schema` or `__type` in an operation of their own",
            ));
        }
        if introspection {
            return Ok((Arc::default(), true));
        }
        let fields = self.selected(vec![(&operation.selection_set, Vec::new())], "Query", 1)?;
        if fields.cost > COST_MAX {
            return Err(Objection::new(
                "query-cost",
                format!("the operation may read {} entries; {COST_MAX} are allowed", fields.cost),
                format!(
                    "ask for fewer items with `first`, or follow fewer references; a list of references counts for {REFERENCES_COUNTED}"
                ),
            ));
        }
        Ok((fields, false))
    }

    fn applies(&self, condition: &str, type_name: &str) -> bool {
        condition == type_name || self.schema.valid.is_subtype(condition, type_name)
    }

    /// The fields of all sets that apply to an object type, in order, those with the same key as one.
    fn collect(
        &mut self,
        sets: &Sets<'d>,
        type_name: &str,
    ) -> Vec<(String, Vec<(&'d Node<AstField>, Conditions)>)> {
        let mut out: Vec<(String, Vec<(&'d Node<AstField>, Conditions)>)> = Vec::new();
        let mut seen = Vec::new();
        let mut waiting: Vec<(&'d SelectionSet, Conditions)> = sets.iter().rev().cloned().collect();
        // Depth first and in order: what a fragment holds comes where it is spread.
        let mut todo: Vec<(&'d Selection, Conditions)> = Vec::new();
        while let Some((set, conditions)) = waiting.pop() {
            todo.extend(set.selections.iter().rev().map(|s| (s, conditions.clone())));
            while let Some((selection, outer)) = todo.pop() {
                self.visited += 1 + outer.len() + out.len() / 16;
                if self.visited > VISITED_MAX {
                    return out;
                }
                let Some(conditions) = under(selection.directives(), outer) else { continue };
                match selection {
                    Selection::Field(field) => {
                        let key = field.response_key().as_str();
                        match out.iter_mut().find(|(k, _)| k == key) {
                            Some((_, all)) => all.push((field, conditions)),
                            None => out.push((key.to_owned(), vec![(field, conditions)])),
                        }
                    }
                    Selection::InlineFragment(inline) => {
                        if inline.type_condition.as_ref().is_none_or(|t| self.applies(t, type_name)) {
                            let all = inline.selection_set.selections.iter().rev();
                            todo.extend(all.map(|s| (s, conditions.clone())));
                        }
                    }
                    Selection::FragmentSpread(spread) => {
                        let visit = (spread.fragment_name.as_str(), conditions.clone());
                        if seen.contains(&visit) {
                            continue;
                        }
                        seen.push(visit);
                        if let Some(fragment) = spread.fragment_def(self.document)
                            && self.applies(fragment.type_condition(), type_name)
                        {
                            let all = fragment.selection_set.selections.iter().rev();
                            todo.extend(all.map(|s| (s, conditions.clone())));
                        }
                    }
                }
            }
        }
        out
    }

    fn selected(
        &mut self,
        sets: Sets<'d>,
        type_name: &str,
        depth: usize,
    ) -> Result<Arc<Selected>, Objection> {
        if depth > DEPTH_MAX {
            return Err(Objection::new(
                "query-depth",
                format!("fields nest deeper than {DEPTH_MAX}"),
                "ask for what is further away in another operation",
            ));
        }
        let id = (
            sets.iter().map(|(set, c)| (std::ptr::from_ref(*set) as usize, c.clone())).collect::<Vec<_>>(),
            type_name.to_owned(),
        );
        if let Some(known) = self.known.get(&id) {
            // Depth is counted from the top: what was compiled nearer to it may be too deep here.
            if depth + known.depth - 1 <= DEPTH_MAX {
                return Ok(known.clone());
            }
        }
        let mut out = Selected { type_name: type_name.to_owned(), depth: 1, ..Selected::default() };
        for (key, all) in self.collect(&sets, type_name) {
            self.made += 1;
            if self.made > SELECTIONS_MAX || self.visited > VISITED_MAX {
                return Err(Objection::new(
                    "query-too-large",
                    "the document selects too much in too many ways",
                    "use fewer fragments inside one another",
                ));
            }
            let Some((first, _)) = all.first() else { continue };
            let sets: Sets<'d> = all.iter().map(|(f, c)| (&f.selection_set, c.clone())).collect();
            let (show, types, each) = self.show(first, type_name)?;
            let mut below = Below::new();
            let (mut cost, mut deepest) = (0, 0);
            for inner in types {
                let inner_selected = self.selected(sets.clone(), &inner, depth + 1)?;
                cost = cost.max(inner_selected.cost);
                deepest = deepest.max(inner_selected.depth);
                below.insert(inner, inner_selected);
            }
            out.cost = out.cost.saturating_add(match each {
                // Not an entry of its own: what is inside it counts.
                0 => cost,
                each => each.saturating_mul(cost + 1),
            });
            if let Show::Root(Root::Search | Root::Answer, _) = &show {
                out.cost = out.cost.saturating_add(SEARCH_COUNTED);
            }
            out.depth = out.depth.max(deepest + 1);
            let mut member_at = 0;
            if let Show::Member(_) = &show {
                let member = self
                    .schema
                    .objects
                    .get(type_name)
                    .and_then(|o| o.fields.get(first.name.as_str()))
                    .map(|f| f.member.clone())
                    .unwrap_or_default();
                member_at = out.members.iter().position(|name| *name == member).unwrap_or(out.members.len());
                if member_at == out.members.len() {
                    out.members.push(member);
                }
            }
            out.fields.push(Selecting {
                written: format!("\"{key}\":").into_bytes(),
                key,
                show,
                member: member_at,
                below,
                when: all.into_iter().map(|(_, c)| c).collect(),
            });
        }
        let out = Arc::new(out);
        self.known.insert(id, out.clone());
        Ok(out)
    }

    /// Where a field comes from, the object types it may lead to, and how many entries it reads (0 when it reads none).
    fn show(&self, field: &Node<AstField>, type_name: &str) -> Result<(Show, Vec<String>, u64), Objection> {
        let plain = |show| Ok((show, Vec::new(), 0));
        match field.name.as_str() {
            "__typename" => return plain(Show::Typename),
            "_id" => return plain(Show::Id),
            "_type" => return plain(Show::Type),
            "_locale" => return plain(Show::Locale),
            _ => {}
        }
        if type_name == "Query"
            && let Some(root) = self.schema.roots.get(field.name.as_str())
        {
            return self.root(field, root);
        }
        let Some(interface) = self.page_of(type_name) else { return self.member(field, type_name) };
        if field.name != "items" {
            return plain(Show::NextCursor);
        }
        let all = self.schema.entries.values().flat_map(BTreeMap::values);
        Ok((Show::Items, all.filter(|t| self.applies(&interface, t)).cloned().collect(), 0))
    }

    /// The object types of the entries of a type.
    fn types_of(&self, source: &TypeName) -> Vec<String> {
        self.schema.entries.get(source).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// A field of `Query`.
    fn root(&self, field: &Node<AstField>, root: &Root) -> Result<(Show, Vec<String>, u64), Objection> {
        let arguments: Arguments =
            field.arguments.iter().map(|a| (a.name.to_string(), Argument::read(&a.value))).collect();
        let wrong = |code, message: String, help: String| Objection {
            at: self.place(field),
            ..Objection::new(code, message, help)
        };
        match root {
            Root::One { source, by } => {
                if arguments.keys().filter(|a| by.contains_key(*a)).count() != 1 {
                    let names: Vec<&str> = by.keys().map(String::as_str).collect();
                    let message = format!("`{}` needs exactly one of: {}", field.name, names.join(", "));
                    return Err(wrong(
                        "query-lookup",
                        message,
                        "say which entry is meant, in one way".to_owned(),
                    ));
                }
                Ok((Show::Root(root.clone(), arguments), self.types_of(source), 1))
            }
            Root::List { .. } => {
                let first = self.bounded(field, &arguments, "first", (FIRST, FIRST_MAX))?;
                let page = field.ty().inner_named_type().to_string();
                // Items count once for each, and nothing for the page itself.
                Ok((Show::Root(root.clone(), arguments), vec![page], first))
            }
            Root::Search => {
                let limit = self.bounded(field, &arguments, "limit", (LIMIT_DEFAULT, LIMIT_MAX))?;
                let results = field.ty().inner_named_type().to_string();
                Ok((Show::Root(root.clone(), arguments), vec![results], limit))
            }
            Root::Answer => {
                let answer = field.ty().inner_named_type().to_string();
                Ok((Show::Root(root.clone(), arguments), vec![answer], ANSWER_COUNTED))
            }
        }
    }

    /// How many items an argument asks for: `usual` without it, and at most `most`, which a variable counts for.
    fn bounded(
        &self,
        field: &Node<AstField>,
        arguments: &Arguments,
        name: &str,
        (usual, most): (usize, usize),
    ) -> Result<u64, Objection> {
        let count = match arguments.get(name) {
            None | Some(Argument::Is(Value::Null)) => usual,
            Some(Argument::Is(n)) => {
                let allowed = n.as_u64().and_then(|n| usize::try_from(n).ok());
                allowed.filter(|n| (1..=most).contains(n)).ok_or_else(|| {
                    let further = if name == "first" { "after" } else { "offset" };
                    let help = format!("ask for 1 to {most} items, and for more with `{further}`");
                    let objection = Objection::new("query-page-size", format!("`{name}` is {n}"), help);
                    Objection { at: self.place(field), ..objection }
                })?
            }
            // Whatever the variable will be.
            Some(_) => most,
        };
        Ok(count as u64)
    }

    /// A member of an object.
    fn member(&self, field: &Node<AstField>, type_name: &str) -> Result<(Show, Vec<String>, u64), Objection> {
        let found = self.schema.objects.get(type_name).and_then(|o| o.fields.get(field.name.as_str()));
        let Some(found) = found else {
            let message = format!("`{type_name}` has no field `{}`", field.name);
            return Err(Objection::new("query-invalid", message, ""));
        };
        let (mut types, mut each) = (Vec::new(), 0);
        let mut kind = &found.slot.kind;
        let mut lists = 0_u32;
        loop {
            match kind {
                Kind::List(item) => {
                    kind = &item.kind;
                    lists += 1;
                }
                Kind::Object(name) => break types.push(name.clone()),
                Kind::Union { types: all, .. } => break types.extend(all.values().cloned()),
                Kind::Reference(sources) => {
                    types.extend(sources.iter().flat_map(|source| self.types_of(source)));
                    each = REFERENCES_COUNTED.saturating_pow(lists.min(3));
                    break;
                }
                _ => break,
            }
        }
        Ok((Show::Member(found.slot.clone()), types, each))
    }

    /// The interface of the items when a type is that of a page.
    fn page_of(&self, type_name: &str) -> Option<String> {
        if self.schema.objects.contains_key(type_name) {
            return None;
        }
        let page = self.schema.valid.get_object(type_name)?;
        Some(page.fields.get("items")?.ty.inner_named_type().to_string())
    }

    fn place(&self, field: &Node<AstField>) -> Option<(usize, usize)> {
        let place = field.location()?.line_column(&self.document.sources)?;
        Some((place.line, place.column))
    }
}

/// The conditions under which something with these directives is there; `None` when it never is.
fn under(directives: &DirectiveList, mut conditions: Conditions) -> Option<Conditions> {
    for (word, wanted) in [("skip", false), ("include", true)] {
        let value = directives.get(word).and_then(|d| d.specified_argument_by_name("if").cloned());
        match value.as_deref() {
            Some(Literal::Boolean(b)) if *b != wanted => return None,
            Some(Literal::Variable(name)) => {
                let condition = (name.to_string(), wanted);
                if !conditions.contains(&condition) {
                    conditions.push(condition);
                    conditions.sort();
                }
            }
            _ => {}
        }
    }
    Some(conditions)
}
