use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use ashlar_delivery::lookup::{self, Lookup};
use ashlar_model::{ContractName, Digest, EntryId, EntryKey, Fields, Files, Finding, ProjectConfig, Rules};
use ashlar_release::{
    Judge, JudgeInput, Judgement, ReleaseError, RequiredApproval, RunNeeded, Weighed,
    derived::{self, Built, Derive, DeriveInput, Derived, Form, Names},
};
use ashlar_retrieval::models::Models;
use ashlar_store::{Batch, TenantObjects, Tree};
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::{
    GateError,
    candidate::{
        Candidate,
        search::{MeaningKind, SearchKind},
    },
    definitions::{Definitions, cache::DefinitionsCache, trial::Trials},
    gate::{Gate, approvals, compatibility::Compared, references::References, validity},
    judge,
    suites::{state::SuiteState, weigh::weigh},
    world::World,
};

/// The look-up tree of delivery. Gates read it, so judging builds it.
const LOOKUP: Derived = Derived {
    name: "lookup",
    form: Form { format: 1, names: Names::Nothing },
    built: Built::WithCandidate,
    imported: false,
};

/// Look-up trees that are remembered: those of open candidates and of what channels serve.
const LOOKUPS_KEPT_MAX: usize = 64;

/// Runs every gate. Cheap to share; parsed definitions and roots of derived trees are kept between calls.
pub struct Checker {
    definitions: Arc<DefinitionsCache>,
    search: Arc<SearchKind>,
    meaning: MeaningKind,
    /// Snapshot, rules, the root of the look-up tree, and how often objects had been removed before it was made.
    lookups: Mutex<VecDeque<(Digest, Digest, Digest, u64)>>,
}

impl Checker {
    /// A judge with nothing remembered.
    pub fn new() -> Self {
        Self::over(DefinitionsCache::default())
    }

    fn over(definitions: DefinitionsCache) -> Self {
        let definitions = Arc::new(definitions);
        let search = Arc::new(SearchKind::new(definitions.clone()));
        let meaning = MeaningKind::new(definitions.clone(), search.clone());
        Self { definitions, search, meaning, lookups: Mutex::default() }
    }

    /// The same with the models of this node.
    #[must_use]
    pub fn with_models(mut self, models: Arc<dyn Models>) -> Self {
        self.meaning.models = models;
        self
    }

    /// A judge that reads definitions only after they passed a trial.
    pub fn tried(trials: Trials) -> Self {
        Self::over(DefinitionsCache::tried(trials))
    }

