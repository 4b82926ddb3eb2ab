use std::collections::{BTreeMap, BTreeSet};

use ashlar_contracts::{Answer, Comparison, Contract, Verdict, Version, compare};
use ashlar_model::{Compatibility, ContractName, Digest, Finding, GateConfig, TypeName};
use ashlar_release::{Approval, RequiredApproval};

use super::{
    approvals,
    interface::{About, Code, Gate},
    lifecycle,
    validity::sentence,
};
use crate::{
    GateError,
    definitions::Definitions,
    findings::count,
    inputs::Inputs,
    world::{Change, Part, Work, World},
};

const FINDINGS: &[Code] = findings! {
    "config": "ashlar.toml is missing or has a wrong value." => "Correct the field that the message names, or run `ashlar init` for a new file.";
    "toml-malformed": "A TOML file has a syntax error or a wrong field." => "Correct the line that the message names.";
    "encoding": "A file is not UTF-8 text." => "Save the file as UTF-8.";
    "file-name": "A file name is not UTF-8." => "Rename the file.";
    "symlink": "A symbolic link leads outside the project." => "Replace the link with the file.";
    "unreadable": "A file cannot be read." => "Check its permissions.";
    "too-large": "A file, or what it expands to, is too large." => "Split the file.";
    "too-deep": "A value is nested too deeply." => "Flatten the value.";
    "duplicate-key": "A key appears twice in the same object." => "Remove one of the two.";
    "integer-range": "An integer is too large to be stored without losing digits." => "Store it as a string.";
    "not-read": "A file or folder in the project is not read." => "Use the name or ending that the message suggests.";
    "definitions": "The definition files are too many or too large, or a path is not allowed." => "Remove or rename files as the message says.";
    "definitions-untried": "The server is too busy to read the definitions." => "Try again in a moment.";
    "definitions-too-costly": "Reading the definitions takes too much memory, stack or time." => "Make the named file simpler: fewer nested parts, fewer references to the same part.";
    "contract-name": "A contract file does not have a name such as page.v1.json." => "Rename the file to `contracts/NAME.vMAJOR.json`.";
    "contract-too-large": "A contract file is too large." => "Split it with `$ref`.";
    "contract-encoding": "A contract file is not UTF-8 text." => "Save it as UTF-8.";
    "contract-json": "A contract file is not valid JSON." => "Fix the JSON at the line and column in the message.";
    "contract-depth": "A schema is nested too deeply." => "Use `$defs` and `$ref`.";
    "contract-form": "A contract is not a JSON object." => "Start the file with `{ \"type\": \"object\" }`.";
    "contract-vocabulary": "A word in `x-ashlar` is unknown or has a wrong value." => "Correct the word, or remove it.";
    "contract-pattern": "A regular expression in a schema cannot be used." => "Write a simpler pattern.";
    "contract-ref": "A `$ref` leads nowhere or back to itself." => "Correct the path of the `$ref`.";
    "contract-version": "A declared version does not fit the file name, or is too low for the changes." => "Set `version` in `x-ashlar` as the message says.";
    "contract-route": "A route template cannot be read." => "Write it like `/pricing/{slug}`.";
    "contract-expansion": "A contract becomes too large when all its references are followed." => "Refer to the same part less often, or split the contract.";
    "contract-schema": "The file is not a valid JSON Schema." => "Compare it with JSON Schema 2020-12.";
    "contracts-too-many": "The project has too many contracts." => "Remove contracts that no entry follows.";
    "contract-incompatible": "A change to a contract breaks its readers." => "Create a new major version, or accept the change in governance.toml.";
    "contract-semantic-change": "A contract now means something else, and its owner has not approved that." => "Ask the owner for an approval, or accept the change in governance.toml.";
    "contract-compatibility-unknown": "It cannot be proven whether a change is compatible, and the owner has not approved it." => "Ask the owner for an approval, or accept the change in governance.toml.";
    "contract-removed": "A contract is removed before its sunset." => "Restore it with `\"status\": \"deprecated\"` and a `sunset`, or accept the removal in governance.toml.";
    "contract-removed-in-use": "A contract is removed, but entries still follow it." => "Migrate its entries first, or restore the file.";
    "contract-owner": "A contract has no owner." => "Add `\"owner\": \"TEAM\"` to its `x-ashlar`, or set `owner_optional = true` in governance.toml.";
    "contract-replacement": "A contract is deprecated and does not name its replacement." => "Add `\"replaced_by\": \"NAME.vN\"` to its `x-ashlar`.";
    "contract-sunset-new": "A new entry follows a contract whose sunset has passed." => "Use the replacement, or set a later `sunset`.";
    "contract-sunset-near": "A contract ends soon, and entries or views still use it." => "Migrate them to the replacement.";
    "contract-sunset-past": "The sunset of a contract has passed, and entries or views still use it." => "Migrate them to the replacement, then remove the file.";
};

