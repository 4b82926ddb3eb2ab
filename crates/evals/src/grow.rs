//! New cases for a suite: from failures of a run, from recorded calls, and from what people said about them.
//!
//! A case must be able to fail. What nobody has judged yet becomes a line for a person to complete, never a case.

use std::collections::{BTreeSet, HashMap, HashSet};

use ashlar_gateway::{config::Kind, redact::masked, review::Verdict};
use ashlar_model::Finding;
use serde_json::{Map, Value, json};

use crate::{
    review::Label,
    suite::{CASE_BYTES_MAX, Case, Suite, pairs, read_cases},
};

/// The most drafts that are looked at.
pub const DRAFTS_MAX: usize = 20_000;
/// The tag of cases that this module made. A person removes it after a look at the case.
pub const TAG: &str = "candidate";

/// What may become a case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// Its id, if the suite has none like it.
    pub id: String,
    /// The members of a case that say what is asked: `input`, `messages` or `variables`, and `context`.
    pub asks: Map<String, Value>,
    /// The language of the answer.
    pub locale: Option<String>,
    /// What a good answer is; `None` when nobody has said so.
    pub expect: Option<Value>,
    /// Words to group cases by.
    pub tags: Vec<String>,
    /// Where it comes from.
    pub source: String,
    /// What helps a person to say what a good answer is.
    pub note: Value,
}

/// A draft that became nothing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// Where it comes from.
    pub source: String,
    /// Why, as a sentence.
    pub why: String,
}

/// What became of drafts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grown {
    /// New cases, each as an object of a `.jsonl` file.
    pub cases: Vec<Value>,
    /// What a person must complete: cases with an empty `expect`, and a `note`.
    pub todo: Vec<Value>,
    /// The rest.
    pub left_out: Vec<LeftOut>,
}

impl Grown {
    /// The cases as lines.
    #[must_use]
    pub fn lines(&self) -> String {
        self.cases.iter().map(|case| format!("{case}\n")).collect()
    }
}

/// Texts without what names somebody or opens something.
fn redacted(value: &mut Value, kinds: &BTreeSet<Kind>) {
    match value {
        Value::String(text) => *text = masked(text, kinds).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| redacted(item, kinds)),
        Value::Object(members) => members.values_mut().for_each(|member| redacted(member, kinds)),
        _ => {}
    }
}

/// Names of cases, each once.
struct Ids {
    taken: HashSet<String>,
    /// The number that is tried next for a name that is taken.
    next: HashMap<String, usize>,
}

impl Ids {
    /// The name itself, or with the first number that makes it another one.
    fn free(&mut self, id: &str) -> String {
        if !self.taken.contains(id) {
            return id.to_owned();
        }
        let next = self.next.entry(id.to_owned()).or_insert(2);
        loop {
            let named = format!("{id}-{next}");
            if !self.taken.contains(&named) {
                return named;
            }
            *next += 1;
        }
    }
}

/// New cases of a suite. What a case asks is redacted. Drafts that ask nearly the same as a case or as another draft are left out, and so
/// is what follows the first `most` new cases and lines. Drafts that somebody judged come first, so that no other takes their place.
#[must_use]
pub fn grow(suite: &Suite, drafts: Vec<Draft>, most: usize) -> Grown {
    let kinds: BTreeSet<Kind> = Kind::ALL.into();
    let taken = suite.cases.iter().map(|case| case.id.clone()).collect();
    let mut ids = Ids { taken, next: HashMap::new() };
    let (judged, others): (Vec<Draft>, Vec<Draft>) =
        drafts.into_iter().take(DRAFTS_MAX).partition(|draft| draft.expect.is_some());
    let sources: HashSet<&str> =
        suite.cases.iter().map(|case| case.source.as_str()).filter(|source| !source.is_empty()).collect();
    let mut grown = Grown::default();
    // Existing cases come first, so that a draft is the later one of each pair.
    let mut all: Vec<Case> = suite.cases.clone();
    let mut made: Vec<(Value, bool, String)> = Vec::new();
    for draft in judged.into_iter().chain(others) {
        let source = draft.source.clone();
        if sources.contains(source.as_str()) {
            grown.left_out.push(LeftOut { source, why: "The suite has a case from there.".to_owned() });
            continue;
        }
        match line(draft, &mut ids, &kinds) {
            Ok((line, mut case)) => {
                case.locale = case.locale.or_else(|| suite.locale.clone());
                let judged = line["note"].is_null();
                all.push(case);
                made.push((line, judged, source));
            }
            Err(why) => grown.left_out.push(LeftOut { source, why }),
        }
    }
    let known = suite.cases.len();
    let near: HashMap<usize, usize> = pairs(&all, |_| (), usize::MAX).into_iter().collect();
    for (number, (line, judged, source)) in made.into_iter().enumerate() {
        if let Some(other) = near.get(&(known + number)) {
            let why = format!("It asks nearly the same as `{}`.", all[*other].id);
            grown.left_out.push(LeftOut { source, why });
        } else if grown.cases.len() + grown.todo.len() >= most {
            grown.left_out.push(LeftOut { source, why: format!("There are {most} new ones already.") });
        } else if judged {
            grown.cases.push(line);
        } else {
            grown.todo.push(line);
        }
    }
    grown
}

