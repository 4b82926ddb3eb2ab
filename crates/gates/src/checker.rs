use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use ashlar_delivery::lookup::{self, Lookup};
use ashlar_model::{
    ContractName, Digest, EntryId, EntryKey, Fields, Files, Finding, GateReport, GateStatus, Level,
    ProjectConfig, Rules, Waiver,
};
use ashlar_release::{Judge, JudgeInput, Judgement, ReleaseError, RequiredApproval};
use ashlar_store::{Batch, TenantObjects, Tree};
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::{
    GATES, GateError,
    candidate::{Candidate, Work},
    definitions::{Definitions, DefinitionsCache},
    findings::{Findings, count},
    gate::{approvals, compatibility::Compared, components, consumers, lifecycle, queries, tokens, validity},
    inputs::Inputs,
    trial::Trials,
};

/// The name of the look-up tree among what is derived from a candidate.
const LOOKUP: &str = "lookup";

/// Look-up trees that are remembered: those of open candidates and of what channels serve.
const LOOKUPS_KEPT_MAX: usize = 64;

/// Runs every gate. Cheap to share; parsed definitions and look-up roots are kept between calls.
#[derive(Default)]
pub struct Checker {
    definitions: DefinitionsCache,
    /// Snapshot, rules, the root of the look-up tree, and how often objects had been taken away before it was made.
    lookups: Mutex<VecDeque<(Digest, Digest, Digest, u64)>>,
}

impl Checker {
    /// A judge with nothing remembered.
    pub fn new() -> Self {
        Self::default()
    }

    /// A judge that reads definitions only after they passed a trial.
    pub fn tried(trials: Trials) -> Self {
        Self { definitions: DefinitionsCache::tried(trials), lookups: Mutex::default() }
    }

    /// The root of the look-up tree that was made for this snapshot and these rules, if it is stored. Nothing may name it, so
    /// parts of it can be gone when anything was taken away since.
    fn remembered(&self, objects: &TenantObjects, snapshot: &Digest, rules: &Digest) -> Option<Digest> {
        let lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        let found = lookups.iter().find(|(s, r, ..)| s == snapshot && r == rules)?;
        (found.3 == objects.removals() && objects.is_stored(&found.2)).then_some(found.2)
    }

    fn remember(&self, snapshot: Digest, rules: Digest, root: Digest, removals: u64) {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.retain(|(s, r, ..)| *s != snapshot || *r != rules);
        lookups.push_front((snapshot, rules, root, removals));
        lookups.truncate(LOOKUPS_KEPT_MAX);
    }

    /// The candidate's look-up tree, made from that of the base where that can be done.
    fn lookup(
        &self,
        input: &JudgeInput<'_>,
        definitions: &Definitions,
        base: Option<(&Lookup, &Tree)>,
        batch: &mut Batch,
    ) -> Result<Lookup, GateError> {
        let rules = Candidate::lookup_rules(definitions);
        let (snapshot, digest) = (input.snapshot.root(), *rules.digest());
        if let Some(root) = self.remembered(input.objects, &snapshot, &digest) {
            return Ok(Lookup::open(input.objects, &root)?);
        }
        let removals = input.objects.removals();
        let lookup = lookup::derive(base, &rules, input.objects, input.snapshot, batch)?;
        self.remember(snapshot, digest, lookup.tree().root(), removals);
        Ok(lookup)
    }

    fn base_lookup(input: &JudgeInput<'_>) -> Result<Option<Lookup>, GateError> {
        let root = input.base.as_ref().and_then(|b| b.derived.get(LOOKUP));
        Ok(root.map(|root| Lookup::open(input.objects, root)).transpose()?)
    }

    fn history(&self, input: &JudgeInput<'_>) -> Vec<Arc<Definitions>> {
        input.history.iter().map(|files| self.definitions.get(files)).collect()
    }

    /// Gates that are let through for this candidate, or by a standing waiver.
    fn waived(input: &JudgeInput<'_>, definitions: &Definitions) -> BTreeSet<String> {
        let today = Self::today(input);
        let given = input.waivers.iter().map(|(gate, _)| gate.clone());
        let standing = GATES.iter().filter(|gate| definitions.governance.waiver(gate, today).is_some());
        given.chain(standing.map(|gate| (*gate).to_owned())).collect()
    }

    fn today(input: &JudgeInput<'_>) -> jiff::civil::Date {
        input.now.to_zoned(TimeZone::UTC).date()
    }
}

impl Judge for Checker {
    fn rules(&self, definitions: &Files) -> Result<Rules, Vec<Finding>> {
        self.definitions.get(definitions).rules()
    }

