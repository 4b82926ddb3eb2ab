mod causes;
mod changed;
pub(crate) mod checker;
mod search;
mod site;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ashlar_delivery::{
    Caches, PageAt, ReleaseView,
    lookup::{Lookup, LookupRules, Routed},
};
use ashlar_model::{
    ContractName, Digest, EntryId, EntryKey, EntryRecord, GateReport, GateStatus, ProjectConfig, TypeName,
    Waiver,
};
use ashlar_release::{Approval, DeclaredEnd, JudgeInput};
use ashlar_store::Tree;
use jiff::{civil::Date, tz::TimeZone};
use serde_json::Value;

use crate::{
    GateError, Site,
    definitions::Definitions,
    findings::Findings,
    gate::validity,
    judge,
    world::{
        Change, EachBody, EachEntry, EachLink, EachPage, EachReference, EachRoute, EntryAt, Looked, Part,
        RouteAt, Vanished, World, followers::Followers, link_rules, sensitive::Sensitive,
    },
};

use site::CandidateSite;

/// Entries that a worker takes at a time.
const CHUNK: usize = 256;
/// Entries of one route that are named.
const ROUTED_MAX: usize = 100;

/// A candidate under judgement.
pub(crate) struct Candidate<'a> {
    pub(crate) input: &'a JudgeInput<'a>,
    pub(crate) definitions: Arc<Definitions>,
    base: Option<Arc<Definitions>>,
    history: Vec<Arc<Definitions>>,
    config: &'a ProjectConfig,
    /// The candidate's look-up tree.
    lookup: &'a Lookup,
    /// The base's look-up tree.
    base_lookup: Option<&'a Lookup>,
    site: CandidateSite<'a>,
    base_site: Option<CandidateSite<'a>>,
    /// Both look-up trees were made with the same rules.
    same_rules: bool,
    pub(crate) waived: BTreeSet<String>,
    /// Whether content itself is wrong, as other gates tell it.
    pub(crate) unsound: AtomicBool,
    touched: OnceLock<BTreeSet<(TypeName, EntryId)>>,
}

/// The parts of a key of a look-up tree.
fn parts(key: &[u8]) -> Result<Vec<&str>, GateError> {
    let text = std::str::from_utf8(key.get(1..).unwrap_or_default()).map_err(|_| GateError::LookupKey)?;
    Ok(text.split('\0').collect())
}

fn entry(type_name: &str, id: &str, locale: &str) -> Result<EntryKey, GateError> {
    EntryKey::from_bytes(format!("{type_name}\0{id}\0{locale}").as_bytes()).map_err(|_| GateError::LookupKey)
}

fn target(type_name: &str, id: &str) -> Result<(TypeName, EntryId), GateError> {
    let bad = |_| GateError::LookupKey;
    Ok((TypeName::new(type_name).map_err(bad)?, EntryId::new(id).map_err(bad)?))
}

fn pointers(value: &[u8]) -> impl Iterator<Item = &str> {
    std::str::from_utf8(value).unwrap_or_default().lines()
}

/// Where the fields of an entry stand that a value of a look-up tree names.
fn places<'v>(source: &'v EntryKey, value: &'v [u8]) -> impl Iterator<Item = Result<String, GateError>> + 'v {
    pointers(value).map(move |pointer| Ok(validity::place(source, pointer)))
}

type Record<K, V> = Result<(K, V), GateError>;

