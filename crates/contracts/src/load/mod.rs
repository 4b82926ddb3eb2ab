//! Reading contract files: every mistake is a finding with file, line and JSON pointer.

mod file;
mod patterns;
mod reach;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use ashlar_model::{ContractName, Digest, Files, Finding};
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::{
    Contract, ContractSet, Kind, RouteTemplate, Version,
    cost::{Cost, Refused},
    plan::Plan,
    refs::{Documents, Place, look_up, normalize, target, walk},
    settle::settle,
    summary::summarize,
    vocabulary::OnSchema,
};
use file::{FINDINGS_MAX, File, check_core_words, check_property_words, read_file};
use patterns::Patterns;
use reach::{Circles, Links};

/// The most contracts of a project.
const CONTRACTS_MAX: usize = 5_000;

impl ContractSet {
    /// Reads `contracts/*.json`. A file that cannot be used is a finding; the others are loaded all the same.
    pub fn load(files: &Files) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let (read, mut documents) = read_files(files, &mut findings);
        settle_references(&read, &mut documents, &mut findings);
        let documents = Arc::new(documents);
        let links = Links::of(&documents, read.iter().map(|f| (f.file_name.as_str(), f.text.len())));
        let (patterns, circles) = (Patterns::new(), Circles::default());
        let mut loader = Loader { documents, patterns, links, circles, findings };
        let each = read.iter().filter_map(|file| Some((file.name.clone(), loader.contract(file)?)));
        let contracts: BTreeMap<ContractName, Contract> = each.collect();
        let mut findings = loader.findings;
        findings.extend(unknown_replacements(&contracts));
        (Self { contracts }, findings)
    }
}

fn read_files<'f>(files: &'f Files, findings: &mut Vec<Finding>) -> (Vec<File<'f>>, Documents) {
    let (mut read, mut documents) = (Vec::new(), Documents::new());
    for (path, bytes) in files.under("contracts", ".json") {
        if read.len() >= CONTRACTS_MAX {
            let message = format!("there are more than {CONTRACTS_MAX} contracts");
            findings.push(Finding::error("contracts-too-many", path, message));
            break;
        }
        match read_file(path, bytes) {
            Ok((file, schema)) => {
                check_core_words(&file, &schema, findings);
                documents.insert(file.file_name.clone(), schema);
                read.push(file);
            }
            Err(finding) => findings.push(finding),
        }
    }
    (read, documents)
}

