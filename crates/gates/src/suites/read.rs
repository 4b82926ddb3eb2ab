//! The suites of a project.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use ashlar_evals::suite::{FOLDER, Suite, names};
use ashlar_gateway::config;
use ashlar_model::{EntryId, Files, Finding, TypeName};

/// The most suites of a project.
const SUITES_MAX: usize = 50;

/// The suites of a project that can be read, with what is wrong in all of them.
#[derive(Default)]
pub(crate) struct Suites {
    pub(crate) all: Vec<SuiteAt>,
    pub(crate) findings: Vec<Finding>,
    /// `gateway.toml` as it is written: parts of it decide what a suite depends on.
    pub(crate) gateway: toml::Table,
}

/// A suite.
pub(crate) struct SuiteAt {
    pub(crate) suite: Arc<Suite>,
    /// The digest of its cases.
    pub(crate) cases: String,
    /// Entries that answers must cite, each with the first line that names it.
    pub(crate) cites: BTreeMap<(TypeName, EntryId), usize>,
}

impl Suites {
    pub(crate) fn load(files: &Files) -> Self {
        let mut out = Self::default();
        let names = names(files);
        for name in names.iter().take(SUITES_MAX) {
            match Suite::read(files, name) {
                Ok((suite, findings)) => {
                    out.findings.extend(findings);
                    out.all.push(SuiteAt::of(suite));
                }
                Err(findings) => out.findings.extend(findings),
            }
        }
        if names.len() > SUITES_MAX {
            let message =
                format!("The project has {} suites; at most {SUITES_MAX} are possible.", names.len());
            out.findings.push(Finding::error("eval-suite", FOLDER, message).help("merge suites"));
        }
        for (path, _) in files.under(FOLDER, ".jsonl") {
            let name = path.trim_end_matches(".jsonl");
            let beside = format!("{}.toml", name.trim_end_matches(".labels"));
            if files.get(&beside).is_none() {
                let message = "This file belongs to no suite.";
                let finding = Finding::error("eval-suite", path, message);
                out.findings.push(finding.help(format!("create {beside}, or remove the file")));
            }
        }
        if !out.all.is_empty() {
            let text = files.get(config::FILE).map(|bytes| String::from_utf8_lossy(bytes));
            out.gateway = text.and_then(|text| text.parse().ok()).unwrap_or_default();
        }
        out
    }
}

impl SuiteAt {
    fn of(suite: Suite) -> Self {
        let mut cites: BTreeMap<(TypeName, EntryId), usize> = BTreeMap::new();
        for case in &suite.cases {
            for cited in &case.expect.cites {
                // The others are paths of pages.
                let Some((type_name, id)) = cited.split_once('/') else { continue };
                let (Ok(type_name), Ok(id)) = (TypeName::new(type_name), EntryId::new(id)) else { continue };
                if let Entry::Vacant(first) = cites.entry((type_name, id)) {
                    first.insert(case.line);
                }
            }
        }
        Self { cases: suite.digest(), suite: Arc::new(suite), cites }
    }

    /// Its file.
    pub(crate) fn file(&self) -> String {
        format!("{FOLDER}/{}.toml", self.suite.name)
    }

    /// The file of its cases.
    pub(crate) fn cases_file(&self) -> String {
        format!("{FOLDER}/{}.jsonl", self.suite.name)
    }
}
