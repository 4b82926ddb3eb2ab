//! Walks over the look-up tree and the snapshot that find the entries of a page.

use std::ops::{Bound, ControlFlow};

use ashlar_model::{EntryId, EntryKey, EntryRecord, Fields};
use bytes::Bytes;

use super::query::{Filter, Op, Query};
use crate::{
    error::{DeliveryError, Failure},
    http::Pace,
    lookup::{IndexKey, field_prefix, read_id},
    release::ReleaseView,
};

/// The most entries that are looked at for one page, those in locales that are not wanted or not served included; a page
/// that reaches it is shorter and goes on behind its cursor.
const SCANNED_MAX: usize = 5000;

/// The entries of one page.
pub(crate) struct Selected {
    pub(crate) items: Vec<(EntryKey, EntryRecord)>,
    /// Where the next page starts; `None` on the last.
    pub(crate) next_cursor: Option<String>,
}

/// Finds the entries of a page.
pub(super) fn select(view: &ReleaseView, query: &Query<'_>, pace: &Pace) -> Result<Selected, Failure> {
    let mut found = Found {
        query,
        view,
        pace,
        items: Vec::new(),
        bytes: 0,
        scanned: 0,
        last: Vec::new(),
        last_item: Vec::new(),
        more: false,
    };
    match &query.order {
        None => by_id(view, query, &mut found)?,
        Some((field, descending)) => by_field(view, query, field, *descending, &mut found)?,
    }
    let next_cursor = found.more.then(|| query.cursor(&found.last));
    Ok(Selected { items: found.items, next_cursor })
}

struct Found<'q> {
    query: &'q Query<'q>,
    view: &'q ReleaseView,
    pace: &'q Pace,
    items: Vec<(EntryKey, EntryRecord)>,
    /// The bytes of the items.
    bytes: usize,
    scanned: usize,
    /// The position of the last entry that was looked at, and of the last item.
    last: Vec<u8>,
    last_item: Vec<u8>,
    more: bool,
}

impl Found<'_> {
    /// Counts an entry before anything is done with it; breaks when enough were looked at.
    fn scan(&mut self) -> Result<ControlFlow<()>, Failure> {
        self.pace.look_up(1)?;
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
    ) -> Result<ControlFlow<()>, Failure> {
        if self.matches(&key, &record)? {
            let bytes = self.bytes + record.len as usize;
            if self.items.len() == self.query.limit
                || (bytes > self.query.bytes_max && !self.items.is_empty())
            {
                self.more = true;
                self.last = std::mem::take(&mut self.last_item);
                return Ok(ControlFlow::Break(()));
            }
            self.pace.copy(record.len as usize)?;
            self.bytes = bytes;
            self.items.push((key, record));
            self.last_item.clear();
            self.last_item.extend(position);
        }
        self.pass(position);
        Ok(ControlFlow::Continue(()))
    }

    fn matches(&self, key: &EntryKey, record: &EntryRecord) -> Result<bool, Failure> {
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
            self.pace.look_up(1)?;
            if self.view.lookup.tree().get(&at)?.is_none() {
                return Ok(false);
            }
        }
        if ranges.is_empty() {
            return Ok(true);
        }
        self.pace.parse(record.len as usize)?;
        let bytes = self.view.objects.get(&record.digest)?;
        let fields: Fields =
            serde_json::from_slice(&bytes).map_err(|_| DeliveryError::Object(record.digest))?;
        Ok(ranges.iter().all(|f| IndexKey::of(fields.get(&f.field)).iter().any(|v| f.matches(v))))
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
            found.pace.look_up(1)?;
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
) -> Result<ControlFlow<()>, Failure> {
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
        let (mut from, mut to) = query.bounds(&prefix, field);
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
        found.pace.look_up(rank + 1)?;
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
