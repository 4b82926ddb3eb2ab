//! The GraphQL schema of a project, derived from its contracts and views, with what is needed to answer from entries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use apollo_compiler::validation::Valid;
use ashlar_contracts::{
    Contract, ContractSet, IndexKind,
    codegen::{Member, Shapes, Type},
};
use ashlar_model::TypeName;
use serde_json::Value;

use super::{
    builtin,
    slot::{Kind, Slot},
};
use crate::views::Views;

/// How deep types inside one another are followed.
const DEPTH_MAX: usize = 40;

/// What precedes every derived schema.
const PRELUDE: &str = r#""Any JSON value."
scalar JSON

"What every entry has, whatever its type."
interface Entry {
  "Its id."
  _id: ID!
  "Its content type."
  _type: String!
  "The locale it is served in."
  _locale: String!
}

"Conditions on a text; all of them hold."
input TextIs { eq: String, gt: String, gte: String, lt: String, lte: String }

"Conditions on a number; all of them hold."
input NumberIs { eq: Float, gt: Float, gte: Float, lt: Float, lte: Float }

"A condition on true or false."
input BooleanIs { eq: Boolean }

"A condition on a list of texts: one of them is this."
input ListHas { eq: String }

"#;

/// A derived schema.
pub(crate) struct Schema {
    /// As text.
    pub(crate) sdl: String,
    pub(crate) valid: Valid<apollo_compiler::Schema>,
    /// Object types with what their fields show.
    pub(crate) objects: BTreeMap<String, Object>,
    /// The object type of the entries of a type, by the major version of their contract.
    pub(crate) entries: BTreeMap<TypeName, BTreeMap<u32, String>>,
    /// What the fields of `Query` answer.
    pub(crate) roots: BTreeMap<String, Root>,
}

/// What a field of `Query` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Root {
    /// One entry; argument → field, `None` for the id.
    One { source: TypeName, by: BTreeMap<String, Option<String>> },
    /// A page of entries; the names of `where` and `sort` → fields.
    List { source: TypeName, fields: BTreeMap<String, String> },
    /// What a search finds.
    Search,
    /// The answer to a question.
    Answer,
}

/// An object type.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object {
    pub(crate) fields: BTreeMap<String, Field>,
    /// Fields in the order of the schema, with what is said of them.
    order: Vec<(String, String)>,
    implements: Vec<String>,
    /// What is said of it, when no contract does.
    doc: String,
}

/// A field of an object type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// The member it shows.
    pub(crate) member: String,
    pub(crate) slot: Slot,
}

struct Builder<'a> {
    shapes: &'a Shapes,
    objects: BTreeMap<String, Object>,
    unions: BTreeMap<String, BTreeSet<String>>,
    interfaces: BTreeMap<TypeName, String>,
    taken: BTreeSet<String>,
    /// Types that are another one under a second name.
    same: BTreeMap<String, String>,
}

