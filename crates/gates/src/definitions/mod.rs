pub(crate) mod cache;
pub(crate) mod promises;
pub(crate) mod tokens;
pub(crate) mod trial;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use ashlar_assist::config::Assist;
use ashlar_contracts::{Contract, ContractSet, consumers::Consumer};
use ashlar_delivery::{DeliveryError, graphql::Graph, views::Views};
use ashlar_gateway::{config::Gateway, prompts::Prompts};
use ashlar_model::{ContractName, Digest, Files, Finding, ProjectConfig, Rules, TypeName, TypeRules};
use ashlar_project::{Governance, Redirects, read_config};
use ashlar_retrieval::config::Config as Retrieval;
use ashlar_site::{Loaded, Site};

use crate::{
    inputs::Inputs,
    suites::{
        inputs::{Fixed, Project as SuiteProject},
        read::Suites,
    },
};
use promises::Promise;
use tokens::Tokens;

/// Definition files that gates read.
const READ: [&str; 19] = [
    "ashlar.toml",
    "governance.toml",
    "redirects.toml",
    "retrieval.toml",
    "gateway.toml",
    "prompts/",
    "prompts.toml",
    "evals/",
    "assist.toml",
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
    /// Found out when it is first asked for.
    promises: OnceLock<Vec<Promise>>,
    /// The same definitions as delivery reads them, for composing bodies.
    delivered: OnceLock<Arc<ashlar_delivery::Definitions>>,
    pub(crate) tokens: Tokens,
    /// Components, intents and pages.
    pub(crate) site: Loaded,
    pub(crate) governance: Governance,
    pub(crate) governance_findings: Vec<Finding>,
    pub(crate) redirects: Redirects,
    pub(crate) redirect_findings: Vec<Finding>,
    /// What is searched, and who may find it.
    pub(crate) retrieval: Retrieval,
    pub(crate) retrieval_findings: Vec<Finding>,
    /// Routes, prices and features of model calls.
    pub(crate) gateway: Gateway,
    pub(crate) gateway_findings: Vec<Finding>,
    /// Prompts, and which version of each answers.
    pub(crate) prompts: Prompts,
    pub(crate) prompts_findings: Vec<Finding>,
    /// Eval suites.
    pub(crate) suites: Suites,
    /// Found out when it is first asked for.
    suite_inputs: OnceLock<Vec<Fixed>>,
    /// What models may write, and what is checked of it.
    pub(crate) assist: Assist,
    pub(crate) assist_findings: Vec<Finding>,
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
    /// Long because a project has many parts.
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
        note("retrieval.toml");
        let (retrieval, retrieval_findings) = match Retrieval::parse(files) {
            Ok(retrieval) => (retrieval, Vec::new()),
            Err(findings) => (Retrieval::default(), findings),
        };
        note("prompts/");
        let (prompts, prompts_findings) = Prompts::parse(files);
        note("gateway.toml");
        let (gateway, gateway_findings) = match Gateway::parse(files) {
            Ok(gateway) => (gateway, Vec::new()),
            Err(findings) => (Gateway::default(), findings),
        };
        note("evals/");
        let suites = Suites::load(files);
        note("assist.toml");
        let (assist, assist_findings) = match Assist::parse(files) {
            Ok(assist) => (assist, Vec::new()),
            Err(findings) => (Assist::default(), findings),
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
            retrieval,
            retrieval_findings,
            gateway,
            gateway_findings,
            prompts,
            prompts_findings,
            suites,
            suite_inputs: OnceLock::new(),
            assist,
            assist_findings,
            contracts_digest: inputs.finish(),
            digest: files_digest(files),
            files: digests,
        }
    }

    /// What stands for definitions that cannot be read at all.
    fn refused(digest: Digest, finding: Finding) -> Self {
        Self { config: Err(vec![finding]), digest, ..Self::load(&Files::new()) }
    }

    /// What consumers rely on, each compared with the shape of its endpoint once.
    pub(crate) fn promises(&self) -> &[Promise] {
        self.promises.get_or_init(|| Promise::all(&self.consumers, &self.views, &self.contracts))
    }

    /// What each suite depends on, in their order.
    pub(crate) fn suite_inputs(&self) -> &[Fixed] {
        self.suite_inputs.get_or_init(|| {
            let project = SuiteProject {
                gateway: &self.gateway,
                written: &self.suites.gateway,
                contracts: &self.contracts,
                prompts: &self.prompts,
                retrieval: &self.retrieval,
                retrieval_digest: self.part(ashlar_retrieval::config::FILE),
                locales: self.config.as_ref().ok().map(|config| &config.locales),
            };
            self.suites.all.iter().map(|at| Fixed::of(at, &project)).collect()
        })
    }

    /// The same definitions as delivery reads them, from their files.
    pub(crate) fn delivered(
        &self,
        digest: Digest,
        files: &Files,
    ) -> Result<Arc<ashlar_delivery::Definitions>, DeliveryError> {
        if let Some(known) = self.delivered.get() {
            return Ok(known.clone());
        }
        let parsed = Arc::new(ashlar_delivery::Definitions::parse(digest, files)?);
        Ok(self.delivered.get_or_init(|| parsed).clone())
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
            .chain(&self.retrieval_findings)
            .chain(&self.gateway_findings)
            .chain(&self.assist_findings)
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
                active: contract.is_active(),
                shared: contract.shared_fields().iter().cloned().collect(),
                taxonomy: contract.taxonomy,
                sensitive: contract.sensitive_fields().clone(),
            });
        }
        for versions in types.values_mut() {
            versions.sort_by_key(|t| t.contract.major);
        }
        Ok(Rules { config, types, approvers: self.governance.approvers.clone() })
    }
}

/// The contract that entries of a type follow when they name none: the newest active one, else the newest.
pub(crate) fn newest<'a>(contracts: &'a ContractSet, type_name: &TypeName) -> Option<&'a Contract> {
    let versions = || contracts.iter().filter(|c| c.is_type() && c.name.name == *type_name);
    versions()
        .filter(|c| c.is_active())
        .max_by_key(|c| c.name.major)
        .or_else(|| versions().max_by_key(|c| c.name.major))
}
