//! Lists of entries: filters, order and cursors over the look-up tree.

use std::{
    borrow::Cow,
    ops::{Bound, ControlFlow},
};

use ashlar_model::{Digest, EntryId, EntryKey, EntryRecord, Fields, Locale, TypeName, nearest_of};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;

use crate::{
    DeliveryError, FieldKind, Problem, ReleaseView,
    http::{message::Pace, query},
    lookup::{IndexKey, field_prefix, read_id},
    read::entry::{Failure, cut},
};

/// Items of a page when the request does not say.
const LIMIT_DEFAULT: usize = 20;
/// The most items of a page.
const LIMIT_MAX: usize = 100;
/// The most filters of a request.
const FILTERS_MAX: usize = 8;
/// The most entries that are looked at for one page, those in locales that are not wanted or not served included; a page
/// that reaches it is shorter and goes on behind its cursor.
const SCANNED_MAX: usize = 5000;
/// The most entries that are looked at where nothing may take long.
const QUICK_SCANNED_MAX: usize = 400;
/// The bytes of a cursor that bind it to its query.
const BINDING_LEN: usize = 8;

/// One page.
pub(crate) struct Page {
    pub(crate) body: Vec<u8>,
    /// The surrogate keys of the items, each after a space.
    pub(crate) keys: Vec<u8>,
}

/// The entries of one page.
pub(crate) struct Selected {
    pub(crate) items: Vec<(EntryKey, EntryRecord)>,
    /// Where the next page starts; `None` on the last.
    pub(crate) next_cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Eq,
    Gt,
    Gte,
    Lt,
    Lte,
}

struct Filter {
    field: String,
    op: Op,
    value: IndexKey,
}

impl Filter {
    fn matches(&self, value: &IndexKey) -> bool {
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

struct Query<'a> {
    type_name: &'a TypeName,
    locales: &'a [Locale],
    filters: Vec<Filter>,
    /// The field that gives the order, and whether it is descending; `None` for the order of ids.
    order: Option<(String, bool)>,
    limit: usize,
    /// The position behind which the page starts.
    after: Option<Vec<u8>>,
    binding: [u8; BINDING_LEN],
}

/// One page of the entries of a type; each id once, in the first of `locales` that it exists in.
pub(crate) fn page(
    view: &ReleaseView,
    type_name: &TypeName,
    locales: &[Locale],
    query: &str,
    pace: Pace,
) -> Result<Page, Failure> {
    Ok(select(view, type_name, locales, query::pairs(query), pace)?.page(view)?)
}

/// The entries of one page, by the parameters of a query.
pub(crate) fn select<'q>(
    view: &ReleaseView,
    type_name: &TypeName,
    locales: &[Locale],
    pairs: impl Iterator<Item = (Cow<'q, str>, Cow<'q, str>)>,
    pace: Pace,
) -> Result<Selected, Failure> {
    let query = read(view, type_name, locales, pairs)?;
    let mut found =
        Found { query: &query, view, pace, items: Vec::new(), scanned: 0, last: Vec::new(), more: false };
    match &query.order {
        None => by_id(view, &query, &mut found)?,
        Some((field, descending)) => by_field(view, &query, field, *descending, &mut found)?,
    }
    Ok(found.selected())
}

