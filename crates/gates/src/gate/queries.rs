//! Persisted operations: each is valid for the candidate and bounded, and none that a client may still send disappears.

use ashlar_model::Finding;
use jiff::civil::Date;

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    definitions::Definitions,
    findings::count,
    inputs::Inputs,
    world::{Change, Work, World},
};

const FINDINGS: &[Code] = findings! {
    "query-file": "A file in `queries/` is not read." => "End the file name with `.graphql`.";
    "too-many-queries": "The project has too many query files." => "Remove documents that nobody sends any more.";
    "query-invalid": "A query is not valid for the schema." => "Correct the query at the line in the message.";
    "query-empty": "A document has no operation." => "Write `query Name { … }`.";
    "query-kind": "A document contains a mutation or subscription." => "Write a `query`.";
    "query-name": "Two operations have the same name." => "Give each operation its own name.";
    "query-introspection": "A persisted query asks for the schema." => "Introspect with a key that has the scope `define`.";
    "query-too-large": "A document is too large or selects too much." => "Split it into several files.";
    "query-depth": "Fields of a query are nested too deeply." => "Ask for the inner fields in another operation.";
    "query-cost": "A query may read too many entries." => "Ask for fewer items with `first`, or follow fewer references.";
    "query-page-size": "`first` is out of range." => "Ask for fewer items, and for more with `after`.";
    "query-lookup": "A field needs exactly one argument that says which entry is meant." => "Give one of the named arguments.";
    "query-sunset": "queries/sunsets.toml has a wrong line." => "Write `\"FILE\" = 2027-01-31`.";
    "query-removed": "A document that clients may still send was removed or has changed." => "Keep the old text in its own file, and give it a date in queries/sunsets.toml.";
    "query-weaker": "A field of a query can now be null or has another type." => "Keep the field as it is, or add a new major version of its contract.";
    "graphql-schema": "No GraphQL schema can be made from the contracts." => "Report this as a bug of Ashlar, with the contracts.";
};

/// The gate `persisted-queries`.
pub(crate) struct PersistedQueries;

impl Gate for PersistedQueries {
    fn about(&self) -> &'static About {
        &About {
            name: "persisted-queries",
            judges: "Every persisted query is valid and bounded, and none that clients may still send is removed.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        for part in ["views/", "queries/"] {
            inputs.digest(part.trim_end_matches('/'), &world.definitions().part(part));
        }
        inputs.digest("base", &world.base_part("queries/")).digest("base-views", &world.base_part("views/"));
        inputs.digest("base-contracts", &world.base_contracts());
        if !removed(world.definitions(), world.base()).is_empty() {
            // Whether a sunset has come.
            inputs.add("today", world.today().to_string().as_bytes());
        }
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let definitions = world.definitions();
        let n = definitions.graph.documents().count();
        let found = findings(definitions, world.base(), world.today());
        Ok(Work::of(found, n, count(n, "document", "documents")))
    }
}

/// Objections to the persisted documents.
pub(crate) fn findings(definitions: &Definitions, base: Option<&Definitions>, today: Date) -> Vec<Finding> {
    let mut out = definitions.query_findings.clone();
    for gone in removed(definitions, base) {
        // What is wrong with its file is reported already.
        let reported = out.iter().any(|f| f.place.split(':').next() == Some(&gone.file));
        if reported || gone.sunset.is_some_and(|sunset| sunset <= today) {
            continue;
        }
        let changed = definitions.graph.documents().any(|d| d.file == gone.file);
        let message = match changed {
            true => format!(
                "the document has changed, and clients that send sha256:{} no longer get an answer",
                gone.id
            ),
            false => format!(
                "the document was removed, and clients that send sha256:{} no longer get an answer",
                gone.id
            ),
        };
        let until = gone.sunset.map(|s| format!(" (it ends on {s})")).unwrap_or_default();
        out.push(Finding::error("query-removed", gone.file.clone(), message).help(format!(
            "keep the old text in a file of its own, give the file a day in queries/sunsets.toml, and remove it after that day{until}"
        )));
    }
    for (file, operation, path, why) in base.map(|b| definitions.graph.weaker(&b.graph)).unwrap_or_default() {
        out.push(
            Finding::error("query-weaker", file, format!("`{path}` of {operation} {why}, and clients rely on it"))
                .help("keep the field as it is, or bring the change as a new major version of its contract; clients move with a new document"),
        );
    }
    out
}

/// Documents of the base that are not there any more.
pub(crate) fn removed<'b>(
    definitions: &Definitions,
    base: Option<&'b Definitions>,
) -> Vec<&'b ashlar_delivery::graphql::Document> {
    let known = |id: &str| definitions.graph.documents().any(|d| d.id == id);
    base.into_iter().flat_map(|b| b.graph.documents()).filter(|d| !known(&d.id)).collect()
}
