//! What a list is asked for: filters, order, limit and cursor.

use std::{borrow::Cow, collections::BTreeMap};

use ashlar_model::{Digest, Locale, TypeName, nearest_of};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    error::Failure,
    http::{Problem, cut},
    lookup::IndexKey,
    release::{FieldKind, ReleaseView},
};

/// Items of a page when the request does not say.
const LIMIT_DEFAULT: usize = 20;
/// The most items of a page.
const LIMIT_MAX: usize = 100;
/// The most filters of a request.
const FILTERS_MAX: usize = 8;
/// The longest position in a cursor, in bytes.
const POSITION_BYTES_MAX: usize = 1024;
/// The bytes of a cursor that bind it to its query.
const BINDING_LEN: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Gt,
    Gte,
    Lt,
    Lte,
}

pub(super) struct Filter {
    pub(super) field: String,
    pub(super) op: Op,
    pub(super) value: IndexKey,
}

impl Filter {
    pub(super) fn matches(&self, value: &IndexKey) -> bool {
        let same_kind = value.as_bytes().first() == self.value.as_bytes().first();
        same_kind
            && match self.op {
                Op::Eq => *value == self.value,
                Op::Gt => *value > self.value,
                Op::Gte => *value >= self.value,
                Op::Lt => *value < self.value,
                Op::Lte => *value <= self.value,
            }
    }
}

/// What is asked of the entries of a type; each id once, in the first of `locales` that it exists in.
pub(super) struct Query<'a> {
    pub(super) type_name: &'a TypeName,
    pub(super) locales: &'a [Locale],
    pub(super) filters: Vec<Filter>,
    /// The field that gives the order, and whether it is descending; `None` for the order of ids.
    pub(super) order: Option<(String, bool)>,
    pub(super) limit: usize,
    /// A page ends when its entries have so many bytes.
    pub(super) bytes_max: usize,
    /// The position behind which the page starts.
    pub(super) after: Option<Vec<u8>>,
    pub(super) binding: [u8; BINDING_LEN],
}

fn bad(code: &'static str, title: &'static str, detail: String, help: impl Into<String>) -> Failure {
    Problem::new(400, code, title, detail).help(help).into()
}

/// The indexed fields of a type: what entries can be filtered and sorted by.
struct Indexed<'a> {
    type_name: &'a TypeName,
    fields: Option<&'a BTreeMap<String, FieldKind>>,
}

impl Indexed<'_> {
    fn kind(&self, name: &str) -> Result<FieldKind, Failure> {
        let Self { type_name, fields } = self;
        if let Some(kind) = fields.and_then(|f| f.get(name)) {
            return Ok(*kind);
        }
        let names: Vec<&str> = fields.iter().flat_map(|f| f.keys()).map(String::as_str).collect();
        let known = match names.is_empty() {
            true => format!("{type_name} has no indexed fields; mark some with `indexed` in their x-ashlar"),
            false => format!("the indexed fields of {type_name} are {}", names.join(", ")),
        };
        let detail = format!("`{}` is not an indexed field of {type_name}", cut(name));
        let help = nearest_of(name, names.iter().copied(), &known);
        Err(bad("unknown-filter", "Unknown filter", detail, help))
    }

    /// The kind of a field whose values have an order.
    fn ordered(&self, name: &str) -> Result<FieldKind, Failure> {
        match self.kind(name)? {
            FieldKind::Strings => {
                let detail = format!("`{name}` contains many values and cannot be sorted by");
                Err(bad("filter-order", "No order", detail, "filter it by equality"))
            }
            kind => Ok(kind),
        }
    }

    /// `price` or `-price`.
    fn sort(&self, value: &str) -> Result<(String, bool), Failure> {
        let (field, descending) = match value.strip_prefix('-') {
            Some(field) => (field, true),
            None => (value, false),
        };
        self.ordered(field)?;
        Ok((field.to_owned(), descending))
    }

    /// `price=10` or `price[gte]=10`.
    fn filter(&self, name: &str, value: &str) -> Result<Filter, Failure> {
        let (field, op) = match name.split_once('[') {
            None => (name, Op::Eq),
            Some((field, op)) => (
                field,
                operator(op).ok_or_else(|| {
                    let detail = format!("`{}` is not a comparison", cut(name));
                    let help = "compare with [eq], [gt], [gte], [lt] or [lte]: ?price[gte]=10";
                    bad("unknown-filter", "Unknown filter", detail, help)
                })?,
            ),
        };
        let kind = if op == Op::Eq { self.kind(field)? } else { self.ordered(field)? };
        let value = typed(kind, value).ok_or_else(|| {
            let what = if kind == FieldKind::Number { "a number" } else { "true or false" };
            let detail = format!("`{}` is not a value of `{field}`", cut(value));
            bad("bad-filter", "Bad filter", detail, format!("`{field}` is {what}"))
        })?;
        Ok(Filter { field: field.to_owned(), op, value })
    }
}

