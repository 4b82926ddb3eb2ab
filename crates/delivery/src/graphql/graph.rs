use std::{collections::BTreeMap, sync::OnceLock};

use ashlar_contracts::ContractSet;
use ashlar_model::{Files, Finding, position};
use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use super::{
    plan::{self, Objection, Plan},
    print, request,
    schema::Schema,
    types,
};
use crate::views::Views;

/// The most persisted documents of a project.
pub const DOCUMENTS_MAX: usize = 2_000;

/// Says until when documents stay.
const SUNSETS: &str = "queries/sunsets.toml";

/// The schema of a project with its persisted documents.
#[derive(Default)]
pub struct Graph {
    pub(crate) schema: Option<Schema>,
    documents: BTreeMap<String, Document>,
    /// The hashes of what clients make of a document → its id, and whether `__typename` is added to it.
    forms: BTreeMap<String, (String, bool)>,
}

/// A persisted document.
pub struct Document {
    /// Its file: `queries/home.graphql`.
    pub file: String,
    /// The SHA-256 of its text, in hexadecimal.
    pub id: String,
    /// The day from which it may be removed, as `queries/sunsets.toml` says.
    pub sunset: Option<Date>,
    plans: Vec<Plan>,
    /// The same with `__typename` in every selection set, for clients that add it; compiled when one asks first.
    pub(crate) with_typenames: OnceLock<Result<Vec<Plan>, Vec<Objection>>>,
}

/// An operation of a persisted document.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Operation {
    /// The file it is in.
    pub file: String,
    /// Its name; absent when the document does not name it.
    pub name: Option<String>,
    /// What `documentId` is: `sha256:` and the digest of the document.
    pub document_id: String,
    /// How deep its fields nest.
    pub depth: usize,
    /// How many entries it may read, by estimate.
    pub cost: u64,
    /// The content types it reads.
    pub types: Vec<String>,
    /// The schema of its variables.
    #[serde(skip)]
    pub variables: serde_json::Value,
    /// The schema of its `data`.
    #[serde(skip)]
    pub data: serde_json::Value,
}

fn finding(file: &str, objection: Objection) -> Finding {
    let place = match objection.at {
        Some((line, column)) => format!("{file}:{line}:{column}"),
        None => file.to_owned(),
    };
    Finding::error(objection.code, place, objection.message).help(objection.help)
}

impl Graph {
    /// As [`Graph::compile`]; derives nothing when there is no document to judge.
    pub fn judged(files: &Files, contracts: &ContractSet, views: &Views) -> (Self, Vec<Finding>) {
        match files.iter().any(|(path, _)| path.starts_with("queries/")) {
            true => Self::compile(files, contracts, views),
            false => (Self::default(), Vec::new()),
        }
    }

