//! A project directory as gates see it.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{
    ContractName, Digest, EntryId, EntryKey, Finding, Level, ProjectConfig, TypeName, Waiver,
};
use jiff::civil::Date;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    entries::{self, Row},
    loaded::Loaded,
    memory::MemorySite,
    pages,
};
use crate::{
    GateError, Site,
    definitions::Definitions,
    findings::Findings,
    gate::{shared, validity::NAME as CONTENT_VALIDITY},
    inputs::Inputs,
    judge,
    world::{
        Change, EachEntry, EachLink, EachPage, EachReference, EachRoute, EntryAt, Looked, Part, RouteAt,
        Vanished, World,
        followers::Followers,
        sensitive::{Sensitive, sensitive_changes},
    },
};

/// Broken references and links whose line is looked up; beyond them the file alone is named.
const PLACES_MAX: usize = 2_000;
/// Entries of one route that are named.
const ROUTED_MAX: usize = 100;

/// A project directory under judgement. Another one stands for what is live.
pub(super) struct Directory<'a> {
    project: &'a Loaded<'a>,
    site: &'a MemorySite<'a>,
    base: Option<(&'a Loaded<'a>, &'a MemorySite<'a>)>,
    config: &'a ProjectConfig,
    today: Date,
    waived: BTreeSet<String>,
    /// Contract files that cannot be read.
    unread: BTreeSet<String>,
    content: Digest,
}

impl<'a> Directory<'a> {
    pub(super) fn new(
        project: &'a Loaded<'a>,
        site: &'a MemorySite<'a>,
        base: Option<(&'a Loaded<'a>, &'a MemorySite<'a>)>,
        config: &'a ProjectConfig,
        today: Date,
    ) -> Self {
        let mut content = Inputs::new("content");
        for row in project.rows() {
            content.add(&row.source, &row.key.to_bytes()).digest("", &row.digest);
        }
        let unread_files: Vec<_> = project.facts.iter().flat_map(|facts| &facts.findings).collect();
        content.json("unread", &(unread_files, &project.content_findings));
        let governance = &project.definitions.governance;
        let waived = judge::names().filter(|gate| governance.waiver(gate, today).is_some());
        Self {
            project,
            site,
            base,
            config,
            today,
            waived: waived.map(str::to_owned).collect(),
            unread: unread_contracts(project),
            content: content.finish(),
        }
    }

    /// Where a field of an entry is; exact for the first ones only.
    fn field(&self, places: &mut usize, row: &Row, pointer: &str, line: usize) -> String {
        *places += 1;
        match *places > PLACES_MAX {
            true => format!("{} {pointer}", row.source),
            false => entries::place(self.project.dir, row, pointer, line, &self.project.options),
        }
    }
}

/// Contract files that cannot be read, in order.
fn unread_contracts(project: &Loaded<'_>) -> BTreeSet<String> {
    let definitions = &project.definitions;
    let findings = definitions.contract_findings.iter().chain(&project.findings);
    findings
        .filter(|f| f.level == Level::Error)
        .filter_map(|f| {
            let end = f.place.find(".json")? + ".json".len();
            let file = f.place.get(..end)?;
            let stem = file.strip_prefix("contracts/")?.strip_suffix(".json")?;
            let name: Option<ContractName> = stem.parse().ok();
            let read = name.is_some_and(|name| definitions.contracts.get(&name).is_some());
            (!read).then(|| file.to_owned())
        })
        .collect()
}