fn read<'a, 'q>(
    view: &ReleaseView,
    type_name: &'a TypeName,
    locales: &'a [Locale],
    pairs: impl Iterator<Item = (Cow<'q, str>, Cow<'q, str>)>,
) -> Result<Query<'a>, Failure> {
    let bad = |code, title, detail: String, help: String| Problem::new(400, code, title, detail).help(help);
    let fields = view.definitions.indexed.get(type_name);
    let known = || {
        let names: Vec<&str> = fields.iter().flat_map(|f| f.keys()).map(String::as_str).collect();
        match names.is_empty() {
            true => format!("{type_name} has no indexed fields; mark some with `indexed` in their x-ashlar"),
            false => format!("the indexed fields of {type_name} are {}", names.join(", ")),
        }
    };
    let kind = |name: &str| {
        fields.and_then(|f| f.get(name)).copied().ok_or_else(|| {
            let detail = format!("`{}` is not an indexed field of {type_name}", cut(name));
            let names = fields.iter().flat_map(|f| f.keys()).map(String::as_str);
            bad("unknown-filter", "Unknown filter", detail, nearest_of(name, names, &known()))
        })
    };
    let ordered = |name: &str, kind: FieldKind| match kind {
        FieldKind::Strings => {
            let detail = format!("`{name}` contains many values and cannot be sorted by");
            Err(bad("filter-order", "No order", detail, "filter it by equality".to_owned()))
        }
        _ => Ok(()),
    };
    let mut filters = Vec::new();
    let (mut sort, mut limit, mut cursor) = (None, LIMIT_DEFAULT, None);
    for (name, value) in pairs {
        match name.as_ref() {
            "locale" | "at" => {}
            "limit" => {
                let parsed = value.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n));
                limit = parsed.ok_or_else(|| {
                    let detail = format!("`{}` is not a limit", cut(&value));
                    bad("bad-limit", "Bad limit", detail, format!("limit is a number from 1 to {LIMIT_MAX}"))
                })?;
            }
            "cursor" => cursor = Some(value.into_owned()),
            "sort" => {
                let (field, descending) = match value.strip_prefix('-') {
                    Some(field) => (field, true),
                    None => (value.as_ref(), false),
                };
                ordered(field, kind(field)?)?;
                sort = Some((field.to_owned(), descending));
            }
            name => {
                let (field, op) = match name.split_once('[') {
                    None => (name, Op::Eq),
                    Some((field, op)) => (
                        field,
                        operator(op).ok_or_else(|| {
                            let detail = format!("`{}` is not a comparison", cut(name));
                            let help =
                                "compare with [eq], [gt], [gte], [lt] or [lte]: ?price[gte]=10".to_owned();
                            bad("unknown-filter", "Unknown filter", detail, help)
                        })?,
                    ),
                };
                let kind = kind(field)?;
                if op != Op::Eq {
                    ordered(field, kind)?;
                }
                filters.push(Filter {
                    field: field.to_owned(),
                    op,
                    value: typed(kind, &value).ok_or_else(|| {
                        let what = if kind == FieldKind::Number { "a number" } else { "true or false" };
                        let detail = format!("`{}` is not a value of `{field}`", cut(&value));
                        bad("bad-filter", "Bad filter", detail, format!("`{field}` is {what}"))
                    })?,
                });
            }
        }
    }
    if filters.len() > FILTERS_MAX {
        let detail = format!("{} filters in one request", filters.len());
        let help = format!("use at most {FILTERS_MAX}");
        return Err(bad("too-many-filters", "Too many filters", detail, help).into());
    }
    // Without `sort`, the first filter is walked along: an equality in the order of ids, a range in that of its field.
    let order = sort.or_else(|| {
        let range = filters.iter().find(|f| f.op == Op::Eq).or(filters.first())?;
        Some((range.field.clone(), false))
    });
    let binding = binding(type_name, locales, &filters, order.as_ref());
    let after = match cursor {
        None => None,
        Some(text) => {
            let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).ok();
            let position = bytes.as_ref().and_then(|b| b.strip_prefix(&binding[..])).map(<[u8]>::to_vec);
            Some(position.filter(|p| p.len() <= 1024).ok_or_else(|| {
                let detail = "the cursor does not belong to this query".to_owned();
                let help = "send next_cursor with the same type, filters, sort and locale; or start without a cursor";
                bad("bad-cursor", "Bad cursor", detail, help.to_owned())
            })?)
        }
    };
    Ok(Query { type_name, locales, filters, order, limit, after, binding })
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

struct Found<'q> {
    query: &'q Query<'q>,
    view: &'q ReleaseView,
    pace: Pace,
    items: Vec<(EntryKey, EntryRecord, Vec<u8>)>,
    scanned: usize,
    /// The position of the last entry that was looked at.
    last: Vec<u8>,
    more: bool,
}

