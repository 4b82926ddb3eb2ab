//! What gates judge: definitions and content, whether they are a candidate or a directory on disk.

pub(crate) mod assisted;
pub(crate) mod followers;
pub(crate) mod links;
pub(crate) mod sensitive;
pub(crate) mod site;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_delivery::{PageAt, ReleaseView};
use ashlar_model::{
    ContractName, Digest, EntryId, EntryKey, Finding, GateReport, Locale, ProjectConfig, ReleaseId, TypeName,
    Waiver,
};
use ashlar_release::{Approval, Baseline, DeclaredEnd, SuiteRun};
use ashlar_store::StoreError;
use bytes::Bytes;
use jiff::civil::Date;
use serde_json::Value;

use crate::{
    GateError, Site,
    definitions::Definitions,
    findings::{Findings, count},
    suites::state::SuiteState,
    world::{assisted::Assisted, followers::Followers, links::LinkRules, sensitive::Sensitive},
};

static NONE: BTreeSet<String> = BTreeSet::new();

/// What a gate did.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) findings: Findings,
    /// How much was looked at.
    pub(crate) looked: Looked,
    /// What was looked at, for people: `12 links`.
    pub(crate) what: String,
    /// Further figures for the report.
    pub(crate) metrics: BTreeMap<String, f64>,
}

impl Work {
    /// What follows from definitions alone.
    pub(crate) fn of(findings: impl IntoIterator<Item = Finding>, checked: usize, what: String) -> Self {
        let looked = Looked { checked, reused: 0 };
        let mut work = Self { looked, what, ..Self::default() };
        work.findings.extend(findings);
        work
    }

    /// What was found in content.
    pub(crate) fn looked(
        findings: Findings,
        looked: Looked,
        change: Option<&Change<'_>>,
        one: &str,
        many: &str,
    ) -> Self {
        let what = match change {
            Some(_) if looked.reused > 0 => {
                format!("{} affected by the changes", count(looked.checked, one, many))
            }
            _ => count(looked.checked, one, many),
        };
        Self { findings, looked, what, metrics: BTreeMap::new() }
    }
}

/// How much of the content was looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Looked {
    /// Things that were looked at.
    pub(crate) checked: usize,
    /// Things whose verdict was taken over from the base.
    pub(crate) reused: u64,
}

/// What a run on a change may rely on: the gate passed on the base, unwaived, with the same locales.
pub(crate) struct Change<'a> {
    /// The definitions of the base.
    pub(crate) base: &'a Definitions,
    /// References, links and routes were taken from the base by the same rules.
    pub(crate) same_lookup: bool,
}

/// A digest of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All entries.
    Snapshot,
    /// All entries of the base.
    BaseSnapshot,
    /// References, links and routes.
    Lookup,
    /// References, links and routes of the base.
    BaseLookup,
    /// Who changed which entries since the base.
    Changes,
}

/// An entry as `content-validity` judges it.
pub(crate) struct EntryAt<'a> {
    pub(crate) key: &'a EntryKey,
    /// The version of the contract that it names.
    pub(crate) major: Option<u32>,
    /// Whether its contract exists, or is in a file that cannot be read.
    pub(crate) has_contract: bool,
    /// Where the entry is.
    pub(crate) place: &'a dyn Fn() -> String,
    /// What is wrong with its fields.
    pub(crate) wrong: Vec<Finding>,
}

/// What the gate `routes` sees.
pub(crate) enum RouteAt<'a> {
    /// Several entries have one route.
    Shared { route: &'a str, locale: &'a Locale, places: &'a [String] },
    /// An entry of the base had this route; it may be there still.
    Before { entry: &'a EntryKey, route: &'a str },
}

/// Why nothing answers a route any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vanished {
    /// Its entry no longer exists.
    Gone,
    /// Its entry has another route.
    Moved,
    /// Its entry has no route: a field that the route is made of is absent.
    Without,
}

