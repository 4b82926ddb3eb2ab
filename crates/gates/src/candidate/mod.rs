mod assisted;
mod causes;
mod changed;
pub(crate) mod checker;
mod keys;
mod search;
mod site;
mod world;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicBool},
};

use ashlar_delivery::{
    Caches, PageAt, ReleaseView,
    lookup::{Lookup, LookupRules, Routed},
};
use ashlar_model::{EntryId, EntryKey, EntryRecord, ProjectConfig, TypeName};
use ashlar_release::JudgeInput;
use ashlar_store::Tree;
use serde_json::Value;

use crate::{
    GateError,
    definitions::Definitions,
    findings::Findings,
    gate::validity,
    judge,
    suites::state::SuiteState,
    world::{EachEntry, EachPage, EachReference, EachRoute, EntryAt, RouteAt, World, assisted::Assisted},
};

use self::{
    keys::{entry, parts, places},
    site::CandidateSite,
};

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
    assisted: OnceLock<Vec<Assisted>>,
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
            assisted: OnceLock::new(),
            definitions,
        };
        let given = input.waivers.iter().map(|(gate, _)| gate.clone());
        let governance = &candidate.definitions.governance;
        let standing = judge::names().filter(|gate| governance.waiver(gate, candidate.today()).is_some());
        candidate.waived = given.chain(standing.map(str::to_owned)).collect();
        candidate
    }

    /// Its eval suites, beside those of the base.
    pub(crate) fn suite_states(&self) -> Result<Vec<SuiteState>, GateError> {
        let base = self.base.as_deref().zip(self.input.base.as_ref().map(|base| &base.snapshot));
        SuiteState::all((&self.definitions, self.input.snapshot), base)
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
        if own.total() > 0 && !self.reported_elsewhere(at.entry.as_ref())? {
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