impl<'a> Candidate<'a> {
    pub(crate) fn new(
        input: &'a JudgeInput<'a>,
        definitions: Arc<Definitions>,
        base: Option<Arc<Definitions>>,
        history: Vec<Arc<Definitions>>,
        config: &'a ProjectConfig,
        lookup: &'a Lookup,
        base_lookup: Option<&'a Lookup>,
    ) -> Self {
        let rules = |d: &Definitions| *Self::lookup_rules(d).digest();
        let same_rules =
            base_lookup.is_some() && base.as_ref().is_some_and(|b| rules(b) == rules(&definitions));
        let mut candidate = Self {
            input,
            base,
            history,
            config,
            lookup,
            base_lookup,
            site: CandidateSite { snapshot: input.snapshot, lookup: Some(lookup) },
            base_site: input
                .base
                .as_ref()
                .map(|b| CandidateSite { snapshot: &b.snapshot, lookup: base_lookup }),
            same_rules,
            waived: BTreeSet::new(),
            unsound: AtomicBool::new(false),
            touched: OnceLock::new(),
            definitions,
        };
        let given = input.waivers.iter().map(|(gate, _)| gate.clone());
        let governance = &candidate.definitions.governance;
        let standing = judge::names().filter(|gate| governance.waiver(gate, candidate.today()).is_some());
        candidate.waived = given.chain(standing.map(str::to_owned)).collect();
        candidate
    }

    pub(crate) fn fields(&self, key: &EntryKey, record: &EntryRecord) -> Result<Value, GateError> {
        let bytes = self.input.objects.get(&record.digest)?;
        serde_json::from_slice(&bytes).map_err(|_| GateError::Object(Box::new(key.clone())))
    }

