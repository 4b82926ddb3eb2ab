//! What an operation takes and gives, as JSON Schema: clients are generated from it.

use std::collections::BTreeSet;

use apollo_compiler::{ast::Type, schema::ExtendedType};
use serde_json::{Map, Value, json};

use super::{
    plan::{Plan, Selected, Show},
    schema::{Root, Schema},
    slot::{Kind, Slot},
};

/// The content types an operation reads.
pub(crate) fn content_types(schema: &Schema, plan: &Plan) -> Vec<String> {
    let mut out = BTreeSet::new();
    let mut seen = BTreeSet::new();
    collect(schema, &plan.fields, &mut out, &mut seen);
    out.into_iter().collect()
}

fn collect(schema: &Schema, selected: &Selected, out: &mut BTreeSet<String>, seen: &mut BTreeSet<usize>) {
    if !seen.insert(std::ptr::from_ref(selected) as usize) {
        return;
    }
    for field in &selected.fields {
        for (object, below) in &field.below {
            let of = schema.entries.iter().find(|(_, majors)| majors.values().any(|m| m == object));
            out.extend(of.map(|(name, _)| name.to_string()));
            collect(schema, below, out, seen);
        }
    }
}

/// Where an operation promises less under a newer schema than under an older one: the way to the field, and what may be
/// there now. Further members of a union are no promise: clients pass over types they do not know.
pub(crate) fn weaker(old: &Selected, new: &Selected) -> Vec<(String, String)> {
    let mut out = Vec::new();
    compare(old, new, &mut Vec::new(), &mut BTreeSet::new(), &mut out);
    out
}

fn compare(
    old: &Selected,
    new: &Selected,
    path: &mut Vec<String>,
    seen: &mut BTreeSet<(usize, usize)>,
    out: &mut Vec<(String, String)>,
) {
    if !seen.insert((std::ptr::from_ref(old) as usize, std::ptr::from_ref(new) as usize)) {
        return;
    }
    for was in &old.fields {
        let Some(is) = new.fields.iter().find(|f| f.key == was.key) else { continue };
        path.push(was.key.clone());
        if let (Show::Member(before), Show::Member(after)) = (&was.show, &is.show)
            && let Some(why) = weaker_slot(before, after)
        {
            out.push((path.join("."), why));
        }
        for (name, below) in &was.below {
            let same = is.below.get(name).or(match is.below.len() {
                1 if was.below.len() == 1 => is.below.values().next(),
                _ => None,
            });
            if let Some(same) = same {
                compare(below, same, path, seen, out);
            }
        }
        path.pop();
    }
}

fn weaker_slot(old: &Slot, new: &Slot) -> Option<String> {
    if old.required && !new.required {
        return Some("may be null".to_owned());
    }
    match (&old.kind, &new.kind) {
        (Kind::List(a), Kind::List(b)) => weaker_slot(a, b).map(|why| format!("has items that {why}")),
        (Kind::Json, _) | (Kind::Float, Kind::Int) => None,
        (
            Kind::Object(_) | Kind::Union { .. } | Kind::Reference(_),
            Kind::Object(_) | Kind::Union { .. } | Kind::Reference(_),
        ) => None,
        (a, b) if std::mem::discriminant(a) == std::mem::discriminant(b) => None,
        _ => Some("has another type".to_owned()),
    }
}

/// The schema of its variables.
pub(crate) fn variables(schema: &Schema, plan: &Plan) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for variable in &plan.operation.variables {
        properties.insert(variable.name.to_string(), input(schema, &variable.ty, 0));
        if variable.ty.is_non_null() && variable.default_value.is_none() {
            required.push(variable.name.to_string());
        }
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn input(schema: &Schema, kind: &Type, depth: usize) -> Value {
    if depth > 8 {
        return json!(true);
    }
    let shape = match kind {
        Type::List(of) | Type::NonNullList(of) => {
            json!({"type": "array", "items": input(schema, of, depth + 1)})
        }
        Type::Named(name) | Type::NonNullNamed(name) => match name.as_str() {
            "String" | "ID" => json!({"type": "string"}),
            "Boolean" => json!({"type": "boolean"}),
            "Int" => json!({"type": "integer"}),
            "Float" => json!({"type": "number"}),
            other => match schema.valid.types.get(other) {
                Some(ExtendedType::Enum(e)) => {
                    json!({"enum": e.values.keys().map(ToString::to_string).collect::<Vec<_>>()})
                }
                Some(ExtendedType::InputObject(o)) => {
                    let properties: Map<String, Value> = o
                        .fields
                        .iter()
                        .map(|(n, f)| (n.to_string(), input(schema, &f.ty, depth + 1)))
                        .collect();
                    json!({"type": "object", "properties": properties, "additionalProperties": false})
                }
                _ => json!(true),
            },
        },
    };
    nullable(shape, !kind.is_non_null())
}

fn nullable(shape: Value, null: bool) -> Value {
    if null { json!({"anyOf": [shape, {"type": "null"}]}) } else { shape }
}

/// The schema of its `data`.
pub(crate) fn data(plan: &Plan) -> Value {
    object(&plan.fields)
}

fn object(selected: &Selected) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in &selected.fields {
        let any = || any_of(field.below.values().map(|b| object(b)).collect());
        let shape = match &field.show {
            Show::Typename => json!({"const": selected.type_name}),
            Show::Id | Show::Type | Show::Locale => json!({"type": "string"}),
            Show::Member(slot) => of_slot(slot, &|name| match name {
                Some(name) => field.below.get(name).map_or(json!(true), |b| object(b)),
                None => any(),
            }),
            Show::Root(Root::One { .. } | Root::Search | Root::Answer, _) => nullable(any(), true),
            Show::Root(Root::List { .. }, _) => any(),
            Show::Items => json!({"type": "array", "items": any()}),
            Show::NextCursor => nullable(json!({"type": "string"}), true),
        };
        properties.insert(field.key.clone(), shape);
        if field.when.iter().any(Vec::is_empty) {
            required.push(field.key.clone());
        }
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn any_of(mut shapes: Vec<Value>) -> Value {
    shapes.dedup();
    match shapes.len() {
        1 => shapes.remove(0),
        _ => json!({ "anyOf": shapes }),
    }
}

fn of_slot(slot: &Slot, objects: &dyn Fn(Option<&str>) -> Value) -> Value {
    let shape = match &slot.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Int => json!({"type": "integer"}),
        Kind::Float => json!({"type": "number"}),
        Kind::Json => return json!(true),
        Kind::Object(name) => objects(Some(name)),
        Kind::Union { types, .. } => any_of(types.values().map(|t| objects(Some(t))).collect()),
        Kind::Reference(_) => objects(None),
        Kind::List(item) => {
            // What leads nowhere is left out of a list.
            json!({"type": "array", "items": of_slot(&Slot { required: true, kind: item.kind.clone() }, objects)})
        }
    };
    nullable(shape, !slot.required)
}