    fn validate(
        &self,
        definitions: &Files,
        contract: &ContractName,
        fields: &Fields,
    ) -> Result<Vec<Finding>, ReleaseError> {
        let definitions = self.definitions.get(definitions);
        let Some(found) = definitions.contract(&contract.name, contract.major) else {
            let known: Vec<String> =
                definitions.contracts.iter().filter(|c| c.is_type()).map(|c| c.name.to_string()).collect();
            return Err(ReleaseError::not_found(
                "contract",
                contract,
                format!("the project has {}", known.join(", ")),
            ));
        };
        // What is wrong with fields does not depend on which entry they are of.
        let id = EntryId::new("entry").map_err(|e| ReleaseError::invalid(e.to_string(), ""))?;
        let locale = ProjectConfig::named("").locales.default;
        let key = EntryKey { type_name: contract.name.clone(), id, locale };
        let problems = validity::fields(found, &key, &Value::Object(fields.clone()));
        Ok(problems
            .into_iter()
            .map(|p| {
                let place = if p.pointer.is_empty() { "/".to_owned() } else { p.pointer.clone() };
                p.at(place)
            })
            .collect())
    }

    fn judge(&self, input: &JudgeInput<'_>) -> Result<Judgement, ReleaseError> {
        let definitions = self.definitions.get(input.definitions);
        let mut batch = input.objects.batch();
        let config = match &definitions.config {
            Ok(config) => config.clone(),
            Err(findings) => {
                let gates = unusable(findings, &definitions.digest);
                return Ok(Judgement { gates, derived: BTreeMap::new(), objects: batch });
            }
        };
        let base = input.base.as_ref().map(|b| self.definitions.get(&b.definitions));
        let base_lookup = Self::base_lookup(input)?;
        let started = Instant::now();
        let earlier = base_lookup.as_ref().zip(input.base.as_ref().map(|b| &b.snapshot));
        let lookup = self.lookup(input, &definitions, earlier, &mut batch)?;
        let lookup_ms = started.elapsed().as_secs_f64() * 1e3;
        let same_rules = base.as_ref().is_some_and(|b| {
            Candidate::lookup_rules(b).digest() == Candidate::lookup_rules(&definitions).digest()
        });
        let candidate = Candidate {
            input,
            definitions: definitions.clone(),
            base: base.clone(),
            config: &config,
            lookup: &lookup,
            base_lookup: base_lookup.as_ref(),
            same_rules,
            waived: Self::waived(input, &definitions),
            unsound: AtomicBool::new(false),
        };
        let history = self.history(input);
        let mut gates = Run { candidate: &candidate, config: &config, history: &history }.all();
        if let Some(references) = gates.iter_mut().find(|g| g.gate == "references" && !g.from_evidence) {
            references.metrics.insert("lookup_ms".to_owned(), lookup_ms);
        }
        let derived = BTreeMap::from([(LOOKUP.to_owned(), lookup.tree().root())]);
        Ok(Judgement { gates, derived, objects: batch })
    }

    fn required_approvals(&self, input: &JudgeInput<'_>) -> Result<Vec<RequiredApproval>, ReleaseError> {
        let definitions = self.definitions.get(input.definitions);
        let Ok(config) = &definitions.config else { return Ok(Vec::new()) };
        let base = input.base.as_ref().map(|b| self.definitions.get(&b.definitions));
        let no_lookup = Lookup::new(Tree::empty());
        let candidate = Candidate {
            input,
            definitions: definitions.clone(),
            base: base.clone(),
            config,
            lookup: &no_lookup,
            base_lookup: None,
            same_rules: false,
            waived: BTreeSet::new(),
            unsound: AtomicBool::new(false),
        };
        let sensitive = candidate.sensitive()?;
        let authors = |key: &_| candidate.authors(key);
        let mut required = approvals::required(&sensitive.changes, &authors)?;
        if let Some(end) = input.end {
            required.extend(approvals::required_end(end, &sensitive.ending, &authors)?);
        }
        let history = self.history(input);
        let compared = Compared::new(&config.gates, &definitions, base.as_deref(), &history);
        required.extend(compared.required(input.definition_authors));
        Ok(required)
    }
}

