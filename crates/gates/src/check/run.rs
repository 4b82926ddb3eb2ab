use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Instant,
};

use ashlar_model::{
    ContractName, EntryId, EntryKey, Finding, GateReport, GateStatus, Level, Locale, ProjectConfig, TypeName,
};
use jiff::tz::TimeZone;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    CheckOptions, CheckReport, cache,
    entries::{self, Row},
    loaded::Loaded,
    memory::MemorySite,
};
use crate::{
    GATES, GateError, Site,
    candidate::Work,
    checker,
    findings::{Findings, count},
    gate::{
        approvals,
        compatibility::Compared,
        components, consumers, lifecycle,
        lifecycle::Followers,
        links, queries, references,
        routes::{self, Vanished},
        shared, tokens, validity,
    },
    inputs::Inputs,
    links::LinkRules,
    site::Near,
};

/// Broken references and links whose line is looked up; beyond them the file alone is named.
const PLACES_MAX: usize = 2_000;

/// Gates that see every contract: when one cannot be read, most of what they would find only follows from that.
const FROM_CONTRACTS: [&str; 7] =
    ["references", "links", "routes", "views", "consumers", "persisted-queries", "components"];

/// What a gate found: its findings, how much it looked at, and of what.
type Outcome = (Findings, usize, String);

struct Check<'a> {
    project: &'a Loaded<'a>,
    site: &'a MemorySite<'a>,
    base: Option<(&'a Loaded<'a>, &'a MemorySite<'a>)>,
    config: &'a ProjectConfig,
    today: jiff::civil::Date,
}

pub(super) fn run(dir: &Path, options: &CheckOptions) -> Result<CheckReport, GateError> {
    let started = Instant::now();
    let mut project = Loaded::list(dir, options.cache)?;
    let mut base = options.against.as_deref().map(|dir| Loaded::list(dir, false)).transpose()?;
    let today = options.now.to_zoned(TimeZone::UTC).date();
    let mut inputs = Inputs::new("check-report");
    inputs.digest("project", &project.listed).add("today", today.to_string().as_bytes());
    if let Some(base) = &base {
        inputs.digest("base", &base.listed);
    }
    let inputs = inputs.finish();
    let settled = project.settled && base.as_ref().is_none_or(|b| b.settled);
    let mut metrics = BTreeMap::new();
    let contracts = project.definitions.contracts.iter().count();
    metrics.insert("contracts".to_owned(), contracts as f64);
    metrics.insert("files".to_owned(), project.files.len() as f64);
    let finish = |gates: Vec<GateReport>, mut metrics: BTreeMap<String, f64>| {
        metrics.insert("ms".to_owned(), started.elapsed().as_secs_f64() * 1e3);
        CheckReport::new(gates, metrics)
    };
    if settled
        && let Some((known, report)) = &project.cache.report
        && *known == inputs
        && let Ok((entries, mut gates)) = serde_json::from_slice::<(usize, Vec<GateReport>)>(report)
        && gates.len() == GATES.len()
    {
        gates.iter_mut().for_each(|g| g.from_evidence = true);
        let gates = gates.into_iter().map(GateReport::regrouped).collect();
        metrics.insert("entries".to_owned(), entries as f64);
        metrics.insert("reused".to_owned(), entries as f64);
        return Ok(finish(gates, metrics));
    }
    let config = match &project.definitions.config {
        Ok(config) => config.clone(),
        Err(findings) => {
            // A file that could not be read at all says more than that the configuration is missing.
            let unreadable = project.findings.iter().filter(|f| f.place.starts_with("ashlar.toml"));
            let findings: Vec<Finding> = match unreadable.cloned().collect::<Vec<_>>() {
                found if found.is_empty() => findings.clone(),
                found => found,
            };
            return Ok(finish(checker::unusable(&findings, &project.listed), metrics));
        }
    };
    project.read();
    if let Some(base) = &mut base {
        base.read();
    }
    let site = MemorySite::new(&project);
    let base_site = base.as_ref().map(MemorySite::new);
    let check = Check {
        project: &project,
        site: &site,
        base: base.as_ref().zip(base_site.as_ref()),
        config: &config,
        today,
    };
    let gates = check.all()?;
    metrics.insert("entries".to_owned(), site.rows.len() as f64);
    metrics.insert("reused".to_owned(), project.reused as f64);
    if options.cache {
        let report = serde_json::to_vec(&(site.rows.len(), &gates)).ok().filter(|_| settled);
        let now_ns = jiff::Timestamp::now().as_nanosecond();
        let unchanged = project.cache.len() == project.files.len() && project.reused == site.rows.len();
        if !unchanged || report.is_some() {
            let started_ns = now_ns - i128::try_from(started.elapsed().as_nanos()).unwrap_or(0);
            let kept =
                project.files.iter().zip(&project.facts).filter(|(f, _)| cache::settled(f, started_ns));
            cache::write(dir, &project.context, report.as_deref().map(|r| (&inputs, r)), kept);
        }
    }
    Ok(finish(gates, metrics))
}