/// The gate `schema-compatibility`.
pub(crate) struct SchemaCompatibility;

impl Gate for SchemaCompatibility {
    fn about(&self) -> &'static About {
        &About {
            name: "schema-compatibility",
            judges: "Contracts can be read, change only in compatible ways, and end when they declare it.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        let (definitions, today) = (world.definitions(), world.today());
        inputs.digest("base", &world.base_contracts()).json("config", &world.config().gates);
        for definitions in world.history() {
            inputs.digest("history", &definitions.contracts_digest);
        }
        inputs.digest("governance", &definitions.part("governance.toml"));
        inputs.json("authors", world.definition_authors());
        for a in world.approvals().iter().filter(|a| a.right.starts_with("owner:")) {
            inputs.json("approval", &(&a.right, &a.change, &a.by));
        }
        // Raised when this gate judges differently: 2 looks at owners and sunsets.
        inputs.add("rules", b"2");
        if !world.file_findings().is_empty() {
            inputs.json("files", &world.file_findings());
        }
        let removed = world
            .base()
            .is_some_and(|b| b.contracts.iter().any(|c| definitions.contracts.get(&c.name).is_none()));
        if removed || !lifecycle::ending(definitions, today).is_empty() {
            // Whether entries still follow a removed or ending contract, and whether its sunset has come.
            inputs.digest("snapshot", &world.digest(Part::Snapshot));
            inputs.digest("base-snapshot", &world.digest(Part::BaseSnapshot));
            inputs.digest("views", &definitions.part("views/"));
            inputs.add("today", today.to_string().as_bytes());
        }
    }

    fn sees_contracts(&self) -> bool {
        false
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let (definitions, base, today) = (world.definitions(), world.base(), world.today());
        let compared = Compared::new(&world.config().gates, definitions, base, world.history());
        let used = world.users(&compared.removed_types())?;
        let (authors, approvals) = (world.definition_authors(), world.approvals());
        let mut findings = compared.findings(authors, approvals, &used, &today.to_string());
        // A contract that cannot be read is not removed as well.
        let unread = world.unread_contracts();
        let is_unread = |f: &Finding| unread.iter().any(|file| f.place.starts_with(file.as_str()));
        findings.retain(|f| f.code != "contract-removed" || !is_unread(f));
        findings.extend(world.file_findings().iter().cloned());
        let followers = world.followers(&lifecycle::ending(definitions, today))?;
        findings.extend(lifecycle::findings(definitions, base, &followers, today));
        let n = compared.pairs.len();
        let what = match base {
            Some(_) => count(n, "changed contract", "changed contracts"),
            None => count(definitions.contracts.iter().count(), "contract", "contracts"),
        };
        Ok(Work::of(findings, n, what))
    }
}

/// Changes of one contract that are reported in full; the others are counted.
const CHANGES_NAMED_MAX: usize = 20;

/// How one contract differs from an earlier one of the same name and major version.
struct Pair<'a> {
    old: &'a Contract,
    new: &'a Contract,
    comparison: Comparison,
    /// `the base`, or which earlier release.
    against: String,
}

/// What the schema-compatibility gate looks at.
pub(crate) struct Compared<'a> {
    config: &'a GateConfig,
    definitions: &'a Definitions,
    pairs: Vec<Pair<'a>>,
    removed: Vec<&'a Contract>,
}