/// The reports when `ashlar.toml` cannot be used: no gate can run.
pub(crate) fn unusable(findings: &[Finding], inputs: &Digest) -> Vec<GateReport> {
    const WHY: &str = "ashlar.toml cannot be used";
    let mut gates: Vec<GateReport> =
        GATES.iter().map(|gate| GateReport::blocked(gate, *inputs, GateStatus::Error, WHY)).collect();
    // The cause is told once.
    if let Some(first) = gates.first_mut() {
        *first = GateReport::judged(&first.gate, *inputs, WHY, findings.to_vec());
        first.status = GateStatus::Error;
    }
    gates
}

/// One judgement.
struct Run<'a> {
    candidate: &'a Candidate<'a>,
    config: &'a ProjectConfig,
    history: &'a [Arc<Definitions>],
}

impl Run<'_> {
    fn all(&self) -> Vec<GateReport> {
        GATES.iter().map(|gate| self.gate(gate)).collect()
    }

    fn gate(&self, gate: &str) -> GateReport {
        let inputs = self.inputs(gate);
        let report = match (self.candidate.input.evidence)(gate, &inputs) {
            Some(report) if report.gate == gate && could_run(&report) => from_evidence(report),
            _ => {
                let started = Instant::now();
                let mut report = self.run(gate, inputs).unwrap_or_else(|e| {
                    GateReport::could_not_run(
                        gate,
                        inputs,
                        format!("The gate could not run: {}.", e.public()),
                    )
                });
                report.duration_ms = started.elapsed().as_secs_f64() * 1e3;
                report
            }
        };
        let report = self.waive(report);
        self.candidate.note(&report);
        report
    }

    /// Everything a gate's verdict depends on.
    fn inputs(&self, gate: &str) -> Digest {
        let Candidate { input, definitions, base, lookup, base_lookup, .. } = self.candidate;
        let mut inputs = Inputs::new(gate);
        inputs.digest("contracts", &definitions.contracts_digest);
        let zero = Digest::from_bytes([0; 32]);
        let base_contracts = base.as_ref().map_or(zero, |b| b.contracts_digest);
        let base_snapshot = input.base.as_ref().map_or(zero, |b| b.snapshot.root());
        match gate {
            "schema-compatibility" => {
                inputs.digest("base", &base_contracts).json("config", &self.config.gates);
                for definitions in self.history {
                    inputs.digest("history", &definitions.contracts_digest);
                }
                inputs.digest("governance", &definitions.part("governance.toml"));
                inputs.json("authors", input.definition_authors);
                for a in input.approvals.iter().filter(|a| a.right.starts_with("owner:")) {
                    inputs.json("approval", &(&a.right, &a.change, &a.by));
                }
                // Raised when this gate judges differently: 2 looks at owners and sunsets.
                inputs.add("rules", b"2");
                let removed = base.as_ref().is_some_and(|b| {
                    b.contracts.iter().any(|c| definitions.contracts.get(&c.name).is_none())
                });
                let today = Checker::today(input);
                if removed || !lifecycle::ending(definitions, today).is_empty() {
                    // Whether entries still follow a removed or ending contract, and whether its sunset has come.
                    inputs.digest("snapshot", &input.snapshot.root()).digest("base-snapshot", &base_snapshot);
                    inputs.digest("views", &definitions.part("views/"));
                    inputs.add("today", today.to_string().as_bytes());
                }
            }
            "content-validity" => {
                inputs.digest("snapshot", &input.snapshot.root()).json("locales", &self.config.locales);
            }
            "references" => {
                inputs.digest("lookup", &lookup.tree().root()).digest("snapshot", &input.snapshot.root());
                inputs.digest("base", &base_snapshot);
            }
            "links" | "routes" => {
                inputs.digest("lookup", &lookup.tree().root()).json("locales", &self.config.locales);
                inputs.json("ignored", &self.config.gates.links_ignored);
                inputs.digest("redirects", &definitions.part("redirects.toml"));
                inputs.digest("site", &definitions.part("site/"));
                // Raised when these gates judge differently: 2 takes `/` for every path, and leaves out what only follows from
                // an entry that is not valid.
                inputs.add("rules", b"2").json("waived", &self.candidate.waived);
                inputs.digest("served", &base_lookup.as_ref().map_or(zero, |l| l.tree().root()));
                if gate == "routes" {
                    // Raised when this gate judges differently: 2 looks for pages.
                    inputs.add("rules", b"2");
                    inputs.digest("base", &base_lookup.as_ref().map_or(zero, |l| l.tree().root()));
                    inputs.digest("snapshot", &input.snapshot.root());
                }
            }
            "views" => {
                inputs
                    .digest("views", &definitions.part("views/"))
                    .digest("config", &definitions.part("ashlar.toml"));
            }
            "consumers" => {
                inputs.digest("views", &definitions.part("views/"));
                inputs.digest("consumers", &definitions.part("consumers/"));
                inputs.json("locales", &self.config.locales).digest("base", &base_contracts);
                inputs.json("waived", &self.candidate.waived);
                // Without consumers nothing that is released matters to this gate.
                if !definitions.consumers.is_empty() {
                    inputs.digest("snapshot", &input.snapshot.root());
                }
            }
            "persisted-queries" => {
                inputs.digest("views", &definitions.part("views/"));
                inputs.digest("queries", &definitions.part("queries/"));
                inputs.digest("base", &base.as_ref().map_or(zero, |b| b.part("queries/")));
                inputs.digest("base-contracts", &base_contracts);
                if !queries::removed(definitions, base.as_deref()).is_empty() {
                    // Whether a sunset has come.
                    inputs.add("today", Checker::today(input).to_string().as_bytes());
                }
            }
            "tokens" => {
                for part in ["tokens.toml", "tokens/", "components/", "site/"] {
                    inputs.digest(part, &definitions.part(part));
                    inputs.digest("base", &base.as_ref().map_or(zero, |b| b.part(part)));
                }
                if base.as_ref().is_some_and(|b| b.part("tokens/") != definitions.part("tokens/")) {
                    // Whether a sunset has come.
                    inputs.add("today", Checker::today(input).to_string().as_bytes());
                }
            }
            "components" => {
                for part in [
                    "components/",
                    "intents.toml",
                    "site/",
                    "tokens/",
                    "tokens.toml",
                    "views/",
                    "assets/",
                    "ashlar.toml",
                ] {
                    inputs.digest(part, &definitions.part(part));
                }
                // Raised when this gate judges differently: 2 looks at addresses and at where templates write, 3 leaves out what
                // only follows from content that is wrong.
                inputs.add("rules", b"3").json("waived", &self.candidate.waived);
                let before = base.as_ref().map_or(zero, |b| b.part("components/"));
                inputs.digest("base", &before).json("locales", &self.config.locales);
                // Without a site nothing that is released matters to this gate.
                if definitions.site.site.is_some() {
                    inputs.digest("snapshot", &input.snapshot.root());
                }
            }
            _ => {
                inputs.digest("base-contracts", &base_contracts).digest("base", &base_snapshot);
                inputs.digest("snapshot", &input.snapshot.root()).digest("changes", &input.changes.root());
                inputs.digest("governance", &definitions.part("governance.toml"));
                if let Some(end) = input.end {
                    inputs.json("end", end);
                }
                for a in input.approvals {
                    inputs.json("approval", &(&a.right, &a.change, &a.by));
                }
            }
        }
        inputs.finish()
    }

    fn run(&self, gate: &str, inputs: Digest) -> Result<GateReport, GateError> {
        let c = self.candidate;
        let (work, summary) = match gate {
            "schema-compatibility" => {
                let compared =
                    Compared::new(&self.config.gates, &c.definitions, c.base.as_deref(), self.history);
                let used = c.still_used(&compared.removed_types())?;
                let today = Checker::today(c.input);
                let mut findings = Findings::default();
                findings.extend(compared.findings(
                    c.input.definition_authors,
                    c.input.approvals,
                    &used,
                    &today.to_string(),
                ));
                let followers = c.followers(&lifecycle::ending(&c.definitions, today))?;
                findings.extend(lifecycle::findings(&c.definitions, c.base.as_deref(), &followers, today));
                let checked = compared.compared();
                let what = count(checked, "changed contract", "changed contracts");
                (Work { findings, checked, reused: 0 }, what)
            }
            "content-validity" => summed(c.validity()?, "entry", "entries"),
            "references" => summed(c.references()?, "target of references", "targets of references"),
            "links" => summed(c.links()?, "link", "links"),
            "routes" => summed(c.routes()?, "route", "routes"),
            "views" => {
                let mut findings = Findings::default();
                findings.extend(c.definitions.view_findings.iter().cloned());
                let checked = c.definitions.views.iter().count();
                (Work { findings, checked, reused: 0 }, count(checked, "view", "views"))
            }
            "consumers" => {
                let mut work = c.bodies()?;
                work.findings.extend(consumers::findings(&c.definitions, c.base.as_deref()));
                let n = c.definitions.consumers.len();
                let bodies = count(work.checked, "body", "bodies");
                (work, format!("{}, {bodies}", count(n, "consumer", "consumers")))
            }
            "persisted-queries" => {
                let mut findings = Findings::default();
                let today = Checker::today(c.input);
                findings.extend(queries::findings(&c.definitions, c.base.as_deref(), today));
                let checked = c.definitions.graph.documents().count();
                (Work { findings, checked, reused: 0 }, count(checked, "document", "documents"))
            }
            "tokens" => {
                let mut findings = Findings::default();
                let base = c.base.as_deref().map(|b| &b.tokens);
                findings.extend(tokens::findings(&c.definitions.tokens, base, Checker::today(c.input)));
                let checked = c.definitions.tokens.resolved.as_ref().map_or(0, |r| r.tokens.len());
                (Work { findings, checked, reused: 0 }, count(checked, "token", "tokens"))
            }
            "components" => {
                let own = components::findings(&c.definitions, c.base.as_deref());
                // What components lack would show again on every page.
                let mut work = match own.iter().any(components::shows_on_pages) {
                    true => Work::default(),
                    false => c.pages()?,
                };
                work.findings.extend(own);
                let n = c.definitions.site.components.iter().count();
                let pages = count(work.checked, "page", "pages");
                (work, format!("{}, {pages}", count(n, "component", "components")))
            }
            _ => self.approvals()?,
        };
        let summary = work.findings.summary(&summary);
        let (checked, reused) = (work.checked as f64, work.reused as f64);
        let report = work.findings.judged(gate, inputs, summary);
        let mut report = report.metric("checked", checked).metric("reused", reused);
        if gate == "tokens" {
            report.metrics.extend(c.definitions.tokens.metrics.clone());
        }
        Ok(report)
    }

    fn approvals(&self) -> Result<(Work, String), GateError> {
        let c = self.candidate;
        let governance = &c.definitions.governance;
        let mut findings = Findings::default();
        findings.extend(c.definitions.governance_findings.iter().cloned());
        let sensitive = c.sensitive()?;
        let authors = |key: &_| c.authors(key);
        let changes = &sensitive.changes;
        let required = approvals::required(changes, &authors)?;
        for r in &required {
            if let Err(why) = approvals::given(r, c.input.approvals, governance) {
                findings.extend(approvals::missing(r, changes, governance, why.as_deref()));
            }
        }
        let mut needed = required.len();
        if let Some(end) = c.input.end {
            for r in approvals::required_end(end, &sensitive.ending, &authors)? {
                needed += 1;
                if let Err(why) = approvals::given(&r, c.input.approvals, governance) {
                    findings.extend([approvals::missing_end(&r, end, governance, why.as_deref())]);
                }
            }
        }
        let what = count(needed, "approval needed", "approvals needed");
        Ok((Work { findings, checked: changes.len(), reused: 0 }, what))
    }

    /// Lets a gate that did not pass through when a named person said so.
    fn waive(&self, mut report: GateReport) -> GateReport {
        if report.status.lets_through() {
            return report;
        }
        let given = self
            .candidate
            .input
            .waivers
            .iter()
            .find(|(gate, _)| *gate == report.gate)
            .map(|(_, w)| w.clone());
        let today = Checker::today(self.candidate.input);
        let standing = self.candidate.definitions.governance.waived(&report.gate, today);
        waived(&mut report, given.or(standing));
        report
    }
}

