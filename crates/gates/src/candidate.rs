use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use ashlar_delivery::{
    Caches, ReleaseView,
    lookup::{Lookup, LookupRules},
};
use ashlar_model::{ContractName, EntryId, EntryKey, EntryRecord, GateStatus, ProjectConfig, TypeName};
use ashlar_release::JudgeInput;
use ashlar_store::Tree;
use serde_json::Value;

use crate::{
    GateError,
    definitions::Definitions,
    findings::Findings,
    gate::{consumers, links, references, routes, validity},
    links::LinkRules,
    site::{CandidateSite, Near},
};

/// Entries that a worker takes at a time.
const CHUNK: usize = 256;

/// A candidate under judgement.
pub(crate) struct Candidate<'a> {
    pub(crate) input: &'a JudgeInput<'a>,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) base: Option<Arc<Definitions>>,
    pub(crate) config: &'a ProjectConfig,
    /// The candidate's look-up tree.
    pub(crate) lookup: &'a Lookup,
    /// The base's look-up tree.
    pub(crate) base_lookup: Option<&'a Lookup>,
    /// Both look-up trees were made with the same rules.
    pub(crate) same_rules: bool,
    /// Gates that are let through whatever they find: what another gate leaves to them is told by that other gate then.
    pub(crate) waived: BTreeSet<String>,
    /// Whether content itself is wrong, as `content-validity` and `references` tell it.
    pub(crate) unsound: AtomicBool,
}

/// What a gate did, beside its findings.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) findings: Findings,
    /// Things that were looked at.
    pub(crate) checked: usize,
    /// Things whose verdict was taken over from the base.
    pub(crate) reused: u64,
}

/// The parts of a key of a look-up tree.
fn parts(key: &[u8]) -> Result<Vec<&str>, GateError> {
    let text = std::str::from_utf8(key.get(1..).unwrap_or_default()).map_err(|_| GateError::LookupKey)?;
    Ok(text.split('\0').collect())
}

fn entry(type_name: &str, id: &str, locale: &str) -> Result<EntryKey, GateError> {
    EntryKey::from_bytes(format!("{type_name}\0{id}\0{locale}").as_bytes()).map_err(|_| GateError::LookupKey)
}

fn pointers(value: &[u8]) -> impl Iterator<Item = &str> {
    std::str::from_utf8(value).unwrap_or_default().lines()
}

