pub(crate) mod trial;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use ashlar_contracts::{Contract, ContractSet, consumers::Consumer};
use ashlar_delivery::{graphql::Graph, views::Views};
use ashlar_model::{ContractName, Digest, Files, Finding, ProjectConfig, Rules, TypeName, TypeRules};
use ashlar_project::{Governance, Redirects, read_config};
use ashlar_site::{Loaded, Site};

use crate::{
    definitions::trial::Trials,
    gate::{consumers, tokens::Tokens},
    inputs::Inputs,
};

/// Definition files that gates read.
const READ: [&str; 13] = [
    "ashlar.toml",
    "governance.toml",
    "redirects.toml",
    "contracts/",
    "views/",
    "consumers/",
    "queries/",
    "tokens.toml",
    "tokens/",
    "components/",
    "intents.toml",
    "site/",
    "assets/",
];

/// Fewer than this many are not dropped for their size: a candidate, its base and the working definitions.
const KEPT_MIN: usize = 3;
/// How many bytes the files of parsed definitions that are kept may have; what is made of them takes several times as much.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// How many parsed definitions are kept: those of a candidate, its base and what is being worked on, for a few tenants.
const KEPT_MAX: usize = 16;

/// A project's definitions as the gates need them, with what was wrong in each part.
pub(crate) struct Definitions {
    /// `ashlar.toml`, or why it cannot be used.
    pub(crate) config: Result<ProjectConfig, Vec<Finding>>,
    pub(crate) contracts: ContractSet,
    pub(crate) contract_findings: Vec<Finding>,
    pub(crate) views: Views,
    pub(crate) view_findings: Vec<Finding>,
    pub(crate) graph: Graph,
    pub(crate) query_findings: Vec<Finding>,
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) consumer_findings: Vec<Finding>,
    /// What consumers rely on and the shapes do not keep; found out when it is first asked for.
    pub(crate) promises: OnceLock<Vec<consumers::Promise>>,
    /// The same definitions as delivery reads them, for composing bodies.
    pub(crate) delivered: OnceLock<Arc<ashlar_delivery::Definitions>>,
    pub(crate) tokens: Tokens,
    /// Components, intents and pages.
    pub(crate) site: Loaded,
    pub(crate) governance: Governance,
    pub(crate) governance_findings: Vec<Finding>,
    pub(crate) redirects: Redirects,
    pub(crate) redirect_findings: Vec<Finding>,
    /// The digest of all contracts and of what is wrong with their files.
    pub(crate) contracts_digest: Digest,
    /// The digest of the files that gates read.
    pub(crate) digest: Digest,
    files: BTreeMap<&'static str, Digest>,
}

/// The digest of the definition files that gates read.
pub(crate) fn files_digest(files: &Files) -> Digest {
    let mut inputs = Inputs::new("definitions");
    for (path, bytes) in files.iter().filter(|(path, _)| READ.iter().any(|r| path.starts_with(r))) {
        inputs.digest(path, &Digest::of(bytes));
    }
    inputs.finish()
}

impl Definitions {
    pub(crate) fn load(files: &Files) -> Self {
        Self::load_noting(files, &|_| ())
    }