/// Marks a report as waived: it says so, by whom and why.
pub(crate) fn waived(report: &mut GateReport, waiver: Option<Waiver>) {
    if let Some(waiver) = waiver {
        report.status = GateStatus::Waived;
        report.summary = format!("{} (waived by {}: {})", report.summary, waiver.by, waiver.reason);
        report.waiver = Some(waiver);
    }
}

/// A gate that could not run is run again, also when it was waived.
fn could_run(report: &GateReport) -> bool {
    report.status != GateStatus::Error && report.findings.iter().all(|f| f.code != "gate-error")
}

/// A report as the gate itself gave it, before any waiver.
fn from_evidence(mut report: GateReport) -> GateReport {
    if let Some(waiver) = report.waiver.take() {
        let suffix = format!(" (waived by {}: {})", waiver.by, waiver.reason);
        if let Some(plain) = report.summary.strip_suffix(&suffix) {
            report.summary = plain.to_owned();
        }
        let failed = report.findings.iter().any(|f| f.level == Level::Error);
        report.status = if failed { GateStatus::Fail } else { GateStatus::Pass };
    }
    report.from_evidence = true;
    report.regrouped()
}

fn summed(work: Work, one: &str, many: &str) -> (Work, String) {
    let what = match work.reused {
        0 => count(work.checked, one, many),
        _ => format!("{} affected by the changes", count(work.checked, one, many)),
    };
    (work, what)
}
