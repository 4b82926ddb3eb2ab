//! Types as programs have them, read from schemas.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{ContractName, TypeName};
use serde_json::{Map, Value};

use crate::{
    ContractSet,
    refs::{look_up, target},
};

/// Schemas inside one another that are followed.
const DEPTH_MAX: usize = 40;
/// Members of a union that are written out; beyond them it is any value.
const UNION_MAX: usize = 200;

/// An endpoint that a client gets a method for.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its name: `pages.v1`.
    pub name: String,
    /// The path before the parameter: `/v1/pages/`.
    pub prefix: String,
    /// The name of the parameter: `slug`.
    pub parameter: String,
    /// The schema of its bodies; contracts by file name.
    pub schema: Value,
    /// What is said of it where it is used: its version, its end.
    pub doc: String,
    /// Whether new clients should use another.
    pub deprecated: bool,
}

/// A persisted GraphQL operation that a client gets a method for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Its name: `HomePage`.
    pub name: String,
    /// Its name in the document, when it has one.
    pub operation_name: Option<String>,
    /// `sha256:…`
    pub document_id: String,
    /// The schema of its variables.
    pub variables: Value,
    /// The schema of its `data`.
    pub data: Value,
    /// The file it is in.
    pub doc: String,
}

/// A type as programs have it.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// Nothing is known of it.
    Any,
    /// `null`
    Null,
    /// True or false.
    Bool,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// A whole number of at most 32 bits.
    SmallInteger,
    /// Text.
    Text,
    /// A text that names an entry of one of these types.
    Reference(Vec<TypeName>),
    /// This value and no other.
    Literal(Value),
    /// A list of one type.
    List(Box<Type>),
    /// An object with any names.
    Dictionary(Box<Type>),
    /// An object with these members.
    Object(Vec<Member>),
    /// A type of [`Shapes::named`].
    Named(String),
    /// One of several.
    Union(Vec<Type>),
    /// Several at once.
    Both(Vec<Type>),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Type,
    /// Whether it is always there.
    pub required: bool,
    /// What the schema says of it.
    pub doc: String,
}

/// All types that contracts make.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    /// Name → type and what the schema says of it.
    pub named: BTreeMap<String, (Type, String)>,
    /// The name of the type of each contract.
    pub contracts: BTreeMap<ContractName, String>,
}

impl Shapes {
    /// Reads the types of all contracts.
    pub fn read(contracts: &ContractSet) -> Self {
        let mut reader = Reader::new(contracts);
        let contracts = contracts.iter().map(|c| (c.name.clone(), reader.name_of(&c.file()))).collect();
        let named = reader.definitions().into_iter().map(|d| (d.name, (d.kind, d.doc))).collect();
        Self { named, contracts }
    }
}

/// A named type.
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) kind: Type,
}

/// `pages.v1` → `PagesV1Body`
pub(super) fn body_name(operation: &Operation) -> String {
    format!("{}Body", pascal(&operation.name))
}

/// Any text as a name of a type.
pub(super) fn pascal(text: &str) -> String {
    let mut out = String::new();
    for part in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| !p.is_empty()) {
        let (first, rest) = part.split_at(1);
        out.push_str(&first.to_ascii_uppercase());
        // `EUR` is a word like any other.
        match part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            true => out.push_str(&rest.to_ascii_lowercase()),
            false => out.push_str(rest),
        }
    }
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, 'T');
    }
    out
}

fn doc_of(schema: &Value) -> String {
    let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
    let word = |name: &str| schema.get("x-ashlar").and_then(|x| x.get(name)).and_then(Value::as_str);
    let mut doc: Vec<&str> = vec![text("description")];
    if doc[0].is_empty() {
        doc[0] = text("title");
    }
    doc.extend(word("semantics"));
    doc.extend(word("unit"));
    doc.retain(|d| !d.is_empty());
    doc.join(" · ").replace("*/", "* /").replace(['\n', '\r'], " ")
}