impl<'a> Query<'a> {
    /// What the parameters of a query ask for.
    pub(super) fn parse<'q>(
        view: &ReleaseView,
        type_name: &'a TypeName,
        locales: &'a [Locale],
        pairs: impl Iterator<Item = (Cow<'q, str>, Cow<'q, str>)>,
    ) -> Result<Self, Failure> {
        let indexed = Indexed { type_name, fields: view.definitions.indexed.get(type_name) };
        let mut filters = Vec::new();
        let (mut sort, mut limit, mut cursor) = (None, LIMIT_DEFAULT, None);
        for (name, value) in pairs {
            match name.as_ref() {
                "locale" | "at" => {}
                "limit" => limit = parse_limit(&value)?,
                "cursor" => cursor = Some(value.into_owned()),
                "sort" => sort = Some(indexed.sort(&value)?),
                name => filters.push(indexed.filter(name, &value)?),
            }
        }
        if filters.len() > FILTERS_MAX {
            let detail = format!("{} filters in one request", filters.len());
            let help = format!("use at most {FILTERS_MAX}");
            return Err(bad("too-many-filters", "Too many filters", detail, help));
        }
        // Without `sort`, the first filter is walked along: an equality in the order of ids, a range in that of its field.
        let order = sort.or_else(|| {
            let range = filters.iter().find(|f| f.op == Op::Eq).or(filters.first())?;
            Some((range.field.clone(), false))
        });
        let binding = binding(type_name, locales, &filters, order.as_ref());
        let after = cursor.map(|cursor| position(&cursor, binding)).transpose()?;
        Ok(Self { type_name, locales, filters, order, limit, bytes_max: usize::MAX, after, binding })
    }

    /// The cursor of the page that starts behind a position.
    pub(super) fn cursor(&self, position: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([&self.binding[..], position].concat())
    }

    /// The part of the index of `field` that can match: from, and to without its end.
    pub(super) fn bounds(&self, prefix: &[u8], field: &str) -> (Vec<u8>, Vec<u8>) {
        let filters = &self.filters;
        let with = |bytes: &[u8]| [prefix, bytes].concat();
        // Keys of one value go on with an id, whose bytes are ASCII.
        let behind = |value: &IndexKey| with(&[value.as_bytes(), &[0xff]].concat());
        let mut from = with(&[]);
        let mut to = with(&[0xff, 0xff]);
        let eq = filters.iter().position(|f| f.field == field && f.op == Op::Eq);
        for (n, filter) in filters.iter().enumerate().filter(|(_, f)| f.field == field) {
            // An entry may have several values: one equality gives the walk, the others are looked up.
            if eq.is_some_and(|eq| eq != n) {
                continue;
            }
            let (kind, value) = (filter.value.as_bytes()[0], &filter.value);
            let (low, high) = match filter.op {
                Op::Eq => (with(value.as_bytes()), behind(value)),
                Op::Gt => (behind(value), with(&[kind + 1])),
                Op::Gte => (with(value.as_bytes()), with(&[kind + 1])),
                Op::Lt => (with(&[kind]), with(value.as_bytes())),
                Op::Lte => (with(&[kind]), behind(value)),
            };
            from = from.max(low);
            to = to.min(high);
        }
        (from, to)
    }
}

fn parse_limit(value: &str) -> Result<usize, Failure> {
    let limit = value.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n));
    limit.ok_or_else(|| {
        let detail = format!("`{}` is not a limit", cut(value));
        bad("bad-limit", "Bad limit", detail, format!("limit is a number from 1 to {LIMIT_MAX}"))
    })
}

/// The position that a cursor of this query names.
fn position(cursor: &str, binding: [u8; BINDING_LEN]) -> Result<Vec<u8>, Failure> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor.as_bytes()).ok();
    let position = bytes.as_ref().and_then(|b| b.strip_prefix(&binding[..])).map(<[u8]>::to_vec);
    position.filter(|p| p.len() <= POSITION_BYTES_MAX).ok_or_else(|| {
        let detail = "the cursor does not belong to this query".to_owned();
        let help = "send next_cursor with the same type, filters, sort and locale; or start without a cursor";
        bad("bad-cursor", "Bad cursor", detail, help)
    })
}

fn operator(text: &str) -> Option<Op> {
    Some(match text.strip_suffix(']')? {
        "eq" => Op::Eq,
        "gt" => Op::Gt,
        "gte" => Op::Gte,
        "lt" => Op::Lt,
        "lte" => Op::Lte,
        _ => return None,
    })
}

fn typed(kind: FieldKind, text: &str) -> Option<IndexKey> {
    match kind {
        FieldKind::String | FieldKind::Strings => Some(IndexKey::string(text)),
        FieldKind::Number => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(IndexKey::number),
        FieldKind::Bool => match text {
            "true" => Some(IndexKey::bool(true)),
            "false" => Some(IndexKey::bool(false)),
            _ => None,
        },
    }
}

fn binding(
    type_name: &TypeName,
    locales: &[Locale],
    filters: &[Filter],
    order: Option<&(String, bool)>,
) -> [u8; BINDING_LEN] {
    let mut text = type_name.to_string();
    for locale in locales {
        text.push_str(&format!("\0l{locale}"));
    }
    for f in filters {
        text.push_str(&format!("\0f{}\0{:?}\0{}", f.field, f.op, Digest::of(f.value.as_bytes())));
    }
    text.push_str(&format!("\0o{order:?}"));
    let mut out = [0; BINDING_LEN];
    out.copy_from_slice(&Digest::of(text.as_bytes()).as_bytes()[..BINDING_LEN]);
    out
}