    /// Judges entries, on several threads when there are many.
    fn each<K: AsRef<[u8]> + Send, V: AsRef<[u8]> + Send>(
        &self,
        items: &mut (dyn Iterator<Item = Record<K, V>> + Send),
        judge: &EachEntry<'_>,
    ) -> Result<(Findings, usize), GateError> {
        let take =
            |items: &mut dyn Iterator<Item = Record<K, V>>| items.take(CHUNK).collect::<Result<Vec<_>, _>>();
        let first = take(items)?;
        let (mut findings, mut checked) = (self.chunk(&first, judge)?, first.len());
        if first.len() < CHUNK {
            return Ok((findings, checked));
        }
        let shared = Mutex::new(items);
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
        let work = || -> Result<(Findings, usize), GateError> {
            let (mut findings, mut checked) = (Findings::default(), 0);
            loop {
                let chunk = take(&mut **shared.lock().unwrap_or_else(PoisonError::into_inner))?;
                if chunk.is_empty() {
                    return Ok((findings, checked));
                }
                findings.merge(self.chunk(&chunk, judge)?);
                checked += chunk.len();
            }
        };
        let parts: Vec<Result<_, GateError>> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            handles.into_iter().map(|h| h.join().unwrap_or(Err(GateError::Thread))).collect()
        });
        for part in parts {
            let (found, n) = part?;
            findings.merge(found);
            checked += n;
        }
        Ok((findings, checked))
    }

    fn chunk<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        chunk: &[(K, V)],
        judge: &EachEntry<'_>,
    ) -> Result<Findings, GateError> {
        let mut findings = Findings::default();
        for (key, record) in chunk {
            let key = EntryKey::from_bytes(key.as_ref())?;
            let record = EntryRecord::from_bytes(record.as_ref())?;
            let contract = self.definitions.contract(&key.type_name, record.major);
            let problems = match contract {
                Some(contract) => validity::fields(contract, &key, &self.fields(&key, &record)?),
                None => Vec::new(),
            };
            let placed = |p: validity::Problem| {
                let place = validity::place(&key, &p.pointer);
                p.at(place)
            };
            let at = EntryAt {
                key: &key,
                major: Some(record.major),
                has_contract: contract.is_some(),
                place: &|| validity::place(&key, ""),
                wrong: problems.into_iter().map(placed).collect(),
            };
            judge(at, &mut findings);
        }
        Ok(findings)
    }

    /// Hears of a target with everything that refers to it.
    fn reference(
        &self,
        type_name: &TypeName,
        id: &EntryId,
        each: &mut EachReference<'_>,
    ) -> Result<(), GateError> {
        let prefix = format!("r{type_name}\0{id}\0");
        let uses = self.lookup.tree().prefix(prefix.as_bytes());
        let of_use = |key: &[u8], value: &[u8]| -> Result<Vec<String>, GateError> {
            let parts = parts(key)?;
            let [_, _, t, i, l] = parts.as_slice() else { return Err(GateError::LookupKey) };
            places(&entry(t, i, l)?, value).collect()
        };
        let mut all = uses.flat_map(|item| -> Vec<Result<String, GateError>> {
            match item.map_err(GateError::from).and_then(|(key, value)| of_use(&key, &value)) {
                Ok(places) => places.into_iter().map(Ok).collect(),
                Err(e) => vec![Err(e)],
            }
        });
        each(type_name, id, &mut all)
    }

    /// The candidate as it would be read.
    fn view(&self) -> Result<ReleaseView, GateError> {
        let delivered = self.definitions.delivered(self.input.definitions_digest, self.input.definitions)?;
        Ok(ReleaseView::new(
            self.input.objects.clone(),
            "candidate".to_owned(),
            self.input.snapshot.clone(),
            self.lookup.clone(),
            delivered,
            Caches::default(),
        ))
    }

    /// Whether a body that every page gets differs from that of the base, which has the same definitions.
    fn differs_everywhere(&self, view: &ReleaseView) -> bool {
        let (Some(base), Some(lookup)) = (&self.input.base, self.base_lookup) else { return true };
        let before = ReleaseView::new(
            self.input.objects.clone(),
            "base".to_owned(),
            base.snapshot.clone(),
            lookup.clone(),
            view.definitions().clone(),
            Caches::default(),
        );
        self.config.locales.all().iter().any(|locale| view.data(locale) != before.data(locale))
    }

    /// Renders one page. What only follows from an entry that is not valid is left out: `content-validity` tells it.
    fn page(
        &self,
        view: &ReleaseView,
        at: &PageAt,
        judge: &mut EachPage<'_>,
        findings: &mut Findings,
    ) -> Result<(), GateError> {
        let place = at.entry.as_ref().map_or_else(|| at.path.clone(), ToString::to_string);
        let mut own = Findings::default();
        judge(view, at, &place, &mut own);
        if own.total() > 0 && !self.told_elsewhere(at.entry.as_ref())? {
            findings.merge(own);
        }
        Ok(())
    }

    /// Entries that have changed since the base, and those that refer to them, as far as views include references.
    fn touched(&self) -> Result<&BTreeSet<(TypeName, EntryId)>, GateError> {
        if let Some(known) = self.touched.get() {
            return Ok(known);
        }
        let empty = Tree::empty();
        let base = self.input.base.as_ref().map_or(&empty, |b| &b.snapshot);
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
        Ok(self.touched.get_or_init(|| all))
    }

    /// The rules of the candidate's look-up tree.
    pub(crate) fn lookup_rules(definitions: &Definitions) -> LookupRules<'_> {
        LookupRules::new(&definitions.contracts, &definitions.views)
    }

    /// Hears of routes that several entries have, all of them.
    fn shared_routes(&self, each: &mut EachRoute<'_>) -> Result<usize, GateError> {
        let mut checked = 0;
        let mut group: Vec<Routed> = Vec::new();
        let mut finish = |group: &mut Vec<Routed>| -> Result<(), GateError> {
            if let [first, _, ..] = group.as_slice() {
                let places: Vec<String> = group.iter().map(|r| r.entry.to_string()).collect();
                let locale = &first.entry.locale;
                each(RouteAt::Shared { route: &first.route, locale, places: &places })?;
            }
            group.clear();
            Ok(())
        };
        for routed in self.lookup.routes() {
            let routed = routed?;
            checked += 1;
            let same = |r: &Routed| r.route == routed.route && r.entry.locale == routed.entry.locale;
            if !group.last().is_some_and(same) {
                finish(&mut group)?;
            }
            if group.len() < ROUTED_MAX {
                group.push(routed);
            }
        }
        finish(&mut group)?;
        Ok(checked)
    }
}