/// A draft as a line, and as the case that it asks.
fn line(draft: Draft, ids: &mut Ids, kinds: &BTreeSet<Kind>) -> Result<(Value, Case), String> {
    let mut line = Map::new();
    let id = ids.free(&draft.id);
    line.insert("id".to_owned(), json!(id));
    for (name, mut value) in draft.asks {
        redacted(&mut value, kinds);
        line.insert(name, value);
    }
    if let Some(locale) = draft.locale {
        line.insert("locale".to_owned(), json!(locale));
    }
    let judged = draft.expect.is_some();
    // A case that is still to be judged is read with any expectation, to know that it can be asked.
    line.insert("expect".to_owned(), draft.expect.unwrap_or_else(|| json!({"answer": "must"})));
    let tags: Vec<String> = std::iter::once(TAG.to_owned()).chain(draft.tags).collect();
    line.insert("tags".to_owned(), json!(tags));
    line.insert("source".to_owned(), json!(draft.source));
    let text = Value::Object(line.clone()).to_string();
    if text.len() > CASE_BYTES_MAX {
        return Err(format!("It has more than {CASE_BYTES_MAX} bytes."));
    }
    let (cases, findings) = read_cases("case", text.as_bytes());
    if let Some(wrong) = findings.first() {
        return Err(wrong.message.clone());
    }
    let case = cases.into_iter().next().ok_or("It asks nothing.")?;
    ids.taken.insert(id);
    if !judged {
        line.insert("expect".to_owned(), json!({}));
        let mut note = draft.note;
        redacted(&mut note, kinds);
        line.insert("note".to_owned(), if note.is_null() { json!({}) } else { note });
    }
    Ok((Value::Object(line), case))
}

/// The path of a page without the address of its site and without the place on it.
fn page(path: &str) -> Option<&str> {
    let path = path.split('#').next().unwrap_or_default();
    let path = match path.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => path,
    };
    (path.starts_with('/') && !path.starts_with("/v1/")).then_some(path)
}

/// What a good answer is, as far as a label says: what the reviewer wrote, or what follows from a correct answer.
#[must_use]
pub fn expected(label: &Label) -> Option<Value> {
    if let Some(expect) = &label.expect {
        return Some(expect.clone());
    }
    if label.verdict != Some(Verdict::Correct) {
        return None;
    }
    if label.refused {
        return Some(json!({"answer": "must_not"}));
    }
    let cites: BTreeSet<&str> =
        label.sources.iter().filter(|source| source.cited).filter_map(|source| page(&source.path)).collect();
    match cites.is_empty() {
        true => Some(json!({"answer": "must"})),
        false => Some(json!({"answer": "must", "cites": cites})),
    }
}

/// Drafts from recorded calls and what people said about them.
#[must_use]
pub fn from_labels(labels: Vec<Label>) -> (Vec<Draft>, Vec<LeftOut>) {
    let (mut drafts, mut left_out) = (Vec::new(), Vec::new());
    for label in labels {
        let origin = if label.verdict.is_some() { "review" } else { "call" };
        let source = format!("{origin}:{}", label.call);
        let why = match label.turns {
            _ if label.question.trim().is_empty() => Some("It has no question."),
            2.. => Some("It is a conversation: a case would need all of it."),
            _ => None,
        };
        if let Some(why) = why {
            left_out.push(LeftOut { source, why: why.to_owned() });
            continue;
        }
        let titles: Vec<&str> = label.sources.iter().map(|source| source.title.as_str()).collect();
        drafts.push(Draft {
            id: format!("{origin}-{}", label.call),
            asks: Map::from_iter([("input".to_owned(), json!(label.question))]),
            locale: label.locale.clone(),
            expect: expected(&label),
            tags: vec![format!("from-{origin}s")],
            source,
            note: json!({
                "answer": label.answer, "refused": label.refused, "sources": titles, "verdict": label.verdict,
                "comments": label.comments,
            }),
        });
    }
    (drafts, left_out)
}

