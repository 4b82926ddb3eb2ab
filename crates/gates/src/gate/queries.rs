//! Persisted operations: each is valid for the candidate and bounded, and none that a client may still send vanishes.

use ashlar_model::Finding;
use jiff::civil::Date;

use crate::definitions::Definitions;

/// What stands against the persisted documents.
pub(crate) fn findings(definitions: &Definitions, base: Option<&Definitions>, today: Date) -> Vec<Finding> {
    let mut out = definitions.query_findings.clone();
    for gone in removed(definitions, base) {
        // What is wrong with its file is told already.
        let told = out.iter().any(|f| f.place.split(':').next() == Some(&gone.file));
        if told || gone.sunset.is_some_and(|sunset| sunset <= today) {
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