impl<'a> Compared<'a> {
    /// Compares every contract with the one of the same name in the base and, newest first, in the history.
    pub(crate) fn new(
        config: &'a GateConfig,
        definitions: &'a Definitions,
        base: Option<&'a Definitions>,
        history: &'a [std::sync::Arc<Definitions>],
    ) -> Self {
        let mut pairs: Vec<Pair<'a>> = Vec::new();
        let mut seen: BTreeSet<(&ContractName, Digest)> = BTreeSet::new();
        let earlier = base.into_iter().map(|b| ("the base".to_owned(), &b.contracts));
        let history = history
            .iter()
            .enumerate()
            .map(|(i, d)| (format!("the release {} before the last", i + 1), &d.contracts));
        for (against, old_set) in earlier.chain(history) {
            for new in definitions.contracts.iter() {
                let Some(old) = old_set.get(&new.name) else { continue };
                if old.digest == new.digest || !seen.insert((&new.name, old.digest)) {
                    continue;
                }
                let comparison = compare(old, new, config.lenient_open_models);
                pairs.push(Pair { old, new, comparison, against: against.clone() });
            }
        }
        let removed = base
            .into_iter()
            .flat_map(|b| b.contracts.iter())
            .filter(|c| c.is_type() && definitions.contracts.get(&c.name).is_none())
            .collect();
        Self { config, definitions, pairs, removed }
    }