    /// As [`Definitions::load`]; `note` hears which part is read.
    pub(crate) fn load_noting(files: &Files, note: &dyn Fn(&str)) -> Self {
        note("contracts/");
        let config = read_config(files);
        let (contracts, contract_findings) = ContractSet::load(files);
        note("views/");
        let (views, mut view_findings) = Views::parse(files, &contracts);
        if let Ok(config) = &config {
            let feeds = ashlar_delivery::feed_findings(config, &contracts, &views).into_iter();
            view_findings
                .extend(feeds.map(|(what, help)| Finding::error("feed", "ashlar.toml", what).help(help)));
        }
        note("queries/");
        let (graph, query_findings) = Graph::judged(files, &contracts, &views);
        note("consumers/");
        let (consumers, consumer_findings) = Consumer::read_all(files);
        let (governance, governance_findings) = match Governance::parse(files) {
            Ok(governance) => (governance, Vec::new()),
            Err(findings) => (Governance::default(), findings),
        };
        note("redirects.toml");
        let (redirects, redirect_findings) = match Redirects::parse(files) {
            Ok(redirects) => (redirects, Vec::new()),
            Err(findings) => (Redirects::default(), findings),
        };
        let mut inputs = Inputs::new("contracts");
        for contract in contracts.iter() {
            inputs.digest(&contract.name.to_string(), &contract.digest);
        }
        inputs.json("findings", &contract_findings);
        let digests = READ
            .iter()
            .map(|part| {
                let mut of_part = Inputs::new("part");
                for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with(part)) {
                    of_part.digest(path, &Digest::of(bytes));
                }
                (*part, of_part.finish())
            })
            .collect();
        note("tokens/");
        let tokens = Tokens::load(files);
        note("site/");
        let site = Site::load(files);
        Self {
            config,
            contracts,
            contract_findings,
            views,
            view_findings,
            graph,
            query_findings,
            consumers,
            consumer_findings,
            promises: OnceLock::new(),
            delivered: OnceLock::new(),
            tokens,
            site,
            governance,
            governance_findings,
            redirects,
            redirect_findings,
            contracts_digest: inputs.finish(),
            digest: files_digest(files),
            files: digests,
        }
    }

    /// What stands for definitions that cannot be read at all.
    fn refused(digest: Digest, finding: Finding) -> Self {
        Self { config: Err(vec![finding]), digest, ..Self::load(&Files::new()) }
    }

    /// The digest of one part: `governance.toml`, `redirects.toml`, `views/`.
    pub(crate) fn part(&self, name: &str) -> Digest {
        self.files.get(name).copied().unwrap_or_else(|| Digest::from_bytes([0; 32]))
    }

    /// Whether contracts and these parts are those of `other`.
    pub(crate) fn same(&self, other: &Self, parts: &[&str]) -> bool {
        self.contracts_digest == other.contracts_digest && parts.iter().all(|p| self.part(p) == other.part(p))
    }

    /// The contract an entry of a type follows when it names none: the newest active one, else the newest.
    pub(crate) fn newest(&self, type_name: &TypeName) -> Option<&Contract> {
        newest(&self.contracts, type_name)
    }

    /// The contract of an entry.
    pub(crate) fn contract(&self, type_name: &TypeName, major: u32) -> Option<&Contract> {
        let name = ContractName { name: type_name.clone(), major };
        self.contracts.get(&name).filter(|c| c.is_type())
    }

    /// What drafts need to know.
    pub(crate) fn rules(&self) -> Result<Rules, Vec<Finding>> {
        let config = self.config.clone()?;
        // Delivery refuses a release whose configuration it cannot read.
        let of_site = self.site.findings.iter().filter(|f| f.code == "site-form");
        let errors: Vec<Finding> = self
            .contract_findings
            .iter()
            .chain(&self.governance_findings)
            .chain(&self.redirect_findings)
            .chain(of_site)
            .chain(&self.tokens.unreadable)
            .filter(|f| f.level == ashlar_model::Level::Error)
            .cloned()
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut types: BTreeMap<TypeName, Vec<TypeRules>> = BTreeMap::new();
        for contract in self.contracts.iter().filter(|c| c.is_type()) {
            types.entry(contract.name.name.clone()).or_default().push(TypeRules {
                contract: contract.name.clone(),
                active: is_active(contract),
                shared: contract.shared_fields().iter().cloned().collect(),
                taxonomy: contract.taxonomy,
                sensitive: sensitive(contract).clone(),
            });
        }
        for versions in types.values_mut() {
            versions.sort_by_key(|t| t.contract.major);
        }
        Ok(Rules { config, types, approvers: self.governance.approvers.clone() })
    }
}

/// Whether new entries may follow the contract.
pub(crate) fn is_active(contract: &Contract) -> bool {
    contract.is_active()
}

/// Top-level field → sensitivities that need an approval or at least care.
pub(crate) fn sensitive(contract: &Contract) -> &BTreeMap<String, BTreeSet<String>> {
    contract.sensitive_fields()
}

pub(crate) fn newest<'a>(contracts: &'a ContractSet, type_name: &TypeName) -> Option<&'a Contract> {
    let versions = || contracts.iter().filter(|c| c.is_type() && c.name.name == *type_name);
    versions()
        .filter(|c| is_active(c))
        .max_by_key(|c| c.name.major)
        .or_else(|| versions().max_by_key(|c| c.name.major))
}

/// Parsed definitions by the digest of their files.
#[derive(Default)]
pub(crate) struct DefinitionsCache {
    /// With the bytes of their files, the one that was used last at the end.
    kept: Mutex<Vec<(Arc<Definitions>, usize)>>,
    trials: Option<Trials>,
}

impl DefinitionsCache {
    /// Definitions are read only after they passed a trial.
    pub(crate) fn tried(trials: Trials) -> Self {
        Self { kept: Mutex::default(), trials: Some(trials) }
    }

    pub(crate) fn get(&self, files: &Files) -> Arc<Definitions> {
        let digest = files_digest(files);
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = kept.iter().position(|(d, _)| d.digest == digest) {
                let found = kept.remove(at);
                kept.push(found.clone());
                return found.0;
            }
        }
        if let Some(trials) = &self.trials
            && let Err((finding, passing)) = trials.admit(files)
        {
            let refused = Arc::new(Definitions::refused(digest, *finding));
            if !passing {
                self.keep(&refused, 0);
            }
            return refused;
        }
        // Parsed outside the lock: hundreds of schemas take a while, and other tenants go on meanwhile.
        let loaded = Arc::new(Definitions::load(files));
        self.keep(&loaded, files.bytes());
        loaded
    }

    fn keep(&self, definitions: &Arc<Definitions>, bytes: usize) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((definitions.clone(), bytes));
        while kept.len() > KEPT_MAX
            || (kept.len() > KEPT_MIN && kept.iter().map(|(_, bytes)| bytes).sum::<usize>() > KEPT_BYTES_MAX)
        {
            kept.remove(0);
        }
    }
}