/// Drafts from the lines of `failure_cases.jsonl`, or from lines that a person completed.
///
/// # Errors
/// What is wrong with the first wrong line.
pub fn from_lines(path: &str, bytes: &[u8], tag: &str) -> Result<(Vec<Draft>, Vec<LeftOut>), Finding> {
    let (mut drafts, mut left_out) = (Vec::new(), Vec::new());
    for (text, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let wrong = |message: String, help: &str| {
            Finding::error("eval-grow", format!("{path}:{number}"), message).help(help)
        };
        if drafts.len() >= DRAFTS_MAX {
            return Err(wrong(format!("The file has more than {DRAFTS_MAX} lines."), "split the file"));
        }
        let mut value: Value = serde_json::from_slice(text)
            .map_err(|e| wrong(format!("This is not JSON: {e}."), "write the file again"))?;
        let Some(members) = value.as_object_mut() else {
            return Err(wrong("This is not an object.".to_owned(), "write a case on each line"));
        };
        let id = members.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if id.is_empty() {
            return Err(wrong(
                "The line has no `id`.".to_owned(),
                "use the file that `ashlar eval run` writes",
            ));
        }
        let own = members.get("source").and_then(Value::as_str).filter(|source| !source.is_empty());
        let source = own.map_or_else(|| format!("{tag}:{id}"), str::to_owned);
        if members.get("status").and_then(Value::as_str) == Some("error") {
            left_out.push(LeftOut { source, why: "It was not answered, so it did not fail.".to_owned() });
            continue;
        }
        let mut asks = Map::new();
        for name in ["input", "messages", "variables", "context"] {
            if let Some(value) = members.remove(name).filter(|value| !value.is_null()) {
                asks.insert(name.to_owned(), value);
            }
        }
        let expect = members.remove("expect").filter(|e| e.as_object().is_some_and(|e| !e.is_empty()));
        let list = members.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
        let tags = list.iter().filter_map(Value::as_str).filter(|known| ![TAG, tag].contains(known));
        drafts.push(Draft {
            id,
            asks,
            locale: members.get("locale").and_then(Value::as_str).map(str::to_owned),
            expect,
            tags: tags.map(str::to_owned).chain([tag.to_owned()]).collect(),
            source,
            note: members.remove("note").unwrap_or_default(),
        });
    }
    Ok((drafts, left_out))
}

#[cfg(test)]
mod tests {
    use ashlar_gateway::record::TextSource;

    use super::*;

    fn suite() -> Suite {
        let (cases, findings) = read_cases(
            "x",
            br#"{"id":"a","input":"What does the Basin plan cost each month?","expect":{"facts":["159"]},"source":"call:07"}"#,
        );
        assert!(findings.is_empty(), "{findings:?}");
        let suite = Suite::read_toml("s", b"owner = 'o'\nfeature = 'support'\nlocale = 'en'\n").unwrap();
        let cases = cases.into_iter().map(|case| Case { locale: suite.locale.clone(), ..case }).collect();
        Suite { cases, ..suite }
    }

    fn label(call: &str, question: &str, verdict: Option<Verdict>) -> Label {
        Label {
            call: call.to_owned(),
            question: question.to_owned(),
            turns: 1,
            answer: "It costs 149 EUR, write to jo@example.com.".to_owned(),
            verdict,
            ..Label::default()
        }
    }