/// Reads the types of schemas; what they refer to gets a name.
pub(super) struct Reader<'a> {
    contracts: &'a ContractSet,
    /// Reference → name of its type.
    named: BTreeMap<String, String>,
    /// Names of types, and the last number that was put behind each.
    taken: BTreeMap<String, usize>,
    /// The files of contracts.
    files: BTreeSet<String>,
    waiting: Vec<(String, String)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(contracts: &'a ContractSet) -> Self {
        let files = contracts.iter().map(crate::Contract::file).collect();
        Self { contracts, named: BTreeMap::new(), taken: BTreeMap::new(), files, waiting: Vec::new() }
    }

    /// The types of everything that was named, and of what that names, by name.
    pub(super) fn definitions(&mut self) -> Vec<Definition> {
        let documents = self.contracts.iter().next().map(|c| c.documents.clone()).unwrap_or_default();
        let mut out = Vec::new();
        while let Some((reference, name)) = self.waiting.pop() {
            let place = target("", &reference);
            let schema = look_up(&documents, &place).cloned().unwrap_or(Value::Bool(true));
            let doc = doc_of(&schema);
            let kind = self.type_of(&schema, &place.file, 0);
            out.push(Definition { name, doc, kind });
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        out
    }

    pub(super) fn name_of(&mut self, reference: &str) -> String {
        if let Some(name) = self.named.get(reference) {
            return name.clone();
        }
        let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let stem = file.trim_end_matches(".json");
        let last = pointer.rsplit('/').next().unwrap_or_default();
        let mut name = pascal(&format!("{stem} {last}"));
        let plain = name.clone();
        while self.taken.contains_key(&name) {
            let number = self.taken.entry(plain.clone()).or_insert(1);
            *number += 1;
            name = format!("{plain}_{number}");
        }
        self.taken.insert(name.clone(), 1);
        self.named.insert(reference.to_owned(), name.clone());
        self.waiting.push((reference.to_owned(), name.clone()));
        name
    }

    pub(super) fn type_of(&mut self, schema: &Value, file: &str, depth: usize) -> Type {
        let Some(map) = schema.as_object().filter(|_| depth < DEPTH_MAX) else { return Type::Any };
        let mut parts = Vec::new();
        if let Some(to) = map.get("$ref").and_then(Value::as_str) {
            let to = if to.starts_with('#') { format!("{file}{to}") } else { to.to_owned() };
            let to = to.strip_suffix('#').map(str::to_owned).unwrap_or(to);
            let place = target(file, &to);
            let known = self.files.contains(&place.file);
            parts.push(if known { Type::Named(self.name_of(&to)) } else { Type::Any });
        }
        if let Some(value) = map.get("const") {
            parts.push(Type::Literal(value.clone()));
        } else if let Some(list) = map.get("enum").and_then(Value::as_array).filter(|l| l.len() <= UNION_MAX)
        {
            parts.push(union(list.iter().cloned().map(Type::Literal).collect()));
        } else {
            parts.push(self.plain_type(map, file, depth));
        }
        for part in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            parts.push(self.type_of(part, file, depth + 1));
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(list) = map.get(word).and_then(Value::as_array).filter(|l| l.len() <= UNION_MAX) {
                parts.push(union(list.iter().map(|s| self.type_of(s, file, depth + 1)).collect()));
            }
        }
        parts.retain(|p| *p != Type::Any);
        match parts.len() {
            0 => Type::Any,
            1 => parts.remove(0),
            _ => both(parts),
        }
    }

    /// What `type` and the words for it say.
    fn plain_type(&mut self, map: &Map<String, Value>, file: &str, depth: usize) -> Type {
        let types: Vec<&str> = match map.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ if map.contains_key("properties") => vec!["object"],
            _ => return Type::Any,
        };
        let kinds = types
            .into_iter()
            .map(|t| match t {
                "null" => Type::Null,
                "boolean" => Type::Bool,
                "number" => Type::Number,
                "integer" => {
                    let within = |word: &str| {
                        map.get(word).and_then(Value::as_i64).is_some_and(|n| i32::try_from(n).is_ok())
                    };
                    if within("minimum") && within("maximum") { Type::SmallInteger } else { Type::Integer }
                }
                "string" => references(map).map_or(Type::Text, Type::Reference),
                "array" => {
                    let prefix = map.get("prefixItems").and_then(Value::as_array);
                    if prefix.is_some_and(|p| p.len() > UNION_MAX) {
                        return Type::List(Box::new(Type::Any));
                    }
                    let mut items: Vec<Type> =
                        prefix.into_iter().flatten().map(|s| self.type_of(s, file, depth + 1)).collect();
                    items.extend(map.get("items").map(|s| self.type_of(s, file, depth + 1)));
                    // `ref` on the array itself means its items.
                    if let Some(types) = references(map) {
                        items = vec![Type::Reference(types)];
                    }
                    Type::List(Box::new(if items.is_empty() { Type::Any } else { union(items) }))
                }
                _ => self.object_type(map, file, depth),
            })
            .collect();
        union(kinds)
    }

    fn object_type(&mut self, map: &Map<String, Value>, file: &str, depth: usize) -> Type {
        let required: Vec<&str> = map
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = map.get("properties").and_then(Value::as_object);
        if properties.is_none_or(Map::is_empty) {
            let of = map.get("additionalProperties").map_or(Type::Any, |s| self.type_of(s, file, depth + 1));
            return Type::Dictionary(Box::new(of));
        }
        let members = properties.into_iter().flatten().map(|(name, schema)| Member {
            name: name.clone(),
            kind: self.type_of(schema, file, depth + 1),
            required: required.contains(&name.as_str()),
            doc: doc_of(schema),
        });
        Type::Object(members.collect())
    }
}

/// The types a text may refer to, when it is a reference.
fn references(map: &Map<String, Value>) -> Option<Vec<TypeName>> {
    let list = map.get("x-ashlar")?.get("ref")?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).filter_map(|t| TypeName::new(t).ok()).collect())
}

pub(super) fn union(kinds: Vec<Type>) -> Type {
    let mut out: Vec<Type> = Vec::new();
    for kind in kinds {
        let inner = match kind {
            Type::Any => return Type::Any,
            Type::Union(inner) => inner,
            other => vec![other],
        };
        for kind in inner {
            if !out.contains(&kind) {
                out.push(kind);
            }
        }
    }
    match out.len() {
        0 => Type::Any,
        1 => out.remove(0),
        _ => Type::Union(out),
    }
}

/// A value that is several things at once: objects become one object, an object and what is not more precise stay it.
fn both(parts: Vec<Type>) -> Type {
    let mut members: Vec<Member> = Vec::new();
    let mut positions: BTreeMap<String, usize> = BTreeMap::new();
    let mut others = Vec::new();
    for part in parts {
        match part {
            Type::Object(more) => {
                for member in more {
                    match positions.get(&member.name).and_then(|at| members.get_mut(*at)) {
                        Some(known) => {
                            known.required |= member.required;
                            if known.kind == Type::Any {
                                known.kind = member.kind;
                            }
                        }
                        None => {
                            positions.insert(member.name.clone(), members.len());
                            members.push(member);
                        }
                    }
                }
            }
            Type::Dictionary(of) if *of == Type::Any => {}
            other if others.contains(&other) => {}
            other => others.push(other),
        }
    }
    if !members.is_empty() {
        others.insert(0, Type::Object(members));
    }
    match others.len() {
        0 => Type::Dictionary(Box::new(Type::Any)),
        1 => others.remove(0),
        _ => Type::Both(others),
    }
}
