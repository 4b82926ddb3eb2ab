//! Judged queries in the layout of BEIR: documents and queries as lines of JSON, judgements as tab-separated lines. Judgements
//! may also be in the format of TREC (`query 0 document gain`).

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use thiserror::Error;

/// Documents that are read.
const DOCUMENTS_MAX: usize = 5_000_000;
/// Queries that are read.
const QUERIES_MAX: usize = 1_000_000;

/// A line that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct BeirError {
    /// Which of the three it is in.
    pub part: Part,
    /// The line, from 1; 0 when no single line is at fault.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// One of the three files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The documents.
    Corpus,
    /// The queries.
    Queries,
    /// The judgements.
    Qrels,
}

/// Documents, queries, and which of the documents answer which query.
#[derive(Debug, Default)]
pub struct Judged {
    /// Id, title and text of each document.
    pub documents: Vec<(String, String, String)>,
    /// Id and text of each query.
    pub queries: Vec<(String, String)>,
    /// The gain of each judged document, by query.
    pub relevant: HashMap<String, HashMap<String, i64>>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id", alias = "id")]
    id: String,
    #[serde(default)]
    title: Option<String>,
    text: String,
}

/// Reads the three files.
///
/// # Errors
/// For a line that cannot be read, an id that two documents or queries have, more lines than are read, and judgements that name
/// no document of the corpus at all.
pub fn read_judged(corpus: &str, queries: &str, qrels: &str) -> Result<Judged, BeirError> {
    let mut judged = Judged::default();
    for line in lines(corpus, Part::Corpus, DOCUMENTS_MAX)? {
        judged.documents.push((line.id, line.title.unwrap_or_default(), line.text));
    }
    for line in lines(queries, Part::Queries, QUERIES_MAX)? {
        judged.queries.push((line.id, line.text));
    }
    for (number, line) in qrels.lines().enumerate() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (query, document, gain) = match fields[..] {
            [] => continue,
            [query, document, gain] | [query, _, document, gain] => (query, document, gain),
            _ => return Err(wrong(number, "write `query-id`, `corpus-id` and `score`, separated by tabs")),
        };
        let Ok(gain) = gain.parse::<i64>() else {
            if number == 0 {
                continue;
            }
            return Err(wrong(number, &format!("the score `{gain}` is not a whole number")));
        };
        judged.relevant.entry(query.to_owned()).or_default().insert(document.to_owned(), gain);
    }
    let known: HashSet<&str> = judged.documents.iter().map(|(id, ..)| id.as_str()).collect();
    let asked: HashSet<&str> = judged.queries.iter().map(|(id, _)| id.as_str()).collect();
    let meets = judged.relevant.iter().any(|(query, documents)| {
        asked.contains(query.as_str()) && documents.keys().any(|d| known.contains(d.as_str()))
    });
    if !meets {
        let message = "no line joins a query of the queries with a document of the corpus".to_owned();
        return Err(BeirError { part: Part::Qrels, line: 0, message });
    }
    Ok(judged)
}

fn wrong(number: usize, message: &str) -> BeirError {
    BeirError { part: Part::Qrels, line: number + 1, message: message.to_owned() }
}

fn lines(text: &str, part: Part, most: usize) -> Result<Vec<Line>, BeirError> {
    let mut out: Vec<Line> = Vec::new();
    let mut ids = HashSet::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let failed = |message: String| BeirError { part, line: number + 1, message };
        let read: Line = serde_json::from_str(line).map_err(|error| failed(error.to_string()))?;
        if !ids.insert(read.id.clone()) {
            return Err(failed(format!("the id `{}` is there already", read.id)));
        }
        if out.len() >= most {
            return Err(failed(format!("more than {most} lines")));
        }
        out.push(read);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: &str = "{\"_id\":\"d1\",\"title\":\"Tides\",\"text\":\"High and low water.\"}\n{\"_id\":\"d2\",\"text\":\"Berths.\"}\n";
    const QUERIES: &str = "{\"_id\":\"q1\",\"text\":\"high water\"}\n";

    #[test]
    fn both_forms_of_judgements_are_read() {
        for qrels in ["query-id\tcorpus-id\tscore\nq1\td1\t1\n", "q1 0 d1 1\n"] {
            let judged = read_judged(CORPUS, QUERIES, qrels).unwrap();
            assert_eq!(judged.relevant["q1"]["d1"], 1, "{qrels}");
            assert_eq!(judged.documents[0].1, "Tides");
        }
    }

    #[test]
    fn what_is_wrong_is_placed() {
        let twice = format!("{CORPUS}{CORPUS}");
        let error = read_judged(&twice, QUERIES, "").unwrap_err();
        assert_eq!((error.part, error.line), (Part::Corpus, 3));
        let error = read_judged(CORPUS, "{\"_id\":1}", "").unwrap_err();
        assert_eq!((error.part, error.line), (Part::Queries, 1));
        let error = read_judged(CORPUS, QUERIES, "q1\td1\t1\nq1\td1\tmuch\n").unwrap_err();
        assert_eq!((error.part, error.line), (Part::Qrels, 2));
        let error = read_judged(CORPUS, QUERIES, "q1\tother\t1\n").unwrap_err();
        assert_eq!((error.part, error.line), (Part::Qrels, 0));
    }
}