impl Check<'_> {
    fn all(&self) -> Result<Vec<GateReport>, GateError> {
        let mut content = Inputs::new("content");
        for row in self.project.rows() {
            content.add(&row.source, &row.key.to_bytes()).digest("", &row.digest);
        }
        let content = content.finish();
        let base = self.base.map(|(b, _)| b.listed);
        let unread = self.unread_contracts();
        GATES
            .iter()
            .map(|gate| {
                let started = Instant::now();
                let mut inputs = Inputs::new(gate);
                inputs.digest("definitions", &self.project.definitions.digest).digest("content", &content);
                inputs.json("base", &base);
                if let Some(file) = unread.first()
                    && FROM_CONTRACTS.contains(gate)
                {
                    let why = format!("{file} cannot be read");
                    return Ok(GateReport::blocked(gate, inputs.finish(), GateStatus::Fail, &why));
                }
                let (findings, checked, what) = self.gate(gate)?;
                let summary = findings.summary(&what);
                let mut report = findings.judged(gate, inputs.finish(), summary);
                report = report.metric("checked", checked as f64);
                if *gate == "content-validity" {
                    report = report.metric("reused", self.project.reused as f64);
                }
                report.duration_ms = started.elapsed().as_secs_f64() * 1e3;
                if !report.status.lets_through() {
                    let waiver = self.project.definitions.governance.waived(gate, self.today);
                    checker::waived(&mut report, waiver);
                }
                Ok(report)
            })
            .collect()
    }

    /// Whether a gate is let through by a standing waiver: what others leave to it is told by them then.
    fn is_waived(&self, gate: &str) -> bool {
        self.project.definitions.governance.waiver(gate, self.today).is_some()
    }

    /// Contract files that cannot be read, in order.
    fn unread_contracts(&self) -> BTreeSet<String> {
        let definitions = &self.project.definitions;
        let findings = definitions.contract_findings.iter().chain(&self.project.findings);
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

    fn gate(&self, gate: &str) -> Result<Outcome, GateError> {
        match gate {
            "schema-compatibility" => Ok(self.compatibility()),
            "content-validity" => Ok(self.validity()),
            "references" => self.references(),
            "links" => self.links(),
            "routes" => self.routes(),
            "views" => {
                let mut findings = Findings::default();
                findings.extend(self.project.definitions.view_findings.iter().cloned());
                let n = self.project.definitions.views.iter().count();
                Ok((findings, n, count(n, "view", "views")))
            }
            "consumers" => {
                let mut findings = Findings::default();
                let definitions = &self.project.definitions;
                findings.extend(consumers::findings(definitions, self.base.map(|(b, _)| &b.definitions)));
                let n = definitions.consumers.len();
                Ok((findings, n, count(n, "consumer", "consumers")))
            }
            "persisted-queries" => {
                let mut findings = Findings::default();
                let definitions = &self.project.definitions;
                findings.extend(queries::findings(
                    definitions,
                    self.base.map(|(b, _)| &b.definitions),
                    self.today,
                ));
                let n = definitions.graph.documents().count();
                Ok((findings, n, count(n, "document", "documents")))
            }
            "tokens" => {
                let mut findings = Findings::default();
                let tokens = &self.project.definitions.tokens;
                let base = self.base.map(|(b, _)| &b.definitions.tokens);
                findings.extend(tokens::findings(tokens, base, self.today));
                let n = tokens.resolved.as_ref().map_or(0, |r| r.tokens.len());
                Ok((findings, n, count(n, "token", "tokens")))
            }
            "components" => {
                let mut findings = Findings::default();
                let definitions = &self.project.definitions;
                let own = components::findings(definitions, self.base.map(|(b, _)| &b.definitions));
                let n = definitions.site.components.iter().count();
                // What components lack would show again on every page.
                let work = match own.iter().any(components::shows_on_pages) {
                    true => Work::default(),
                    false => super::pages::render(self.project, self.site, &self.config.locales.all())?,
                };
                findings.extend(own);
                findings.merge(work.findings);
                let what = match work.checked {
                    0 => count(n, "component", "components"),
                    pages => {
                        format!("{}, {}", count(n, "component", "components"), count(pages, "page", "pages"))
                    }
                };
                Ok((findings, n, what))
            }
            _ => Ok(self.approvals()),
        }
    }

    fn compatibility(&self) -> Outcome {
        let definitions = &self.project.definitions;
        let mut findings = Findings::default();
        findings.extend(self.project.findings.iter().cloned());
        let base = self.base.map(|(b, _)| &b.definitions);
        let compared = Compared::new(&self.config.gates, definitions, base, &[]);
        let mut used: BTreeMap<ContractName, String> = BTreeMap::new();
        let removed = compared.removed_types();
        for row in self.site.rows.iter().filter(|r| removed.contains(&r.key.type_name)) {
            if let Some(named) = &row.named {
                used.entry(named.clone()).or_insert_with(|| row.source.clone());
            }
        }
        let unread = self.unread_contracts();
        // A contract that cannot be read is not removed as well.
        let mut found = compared.findings(&BTreeSet::new(), &[], &used, &self.today.to_string());
        found.retain(|f| {
            f.code != "contract-removed" || !unread.iter().any(|file| f.place.starts_with(file.as_str()))
        });
        findings.extend(found);
        let followers = self.followers(&lifecycle::ending(definitions, self.today));
        findings.extend(lifecycle::findings(definitions, base, &followers, self.today));
        let what = match self.base {
            Some(_) => count(compared.compared(), "changed contract", "changed contracts"),
            None => count(definitions.contracts.iter().count(), "contract", "contracts"),
        };
        (findings, compared.compared(), what)
    }

    /// Entries that follow contracts which end.
    fn followers(&self, names: &BTreeSet<ContractName>) -> BTreeMap<ContractName, Followers> {
        let mut out: BTreeMap<ContractName, Followers> = BTreeMap::new();
        if names.is_empty() {
            return out;
        }
        let old: Option<FxHashSet<&EntryKey>> =
            self.base.map(|(_, base)| base.rows.iter().map(|r| &r.key).collect());
        for row in &self.site.rows {
            let contract = entries::contract_of(&self.project.definitions, &row.key, row.named.as_ref());
            let Some(name) = contract.map(|c| &c.name).filter(|n| names.contains(n)) else { continue };
            let followers = out.entry(name.clone()).or_default();
            followers.add(&row.source);
            if old.as_ref().is_some_and(|old| !old.contains(&row.key)) {
                followers.new.push(row.source.clone());
            }
        }
        out
    }

    fn validity(&self) -> Outcome {
        let mut findings = Findings::default();
        findings.extend(self.project.content_findings.iter().cloned());
        for facts in &self.project.facts {
            findings.extend(facts.findings.iter().cloned());
        }
        for (first, second) in &self.site.duplicates {
            findings.push(
                Finding::error(
                    "duplicate-entry",
                    &second.source,
                    format!("{} is already in {}.", second.key, first.source),
                )
                .help("remove one of the two, or give it another id"),
            );
        }
        let unread = self.unread_contracts();
        for row in self.project.rows() {
            let mut problems: Vec<_> =
                validity::unsupported_locale(&self.config.locales, &row.key).into_iter().collect();
            let of_unread = || {
                let start = format!("contracts/{}.", row.key.type_name);
                unread.iter().any(|file| file.starts_with(&start))
            };
            if row.contract.is_none() && !of_unread() {
                let major = row.named.as_ref().map(|n| n.major);
                problems.push(validity::unknown_contract(&self.project.definitions, &row.key, major));
            }
            findings.extend(problems.into_iter().map(|p| p.at(row.source.clone())));
            findings.extend(row.findings.iter().cloned());
        }
        let all = self.site.rows.iter().filter(|r| !r.shared.is_empty());
        let all = all.map(|row| (&row.key.type_name, &row.key.id, &row.shared, *row));
        let mut told = 0;
        for (one, other, field) in shared::conflicts(all) {
            let pointer = format!("/{field}");
            let place = self.place(&mut told, other, &pointer, 1);
            let first = self.place(&mut told, one, &pointer, 1);
            findings.push(shared::differs(place, &first, field, &one.key.type_name));
        }
        let n = self.site.rows.len();
        (findings, n, count(n, "entry", "entries"))
    }

    /// Where a field of an entry stands; exact for the first ones only.
    fn place(&self, told: &mut usize, row: &Row, pointer: &str, line: usize) -> String {
        *told += 1;
        match *told > PLACES_MAX {
            true => format!("{} {pointer}", row.source),
            false => entries::place(self.project.dir, row, pointer, line, &self.project.options),
        }
    }

    fn references(&self) -> Result<Outcome, GateError> {
        let mut findings = Findings::default();
        let mut near = Near::new(self.site);
        // What may be meant instead of a target, for every reference to it.
        let mut known: BTreeMap<(&TypeName, &EntryId), Option<String>> = BTreeMap::new();
        let (mut checked, mut told) = (0, 0);
        for row in &self.site.rows {
            for r in &row.refs {
                checked += 1;
                if self.site.has_entry(&r.type_name, &r.id)? || self.site.is_unread(&r.type_name, &r.id) {
                    continue;
                }
                let deleted = match self.base {
                    Some((_, base)) => base.has_entry(&r.type_name, &r.id)?,
                    None => false,
                };
                let place = self.place(&mut told, row, &r.pointer, 1);
                let near = match known.get(&(&r.type_name, &r.id)) {
                    Some(near) => near.clone(),
                    None => {
                        let found = if deleted { None } else { near.entry(&r.type_name, &r.id)? };
                        known.insert((&r.type_name, &r.id), found.clone());
                        found
                    }
                };
                let broken = references::Broken { place, type_name: &r.type_name, id: &r.id, deleted, near };
                findings.push(broken.finding());
            }
        }
        Ok((findings, checked, count(checked, "reference", "references")))
    }

    fn link_rules(&self) -> LinkRules<'_> {
        let redirects = &self.project.definitions.redirects;
        LinkRules::new(&self.config.locales, &self.config.gates.links_ignored, redirects)
            .with_site(self.project.definitions.site.site.as_ref())
    }

    fn links(&self) -> Result<Outcome, GateError> {
        let mut findings = Findings::default();
        let rules = self.link_rules();
        let mut near = Near::new(self.site);
        let mut known: BTreeMap<(&Locale, &str), Option<String>> = BTreeMap::new();
        let (mut checked, mut told) = (0, 0);
        for row in &self.site.rows {
            for link in &row.links {
                checked += 1;
                let locale = &row.key.locale;
                if rules.leads(self.site, locale, &link.target)? || self.site.may_be_unread(&link.target) {
                    continue;
                }
                if let Some((_, before)) = self.base
                    && !self.is_waived("routes")
                    && rules.vanished_with(before, locale, &link.target)?
                {
                    continue;
                }
                let place = self.place(&mut told, row, &link.pointer, link.line);
                let near = match known.get(&(locale, link.target.as_str())) {
                    Some(near) => near.clone(),
                    None => {
                        let found = near.route(locale, &link.target)?;
                        known.insert((locale, &link.target), found.clone());
                        found
                    }
                };
                findings.push(links::broken(place, locale, &link.target, near));
            }
        }
        Ok((findings, checked, count(checked, "link", "links")))
    }

    fn routes(&self) -> Result<Outcome, GateError> {
        let mut findings = Findings::default();
        let definitions = &self.project.definitions;
        findings.extend(definitions.redirect_findings.iter().cloned());
        findings.extend(routes::without_page(definitions));
        let rules = self.link_rules();
        let mut n = 0;
        for (locale, routes) in &self.site.routes {
            n += routes.len();
            for (route, rows) in routes.iter().filter(|(_, rows)| rows.len() > 1) {
                let mut places: Vec<String> = rows.iter().take(100).map(|r| r.source.clone()).collect();
                places.sort();
                findings.push(routes::clash(route, locale, &places));
            }
        }
        if let Some((_, base)) = self.base {
            for row in &base.rows {
                let Some(route) = &row.route else { continue };
                if definitions.redirects.get(route).is_none()
                    && !rules.has_route(self.site, &row.key.locale, route)?
                {
                    let told = !self.is_waived("content-validity");
                    if let Some(why) = self.site.vanished(&row.key).or((!told).then_some(Vanished::Without)) {
                        findings.push(routes::vanished(&row.key, route, why));
                    }
                }
            }
        }
        let locales = self.config.locales.all();
        findings.extend(routes::redirects(self.site, &rules, &definitions.redirects, &locales, None)?);
        Ok((findings, n, count(n, "route", "routes")))
    }

    fn approvals(&self) -> Outcome {
        let mut findings = Findings::default();
        let definitions = &self.project.definitions;
        findings.extend(definitions.governance_findings.iter().cloned());
        let Some((_, base)) = self.base else { return (findings, 0, "no base to compare with".to_owned()) };
        let none = BTreeMap::new();
        let old: FxHashMap<&EntryKey, &Row> = base.rows.iter().map(|r| (&r.key, *r)).collect();
        let new: FxHashMap<&EntryKey, &Row> = self.site.rows.iter().map(|r| (&r.key, *r)).collect();
        let keys: BTreeSet<&EntryKey> = old.keys().chain(new.keys()).copied().collect();
        let mut changes = Vec::new();
        for key in keys {
            let values = |rows: &FxHashMap<&EntryKey, &Row>| {
                rows.get(key).map_or_else(|| none.clone(), |r| r.sensitive.clone())
            };
            changes.extend(approvals::changes(key, &values(&old), &values(&new)));
        }
        // What a file that cannot be read holds is not known.
        changes.retain(|c| new.contains_key(&c.key) || !self.site.is_unread(&c.key.type_name, &c.key.id));
        for (change, locales) in approvals::across_locales(&changes) {
            let others = match locales.len() {
                1 => String::new(),
                n => format!(" (in {n} locales)"),
            };
            let place = match new.get(&change.key) {
                Some(row) => format!("{} /{}{others}", row.source, change.field),
                None => format!("{} /{}{others}", change.key, change.field),
            };
            findings.push(
                Finding::warning(
                    "approval-needed",
                    place,
                    format!(
                        "The change of `{}` will need an approval under the right `{}`.",
                        change.field, change.right
                    ),
                )
                .help(format!(
                    "ashlar candidate approve CANDIDATE --right {} --as NAME, once it is a candidate",
                    change.right
                )),
            );
        }
        let n = changes.len();
        (findings, n, count(n, "sensitive change", "sensitive changes"))
    }
}