impl Found<'_> {
    /// Counts an entry before anything is done with it; breaks when enough were looked at.
    fn scan(&mut self) -> Result<ControlFlow<()>, Failure> {
        if self.scanned >= QUICK_SCANNED_MAX {
            self.pace.heavy()?;
        }
        if self.scanned == SCANNED_MAX {
            self.more = true;
            return Ok(ControlFlow::Break(()));
        }
        self.scanned += 1;
        Ok(ControlFlow::Continue(()))
    }

    /// The next page starts behind this position.
    fn pass(&mut self, position: &[u8]) {
        self.last.clear();
        self.last.extend(position);
    }

    /// Takes the entry at `position` when it matches; breaks when the page is full.
    fn visit(
        &mut self,
        position: &[u8],
        key: EntryKey,
        record: EntryRecord,
    ) -> Result<ControlFlow<()>, DeliveryError> {
        if self.matches(&key, &record)? {
            if self.items.len() == self.query.limit {
                self.more = true;
                self.last = self.items.last().map(|(_, _, p)| p.clone()).unwrap_or_default();
                return Ok(ControlFlow::Break(()));
            }
            self.items.push((key, record, position.to_vec()));
        }
        self.pass(position);
        Ok(ControlFlow::Continue(()))
    }

    fn matches(&self, key: &EntryKey, record: &EntryRecord) -> Result<bool, DeliveryError> {
        let walked = |field: &str| {
            let by_eq = self.query.filters.iter().any(|f| f.field == field && f.op == Op::Eq);
            !by_eq && self.query.order.as_ref().is_some_and(|(f, _)| f == field)
        };
        let mut ranges: Vec<&Filter> = Vec::new();
        for filter in &self.query.filters {
            if filter.op != Op::Eq {
                // The walk itself keeps to the range.
                if !walked(&filter.field) {
                    ranges.push(filter);
                }
                continue;
            }
            let mut at = field_prefix(&key.type_name, &filter.field, &key.locale);
            at.extend(filter.value.as_bytes());
            at.extend(key.id.as_str().as_bytes());
            if self.view.lookup.tree().get(&at)?.is_none() {
                return Ok(false);
            }
        }
        if ranges.is_empty() {
            return Ok(true);
        }
        let bytes = self.view.objects.get(&record.digest)?;
        let fields: Fields =
            serde_json::from_slice(&bytes).map_err(|_| DeliveryError::Object(record.digest))?;
        Ok(ranges.iter().all(|f| IndexKey::of(fields.get(&f.field)).iter().any(|v| f.matches(v))))
    }

    fn selected(self) -> Selected {
        let next_cursor = self.more.then(|| {
            let mut cursor = self.query.binding.to_vec();
            cursor.extend(&self.last);
            URL_SAFE_NO_PAD.encode(cursor)
        });
        Selected {
            items: self.items.into_iter().map(|(key, record, _)| (key, record)).collect(),
            next_cursor,
        }
    }
}

impl Selected {
    fn page(self, view: &ReleaseView) -> Result<Page, DeliveryError> {
        let mut body =
            Vec::with_capacity(64 + self.items.iter().map(|i| i.1.len as usize + 80).sum::<usize>());
        let mut keys = Vec::new();
        body.extend(b"{\"items\":[");
        for (n, (key, record)) in self.items.iter().enumerate() {
            body.extend(if n == 0 { &b"{\"fields\":"[..] } else { &b",{\"fields\":"[..] });
            view.objects.read_into(&record.digest, &mut body)?;
            body.extend(format!(",\"id\":\"{}\",\"locale\":\"{}\"}}", key.id, key.locale).into_bytes());
            keys.extend(format!(" {}:{}:{}", key.type_name, key.id, key.locale).into_bytes());
        }
        body.extend(b"],\"next_cursor\":");
        match self.next_cursor {
            Some(cursor) => body.extend(format!("\"{cursor}\"}}").into_bytes()),
            None => body.extend(b"null}"),
        }
        Ok(Page { body, keys })
    }
}

/// Walks the entries of a type in the order of their ids.
fn by_id(view: &ReleaseView, query: &Query<'_>, found: &mut Found<'_>) -> Result<(), Failure> {
    let prefix = EntryKey::type_prefix(query.type_name);
    let mut from = prefix.clone();
    if let Some(after) = &query.after {
        // Behind all locales of that id: their keys go on with NUL.
        from.extend(after);
        from.push(1);
    }
    let mut to = prefix.clone();
    to.pop();
    to.push(1);
    // The id that is looked at, and the best of its locales so far.
    let mut current: Option<EntryId> = None;
    let mut best: Option<(usize, EntryKey, EntryRecord)> = None;
    for item in view.snapshot.range(Bound::Included(&from), Bound::Excluded(&to)) {
        let (key, value) = item?;
        let key = EntryKey::from_bytes(&key)?;
        if current.as_ref() != Some(&key.id) {
            if let Some(done) = current.replace(key.id.clone())
                && finished(&done, best.take(), found)?.is_break()
            {
                return Ok(());
            }
            // A page ends between ids: locales of one id stand together, and there are few.
            if found.scan()?.is_break() {
                return Ok(());
            }
        } else {
            found.scanned = (found.scanned + 1).min(SCANNED_MAX);
        }
        if let Some(rank) = query.locales.iter().position(|l| *l == key.locale)
            && best.as_ref().is_none_or(|(b, _, _)| rank < *b)
        {
            best = Some((rank, key, EntryRecord::from_bytes(&value)?));
        }
    }
    if let Some(done) = current {
        let _ = finished(&done, best, found)?;
    }
    Ok(())
}