    /// The root of the look-up tree that was made for this snapshot and these rules, if it is stored. Nothing may name it, so
    /// parts of it can be missing when anything was removed since.
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
        (objects, snapshot): (&TenantObjects, &Tree),
        definitions: &Definitions,
        base: Option<(&Lookup, &Tree)>,
        batch: &mut Batch,
    ) -> Result<Lookup, GateError> {
        let rules = Candidate::lookup_rules(definitions);
        if let Some(root) = self.remembered(objects, &snapshot.root(), rules.digest()) {
            return Ok(Lookup::open(objects, &root)?);
        }
        let removals = objects.removals();
        let lookup = lookup::derive(base, &rules, objects, snapshot, batch)?;
        self.remember(snapshot.root(), *rules.digest(), lookup.tree().root(), removals);
        Ok(lookup)
    }

    fn history(&self, input: &JudgeInput<'_>) -> Vec<Arc<Definitions>> {
        input.history.iter().map(|files| self.definitions.get(files)).collect()
    }
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Derive for Checker {
    fn about(&self) -> Derived {
        LOOKUP
    }

    fn build(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Tree, ReleaseError> {
        let before = input.before(&LOOKUP)?.map(Lookup::new);
        let base = before.as_ref().zip(input.earlier.map(|earlier| earlier.snapshot));
        let definitions = self.definitions.get(input.definitions);
        Ok(self.lookup((input.objects, input.snapshot), &definitions, base, batch)?.tree().clone())
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
                let gates = judge::unusable(findings, &definitions.digest);
                return Ok(Judgement { gates, derived: BTreeMap::new(), objects: batch });
            }
        };
        let base = input.base.as_ref().map(|b| self.definitions.get(&b.definitions));
        let before = input.base.as_ref().map(|base| derived::open(input.objects, &base.derived, &LOOKUP));
        let base_lookup = before.transpose()?.flatten().map(Lookup::new);
        let started = Instant::now();
        let earlier = base_lookup.as_ref().zip(input.base.as_ref().map(|b| &b.snapshot));
        let lookup = self.lookup((input.objects, input.snapshot), &definitions, earlier, &mut batch)?;
        let lookup_ms = started.elapsed().as_secs_f64() * 1e3;
        let history = self.history(input);
        let candidate =
            Candidate::new(input, definitions.clone(), base, history, &config, &lookup, base_lookup.as_ref());
        let mut gates = judge::all(&candidate);
        if let Some(references) =
            gates.iter_mut().find(|g| g.gate == References.about().name && !g.from_evidence)
        {
            references.metrics.insert("lookup_ms".to_owned(), lookup_ms);
        }
        let derived = BTreeMap::from([(LOOKUP.name.to_owned(), lookup.tree().root())]);
        Ok(Judgement { gates, derived, objects: batch })
    }

    fn required_approvals(&self, input: &JudgeInput<'_>) -> Result<Vec<RequiredApproval>, ReleaseError> {
        let definitions = self.definitions.get(input.definitions);
        let Ok(config) = &definitions.config else { return Ok(Vec::new()) };
        let base = input.base.as_ref().map(|b| self.definitions.get(&b.definitions));
        let no_lookup = Lookup::new(Tree::empty());
        let history = self.history(input);
        let candidate = Candidate::new(input, definitions.clone(), base, history, config, &no_lookup, None);
        let sensitive = candidate.sensitive()?;
        let mut required = approvals::all_required(&candidate, &sensitive)?;
        if let Some(end) = input.end {
            required.extend(approvals::end_required(&candidate, end, &sensitive)?);
        }
        let compared = Compared::new(&config.gates, &definitions, candidate.base(), candidate.history());
        required.extend(compared.required(input.definition_authors));
        Ok(required)
    }

    fn runs_needed(&self, input: &JudgeInput<'_>) -> Result<Vec<RunNeeded>, ReleaseError> {
        let definitions = self.definitions.get(input.definitions);
        if definitions.suites.all.is_empty() {
            return Ok(Vec::new());
        }
        let base = input.base.as_ref().map(|b| (self.definitions.get(&b.definitions), &b.snapshot));
        let base = base.as_ref().map(|(definitions, snapshot)| (&**definitions, *snapshot));
        let needed = |state: SuiteState| RunNeeded {
            suite: definitions.suites.all[state.at].suite.name.clone(),
            inputs: state.inputs.digest,
            served: state.served.map(|served| served.inputs.digest),
        };
        let states = SuiteState::all((&definitions, input.snapshot), base)?;
        Ok(states.into_iter().map(needed).collect())
    }

    fn suites(&self, definitions: &Files, snapshot: &Tree) -> Result<Vec<(String, Digest)>, ReleaseError> {
        let definitions = self.definitions.get(definitions);
        let name = |state: &SuiteState| definitions.suites.all[state.at].suite.name.clone();
        let states = SuiteState::all((&definitions, snapshot), None)?;
        Ok(states.iter().map(|state| (name(state), state.inputs.digest)).collect())
    }

    fn weigh(
        &self,
        input: &JudgeInput<'_>,
        suite: &str,
        asked: &str,
        run: &[u8],
    ) -> Result<Weighed, ReleaseError> {
        let definitions = self.definitions.get(input.definitions);
        let states = SuiteState::all((&definitions, input.snapshot), None)?;
        let today = input.now.to_zoned(TimeZone::UTC).date();
        weigh((&definitions, input.definitions), &states, (suite, asked), run, today)
    }

    fn derives(&self) -> Vec<&dyn Derive> {
        vec![self, &*self.search, &self.meaning]
    }
}