    #[test]
    fn labels_become_cases_lines_for_people_or_nothing() {
        let correct = Label {
            sources: vec![
                TextSource {
                    path: "https://x.example/en/pricing#basin".to_owned(),
                    cited: true,
                    ..TextSource::default()
                },
                TextSource { path: "/en/other".to_owned(), ..TextSource::default() },
            ],
            ..label("02", "Is there a discount for many berths?", Some(Verdict::Correct))
        };
        let wrong = Label {
            expect: Some(json!({"facts": ["159 EUR"], "not": ["149 EUR"]})),
            ..label("03", "I am jo@example.com, what is the price of Basin for a year?", Some(Verdict::Wrong))
        };
        let labels = vec![
            label("01", "what does the BASIN plan cost, each month", Some(Verdict::Correct)),
            correct,
            wrong,
            Label { refused: true, ..label("04", "Who won the cup in 1990?", Some(Verdict::Correct)) },
            label("05", "How long is the longest pier of Porto?", Some(Verdict::Unsafe)),
            label("06", "How long is the longest pier of Porto", None),
            label("07", "Something else altogether, please?", None),
            Label { turns: 3, ..label("08", "And for two?", None) },
            label("09", " ", None),
        ];
        let (drafts, left_out) = from_labels(labels);
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        let grown = grow(&suite(), drafts, 100);
        let expects: Vec<&Value> = grown.cases.iter().map(|case| &case["expect"]).collect();
        assert_eq!(
            expects,
            [
                &json!({"answer": "must", "cites": ["/en/pricing"]}),
                &json!({"facts": ["159 EUR"], "not": ["149 EUR"]}),
                &json!({"answer": "must_not"})
            ]
        );
        assert_eq!(grown.cases[1]["input"], "I am [EMAIL], what is the price of Basin for a year?");
        assert_eq!(grown.cases[1]["source"], "review:03");
        assert_eq!(grown.todo.len(), 1);
        assert_eq!((&grown.todo[0]["id"], &grown.todo[0]["expect"]), (&json!("review-05"), &json!({})));
        assert!(grown.todo[0]["note"]["answer"].as_str().unwrap().contains("[EMAIL]"));
        let why: Vec<&str> = grown.left_out.iter().map(|left| left.why.as_str()).collect();
        assert_eq!(
            why,
            [
                "The suite has a case from there.",
                "It asks nearly the same as `a`.",
                "It asks nearly the same as `review-05`."
            ]
        );
        // The reader of suites accepts every case, and none that a person must complete.
        assert!(read_cases("x", grown.lines().as_bytes()).1.is_empty());
        let todo = format!("{}\n", grown.todo[0]);
        assert!(!read_cases("x", todo.as_bytes()).1.is_empty());
        // Once completed, it becomes a case.
        let done = todo.replace(r#""expect":{}"#, r#""expect":{"answer":"must_not"}"#);
        let (drafts, _) = from_lines("s.todo.jsonl", done.as_bytes(), "from-todo").unwrap();
        let again = grow(&suite(), drafts, 100);
        assert_eq!((again.cases.len(), again.todo.len()), (1, 0), "{again:?}");
        assert_eq!(again.cases[0]["source"], "review:05");
    }

    #[test]
    fn a_draft_that_was_judged_wins_and_names_are_found_at_once() {
        let question = "How long is the longest pier of Porto?";
        let open = label("05", question, None);
        let judged = label("06", &question.to_uppercase(), Some(Verdict::Correct));
        let grown = grow(&suite(), from_labels(vec![open, judged]).0, 100);
        assert_eq!((grown.cases.len(), grown.todo.len()), (1, 0), "{grown:?}");
        assert_eq!(grown.cases[0]["source"], "review:06");

        let began = std::time::Instant::now();
        let draft = |n: usize| Draft {
            id: "a".to_owned(),
            asks: Map::from_iter([(
                "input".to_owned(),
                json!(format!("Where is berth {n} of pier {}?", n * 7)),
            )]),
            expect: Some(json!({"answer": "must"})),
            source: n.to_string(),
            ..Draft::default()
        };
        let grown = grow(&suite(), (0..DRAFTS_MAX).map(draft).collect(), DRAFTS_MAX);
        let ids: HashSet<&str> = grown.cases.iter().filter_map(|case| case["id"].as_str()).collect();
        assert_eq!((ids.len(), grown.left_out.len()), (DRAFTS_MAX, 0));
        assert!(ids.contains("a-2") && ids.contains("a-20001"));
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    }

    #[test]
    fn failures_keep_their_expectations() {
        let lines = concat!(
            r#"{"id":"a","status":"fail","input":"Where is the office of Lisbon?","expect":{"facts":["Rua"]},"tags":["x"],"samples":[]}"#,
            "\n",
            r#"{"id":"b","status":"error","input":"When does it close?","expect":{"facts":["18:00"]}}"#,
            "\n"
        );
        let (drafts, left_out) = from_lines("f.jsonl", lines.as_bytes(), "from-failures").unwrap();
        let grown = grow(&suite(), drafts, 100);
        // The id is taken by another question.
        assert_eq!((&grown.cases[0]["id"], left_out.len()), (&json!("a-2"), 1));
        assert_eq!(grown.cases[0]["tags"], json!(["candidate", "x", "from-failures"]));
        assert_eq!(from_lines("f.jsonl", b"{}", "t").unwrap_err().place, "f.jsonl:1");
        assert!(grow(&suite(), from_lines("f", lines.as_bytes(), "t").unwrap().0, 0).cases.is_empty());
    }
}