    /// Derives the schema and compiles `queries/*.graphql`. A document that cannot be run is a finding; the others work
    /// all the same.
    pub fn compile(files: &Files, contracts: &ContractSet, views: &Views) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let schema = Schema::derive(contracts, views).unwrap_or_else(|why| {
            findings.push(
                Finding::error(
                    "graphql-schema",
                    "contracts/",
                    format!("no GraphQL schema can be derived from the contracts: {why}"),
                )
                .help("this is a mistake of Ashlar's; please report it with the contracts"),
            );
            None
        });
        let mut graph = Self { schema, ..Self::default() };
        let sunsets = sunsets(files, &mut findings);
        let is_query =
            |path: &str| path != SUNSETS && path.starts_with("queries/") && !path[8..].contains('/');
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for (at, (path, bytes)) in files.iter().filter(|(path, _)| is_query(path)).enumerate() {
            if at >= DOCUMENTS_MAX && path.ends_with(".graphql") {
                let message = format!("there are more than {DOCUMENTS_MAX} files");
                let help = "remove documents that nobody sends any more";
                findings.push(Finding::error("too-many-queries", path, message).help(help));
                break;
            }
            match graph.document(path, bytes, sunsets.get(path).copied()) {
                Ok((text, document)) => {
                    findings.extend(objections_to(&document, &mut names));
                    graph.add(text, document);
                }
                Err(wrong) => findings.extend(wrong),
            }
        }
        (graph, findings)
    }

    /// A file of `queries/` as a document, with its text.
    fn document<'t>(
        &self,
        path: &str,
        bytes: &'t [u8],
        sunset: Option<Date>,
    ) -> Result<(&'t str, Document), Vec<Finding>> {
        if !path.ends_with(".graphql") {
            return Err(vec![
                Finding::warning("query-file", path, "the file is not read")
                    .help("persisted operations are in files that end in .graphql"),
            ]);
        }
        let invalid =
            |message: &str, help: &str| vec![Finding::error("query-invalid", path, message).help(help)];
        let text = std::str::from_utf8(bytes)
            .map_err(|_| invalid("the file is not UTF-8 text", "save it as UTF-8"))?;
        let Some(schema) = &self.schema else {
            let help = "add a contract of the kind `type`";
            return Err(invalid("there are no content types to ask for", help));
        };
        let plans = plan::compile(schema, text, path)
            .map_err(|objections| objections.into_iter().map(|o| finding(path, o)).collect::<Vec<_>>())?;
        let (file, id, with_typenames) = (path.to_owned(), document_id(text), OnceLock::new());
        Ok((text, Document { file, id, sunset, plans, with_typenames }))
    }

    /// Adds a document with the hashes that clients know it by.
    fn add(&mut self, text: &str, document: Document) {
        for (form, typenames) in forms(text) {
            self.forms.entry(form).or_insert_with(|| (document.id.clone(), typenames));
        }
        self.documents.insert(document.id.clone(), document);
    }

    /// The schema as text; `None` when there are no content types.
    pub fn sdl(&self) -> Option<&str> {
        self.schema.as_ref().map(|s| s.sdl.as_str())
    }

    /// The file of the persisted document that the query of a `GET` asks for.
    pub fn file_asked(&self, query: &str) -> Option<&str> {
        self.named(&request::asked_for(query)?).map(|(d, _)| d.file.as_str())
    }

    /// A persisted document by the SHA-256 of its text or of what a client makes of it, and whether the client adds
    /// `__typename`.
    pub(crate) fn named(&self, hash: &str) -> Option<(&Document, bool)> {
        if let Some(document) = self.documents.get(hash) {
            return Some((document, false));
        }
        let (id, typenames) = self.forms.get(hash)?;
        Some((self.documents.get(id)?, *typenames))
    }

    /// The operations of a persisted document, with `__typename` in every selection set when that is wanted.
    pub(crate) fn plans<'d>(
        &self,
        document: &'d Document,
        typenames: bool,
    ) -> Result<&'d [Plan], &'d [Objection]> {
        let (true, Some(schema), Some(first)) = (typenames, &self.schema, document.plans.first()) else {
            return Ok(&document.plans);
        };
        let compiled = document.with_typenames.get_or_init(|| {
            let text = first.document.serialize().to_string();
            match plan::parser().parse_ast(text, &document.file) {
                Ok(mut parsed) => {
                    print::with_typenames(&mut parsed);
                    plan::compile(schema, &print::print(&parsed), &document.file)
                }
                Err(_) => Err(Vec::new()),
            }
        });
        compiled.as_deref().map_err(Vec::as_slice)
    }

    /// The persisted documents, by id.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.documents.values()
    }

    /// Where documents that are here and in `older` promise less than there: file, operation, the way to the field, and
    /// what may be there now.
    pub fn weaker(&self, older: &Self) -> Vec<(String, String, String, String)> {
        let mut out = Vec::new();
        for (id, document) in &self.documents {
            let Some(before) = older.documents.get(id) else { continue };
            for (was, is) in before.plans.iter().zip(&document.plans) {
                let name = is.name.clone().unwrap_or_default();
                let weaker = types::weaker(&was.fields, &is.fields).into_iter();
                out.extend(weaker.map(|(path, why)| (document.file.clone(), name.clone(), path, why)));
            }
        }
        out
    }

    /// All operations of persisted documents, by file.
    pub fn operations(&self) -> Vec<Operation> {
        let Some(schema) = &self.schema else { return Vec::new() };
        let mut out: Vec<Operation> = self
            .documents
            .values()
            .flat_map(|d| d.plans.iter().map(move |p| (d, p)))
            .map(|(document, plan)| Operation {
                file: document.file.clone(),
                name: plan.name.clone(),
                document_id: format!("sha256:{}", document.id),
                depth: plan.depth,
                cost: plan.cost,
                types: types::content_types(schema, plan),
                variables: types::variables(schema, plan),
                data: types::data(plan),
            })
            .collect();
        out.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        out
    }
}

/// What is wrong with the operations of a document that can be run. `names` has the operations of the files before.
fn objections_to(document: &Document, names: &mut BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for plan in &document.plans {
        if plan.introspection {
            let message = "a persisted operation asks for the schema";
            let help = "developers introspect with a key that has the scope `define`";
            findings.push(Finding::error("query-introspection", &document.file, message).help(help));
        }
        let Some(name) = &plan.name else { continue };
        if let Some(other) = names.insert(name.clone(), document.file.clone()) {
            let message = format!("`{name}` is the name of an operation in {other} too");
            let help = "give each operation a name of its own: clients get a method by it";
            findings.push(Finding::error("query-name", &document.file, message).help(help));
        }
    }
    findings
}

/// File → the day from which it may be removed, from `queries/sunsets.toml`.
fn sunsets(files: &Files, findings: &mut Vec<Finding>) -> BTreeMap<String, Date> {
    let Ok(Some(text)) = files.text(SUNSETS) else { return BTreeMap::new() };
    let help = "write lines such as `\"page.1.graphql\" = 2027-03-01`";
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(e) => {
            let line = e.span().map_or(1, |s| position(text.as_bytes(), s.start).0);
            findings.push(
                Finding::error("query-sunset", format!("{SUNSETS}:{line}"), e.message().to_owned())
                    .help(help),
            );
            return BTreeMap::new();
        }
    };
    let mut out = BTreeMap::new();
    for (name, value) in table {
        match value.to_string().trim_matches('"').parse() {
            Ok(date) => drop(out.insert(format!("queries/{name}"), date)),
            Err(_) => findings.push(
                Finding::error("query-sunset", SUNSETS, format!("`{name}` has no date: {value}")).help(help),
            ),
        }
    }
    out
}

/// The hashes that clients know a valid document by, each with whether they add `__typename`: of the text as graphql-js
/// prints it (Apollo) and without blank lines and comments (urql).
fn forms(text: &str) -> Vec<(String, bool)> {
    let Ok(mut parsed) = plan::parser().parse_ast(text, "") else { return Vec::new() };
    let plain = print::print(&parsed);
    print::with_typenames(&mut parsed);
    let with = print::print(&parsed);
    let mut out = vec![(document_id(&print::trimmed(text)), false)];
    for (printed, typenames) in [(plain, false), (with, true)] {
        out.push((document_id(&print::trimmed(&printed)), typenames));
        out.push((document_id(&printed), typenames));
    }
    out
}

/// The SHA-256 of a document's text, in hexadecimal.
pub fn document_id(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