/// All locales of an id were seen, and this is what is served of it.
fn finished(
    id: &EntryId,
    best: Option<(usize, EntryKey, EntryRecord)>,
    found: &mut Found<'_>,
) -> Result<ControlFlow<()>, DeliveryError> {
    match best {
        Some((_, key, record)) => found.visit(id.as_str().as_bytes(), key, record),
        None => {
            found.pass(id.as_str().as_bytes());
            Ok(ControlFlow::Continue(()))
        }
    }
}

type Step = Result<(Bytes, Bytes), ashlar_store::StoreError>;

/// Walks the entries of a type in the order of an indexed field, then of their ids: the indexes of all wanted locales
/// merged, each entry where the locale that is served has it.
fn by_field(
    view: &ReleaseView,
    query: &Query<'_>,
    field: &str,
    descending: bool,
    found: &mut Found<'_>,
) -> Result<(), Failure> {
    let mut walks: Vec<(usize, Box<dyn Iterator<Item = Step> + '_>)> = Vec::new();
    for locale in query.locales {
        let prefix = field_prefix(query.type_name, field, locale);
        let (mut from, mut to) = bounds(&prefix, field, &query.filters);
        if let Some(after) = &query.after {
            let mut at = prefix.clone();
            at.extend(after);
            if descending {
                to = to.min(at);
            } else {
                // The next key there can be.
                at.push(0);
                from = from.max(at);
            }
        }
        if from >= to {
            walks.push((prefix.len(), Box::new(std::iter::empty())));
            continue;
        }
        let range = view.lookup.tree().range(Bound::Included(&from), Bound::Excluded(&to));
        let walk: Box<dyn Iterator<Item = Step> + '_> =
            if descending { Box::new(range.rev()) } else { Box::new(range) };
        walks.push((prefix.len(), walk));
    }
    let mut heads: Vec<Option<Bytes>> = Vec::with_capacity(walks.len());
    for (skip, walk) in &mut walks {
        heads.push(step(*skip, walk)?);
    }
    loop {
        let next = heads.iter().enumerate().filter_map(|(n, h)| Some((h.as_ref()?, n)));
        let next = if descending { next.max() } else { next.min() };
        let Some((position, rank)) = next.map(|(p, n)| (p.clone(), n)) else { return Ok(()) };
        if found.scan()?.is_break() {
            return Ok(());
        }
        let (skip, walk) = &mut walks[rank];
        heads[rank] = step(*skip, walk)?;
        let value_len = IndexKey::len_in(&position).ok_or(DeliveryError::LookupKey)?;
        let id = read_id(&position[value_len..])?;
        let Some((key, record)) = served(view, query, id, rank)? else {
            found.pass(&position);
            continue;
        };
        if found.visit(&position, key, record)?.is_break() {
            return Ok(());
        }
    }
}

fn step(skip: usize, walk: &mut Box<dyn Iterator<Item = Step> + '_>) -> Result<Option<Bytes>, DeliveryError> {
    match walk.next() {
        None => Ok(None),
        Some(item) => Ok(Some(item?.0.slice(skip..))),
    }
}

/// The entry in the locale with this rank, unless an earlier locale has it: then that one is served.
fn served(
    view: &ReleaseView,
    query: &Query<'_>,
    id: EntryId,
    rank: usize,
) -> Result<Option<(EntryKey, EntryRecord)>, DeliveryError> {
    for (n, locale) in query.locales.iter().enumerate().take(rank + 1) {
        let key = EntryKey { type_name: query.type_name.clone(), id: id.clone(), locale: locale.clone() };
        if let Some(record) = view.record(&key)? {
            return Ok((n == rank).then_some((key, record)));
        }
    }
    Ok(None)
}

/// The part of the index of `field` that can match: from, and to without its end.
fn bounds(prefix: &[u8], field: &str, filters: &[Filter]) -> (Vec<u8>, Vec<u8>) {
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