/// Places where the same thing is used. They are looked up only when they are asked for.
pub(crate) type Places<'p> = dyn Iterator<Item = Result<String, GateError>> + 'p;
/// Hears of every target of references; the same target may come more than once, with other places.
pub(crate) type EachReference<'f> =
    dyn FnMut(&TypeName, &EntryId, &mut Places<'_>) -> Result<(), GateError> + 'f;
/// Hears of every target of links, with the locale of the page that has the link.
pub(crate) type EachLink<'f> = dyn FnMut(&Locale, &str, &mut Places<'_>) -> Result<(), GateError> + 'f;
/// Hears of routes.
pub(crate) type EachRoute<'f> = dyn FnMut(RouteAt<'_>) -> Result<(), GateError> + 'f;
/// Judges an entry, on any thread.
pub(crate) type EachEntry<'f> = dyn Fn(EntryAt<'_>, &mut Findings) + Sync + 'f;
/// Judges what is read of an entry.
pub(crate) type EachBody<'f> = dyn FnMut(&EntryKey, &Value, &mut Findings) + 'f;
/// Judges a page, which is shown at a place.
pub(crate) type EachPage<'f> = dyn FnMut(&ReleaseView, &PageAt, &str, &mut Findings) + 'f;

/// Definitions and content under judgement. Where a method takes a change, it visits only what that change can have touched.
pub(crate) trait World: Sync {
    fn definitions(&self) -> &Definitions;
    /// The definitions that are live, where they are known.
    fn base(&self) -> Option<&Definitions>;
    fn config(&self) -> &ProjectConfig;
    fn today(&self) -> Date;
    /// How many entries there are.
    fn len(&self) -> u64;
    fn site(&self) -> &dyn Site;
    fn base_site(&self) -> Option<&dyn Site>;
    /// Zeros where there is no such thing.
    fn digest(&self, part: Part) -> Digest;
    /// Gates that are let through whatever they find: what another gate leaves to them is reported by that other gate then.
    fn waived(&self) -> &BTreeSet<String>;
    /// Who lets a gate through that did not pass.
    fn waiver(&self, gate: &str) -> Option<Waiver>;
    /// Whether the waiver of a gate was given to this candidate with a key, and does not stand in `governance.toml`.
    fn is_waived_by_key(&self, _gate: &str) -> bool {
        false
    }