/// The name of a type without the version in it: `PageV2Seo` and `PageV1Seo` are of one family.
fn family(name: &str) -> String {
    let is_version = |at: usize| {
        let rest = &name[at + 1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && rest.as_bytes().get(digits).is_none_or(u8::is_ascii_uppercase)
    };
    match name.match_indices('V').find(|(at, _)| is_version(*at)) {
        Some((at, _)) => {
            format!("{}V{}", &name[..at], name[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => name.to_owned(),
    }
}

/// A name that GraphQL allows: other characters become `_`.
pub(crate) fn name(text: &str) -> String {
    let mut out: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    // Two underscores belong to the language itself.
    while out.starts_with("__") {
        out.remove(0);
    }
    out
}

/// `pricing-plan` → `PricingPlan`
pub(crate) fn pascal(text: &str) -> String {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| !p.is_empty());
    name(&parts.map(|p| p[..1].to_ascii_uppercase() + &p[1..]).collect::<String>())
}

fn camel(text: &str) -> String {
    let name = pascal(text);
    name[..1].to_ascii_lowercase() + &name[1..]
}

impl Builder<'_> {
    fn free(&mut self, wanted: &str) -> String {
        let mut found = name(wanted);
        while !self.taken.insert(found.clone()) {
            found.push('_');
        }
        found
    }

    fn slot(&mut self, kind: &Type, required: bool, place: &str, depth: usize) -> Slot {
        let json = |required| Slot { kind: Kind::Json, required };
        if depth > DEPTH_MAX {
            return json(false);
        }
        let plain = |kind| Slot { kind, required };
        match kind {
            Type::Bool | Type::Literal(Value::Bool(_)) => plain(Kind::Bool),
            Type::Number | Type::Integer | Type::Literal(Value::Number(_)) => plain(Kind::Float),
            Type::SmallInteger => plain(Kind::Int),
            Type::Text | Type::Literal(Value::String(_)) => plain(Kind::Text),
            Type::Reference(types) if types.iter().any(|t| self.interfaces.contains_key(t)) => {
                // An entry may be there in other locales only.
                Slot { kind: Kind::Reference(types.clone()), required: false }
            }
            Type::Reference(_) => plain(Kind::Text),
            Type::List(of) => {
                let item = self.slot(of, true, place, depth + 1);
                plain(Kind::List(Box::new(item)))
            }
            Type::Named(named) => match self.shapes.named.get(named) {
                Some((kind @ (Type::Object(_) | Type::Both(_)), _)) => {
                    self.object(kind, required, named, true, depth)
                }
                Some((kind, _)) => self.slot(kind, required, named, depth + 1),
                None => json(required),
            },
            Type::Object(_) | Type::Both(_) => self.object(kind, required, place, false, depth),
            Type::Union(parts) => {
                let null = parts.contains(&Type::Null);
                let rest: Vec<&Type> = parts.iter().filter(|p| **p != Type::Null).collect();
                match rest.as_slice() {
                    [one] => self.slot(one, required && !null, place, depth + 1),
                    rest => self.union(rest, required && !null, place, depth),
                }
            }
            Type::Null => json(false),
            Type::Any | Type::Dictionary(_) | Type::Literal(_) => {
                // Anything may also be null.
                json(required && matches!(kind, Type::Dictionary(_)))
            }
        }
    }

    /// All members of what is an object, whatever it is put together from.
    fn members(&self, kind: &Type, depth: usize) -> Option<Vec<Member>> {
        match kind {
            Type::Object(members) => Some(members.clone()),
            Type::Named(name) if depth < 8 => self.members(&self.shapes.named.get(name)?.0, depth + 1),
            Type::Both(parts) => {
                let mut out: Vec<Member> = Vec::new();
                for part in parts {
                    for member in self.members(part, depth + 1)? {
                        match out.iter_mut().find(|m| m.name == member.name) {
                            Some(known) => known.required |= member.required,
                            None => out.push(member),
                        }
                    }
                }
                Some(out)
            }
            _ => None,
        }
    }

    fn object(&mut self, kind: &Type, required: bool, place: &str, named: bool, depth: usize) -> Slot {
        let Some(members) = self.members(kind, 0).filter(|m| !m.is_empty()) else {
            return Slot { kind: Kind::Json, required };
        };
        let mut own = if named { place.to_owned() } else { self.free(place) };
        if let Some(same) = self.same.get(&own) {
            own = same.clone();
        }
        if !self.objects.contains_key(&own) {
            // In place before its members are read: a type may hold itself.
            self.objects.insert(own.clone(), Object::default());
            let object = self.fields(&members, &own, depth);
            // Two versions of a contract that share a shape share its type, so that what reads either reads both.
            let is_contract = named && self.shapes.contracts.values().any(|c| *c == own);
            let of_family = family(&own);
            let same = self.objects.iter().find(|(other, known)| {
                !is_contract && **known == object && **other != own && family(other) == of_family
            });
            match same.map(|(other, _)| other.clone()) {
                Some(other) => {
                    self.objects.remove(&own);
                    self.same.insert(own, other.clone());
                    own = other;
                }
                None => drop(self.objects.insert(own.clone(), object)),
            }
        }
        Slot { kind: Kind::Object(own), required }
    }

    fn fields(&mut self, members: &[Member], place: &str, depth: usize) -> Object {
        let mut out = Object::default();
        for member in members {
            let mut field = name(&member.name);
            while out.fields.contains_key(&field) {
                field.push('_');
            }
            let below = format!("{place}{}", pascal(&member.name));
            let slot = self.slot(&member.kind, member.required, &below, depth + 1);
            out.order.push((field.clone(), member.doc.clone()));
            out.fields.insert(field, Field { member: member.name.clone(), slot });
        }
        out
    }

    fn union(&mut self, parts: &[&Type], required: bool, place: &str, depth: usize) -> Slot {
        let scalars: Vec<Slot> = parts
            .iter()
            .filter(|p| !matches!(p, Type::Object(_) | Type::Named(_) | Type::Both(_) | Type::Union(_)))
            .map(|p| self.slot(p, required, place, depth + 1))
            .collect();
        if scalars.len() == parts.len() {
            let kind = |s: &Slot| s.kind.clone();
            return match scalars.first().map(kind) {
                Some(first @ (Kind::Text | Kind::Bool | Kind::Float | Kind::Int))
                    if scalars.iter().all(|s| s.kind == first) =>
                {
                    Slot { kind: first, required }
                }
                _ => Slot { kind: Kind::Json, required },
            };
        }
        let json = Slot { kind: Kind::Json, required };
        let Some(all) = parts.iter().map(|p| self.members(p, 0)).collect::<Option<Vec<_>>>() else {
            return json;
        };
        let Some((tag, values)) = discriminator(&all) else { return json };
        let mut types = BTreeMap::new();
        for (part, value) in parts.iter().zip(values) {
            let slot = self.slot(part, true, &format!("{place}{}", pascal(&value)), depth + 1);
            let Kind::Object(object) = slot.kind else { return json };
            types.insert(value, object);
        }
        let members: BTreeSet<String> = types.values().cloned().collect();
        let own = match self.unions.iter().find(|(_, known)| **known == members) {
            Some((known, _)) => known.clone(),
            None => self.free(place),
        };
        self.unions.insert(own.clone(), members);
        Slot { kind: Kind::Union { name: own, tag, types }, required }
    }

    fn shown(&self, slot: &Slot) -> String {
        let mark = if slot.required { "!" } else { "" };
        let base = match &slot.kind {
            Kind::Text => "String".to_owned(),
            Kind::Bool => "Boolean".to_owned(),
            Kind::Int => "Int".to_owned(),
            Kind::Float => "Float".to_owned(),
            Kind::Json => "JSON".to_owned(),
            Kind::Object(name) | Kind::Union { name, .. } => name.clone(),
            Kind::Reference(types) => match types.as_slice() {
                [one] => self.interfaces.get(one).cloned().unwrap_or_else(|| "Entry".to_owned()),
                _ => "Entry".to_owned(),
            },
            // What a reference leads to and is not there is left out of a list.
            Kind::List(item) => format!("[{}!]", self.shown(&Slot { required: false, ..(**item).clone() })),
        };
        base + mark
    }
}

/// The member that tells objects apart: in each of them required, and a text of its own.
fn discriminator(all: &[Vec<Member>]) -> Option<(String, Vec<String>)> {
    let literal = |members: &[Member], name: &str| {
        members.iter().find(|m| m.name == name && m.required).and_then(|m| match &m.kind {
            Type::Literal(Value::String(text)) => Some(text.clone()),
            _ => None,
        })
    };
    all.first()?.iter().find_map(|candidate| {
        let values = all.iter().map(|m| literal(m, &candidate.name)).collect::<Option<Vec<_>>>()?;
        let distinct: BTreeSet<&String> = values.iter().collect();
        (distinct.len() == values.len()).then(|| (candidate.name.clone(), values))
    })
}

fn described(out: &mut String, indent: &str, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(out, "{indent}{}", Value::from(text));
    }
}

impl Schema {
    /// Derives the schema. `None` when there are no content types.
    ///
    /// # Errors
    /// What GraphQL has against the derived schema; then it is a mistake here, not in the project.
    pub(crate) fn derive(contracts: &ContractSet, views: &Views) -> Result<Option<Self>, String> {
        let shapes = Shapes::read(contracts);
        let words = ["Query", "Entry", "JSON", "TextIs", "NumberIs", "BooleanIs", "ListHas"];
        let scalars = ["String", "Int", "Float", "Boolean", "ID"];
        let mut builder = Builder {
            shapes: &shapes,
            objects: BTreeMap::new(),
            unions: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            same: BTreeMap::new(),
            taken: words.into_iter().chain(scalars).map(str::to_owned).collect(),
        };
        builder.taken.extend(shapes.named.keys().cloned());
        let types = contracts.types();
        if types.is_empty() {
            return Ok(None);
        }
        for type_name in types.keys() {
            let own = builder.free(&pascal(type_name.as_str()));
            builder.interfaces.insert((*type_name).clone(), own);
        }
        let mut out = Derived {
            sdl: PRELUDE.to_owned(),
            query: String::from("type Query {\n"),
            roots: BTreeMap::new(),
        };
        let mut entries: BTreeMap<TypeName, BTreeMap<u32, String>> = BTreeMap::new();
        for (type_name, versions) in &types {
            let mut majors = BTreeMap::new();
            for contract in versions {
                let Some(own) = shapes.contracts.get(&contract.name) else { continue };
                let kind = Type::Named(own.clone());
                if builder.slot(&kind, true, own, 0).kind != Kind::Object(own.clone()) {
                    // A type without fixed members: its entries have a name and nothing else to choose.
                    builder.objects.insert(own.clone(), Object::default());
                }
                majors.insert(contract.name.major, own.clone());
            }
            let interface = builder.interfaces[*type_name].clone();
            out.sdl.push_str(&builder.interface(&interface, &majors, versions));
            for own in majors.values() {
                if let Some(object) = builder.objects.get_mut(own) {
                    object.implements = vec![interface.clone(), "Entry".to_owned()];
                }
            }
            builder.roots(type_name, versions, views, &interface, &mut out);
            entries.insert((*type_name).clone(), majors);
        }
        let all: Vec<TypeName> = types.keys().map(|t| (*t).clone()).collect();
        builder.builtin(&all, &mut out);
        let Derived { mut sdl, query, roots } = out;
        builder.types(&mut sdl);
        let _ = write!(sdl, "{query}}}\n\n");
        let valid = apollo_compiler::Schema::parse_and_validate(&sdl, "schema.graphql")
            .map_err(|e| e.errors.to_string())?;
        Ok(Some(Self { sdl, valid, objects: builder.objects, entries, roots }))
    }
}

/// A schema in the making.
struct Derived {
    sdl: String,
    /// The type `Query`, whose end is missing.
    query: String,
    roots: BTreeMap<String, Root>,
}

impl Builder<'_> {
    /// Writes objects and unions.
    fn types(&self, sdl: &mut String) {
        for (own, object) in &self.objects {
            let doc = self.shapes.named.get(own).map_or(object.doc.as_str(), |(_, doc)| doc);
            described(sdl, "", doc);
            let _ = write!(sdl, "type {own}");
            if !object.implements.is_empty() {
                let _ = write!(sdl, " implements {}", object.implements.join(" & "));
            }
            sdl.push_str(" {\n");
            if !object.implements.is_empty() {
                sdl.push_str("  _id: ID!\n  _type: String!\n  _locale: String!\n");
            }
            for (field, doc) in &object.order {
                described(sdl, "  ", doc);
                let _ = writeln!(sdl, "  {field}: {}", self.shown(&object.fields[field].slot));
            }
            sdl.push_str("}\n\n");
        }
        for (own, members) in &self.unions {
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            let _ = writeln!(sdl, "union {own} = {}\n", members.join(" | "));
        }
    }

    /// What the entries of a type have whatever version they follow.
    fn interface(&self, own: &str, majors: &BTreeMap<u32, String>, versions: &[&Contract]) -> String {
        let mut out = String::new();
        let doc = versions.last().and_then(|c| c.schema.get("description")).and_then(Value::as_str);
        described(&mut out, "", doc.unwrap_or_default());
        let _ = writeln!(
            out,
            "interface {own} implements Entry {{\n  _id: ID!\n  _type: String!\n  _locale: String!"
        );
        let objects: Vec<&Object> = majors.values().filter_map(|m| self.objects.get(m)).collect();
        if let Some((first, others)) = objects.split_first() {
            for (field, doc) in &first.order {
                let slot = &first.fields[field].slot;
                let mut required = slot.required;
                let bare = |s: &Slot| self.shown(&Slot { required: false, ..s.clone() });
                let same = others.iter().all(|o| {
                    o.fields.get(field).is_some_and(|f| {
                        required &= f.slot.required;
                        bare(&f.slot) == bare(slot)
                    })
                });
                if same {
                    described(&mut out, "  ", doc);
                    let _ = writeln!(out, "  {field}: {}", self.shown(&Slot { required, ..slot.clone() }));
                }
            }
        }
        out.push_str("}\n\n");
        out
    }

    /// The fields of `Query` for a type.
    fn roots(
        &mut self,
        type_name: &TypeName,
        versions: &[&Contract],
        views: &Views,
        interface: &str,
        out: &mut Derived,
    ) {
        let mut one = camel(type_name.as_str());
        while out.roots.contains_key(&one) {
            one.push('_');
        }
        let mut by = BTreeMap::from([("id".to_owned(), None)]);
        for view in views.iter().filter(|v| v.source == *type_name) {
            if let Some(field) = view.lookup.field() {
                let argument = name(field);
                if !matches!(argument.as_str(), "id" | "locale") {
                    by.insert(argument, Some(field.to_owned()));
                }
            }
        }
        let arguments: Vec<String> = by
            .iter()
            .map(|(argument, field)| format!("{argument}: {}", if field.is_none() { "ID" } else { "String" }))
            .collect();
        let _ = writeln!(
            out.query,
            "  \"One {type_name}, by exactly one of: {}.\"\n  {one}({}, locale: String): {interface}",
            by.keys().cloned().collect::<Vec<_>>().join(", "),
            arguments.join(", ")
        );
        let mut fields = conditions(versions);
        for field in by.values().flatten() {
            fields.entry(name(field)).or_insert((field.clone(), "TextIs"));
        }
        let mut list = format!("{one}List");
        while out.roots.contains_key(&list) {
            list.push('_');
        }
        self.list(type_name, &list, interface, &fields, out);
        out.roots.insert(one, Root::One { source: type_name.clone(), by });
        let fields = fields.into_iter().map(|(n, (f, _))| (n, f)).collect();
        out.roots.insert(list, Root::List { source: type_name.clone(), fields });
    }

    /// Search and answers. Types and fields of the project keep their names.
    fn builtin(&mut self, types: &[TypeName], out: &mut Derived) {
        let objects = builtin::OBJECTS.iter().map(|(name, ..)| *name);
        let names: builtin::Names =
            objects.chain(builtin::OTHERS).map(|name| (name, self.free(name))).collect();
        for (name, doc, fields) in builtin::OBJECTS {
            let mut object = Object::default();
            for (field, member, kind, about) in fields {
                let slot = builtin::slot(kind, &names, types);
                object.order.push(((*field).to_owned(), (*about).to_owned()));
                object.fields.insert((*field).to_owned(), Field { member: (*member).to_owned(), slot });
            }
            doc.clone_into(&mut object.doc);
            self.objects.insert(names[name].clone(), object);
        }
        out.sdl.push_str(&builtin::inputs(&names));
        let mut field = |wanted: &str, root: Root| {
            let mut own = wanted.to_owned();
            while out.roots.contains_key(&own) {
                own.push('_');
            }
            out.roots.insert(own.clone(), root);
            own
        };
        let (search, answer) = (field("search", Root::Search), field("answer", Root::Answer));
        out.query.push_str(&builtin::fields(&names, (&search, &answer)));
    }

    /// The field for the list of a type, with the types of its arguments and of its pages.
    fn list(
        &mut self,
        type_name: &TypeName,
        list: &str,
        interface: &str,
        fields: &Conditions,
        out: &mut Derived,
    ) {
        let sdl = &mut out.sdl;
        let mut more = String::new();
        if !fields.is_empty() {
            let input = self.free(&format!("{interface}Where"));
            let _ = writeln!(sdl, "\"Conditions on a {type_name}; all of them hold.\"\ninput {input} {{");
            for (field, (_, conditions)) in fields {
                let _ = writeln!(sdl, "  {field}: {conditions}");
            }
            sdl.push_str("}\n\n");
            let _ = write!(more, ", where: {input}");
            let sortable: Vec<&String> =
                fields.iter().filter(|(_, (_, c))| *c != "ListHas").map(|(f, _)| f).collect();
            if !sortable.is_empty() {
                let sort = self.free(&format!("{interface}Sort"));
                let _ = writeln!(sdl, "\"The order of a list of {type_name}.\"\nenum {sort} {{");
                for field in sortable {
                    let _ = writeln!(sdl, "  {field}_ASC\n  {field}_DESC");
                }
                sdl.push_str("}\n\n");
                let _ = write!(more, ", sort: {sort}");
            }
        }
        let page = self.free(&format!("{interface}Page"));
        let _ = writeln!(
            sdl,
            "\"A page of a list of {type_name}.\"\ntype {page} {{\n  items: [{interface}!]!\n  \
             \"What `after` of the next page is; null on the last.\"\n  nextCursor: String\n}}\n"
        );
        let _ = writeln!(
            out.query,
            "  \"The entries of the type {type_name}, page by page; `first` is from 1 to 100, 20 when it is not given.\"\n  \
             {list}(first: Int, after: String{more}, locale: String): {page}!"
        );
    }
}

/// The fields of a type that lists are filtered by: their names in the schema → field, and the type of its conditions.
type Conditions = BTreeMap<String, (String, &'static str)>;

fn conditions(versions: &[&Contract]) -> Conditions {
    let mut fields = Conditions::new();
    for field in versions.iter().flat_map(|contract| contract.indexed_fields()) {
        let conditions = match field.kind {
            IndexKind::String => "TextIs",
            IndexKind::Number => "NumberIs",
            IndexKind::Bool => "BooleanIs",
            IndexKind::Strings => "ListHas",
        };
        fields.insert(name(&field.name), (field.name.clone(), conditions));
    }
    fields
}