/// Writes the references of all files in one way.
fn settle_references(read: &[File<'_>], documents: &mut Documents, findings: &mut Vec<Finding>) {
    let by_name: FxHashMap<&str, &File<'_>> = read.iter().map(|f| (f.file_name.as_str(), f)).collect();
    let mut reported: BTreeMap<String, usize> = BTreeMap::new();
    for (name, pointer, message, help) in settle(documents) {
        let file = by_name.get(name.as_str());
        let count = reported.entry(name).or_default();
        *count += 1;
        if let Some(file) = file.filter(|_| *count <= FINDINGS_MAX) {
            findings.push(file.error("contract-ref", &pointer, message).help(help));
        }
    }
}

/// Replacements that do not exist.
fn unknown_replacements(contracts: &BTreeMap<ContractName, Contract>) -> impl Iterator<Item = Finding> {
    contracts.values().filter_map(|contract| {
        let next = contract.replaced_by.as_ref().filter(|next| !contracts.contains_key(*next))?;
        let place = format!("contracts/{}.json /x-ashlar/replaced_by", contract.name);
        let message = format!("`replaced_by` names {next}, which does not exist");
        Some(
            Finding::error("contract-vocabulary", place, message)
                .help("add the contract, or correct the name"),
        )
    })
}

/// Makes contracts of schemas that were read.
struct Loader {
    documents: Arc<Documents>,
    patterns: Patterns,
    links: Links,
    circles: Circles,
    findings: Vec<Finding>,
}

impl Loader {
    fn contract(&mut self, file: &File<'_>) -> Option<Contract> {
        let before = self.findings.len();
        let documents = self.documents.clone();
        let schema = documents.get(&file.file_name)?;
        check_property_words(file, schema, &mut self.patterns, &mut self.findings);
        self.check_references(file, schema);
        let (words, wrong) = schema.get("x-ashlar").map(OnSchema::parse).unwrap_or_default();
        self.findings.extend(file.wrong_words("", wrong));
        let version = self.version(file, words.version);
        let route = words.route.as_deref().and_then(|text| self.route(file, text));
        let refused = self.refused(file);
        if let Some(refused) = &refused
            && self.findings.len() == before
        {
            self.findings.push(too_expensive(file, refused));
        }
        let is_usable = refused.is_none();
        let plan = if is_usable { Plan::compile(&documents, &file.file_name) } else { Plan::empty() };
        if is_usable {
            self.check_named_fields(file, &plan, route.as_ref(), words.title_field.as_deref());
        }
        let summary = summarize(&plan, route.as_ref(), words.title_field.as_deref());
        let contract = Contract {
            kind: if schema.get("x-ashlar").is_none() { Kind::Type } else { words.kind },
            version,
            owner: words.owner,
            status: words.status,
            sunset: words.sunset,
            replaced_by: words.replaced_by,
            route,
            index: words.index,
            title_field: words.title_field,
            taxonomy: words.taxonomy,
            digest: match is_usable {
                true => self.links.digest(&documents, &file.file_name),
                false => Digest::of(file.text.as_bytes()),
            },
            schema: schema.clone(),
            speaks: !summary.refs.is_empty() || !summary.markdown.is_empty(),
            plan,
            summary,
            documents: documents.clone(),
            validator: OnceLock::new(),
            name: file.name.clone(),
        };
        if self.findings.len() == before
            && let Some((pointer, message)) = contract.compile_error()
        {
            self.findings.push(
                file.error("contract-schema", pointer, format!("this is not a JSON Schema: {message}"))
                    .help("compare it with JSON Schema 2020-12"),
            );
        }
        Some(contract)
    }

    /// References that lead nowhere, or back to themselves.
    fn check_references(&mut self, file: &File<'_>, schema: &Value) {
        let (documents, circles, findings) = (&self.documents, &mut self.circles, &mut self.findings);
        let most = findings.len() + 2 * FINDINGS_MAX;
        walk(schema, &mut String::new(), &mut |pointer, s| {
            let Some(reference) = s.get("$ref").and_then(Value::as_str) else { return };
            if normalize(reference).is_err() || findings.len() >= most {
                return;
            }
            let (wrong, help) = if look_up(documents, &target(&file.file_name, reference)).is_none() {
                let names: Vec<&str> = documents.keys().map(String::as_str).take(8).collect();
                ("leads nowhere", format!("loaded files: {}", names.join(", ")))
            } else if circles.is_circular(documents, &file.file_name, pointer) {
                let help = "a recursive schema takes a step into the value between two `$ref`s";
                ("leads back to itself", help.to_owned())
            } else {
                return;
            };
            let at = format!("{pointer}/$ref");
            findings.push(file.error("contract-ref", &at, format!("`{reference}` {wrong}")).help(help));
        });
    }

    /// The declared version, or the first of the major version in the file's name.
    fn version(&mut self, file: &File<'_>, declared: Option<Version>) -> Version {
        let major = file.name.major;
        let version = declared.unwrap_or(Version { major, minor: 0, patch: 0 });
        if version.major != major {
            let message = format!("the file is named v{major} and its version is {version}");
            self.findings.push(
                file.error("contract-version", "/x-ashlar/version", message).help("make the two agree"),
            );
        }
        version
    }

    fn route(&mut self, file: &File<'_>, text: &str) -> Option<RouteTemplate> {
        let wrong = |e: crate::RouteTemplateError| {
            file.error("contract-route", "/x-ashlar/route", e.to_string())
                .help("write it like `/pricing/{slug}`")
        };
        RouteTemplate::parse(text).map_err(|e| self.findings.push(wrong(e))).ok()
    }

    /// Why a contract is too expensive to be used.
    fn refused(&mut self, file: &File<'_>) -> Option<Refused> {
        if self.links.reach(&file.file_name) {
            return Cost::measure(&self.documents, &file.file_name).err();
        }
        Some(Refused {
            place: Place { file: file.file_name.clone(), pointer: String::new() },
            message: "the contracts refer to each other too often to be compiled".to_owned(),
            help: "refer to smaller files, or to `#/$defs/…` of the same file",
        })
    }

    /// Words of `x-ashlar` that name fields which the schema does not have.
    fn check_named_fields(
        &mut self,
        file: &File<'_>,
        plan: &Plan,
        route: Option<&RouteTemplate>,
        title: Option<&str>,
    ) {
        let known =
            |name: &str| plan.closure(0).iter().any(|id| plan.nodes[*id].properties.contains_key(name));
        let of_route = route.into_iter().flat_map(|r| r.fields().map(|f| ("route", f)));
        let named = of_route.chain(title.map(|t| ("title_field", t)));
        for (word, name) in named.filter(|(_, name)| !known(name)) {
            let message = format!("`{word}` names `{name}`, which is not a property of the schema");
            self.findings.push(
                file.error("contract-vocabulary", &format!("/x-ashlar/{word}"), message)
                    .help("name a top-level property"),
            );
        }
    }
}

/// The finding of a contract that is too expensive to be used.
fn too_expensive(file: &File<'_>, refused: &Refused) -> Finding {
    let place = match refused.place.file == file.file_name {
        true => file.place(&refused.place.pointer),
        false => format!("{} (contracts/{} {})", file.path, refused.place.file, refused.place.pointer),
    };
    Finding::error("contract-expansion", place, refused.message.clone()).help(refused.help)
}