    /// Definitions of earlier releases, newest first.
    fn history(&self) -> &[Arc<Definitions>] {
        &[]
    }
    /// Which versions of a prompt answered in an earlier release. `None` where earlier releases are not known.
    fn answered(&self, _prompt: &str) -> Option<BTreeSet<u32>> {
        None
    }
    /// An earlier report of a gate for the same inputs.
    fn evidence(&self, _gate: &str, _inputs: &Digest) -> Option<GateReport> {
        None
    }
    /// The change to the base, when the verdict of a gate on the base can be relied on.
    fn change(&self, _gate: &str) -> Option<Change<'_>> {
        None
    }
    /// Hears that content itself is wrong, before the next gate runs.
    fn note_unsound(&self) {}

    /// Contract files that cannot be read, in order.
    fn unread_contracts(&self) -> &BTreeSet<String> {
        &NONE
    }
    /// What is wrong with definition files before they are read as definitions.
    fn file_findings(&self) -> &[Finding] {
        &[]
    }
    /// What is wrong with content files beside their entries.
    fn content_findings(&self) -> Vec<Finding> {
        Vec::new()
    }
    /// Whether an entry may be in a file that cannot be read.
    fn may_exist(&self, _type_name: &TypeName, _id: &EntryId) -> bool {
        false
    }
    /// Whether a path may be that of an entry in a file that cannot be read.
    fn may_lead(&self, _path: &str) -> bool {
        false
    }

    fn entries(
        &self,
        change: Option<&Change<'_>>,
        judge: &EachEntry<'_>,
    ) -> Result<(Findings, Looked), GateError>;
    /// Also says what is counted: targets or references, one and many.
    fn references(
        &self,
        change: Option<&Change<'_>>,
        each: &mut EachReference<'_>,
    ) -> Result<(Looked, [&'static str; 2]), GateError>;
    fn links(&self, change: Option<&Change<'_>>, each: &mut EachLink<'_>) -> Result<Looked, GateError>;
    fn routes(&self, change: Option<&Change<'_>>, each: &mut EachRoute<'_>) -> Result<Looked, GateError>;
    /// Why nothing answers an entry's route any more; `None` when that only follows from what `content-validity` reports of
    /// the entry.
    fn vanished(&self, key: &EntryKey) -> Result<Option<Vanished>, GateError>;
    /// Renders pages. What only follows from what other gates tell of the content is left out.
    fn pages(
        &self,
        change: Option<&Change<'_>>,
        judge: &mut EachPage<'_>,
    ) -> Result<(Findings, Looked), GateError>;
    /// The content as it would be read, where bodies are judged.
    fn bodies(&self) -> Result<Option<ReleaseView>, GateError> {
        Ok(None)
    }
    /// One locale of each entry of a type. What only follows from what other gates tell of the content is left out.
    fn bodies_of(
        &self,
        _type_name: &TypeName,
        _change: Option<&Change<'_>>,
        _judge: &mut EachBody<'_>,
    ) -> Result<Findings, GateError> {
        Ok(Findings::default())
    }

    /// For each contract of these types an entry that follows it.
    fn users(&self, types: &BTreeSet<&TypeName>) -> Result<BTreeMap<ContractName, String>, GateError>;
    /// Entries that follow these contracts.
    fn followers(
        &self,
        names: &BTreeSet<ContractName>,
    ) -> Result<BTreeMap<ContractName, Followers>, GateError>;
    /// What needs approvals.
    fn sensitive(&self) -> Result<Sensitive, GateError>;
    /// Whether approvals can be given for what is judged.
    fn takes_approvals(&self) -> bool {
        false
    }
    /// Approvals that were given.
    fn approvals(&self) -> &[Approval] {
        &[]
    }
    /// The declared end of the changeset.
    fn end(&self) -> Option<&DeclaredEnd> {
        None
    }
    /// Whether runs of eval suites can be recorded for what is judged.
    fn takes_runs(&self) -> bool {
        false
    }
    /// The eval suites that can be read, beside those of what is served.
    fn suites(&self) -> Result<Vec<SuiteState>, GateError> {
        Ok(Vec::new())
    }
    /// Runs of eval suites that were recorded for what is judged and for what is served.
    fn runs(&self) -> &[SuiteRun] {
        &[]
    }
    /// An earlier run of a suite to compare with, when none of what is served is known.
    fn baseline(&self, _suite: &str) -> Option<&Baseline> {
        None
    }
    /// The release that is served.
    fn base_release(&self) -> Option<ReleaseId> {
        None
    }
    /// What is stored of a run.
    fn document(&self, object: &Digest) -> Result<Bytes, GateError> {
        Err(StoreError::Missing { digest: *object }.into())
    }
    /// Who changed definitions since the base.
    fn definition_authors(&self) -> &BTreeSet<String> {
        &NONE
    }
    /// Entries that a model wrote something of since the base, in key order.
    fn assisted(&self) -> Result<&[Assisted], GateError> {
        Ok(&[])
    }
    /// The fields of a released entry.
    fn released(&self, _key: &EntryKey) -> Result<Option<Value>, GateError> {
        Ok(None)
    }
    /// Hears of released entries of a type in a language, until `each` wants no more.
    fn each_released(
        &self,
        _of: (&TypeName, &Locale),
        _each: &mut dyn FnMut(&EntryKey, Value) -> bool,
    ) -> Result<(), GateError> {
        Ok(())
    }
    /// Whether something leads to the page of an entry. True of entries without a page.
    fn is_linked(&self, _key: &EntryKey) -> Result<bool, GateError> {
        Ok(true)
    }
    /// Who changed an entry since the base.
    fn authors(&self, _key: &EntryKey) -> Result<BTreeSet<String>, GateError> {
        Ok(BTreeSet::new())
    }
    /// Where an entry is.
    fn place(&self, key: &EntryKey) -> String {
        key.to_string()
    }
}

impl dyn World + '_ {
    /// Whether a gate may be left to tell something: it is not waived.
    pub(crate) fn tells(&self, gate: &str) -> bool {
        !self.waived().contains(gate)
    }

    /// The digest of one part of the base's definitions; zeros without a base.
    pub(crate) fn base_part(&self, part: &str) -> Digest {
        self.base().map_or(Digest::from_bytes([0; 32]), |b| b.part(part))
    }

    /// The digest of the base's contracts; zeros without a base.
    pub(crate) fn base_contracts(&self) -> Digest {
        self.base().map_or(Digest::from_bytes([0; 32]), |b| b.contracts_digest)
    }
}

/// How links find what they lead to.
pub(crate) fn link_rules<'a>(config: &'a ProjectConfig, definitions: &'a Definitions) -> LinkRules<'a> {
    LinkRules::new(&config.locales, &config.gates.links_ignored, &definitions.redirects)
        .with_site(definitions.site.site.as_ref())
}