impl<'a> Candidate<'a> {
    fn site(&self) -> CandidateSite<'a> {
        CandidateSite { snapshot: self.input.snapshot, lookup: self.lookup }
    }

    /// Whether the base passed a gate: passed, not waived.
    fn base_passed(&self, gate: &str) -> bool {
        self.input
            .base
            .as_ref()
            .is_some_and(|b| b.gates.iter().any(|g| g.gate == gate && g.status == GateStatus::Pass))
    }

    fn same_locales(&self) -> bool {
        self.base.as_ref().is_some_and(|b| b.config.as_ref().is_ok_and(|c| c.locales == self.config.locales))
    }

    /// The base's look-up tree, when the verdict of `gate` on it can be relied on for everything that did not change.
    pub(crate) fn trusted(&self, gate: &str) -> Option<&'a Lookup> {
        self.base_lookup.filter(|_| self.same_rules && self.same_locales() && self.base_passed(gate))
    }

    pub(crate) fn fields(&self, key: &EntryKey, record: &EntryRecord) -> Result<Value, GateError> {
        let bytes = self.input.objects.get(&record.digest)?;
        serde_json::from_slice(&bytes).map_err(|_| GateError::Object(Box::new(key.clone())))
    }

    /// content-validity
    pub(crate) fn validity(&self) -> Result<Work, GateError> {
        let len = self.input.snapshot.len();
        let base =
            self.input.base.as_ref().filter(|_| self.same_locales() && self.base_passed("content-validity"));
        let (Some(base), Some(base_definitions)) = (base, &self.base) else {
            return self.validate(&mut self.input.snapshot.prefix(b"").map(|item| Ok(item?)));
        };
        let changed = self.changed_contracts(base_definitions);
        let types: BTreeSet<&TypeName> = changed.iter().map(|c| &c.name).collect();
        let mut work = Work::default();
        for type_name in &types {
            let prefix = EntryKey::type_prefix(type_name);
            let mut items = self.input.snapshot.prefix(&prefix).map(|item| Ok(item?));
            merge(&mut work, self.validate(&mut items)?);
        }
        let mut items = base.snapshot.diff(self.input.snapshot).filter_map(|change| match change {
            Err(e) => Some(Err(e.into())),
            Ok(change) => {
                let of_type = change.key.split(|b| *b == 0).next().unwrap_or_default();
                let new = change.new.filter(|_| !types.iter().any(|t| t.as_str().as_bytes() == of_type))?;
                Some(Ok((change.key, new)))
            }
        });
        merge(&mut work, self.validate(&mut items)?);
        work.reused = len.saturating_sub(work.checked as u64);
        Ok(work)
    }

    /// Contracts that were added, removed or changed since the base.
    fn changed_contracts(&self, base: &Definitions) -> BTreeSet<ContractName> {
        let here = self.definitions.contracts.iter();
        let changed = here.filter(|c| base.contracts.get(&c.name).is_none_or(|b| b.digest != c.digest));
        let gone = base.contracts.iter().filter(|c| self.definitions.contracts.get(&c.name).is_none());
        changed.chain(gone).map(|c| c.name.clone()).collect()
    }

    /// Validates entries, on two threads when there are many.
    fn validate<K: AsRef<[u8]> + Send, V: AsRef<[u8]> + Send>(
        &self,
        items: &mut (dyn Iterator<Item = Result<(K, V), GateError>> + Send),
    ) -> Result<Work, GateError> {
        let take = |items: &mut dyn Iterator<Item = Result<(K, V), GateError>>| {
            items.take(CHUNK).collect::<Result<Vec<_>, _>>()
        };
        let first = take(items)?;
        if first.len() < CHUNK {
            return self.validate_chunk(&first);
        }
        let shared = Mutex::new(items);
        let mut work = self.validate_chunk(&first)?;
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
        let parts: Vec<Result<Work, GateError>> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let mut work = Work::default();
                        loop {
                            let chunk = take(&mut **shared.lock().unwrap_or_else(PoisonError::into_inner))?;
                            if chunk.is_empty() {
                                return Ok(work);
                            }
                            merge(&mut work, self.validate_chunk(&chunk)?);
                        }
                    })
                })
                .collect();
            handles.into_iter().map(|h| h.join().unwrap_or(Err(GateError::Thread))).collect()
        });
        for part in parts {
            merge(&mut work, part?);
        }
        Ok(work)
    }

    fn validate_chunk<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, chunk: &[(K, V)]) -> Result<Work, GateError> {
        let mut work = Work { checked: chunk.len(), ..Work::default() };
        for (key, record) in chunk {
            let key = EntryKey::from_bytes(key.as_ref())?;
            let record = EntryRecord::from_bytes(record.as_ref())?;
            let mut problems: Vec<_> =
                validity::unsupported_locale(&self.config.locales, &key).into_iter().collect();
            match self.definitions.contract(&key.type_name, record.major) {
                None => {
                    problems.push(validity::unknown_contract(&self.definitions, &key, Some(record.major)))
                }
                Some(contract) => {
                    problems.extend(validity::fields(contract, &key, &self.fields(&key, &record)?))
                }
            }
            work.findings.extend(problems.into_iter().map(|p| {
                let place = validity::place(&key, &p.pointer);
                p.at(place)
            }));
        }
        Ok(work)
    }

    /// references
    pub(crate) fn references(&self) -> Result<Work, GateError> {
        let mut work = Work::default();
        let site = self.site();
        let mut near = Near::new(&site);
        let mut targets: BTreeSet<(TypeName, EntryId)> = BTreeSet::new();
        let mut judge = |work: &mut Work, target: (TypeName, EntryId)| -> Result<(), GateError> {
            work.checked += 1;
            if crate::Site::has_entry(&site, &target.0, &target.1)? {
                return Ok(());
            }
            let deleted = match &self.input.base {
                Some(b) => {
                    let prefix = EntryKey::entry_prefix(&target.0, &target.1);
                    b.snapshot.prefix(&prefix).next().transpose()?.is_some()
                }
                None => false,
            };
            let near = if deleted { None } else { near.entry(&target.0, &target.1)? };
            for item in self.lookup.tree().prefix(format!("r{}\0{}\0", target.0, target.1).as_bytes()) {
                let (key, value) = item?;
                let parts = parts(&key)?;
                let [_, _, t, i, l] = parts.as_slice() else { return Err(GateError::LookupKey) };
                let source = entry(t, i, l)?;
                for pointer in pointers(&value) {
                    let place = validity::place(&source, pointer);
                    let near = near.clone();
                    let broken =
                        references::Broken { place, type_name: &target.0, id: &target.1, deleted, near };
                    work.findings.push(broken.finding());
                }
            }
            Ok(())
        };
        let target = |t: &str, i: &str| -> Result<(TypeName, EntryId), GateError> {
            let bad = |_| GateError::LookupKey;
            Ok((TypeName::new(t).map_err(bad)?, EntryId::new(i).map_err(bad)?))
        };
        let Some(base_lookup) = self.trusted("references") else {
            // Keys are in order of the target: each is judged once, and none is kept.
            let mut last: Option<(TypeName, EntryId)> = None;
            for item in self.lookup.tree().prefix(b"r") {
                let key = item?.0;
                let parts = parts(&key)?;
                let [t, i, ..] = parts.as_slice() else { return Err(GateError::LookupKey) };
                if last.as_ref().is_some_and(|l| l.0.as_str() == *t && l.1.as_str() == *i) {
                    continue;
                }
                let target = target(t, i)?;
                judge(&mut work, target.clone())?;
                last = Some(target);
            }
            return Ok(work);
        };
        for change in base_lookup.tree().diff(self.lookup.tree()) {
            let change = change?;
            if change.key.first() == Some(&b'r') && change.new.is_some() {
                let parts = parts(&change.key)?;
                let [t, i, ..] = parts.as_slice() else { return Err(GateError::LookupKey) };
                targets.insert(target(t, i)?);
            }
        }
        if let Some(base) = &self.input.base {
            for change in base.snapshot.diff(self.input.snapshot) {
                let change = change?;
                if change.new.is_none() {
                    let key = EntryKey::from_bytes(&change.key)?;
                    targets.insert((key.type_name, key.id));
                }
            }
        }
        for target in targets {
            judge(&mut work, target)?;
        }
        work.reused = self.input.snapshot.len();
        Ok(work)
    }

    /// links
    pub(crate) fn links(&self) -> Result<Work, GateError> {
        let mut work = Work::default();
        let site = self.site();
        let rules = self.link_rules();
        // What was found out about a target in a locale holds for every page that links there.
        let mut known: BTreeMap<(String, String), Option<Option<String>>> = BTreeMap::new();
        let mut near = Near::new(&site);
        let before = match (&self.input.base, self.base_lookup) {
            (Some(base), Some(lookup)) if self.tells("routes") => {
                Some(CandidateSite { snapshot: &base.snapshot, lookup })
            }
            _ => None,
        };
        let mut judge = |work: &mut Work, key: &[u8], value: &[u8]| -> Result<(), GateError> {
            let parts = parts(key)?;
            let [path, t, i, l] = parts.as_slice() else { return Err(GateError::LookupKey) };
            let source = entry(t, i, l)?;
            work.checked += pointers(value).count();
            let memo = ((*path).to_owned(), (*l).to_owned());
            let broken = match known.get(&memo) {
                Some(broken) => broken.clone(),
                None => {
                    let broken = match rules.leads(&site, &source.locale, path)? {
                        true => None,
                        false => match &before {
                            Some(before) if rules.vanished_with(before, &source.locale, path)? => None,
                            _ => Some(near.route(&source.locale, path)?),
                        },
                    };
                    // Keys come in order of their path: what was found out about earlier ones is not needed again.
                    if known.len() > 1_000 {
                        known.clear();
                    }
                    known.insert(memo, broken.clone());
                    broken
                }
            };
            if let Some(near) = broken {
                for pointer in pointers(value) {
                    let place = validity::place(&source, pointer);
                    work.findings.push(links::broken(place, &source.locale, path, near.clone()));
                }
            }
            Ok(())
        };
        let same_config = self.base.as_ref().is_some_and(|b| {
            b.config.as_ref().is_ok_and(|c| c.gates.links_ignored == self.config.gates.links_ignored)
                && b.redirects == self.definitions.redirects
                && b.part("site/") == self.definitions.part("site/")
        });
        let Some(base_lookup) = self.trusted("links").filter(|_| same_config) else {
            for item in self.lookup.tree().prefix(b"l") {
                let (key, value) = item?;
                judge(&mut work, &key, &value)?;
            }
            return Ok(work);
        };
        let mut uses: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut vanished: BTreeSet<String> = BTreeSet::new();
        for change in base_lookup.tree().diff(self.lookup.tree()) {
            let change = change?;
            match (change.key.first(), change.new) {
                (Some(b'l'), Some(value)) => {
                    uses.insert(change.key.to_vec(), value.to_vec());
                }
                (Some(b'p'), None) => {
                    let parts = parts(&change.key)?;
                    vanished.extend(parts.get(1).map(|route| (*route).to_owned()));
                }
                _ => {}
            }
        }
        for route in &vanished {
            for path in rules.spellings(route) {
                for item in self.lookup.tree().prefix(format!("l{path}\0").as_bytes()) {
                    let (key, value) = item?;
                    uses.insert(key.to_vec(), value.to_vec());
                }
            }
        }
        for (key, value) in &uses {
            judge(&mut work, key, value)?;
        }
        work.reused = self.input.snapshot.len();
        Ok(work)
    }

    fn link_rules(&self) -> LinkRules<'_> {
        LinkRules::new(&self.config.locales, &self.config.gates.links_ignored, &self.definitions.redirects)
            .with_site(self.definitions.site.site.as_ref())
    }

    /// routes
    pub(crate) fn routes(&self) -> Result<Work, GateError> {
        let mut work = Work::default();
        work.findings.extend(self.definitions.redirect_findings.iter().cloned());
        work.findings.extend(routes::without_page(&self.definitions));
        let site = self.site();
        let rules = self.link_rules();
        let trusted = self.trusted("routes");
        let mut vanished: BTreeSet<String> = BTreeSet::new();
        if let Some(base_lookup) = self.base_lookup {
            let mut added = BTreeSet::new();
            for change in base_lookup.route_changes(self.lookup) {
                let (routed, is_new) = change?;
                if is_new {
                    added.insert((routed.entry.locale, routed.route));
                    continue;
                }
                work.checked += 1;
                vanished.extend(rules.spellings(&routed.route));
                let locale = &routed.entry.locale;
                if self.definitions.redirects.get(&routed.route).is_none()
                    && !rules.has_route(&site, locale, &routed.route)?
                    && let Some(why) = self.vanished(&routed.entry)?
                {
                    work.findings.push(routes::vanished(&routed.entry, &routed.route, why));
                }
            }
            if trusted.is_some() {
                for (locale, route) in &added {
                    work.checked += 1;
                    let places: Vec<String> =
                        self.lookup.routed(locale, route, 100)?.iter().map(ToString::to_string).collect();
                    if places.len() > 1 {
                        work.findings.push(routes::clash(route, locale, &places));
                    }
                }
            }
        }
        if trusted.is_none() {
            let mut group: Vec<ashlar_delivery::lookup::Routed> = Vec::new();
            let finish = |group: &mut Vec<ashlar_delivery::lookup::Routed>, findings: &mut Findings| {
                if let [first, _, ..] = group.as_slice() {
                    let places: Vec<String> = group.iter().map(|r| r.entry.to_string()).collect();
                    findings.push(routes::clash(&first.route, &first.entry.locale, &places));
                }
                group.clear();
            };
            for routed in self.lookup.routes() {
                let routed = routed?;
                work.checked += 1;
                let same = |r: &ashlar_delivery::lookup::Routed| {
                    r.route == routed.route && r.entry.locale == routed.entry.locale
                };
                if !group.last().is_some_and(same) {
                    finish(&mut group, &mut work.findings);
                }
                if group.len() < 100 {
                    group.push(routed);
                }
            }
            finish(&mut group, &mut work.findings);
        }
        let same_redirects = self.base.as_ref().is_some_and(|b| {
            b.redirects == self.definitions.redirects
                && b.config.as_ref().is_ok_and(|c| c.gates.links_ignored == self.config.gates.links_ignored)
        });
        let only = (trusted.is_some() && same_redirects).then_some(&vanished);
        let redirects = &self.definitions.redirects;
        work.findings.extend(routes::redirects(&site, &rules, redirects, &self.config.locales.all(), only)?);
        work.reused = if trusted.is_some() { self.input.snapshot.len() } else { 0 };
        Ok(work)
    }

    /// consumers: every body that a consumer reads, or those that the changes can have touched.
    pub(crate) fn bodies(&self) -> Result<Work, GateError> {
        let mut work = Work::default();
        let promises = consumers::promises(&self.definitions);
        if promises.is_empty() {
            return Ok(work);
        }
        let view = self.view()?;
        let bodies = consumers::Bodies { view: &view, locales: self.config.locales.all() };
        let same = self.base.as_ref().is_some_and(|b| {
            let part = |name| b.part(name) == self.definitions.part(name);
            b.contracts_digest == self.definitions.contracts_digest && part("views/") && part("consumers/")
        });
        let touched = match &self.input.base {
            Some(base) if same && self.trusted("consumers").is_some() => Some(self.touched(&base.snapshot)?),
            _ => None,
        };
        for promise in promises {
            let Some(source) = promise.source() else { continue };
            match &touched {
                Some(touched) => {
                    for (type_name, id) in touched.iter().filter(|(t, _)| t == source) {
                        let prefix = EntryKey::entry_prefix(type_name, id);
                        let Some(item) = self.input.snapshot.prefix(&prefix).next() else { continue };
                        let (key, record) = item?;
                        self.body(promise, &bodies, &key, &record, &mut work)?;
                    }
                }
                None => {
                    let mut last: Option<EntryId> = None;
                    for item in self.input.snapshot.prefix(&EntryKey::type_prefix(source)) {
                        let (key, record) = item?;
                        let id = EntryKey::from_bytes(&key)?.id;
                        if last.as_ref() != Some(&id) {
                            self.body(promise, &bodies, &key, &record, &mut work)?;
                            last = Some(id);
                        }
                    }
                }
            }
            promise.examples(&bodies, &mut work.findings);
        }
        if touched.is_some() {
            work.reused = self.input.snapshot.len();
        }
        Ok(work)
    }

    /// The candidate as it would be read.
    pub(crate) fn view(&self) -> Result<ReleaseView, GateError> {
        let delivered = match self.definitions.delivered.get() {
            Some(known) => known,
            None => {
                let (digest, files) = (self.input.definitions_digest, self.input.definitions);
                let parsed = Arc::new(ashlar_delivery::Definitions::parse(digest, files)?);
                self.definitions.delivered.get_or_init(|| parsed)
            }
        };
        Ok(ReleaseView::new(
            self.input.objects.clone(),
            "candidate".to_owned(),
            self.input.snapshot.clone(),
            self.lookup.clone(),
            delivered.clone(),
            Caches::default(),
        ))
    }

    fn body(
        &self,
        promise: &consumers::Promise,
        bodies: &consumers::Bodies<'_>,
        key: &[u8],
        record: &[u8],
        work: &mut Work,
    ) -> Result<(), GateError> {
        let key = EntryKey::from_bytes(key)?;
        let fields = self.fields(&key, &EntryRecord::from_bytes(record)?)?;
        let mut found = Findings::default();
        work.checked += promise.body(bodies, &key, &fields, &mut found);
        if found.total() > 0 && !self.told_elsewhere(Some(&key))? {
            work.findings.merge(found);
        }
        Ok(())
    }

    /// Entries that have changed since the base, and those that refer to them, as far as views include references.
    pub(crate) fn touched(&self, base: &Tree) -> Result<BTreeSet<(TypeName, EntryId)>, GateError> {
        let mut all: BTreeSet<(TypeName, EntryId)> = BTreeSet::new();
        for change in base.diff(self.input.snapshot) {
            let key = EntryKey::from_bytes(&change?.key)?;
            all.insert((key.type_name, key.id));
        }
        let mut edge: Vec<_> = all.iter().cloned().collect();
        for _ in 0..ashlar_delivery::views::INCLUDE_DEPTH_MAX {
            let mut next = Vec::new();
            for (type_name, id) in &edge {
                for item in self.lookup.tree().prefix(format!("r{type_name}\0{id}\0").as_bytes()) {
                    let key = item?.0;
                    let parts = parts(&key)?;
                    let [_, _, t, i, l] = parts.as_slice() else { return Err(GateError::LookupKey) };
                    let source = entry(t, i, l)?;
                    let found = (source.type_name, source.id);
                    if all.insert(found.clone()) {
                        next.push(found);
                    }
                }
            }
            edge = next;
        }
        Ok(all)
    }

    /// The rules of the candidate's look-up tree.
    pub(crate) fn lookup_rules(definitions: &Definitions) -> LookupRules<'_> {
        LookupRules::new(&definitions.contracts, &definitions.views)
    }
}

fn merge(into: &mut Work, other: Work) {
    into.findings.merge(other.findings);
    into.checked += other.checked;
    into.reused += other.reused;
}
