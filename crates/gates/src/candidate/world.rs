//! What gates see of a candidate.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use ashlar_delivery::{PageAt, ReleaseView};
use ashlar_gateway::prompts::Prompts;
use ashlar_model::{
    ContractName, Digest, EntryId, EntryKey, EntryRecord, GateReport, GateStatus, Locale, ProjectConfig,
    ReleaseId, TypeName, Waiver,
};
use ashlar_release::{Approval, Baseline, DeclaredEnd, SuiteRun, read_under};
use bytes::Bytes;
use jiff::{civil::Date, tz::TimeZone};
use serde_json::Value;

use super::{
    Candidate, ROUTED_MAX,
    keys::{entry, parts, places, pointers, target},
};
use crate::{
    GateError, Site,
    definitions::Definitions,
    findings::Findings,
    gate::validity,
    prompt_moves::PROMPT_FILES,
    suites::state::SuiteState,
    world::{
        Change, EachBody, EachEntry, EachLink, EachPage, EachReference, EachRoute, Looked, Part, RouteAt,
        Vanished, World, assisted::Assisted, followers::Followers, link_rules, sensitive::Sensitive,
    },
};

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

    fn is_waived_by_key(&self, gate: &str) -> bool {
        self.input.waivers.iter().any(|(of, _)| of == gate)
    }

    fn history(&self) -> &[Arc<Definitions>] {
        &self.history
    }

    fn answered(&self, prompt: &str) -> Option<BTreeSet<u32>> {
        let mut out = BTreeSet::new();
        for root in self.input.released {
            // A release that cannot be read shows nothing.
            let Ok(files) = read_under(self.input.objects, root, PROMPT_FILES) else { continue };
            let active = Prompts::parse(&files).0.active(prompt);
            out.extend(active.into_iter().flat_map(|active| {
                std::iter::once(active.version).chain(active.flags.into_iter().map(|flag| flag.version))
            }));
        }
        Some(out)
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
            if found.total() > 0 && !self.reported_elsewhere(Some(key))? {
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

    fn takes_runs(&self) -> bool {
        true
    }

    fn suites(&self) -> Result<Vec<SuiteState>, GateError> {
        self.suite_states()
    }

    fn runs(&self) -> &[SuiteRun] {
        self.input.runs
    }

    fn baseline(&self, suite: &str) -> Option<&Baseline> {
        self.input.baselines.get(suite)
    }

    fn base_release(&self) -> Option<ReleaseId> {
        self.input.base.as_ref().map(|base| base.release)
    }

    fn document(&self, object: &Digest) -> Result<Bytes, GateError> {
        Ok(self.input.objects.get(object)?)
    }

    fn definition_authors(&self) -> &BTreeSet<String> {
        self.input.definition_authors
    }

    fn assisted(&self) -> Result<&[Assisted], GateError> {
        self.made()
    }

    fn released(&self, key: &EntryKey) -> Result<Option<Value>, GateError> {
        self.released_fields(key)
    }

    fn each_released(
        &self,
        of: (&TypeName, &Locale),
        each: &mut dyn FnMut(&EntryKey, Value) -> bool,
    ) -> Result<(), GateError> {
        self.released_of(of, each)
    }

    fn is_linked(&self, key: &EntryKey) -> Result<bool, GateError> {
        self.has_way(key)
    }

    fn authors(&self, key: &EntryKey) -> Result<BTreeSet<String>, GateError> {
        self.changed_by(key)
    }
}