impl World for Candidate<'_> {
    fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    fn base(&self) -> Option<&Definitions> {
        self.base.as_deref()
    }

    fn config(&self) -> &ProjectConfig {
        self.config
    }

    fn today(&self) -> Date {
        self.input.now.to_zoned(TimeZone::UTC).date()
    }

    fn len(&self) -> u64 {
        self.input.snapshot.len()
    }

    fn site(&self) -> &dyn Site {
        &self.site
    }

    fn base_site(&self) -> Option<&dyn Site> {
        self.base_site.as_ref().map(|site| site as &dyn Site)
    }

    fn digest(&self, part: Part) -> Digest {
        let found = match part {
            Part::Snapshot => Some(self.input.snapshot.root()),
            Part::BaseSnapshot => self.input.base.as_ref().map(|b| b.snapshot.root()),
            Part::Lookup => Some(self.lookup.tree().root()),
            Part::BaseLookup => self.base_lookup.map(|l| l.tree().root()),
            Part::Changes => Some(self.input.changes.root()),
        };
        found.unwrap_or_else(|| Digest::from_bytes([0; 32]))
    }

    fn waived(&self) -> &BTreeSet<String> {
        &self.waived
    }

    fn waiver(&self, gate: &str) -> Option<Waiver> {
        let given = self.input.waivers.iter().find(|(of, _)| of == gate).map(|(_, w)| w.clone());
        given.or_else(|| self.definitions.governance.waived(gate, self.today()))
    }

    fn history(&self) -> &[Arc<Definitions>] {
        &self.history
    }

    fn evidence(&self, gate: &str, inputs: &Digest) -> Option<GateReport> {
        (self.input.evidence)(gate, inputs)
    }

    fn change(&self, gate: &str) -> Option<Change<'_>> {
        let base = self.base.as_deref()?;
        let same_locales = base.config.as_ref().is_ok_and(|c| c.locales == self.config.locales);
        let mut earlier = self.input.base.iter().flat_map(|b| &b.gates);
        let passed = earlier.any(|g| g.gate == gate && g.status == GateStatus::Pass);
        (same_locales && passed).then_some(Change { base, same_lookup: self.same_rules })
    }

    fn note_unsound(&self) {
        self.unsound.store(true, Ordering::Relaxed);
    }

    fn entries(
        &self,
        change: Option<&Change<'_>>,
        judge: &EachEntry<'_>,
    ) -> Result<(Findings, Looked), GateError> {
        let snapshot = self.input.snapshot;
        let (Some(change), Some(base)) = (change, &self.input.base) else {
            let (findings, checked) = self.each(&mut snapshot.prefix(b"").map(|item| Ok(item?)), judge)?;
            return Ok((findings, Looked { checked, reused: 0 }));
        };
        let (mut findings, mut checked) = (Findings::default(), 0);
        let types = validity::changed_types(&self.definitions, change.base);
        for type_name in &types {
            let prefix = EntryKey::type_prefix(type_name);
            let (found, n) = self.each(&mut snapshot.prefix(&prefix).map(|item| Ok(item?)), judge)?;
            findings.merge(found);
            checked += n;
        }
        let mut items = base.snapshot.diff(snapshot).filter_map(|change| match change {
            Err(e) => Some(Err(e.into())),
            Ok(change) => {
                let of_type = change.key.split(|b| *b == 0).next().unwrap_or_default();
                let new = change.new.filter(|_| !types.iter().any(|t| t.as_str().as_bytes() == of_type))?;
                Some(Ok((change.key, new)))
            }
        });
        let (found, n) = self.each(&mut items, judge)?;
        findings.merge(found);
        checked += n;
        Ok((findings, Looked { checked, reused: self.len().saturating_sub(checked as u64) }))
    }

    fn references(
        &self,
        change: Option<&Change<'_>>,
        each: &mut EachReference<'_>,
    ) -> Result<(Looked, [&'static str; 2]), GateError> {
        let counted = ["target of references", "targets of references"];
        let (Some(_), Some(base), Some(base_lookup)) = (change, &self.input.base, self.base_lookup) else {
            let mut checked = 0;
            // Keys are in order of the target: each is judged once, and none is kept.
            let mut last: Option<(TypeName, EntryId)> = None;
            for item in self.lookup.tree().prefix(b"r") {
                let key = item?.0;
                let parts = parts(&key)?;
                let [t, i, ..] = parts.as_slice() else { return Err(GateError::LookupKey) };
                if last.as_ref().is_some_and(|l| l.0.as_str() == *t && l.1.as_str() == *i) {
                    continue;
                }
                let (type_name, id) = last.insert(target(t, i)?);
                checked += 1;
                self.reference(type_name, id, each)?;
            }
            return Ok((Looked { checked, reused: 0 }, counted));
        };
        let mut targets: BTreeSet<(TypeName, EntryId)> = BTreeSet::new();
        for change in base_lookup.tree().diff(self.lookup.tree()) {
            let change = change?;
            if change.key.first() == Some(&b'r') && change.new.is_some() {
                let parts = parts(&change.key)?;
                let [t, i, ..] = parts.as_slice() else { return Err(GateError::LookupKey) };
                targets.insert(target(t, i)?);
            }
        }
        for change in base.snapshot.diff(self.input.snapshot) {
            let change = change?;
            if change.new.is_none() {
                let key = EntryKey::from_bytes(&change.key)?;
                targets.insert((key.type_name, key.id));
            }
        }
        for (type_name, id) in &targets {
            self.reference(type_name, id, each)?;
        }
        Ok((Looked { checked: targets.len(), reused: self.len() }, counted))
    }

    fn links(&self, change: Option<&Change<'_>>, each: &mut EachLink<'_>) -> Result<Looked, GateError> {
        let mut checked = 0;
        let mut link = |key: &[u8], value: &[u8]| -> Result<(), GateError> {
            let parts = parts(key)?;
            let [path, t, i, l] = parts.as_slice() else { return Err(GateError::LookupKey) };
            let source = entry(t, i, l)?;
            checked += pointers(value).count();
            each(&source.locale, path, &mut places(&source, value))
        };
        let (Some(_), Some(base_lookup)) = (change, self.base_lookup) else {
            for item in self.lookup.tree().prefix(b"l") {
                let (key, value) = item?;
                link(&key, &value)?;
            }
            return Ok(Looked { checked, reused: 0 });
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
        let rules = link_rules(self.config, &self.definitions);
        for path in vanished.iter().flat_map(|route| rules.spellings(route)) {
            for item in self.lookup.tree().prefix(format!("l{path}\0").as_bytes()) {
                let (key, value) = item?;
                uses.insert(key.to_vec(), value.to_vec());
            }
        }
        for (key, value) in &uses {
            link(key, value)?;
        }
        Ok(Looked { checked, reused: self.len() })
    }

    fn routes(&self, change: Option<&Change<'_>>, each: &mut EachRoute<'_>) -> Result<Looked, GateError> {
        let (mut checked, mut added) = (0, BTreeSet::new());
        for route in self.base_lookup.into_iter().flat_map(|base| base.route_changes(self.lookup)) {
            let (routed, is_new) = route?;
            if is_new {
                added.insert((routed.entry.locale, routed.route));
                continue;
            }
            checked += 1;
            each(RouteAt::Before { entry: &routed.entry, route: &routed.route })?;
        }
        if change.is_none() {
            return Ok(Looked { checked: checked + self.shared_routes(each)?, reused: 0 });
        }
        for (locale, route) in &added {
            let routed = self.lookup.routed(locale, route, ROUTED_MAX)?;
            let places: Vec<String> = routed.iter().map(ToString::to_string).collect();
            if places.len() > 1 {
                each(RouteAt::Shared { route, locale, places: &places })?;
            }
        }
        Ok(Looked { checked: checked + added.len(), reused: self.len() })
    }

    fn vanished(&self, key: &EntryKey) -> Result<Option<Vanished>, GateError> {
        self.lost(key)
    }

    fn pages(
        &self,
        change: Option<&Change<'_>>,
        judge: &mut EachPage<'_>,
    ) -> Result<(Findings, Looked), GateError> {
        let (mut findings, mut looked) = (Findings::default(), Looked::default());
        if self.definitions.site.site.is_none() {
            return Ok((findings, looked));
        }
        let view = self.view()?;
        if change.is_none() || self.differs_everywhere(&view) {
            for at in view.pages() {
                looked.checked += 1;
                self.page(&view, &at?, judge, &mut findings)?;
            }
            return Ok((findings, looked));
        }
        let touched = self.touched()?;
        let types: BTreeSet<&TypeName> = touched.iter().map(|(of, _)| of).collect();
        for (_, list) in view.lists().filter(|(of, _)| types.contains(of)) {
            looked.checked += 1;
            self.page(&view, &list, judge, &mut findings)?;
        }
        for (type_name, id) in touched {
            for item in self.input.snapshot.prefix(&EntryKey::entry_prefix(type_name, id)) {
                let key = EntryKey::from_bytes(&item?.0)?;
                if let Some(path) = view.path_of(&key)? {
                    let at = PageAt { path, locale: key.locale.clone(), entry: Some(key) };
                    looked.checked += 1;
                    self.page(&view, &at, judge, &mut findings)?;
                }
            }
        }
        looked.reused = self.len();
        Ok((findings, looked))
    }

    fn bodies(&self) -> Result<Option<ReleaseView>, GateError> {
        self.view().map(Some)
    }

    fn bodies_of(
        &self,
        type_name: &TypeName,
        change: Option<&Change<'_>>,
        judge: &mut EachBody<'_>,
    ) -> Result<Findings, GateError> {
        let mut findings = Findings::default();
        let mut body = |key: &EntryKey, record: &[u8]| -> Result<(), GateError> {
            let fields = self.fields(key, &EntryRecord::from_bytes(record)?)?;
            let mut found = Findings::default();
            judge(key, &fields, &mut found);
            if found.total() > 0 && !self.told_elsewhere(Some(key))? {
                findings.merge(found);
            }
            Ok(())
        };
        if change.is_some() {
            for (of, id) in self.touched()?.iter().filter(|(of, _)| of == type_name) {
                let prefix = EntryKey::entry_prefix(of, id);
                let Some(item) = self.input.snapshot.prefix(&prefix).next() else { continue };
                let (key, record) = item?;
                body(&EntryKey::from_bytes(&key)?, &record)?;
            }
            return Ok(findings);
        }
        let mut last: Option<EntryId> = None;
        for item in self.input.snapshot.prefix(&EntryKey::type_prefix(type_name)) {
            let (key, record) = item?;
            let key = EntryKey::from_bytes(&key)?;
            if last.as_ref() != Some(&key.id) {
                body(&key, &record)?;
                last = Some(key.id);
            }
        }
        Ok(findings)
    }

    fn users(&self, types: &BTreeSet<&TypeName>) -> Result<BTreeMap<ContractName, String>, GateError> {
        self.still_used(types)
    }

    fn followers(
        &self,
        names: &BTreeSet<ContractName>,
    ) -> Result<BTreeMap<ContractName, Followers>, GateError> {
        self.followed(names)
    }

    fn sensitive(&self) -> Result<Sensitive, GateError> {
        self.sensitive_fields()
    }

    fn takes_approvals(&self) -> bool {
        true
    }

    fn approvals(&self) -> &[Approval] {
        self.input.approvals
    }

    fn end(&self) -> Option<&DeclaredEnd> {
        self.input.end
    }

    fn definition_authors(&self) -> &BTreeSet<String> {
        self.input.definition_authors
    }

    fn authors(&self, key: &EntryKey) -> Result<BTreeSet<String>, GateError> {
        self.changed_by(key)
    }
}