    /// The types of contracts that no longer exist.
    fn removed_types(&self) -> BTreeSet<&'a TypeName> {
        self.removed.iter().map(|c| &c.name.name).collect()
    }

    /// Approvals of owners that the changes need: those that are semantic, or about which nothing is known.
    pub(crate) fn required(&self, authors: &BTreeSet<String>) -> Vec<RequiredApproval> {
        self.pairs
            .iter()
            .filter(|p| self.needs_owner(p) && self.accepted(&p.comparison.digest).is_none())
            .map(|p| RequiredApproval {
                right: format!("owner:{}", p.new.owner),
                change: p.comparison.digest,
                authors: authors.clone(),
                subjects: vec![format!("contracts/{}.json", p.new.name)],
                assisted: false,
            })
            .collect()
    }

    fn accepted(&self, change: &Digest) -> Option<&ashlar_project::governance::Accept> {
        self.definitions.governance.accepted(change)
    }

    /// The answers that the mode asks for.
    fn answers(&self, comparison: &Comparison) -> Vec<(&'static str, Answer)> {
        let backward = ("values that are valid today stay valid", comparison.backward);
        let forward = ("values that become valid were valid before", comparison.forward);
        match self.config.compatibility {
            Compatibility::Backward => vec![backward],
            Compatibility::Forward => vec![forward],
            Compatibility::Full => vec![backward, forward],
        }
    }

    fn breaks(&self, comparison: &Comparison) -> bool {
        self.answers(comparison).iter().any(|(_, a)| *a == Answer::No)
    }

    fn needs_owner(&self, pair: &Pair<'_>) -> bool {
        let unknown = self.answers(&pair.comparison).iter().any(|(_, a)| *a == Answer::Unknown);
        pair.comparison.semantic || (unknown && !self.breaks(&pair.comparison))
    }

    /// Every objection to the changes. `used` says which removed contracts entries still follow.
    fn findings(
        &self,
        authors: &BTreeSet<String>,
        given: &[Approval],
        used: &BTreeMap<ContractName, String>,
        today: &str,
    ) -> Vec<Finding> {
        let mut findings = self.definitions.contract_findings.clone();
        let required: BTreeMap<Digest, RequiredApproval> =
            self.required(authors).into_iter().map(|r| (r.change, r)).collect();
        for pair in &self.pairs {
            let comparison = &pair.comparison;
            let place = format!("contracts/{}.json", pair.new.name);
            let accepted = self.accepted(&comparison.digest).is_some();
            if self.breaks(comparison) && !accepted {
                findings.push(
                    Finding::error(
                        "contract-incompatible",
                        &place,
                        format!("It breaks with {}: {}", pair.against, self.summary(comparison, false)),
                    )
                    .help(format!(
                        "make it a new major version, contracts/{}.v{}.json, or accept it in governance.toml: {}",
                        pair.new.name.name,
                        pair.new.name.major + 1,
                        accept(&comparison.digest)
                    )),
                );
            }
            if let Some(required) = required.get(&comparison.digest) {
                let (code, what) = match comparison.semantic {
                    true => ("contract-semantic-change", "It means something else than in"),
                    false => {
                        ("contract-compatibility-unknown", "It is not known whether it is compatible with")
                    }
                };
                if let Err(why) = approvals::given(required, given, &self.definitions.governance) {
                    let why = why.map_or(String::new(), |w| format!(" ({w})"));
                    findings.push(
                        Finding::error(
                            code,
                            &place,
                            format!("{what} {}, so its owner `{}` has to agree{why}: {}", pair.against, pair.new.owner, self.summary(comparison, comparison.semantic)),
                        )
                        .help(format!(
                            "ashlar candidate approve CANDIDATE --right {} --as NAME, or accept it in governance.toml: {}",
                            required.right,
                            accept(&comparison.digest)
                        )),
                    );
                }
            }
            findings.extend(version(pair, &place));
        }
        for contract in &self.removed {
            findings.extend(self.removal(contract, used, today));
        }
        findings
    }

    fn summary(&self, comparison: &Comparison, semantic: bool) -> String {
        let mode = self.config.compatibility;
        let counts = |c: &ashlar_contracts::Change| match mode {
            Compatibility::Backward => c.backward != Answer::Yes,
            Compatibility::Forward => c.forward != Answer::Yes,
            Compatibility::Full => c.backward != Answer::Yes || c.forward != Answer::Yes,
        };
        let summary: Vec<String> = comparison
            .changes
            .iter()
            .filter(|c| if semantic { c.semantic } else { counts(c) })
            .map(|c| format!("{} {}", if c.path.is_empty() { "/" } else { &c.path }, sentence(&c.message)))
            .collect();
        let summary = if summary.is_empty() {
            comparison.reasons.iter().map(|r| sentence(r)).collect()
        } else {
            summary
        };
        let more = summary.len().saturating_sub(CHANGES_NAMED_MAX);
        let mut text = summary.into_iter().take(CHANGES_NAMED_MAX).collect::<Vec<_>>().join(" ");
        if more > 0 {
            text.push_str(&format!(" And {more} more."));
        }
        text
    }

    fn removal(
        &self,
        contract: &Contract,
        used: &BTreeMap<ContractName, String>,
        today: &str,
    ) -> Option<Finding> {
        let place = format!("contracts/{}.json", contract.name);
        if let Some(entry) = used.get(&contract.name) {
            return Some(
                Finding::error(
                    "contract-removed-in-use",
                    place,
                    format!("It is removed, but {entry} still follows it."),
                )
                .help("migrate its entries first, or bring the file back"),
            );
        }
        let change = removal_digest(contract);
        if self.accepted(&change).is_some() {
            return None;
        }
        let message = match contract.sunset.as_ref().map(ToString::to_string) {
            Some(sunset) if sunset.as_str() <= today => return None,
            Some(sunset) => format!("It is removed before its sunset on {sunset}."),
            None => "It is removed without having been deprecated with a sunset.".to_owned(),
        };
        Some(Finding::error("contract-removed", place, message).help(format!(
            "bring it back with \"status\": \"deprecated\" and a \"sunset\", or accept it in governance.toml: {}",
            accept(&change)
        )))
    }
}

fn removal_digest(contract: &Contract) -> Digest {
    Inputs::new("removal").digest(&contract.name.to_string(), &contract.digest).finish()
}

fn accept(change: &Digest) -> String {
    format!("[[accept]] change = \"{change}\" with `by` and `reason`")
}

/// A declared version that is lower than the changes demand.
fn version(pair: &Pair<'_>, place: &str) -> Option<Finding> {
    let (old, new) = (&pair.old.version, &pair.new.version);
    let demanded = match pair.comparison.verdict {
        Verdict::None => return None,
        Verdict::Patch if !pair.comparison.semantic => Version { patch: old.patch + 1, ..*old },
        // A breaking change that was accepted within a major version is at least a minor one.
        _ => Version { minor: old.minor + 1, patch: 0, ..*old },
    };
    (*new < demanded).then(|| {
        Finding::error(
            "contract-version",
            place,
            format!("It declares version {new}, but it differs from {old} in {} in ways that demand at least {demanded}.", pair.against),
        )
        .help(format!("set \"version\": \"{demanded}\" in its x-ashlar"))
    })
}