impl World for Directory<'_> {
    fn definitions(&self) -> &Definitions {
        &self.project.definitions
    }

    fn base(&self) -> Option<&Definitions> {
        self.base.map(|(base, _)| &base.definitions)
    }

    fn config(&self) -> &ProjectConfig {
        self.config
    }

    fn today(&self) -> Date {
        self.today
    }

    fn len(&self) -> u64 {
        self.site.rows.len() as u64
    }

    fn site(&self) -> &dyn Site {
        self.site
    }

    fn base_site(&self) -> Option<&dyn Site> {
        self.base.map(|(_, site)| site as &dyn Site)
    }

    fn digest(&self, part: Part) -> Digest {
        let base = self.base.map_or(Digest::from_bytes([0; 32]), |(base, _)| base.listed);
        match part {
            Part::Snapshot | Part::Lookup | Part::Changes => self.content,
            Part::BaseSnapshot | Part::BaseLookup => base,
        }
    }

    fn waived(&self) -> &BTreeSet<String> {
        &self.waived
    }

    fn waiver(&self, gate: &str) -> Option<Waiver> {
        self.project.definitions.governance.waived(gate, self.today)
    }

    fn unread_contracts(&self) -> &BTreeSet<String> {
        &self.unread
    }

    fn file_findings(&self) -> &[Finding] {
        &self.project.findings
    }

    fn content_findings(&self) -> Vec<Finding> {
        let mut findings = self.project.content_findings.clone();
        findings.extend(self.project.facts.iter().flat_map(|facts| facts.findings.iter().cloned()));
        findings.extend(self.site.duplicates.iter().map(|(first, second)| {
            let message = format!("{} is already in {}.", second.key, first.source);
            Finding::error("duplicate-entry", &second.source, message)
                .help("remove one of the two, or give it another id")
        }));
        let all = self.site.rows.iter().filter(|r| !r.shared.is_empty());
        let all = all.map(|row| (&row.key.type_name, &row.key.id, &row.shared, *row));
        let mut places = 0;
        for (one, other, field) in shared::conflicts(all) {
            let pointer = format!("/{field}");
            let place = self.field(&mut places, other, &pointer, 1);
            let first = self.field(&mut places, one, &pointer, 1);
            findings.push(shared::differs(place, &first, field, &one.key.type_name));
        }
        findings
    }

    fn may_exist(&self, type_name: &TypeName, id: &EntryId) -> bool {
        self.site.is_unread(type_name, id)
    }

    fn may_lead(&self, path: &str) -> bool {
        self.site.may_be_unread(path)
    }

    fn entries(
        &self,
        _: Option<&Change<'_>>,
        judge: &EachEntry<'_>,
    ) -> Result<(Findings, Looked), GateError> {
        let mut findings = Findings::default();
        for row in self.project.rows() {
            let of_unread = || {
                let start = format!("contracts/{}.", row.key.type_name);
                self.unread.iter().any(|file| file.starts_with(&start))
            };
            let at = EntryAt {
                key: &row.key,
                major: row.named.as_ref().map(|n| n.major),
                has_contract: row.contract.is_some() || of_unread(),
                place: &|| row.source.clone(),
                wrong: row.findings.clone(),
            };
            judge(at, &mut findings);
        }
        // What is known of unchanged files is reused.
        Ok((findings, Looked { checked: self.site.rows.len(), reused: self.project.reused as u64 }))
    }

    fn references(
        &self,
        _: Option<&Change<'_>>,
        each: &mut EachReference<'_>,
    ) -> Result<(Looked, [&'static str; 2]), GateError> {
        let (mut checked, mut places) = (0, 0);
        for row in &self.site.rows {
            for r in &row.refs {
                checked += 1;
                let place =
                    || -> Result<String, GateError> { Ok(self.field(&mut places, row, &r.pointer, 1)) };
                let mut place = std::iter::once_with(place);
                each(&r.type_name, &r.id, &mut place)?;
            }
        }
        Ok((Looked { checked, reused: 0 }, ["reference", "references"]))
    }

    fn links(&self, _: Option<&Change<'_>>, each: &mut EachLink<'_>) -> Result<Looked, GateError> {
        let (mut checked, mut places) = (0, 0);
        for row in &self.site.rows {
            for link in &row.links {
                checked += 1;
                let place = || -> Result<String, GateError> {
                    Ok(self.field(&mut places, row, &link.pointer, link.line))
                };
                each(&row.key.locale, &link.target, &mut std::iter::once_with(place))?;
            }
        }
        Ok(Looked { checked, reused: 0 })
    }

    fn routes(&self, _: Option<&Change<'_>>, each: &mut EachRoute<'_>) -> Result<Looked, GateError> {
        let mut checked = 0;
        for (locale, routes) in &self.site.routes {
            checked += routes.len();
            for (route, rows) in routes.iter().filter(|(_, rows)| rows.len() > 1) {
                let mut places: Vec<String> =
                    rows.iter().take(ROUTED_MAX).map(|r| r.source.clone()).collect();
                places.sort();
                each(RouteAt::Shared { route, locale, places: &places })?;
            }
        }
        for row in self.base.into_iter().flat_map(|(_, base)| &base.rows) {
            if let Some(route) = &row.route {
                each(RouteAt::Before { entry: &row.key, route })?;
            }
        }
        Ok(Looked { checked, reused: 0 })
    }

    fn vanished(&self, key: &EntryKey) -> Result<Option<Vanished>, GateError> {
        let waived = self.waived.contains(CONTENT_VALIDITY);
        Ok(self.site.vanished(key).or(waived.then_some(Vanished::Without)))
    }

    fn pages(
        &self,
        _: Option<&Change<'_>>,
        judge: &mut EachPage<'_>,
    ) -> Result<(Findings, Looked), GateError> {
        let (findings, checked) = pages::render(self.project, self.site, &self.config.locales.all(), judge)?;
        Ok((findings, Looked { checked, reused: 0 }))
    }

    fn users(&self, types: &BTreeSet<&TypeName>) -> Result<BTreeMap<ContractName, String>, GateError> {
        let mut used: BTreeMap<ContractName, String> = BTreeMap::new();
        for row in self.site.rows.iter().filter(|r| types.contains(&r.key.type_name)) {
            if let Some(named) = &row.named {
                used.entry(named.clone()).or_insert_with(|| row.source.clone());
            }
        }
        Ok(used)
    }

    fn followers(
        &self,
        names: &BTreeSet<ContractName>,
    ) -> Result<BTreeMap<ContractName, Followers>, GateError> {
        let mut out: BTreeMap<ContractName, Followers> = BTreeMap::new();
        if names.is_empty() {
            return Ok(out);
        }
        let old: Option<FxHashSet<&EntryKey>> =
            self.base.map(|(_, base)| base.rows.iter().map(|r| &r.key).collect());
        for row in &self.site.rows {
            let contract = entries::contract_of(&self.project.definitions, &row.key, row.named.as_ref());
            let Some(name) = contract.map(|c| &c.name).filter(|n| names.contains(n)) else { continue };
            let followers = out.entry(name.clone()).or_default();
            followers.add(&row.source);
            if old.as_ref().is_some_and(|old| !old.contains(&row.key)) {
                followers.add_new(&row.source);
            }
        }
        Ok(out)
    }

    fn sensitive(&self) -> Result<Sensitive, GateError> {
        let mut changes = Vec::new();
        if let Some((_, base)) = self.base {
            let none = BTreeMap::new();
            let old: FxHashMap<&EntryKey, &Row> = base.rows.iter().map(|r| (&r.key, *r)).collect();
            let new = &self.site.by_key;
            let keys: BTreeSet<&EntryKey> = old.keys().chain(new.keys()).copied().collect();
            for key in keys {
                let before = old.get(key).map_or(&none, |r| &r.sensitive);
                let after = new.get(key).map_or(&none, |r| &r.sensitive);
                changes.extend(sensitive_changes(key, before, after));
            }
            // What a file that cannot be read holds is not known.
            changes.retain(|c| new.contains_key(&c.key) || !self.site.is_unread(&c.key.type_name, &c.key.id));
        }
        Ok(Sensitive { changes, ending: Vec::new() })
    }

    fn place(&self, key: &EntryKey) -> String {
        self.site.by_key.get(key).map_or_else(|| key.to_string(), |row| row.source.clone())
    }
}
