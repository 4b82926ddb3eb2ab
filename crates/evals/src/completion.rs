//! Cases as calls in the format of OpenAI, and completions as replies. Whoever asks a gateway, over HTTP or in its process, uses these.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    reply::{Reply, Retrieved, Unasked},
    suite::{Case, Input},
};

/// What a gateway is asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// A route; `default` is that of the prompt, or of the feature.
    pub model: String,
    /// The prompt with its version; the release decides which one when there is none.
    pub prompt: Option<(String, Option<u32>)>,
    /// The variable of the prompt that is the question.
    pub variable: String,
}

/// What an answer of the built-in model quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Quote {
    /// The content type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The id within the type.
    pub id: String,
    /// The title of the entry.
    pub title: String,
    /// The path of its page.
    pub path: Option<String>,
    /// The bytes of the field, or the beginning of a passage.
    pub text: String,
    /// What a field says that is no text.
    pub statement: Option<String>,
    /// The chunk it is from.
    pub chunk: Option<String>,
}

impl Quote {
    /// The number of what is quoted, from 1. It is added when it is not among the sources.
    pub fn number(&self, sources: &mut Vec<Retrieved>) -> usize {
        let entry = match self.type_name.is_empty() {
            true => String::new(),
            false => format!("{}/{}", self.type_name, self.id),
        };
        let text = self.statement.as_ref().unwrap_or(&self.text);
        let is = |source: &Retrieved| match &self.chunk {
            Some(chunk) => source.id == *chunk,
            None => source.entry == entry && source.text.contains(text.as_str()),
        };
        if let Some(at) = sources.iter().position(is) {
            return at + 1;
        }
        sources.push(Retrieved {
            id: self.chunk.clone().unwrap_or_default(),
            entry,
            title: self.title.clone(),
            path: self.path.clone().unwrap_or_default(),
            text: text.clone(),
        });
        sources.len()
    }
}

impl Asking {
    /// The body of a call that asks a case.
    #[must_use]
    pub fn body(&self, case: &Case) -> Value {
        // An answer that was kept would be measured instead of the model.
        let mut ashlar = json!({"cache": false});
        if let Some(locale) = &case.locale {
            ashlar["locale"] = json!(locale);
        }
        let mut messages: Vec<Value> =
            case.context.iter().map(|text| json!({"role": "user", "content": text})).collect();
        match (&self.prompt, &case.input) {
            (Some((name, version)), input) => {
                ashlar["prompt"] = json!(name);
                if let Some(version) = version {
                    ashlar["version"] = json!(version);
                }
                ashlar["variables"] = match input {
                    Input::Variables(values) => Value::Object(values.clone()),
                    _ => Value::Object(Map::from_iter([(self.variable.clone(), json!(case.question()))])),
                };
                if let Input::Messages(before) = input {
                    // The last question is the variable.
                    messages.extend(before.iter().take(before.len().saturating_sub(1)).map(|m| json!(m)));
                }
            }
            (None, Input::Messages(said)) => messages.extend(said.iter().map(|message| json!(message))),
            (None, _) => messages.push(json!({"role": "user", "content": case.question()})),
        }
        // Each case is an end user of its own, so that limits for one user do not slow a run.
        let mut body = json!({"model": self.model, "user": format!("eval-{}", case.id), "ashlar": ashlar});
        if !messages.is_empty() {
            body["messages"] = json!(messages);
        }
        body
    }
}

/// Why no reply came, by the status of HTTP. `None` when the model answered and the gateway did not let the answer out (422), which is a refusal.
#[must_use]
pub fn unasked(status: u16, code: &str, message: &str) -> Option<Unasked> {
    (status != 422).then(|| Unasked {
        code: code.to_owned(),
        message: message.to_owned(),
        // A budget that is spent lasts until the next day.
        again: (status == 429 && code != "budget_exceeded") || status >= 500,
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The reply that a completion is. `facts`: what is known of it beside its body.
#[must_use]
pub fn reply(said: &Value, facts: Reply) -> Reply {
    let (message, ours) = (&said["choices"][0]["message"], &said["ashlar"]);
    let mut sources = Vec::new();
    let mut cited = BTreeSet::new();
    // The built-in model says where each quote is from; other models cite pages.
    let quotes: Vec<Quote> = serde_json::from_value(ours["citations"].clone()).unwrap_or_default();
    for quote in &quotes {
        cited.insert(quote.number(&mut sources));
    }
    if quotes.is_empty() {
        for annotation in message["annotations"].as_array().into_iter().flatten() {
            let page = &annotation["url_citation"];
            let source =
                Retrieved { title: text(&page["title"]), path: text(&page["url"]), ..Retrieved::default() };
            let at = sources.iter().position(|known| *known == source).unwrap_or_else(|| {
                sources.push(source);
                sources.len() - 1
            });
            cited.insert(at + 1);
        }
    }
    let reason = text(&message["refusal"]);
    let code = text(&ours["refusal"]["code"]);
    let refusal = match (code.is_empty(), reason.is_empty()) {
        (false, _) => Some(code),
        (true, false) => Some("refused".to_owned()),
        (true, true) => None,
    };
    Reply {
        text: match (&refusal, quotes.is_empty()) {
            (Some(_), _) => String::new(),
            (None, true) => text(&message["content"]),
            (None, false) => unmarked(&text(&message["content"])),
        },
        sources,
        cited: cited.into_iter().collect(),
        refusal,
        reason,
        groundedness: ours["groundedness"].as_f64(),
        escalated: ours["approvals"].as_array().is_some_and(|requests| !requests.is_empty()),
        input_tokens: said["usage"]["prompt_tokens"].as_u64().unwrap_or_default(),
        output_tokens: said["usage"]["completion_tokens"].as_u64().unwrap_or_default(),
        model: text(&said["model"]),
        ..facts
    }
}

/// An answer of the built-in model without its list of sources and the marks that lead to it: they number pages, and replies number quotes.
fn unmarked(answer: &str) -> String {
    let answer = answer.split("\n\nSources:\n").next().unwrap_or_default();
    let mut parts = answer.split(" [");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((number, rest)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                out.push_str(rest);
            }
            _ => out.extend([" [", part]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_the_list_are_left_out() {
        let check = |answer: &str, wanted: &str| assert_eq!(unmarked(answer), wanted);
        check(
            "It costs 5. [1] It is [blue]. [2]\n\nSources:\n[1] a: /a\n[2] b: /b",
            "It costs 5. It is [blue].",
        );
        check("Plain [", "Plain [");
        check("", "");
    }

    #[test]
    fn a_completion_is_read() {
        let said = json!({
            "model": "extractive", "usage": {"prompt_tokens": 7, "completion_tokens": 3},
            "choices": [{"message": {"content": "Nothing says it.", "refusal": "Nothing says it."}}],
            "ashlar": {"refusal": {"code": "not_covered", "reason": "Nothing says it."}, "citations": []},
        });
        let read = reply(&said, Reply::default());
        assert_eq!((read.refusal.as_deref(), read.text.as_str()), (Some("not_covered"), ""));
        assert_eq!((read.input_tokens, read.output_tokens), (7, 3));
        let page = |url: &str| json!({"url_citation": {"url": url, "title": "T"}});
        let said = json!({
            "choices": [{"message": {"content": "A [1].", "annotations": [page("/a"), page("/b"), page("/a")]}}],
            "ashlar": {"groundedness": 0.5},
        });
        let read = reply(&said, Reply::default());
        assert_eq!((read.text.as_str(), read.cited.as_slice()), ("A [1].", &[1, 2][..]));
        assert_eq!((read.sources.len(), read.groundedness, read.refusal), (2, Some(0.5), None));
    }

    #[test]
    fn a_cited_passage_names_its_entry() {
        let citation = |chunk: &str, id: &str| json!({"chunk": chunk, "type": "plan", "id": id, "title": "T", "path": "https://x.example/en/plan", "text": "It costs 5."});
        let said = json!({
            "choices": [{"message": {"content": "It costs 5 [1]. It is blue [2]."}}],
            "ashlar": {"groundedness": 1.0, "citations": [citation("c1", "basin"), citation("c2", "basin"), {"chunk": "c3"}]},
        });
        let read = reply(&said, Reply::default());
        let entries: Vec<&str> = read.sources.iter().map(|source| source.entry.as_str()).collect();
        assert_eq!((entries, read.cited), (vec!["plan/basin", "plan/basin", ""], vec![1, 2, 3]));
        // Its marks number passages that were not cited as well.
        assert_eq!(read.text, "It costs 5. It is blue.");
    }

    #[test]
    fn what_may_pass_is_asked_again() {
        assert!(unasked(422, "output_invalid", "no").is_none());
        for (status, again) in [(429, true), (503, true), (400, false), (403, false)] {
            assert_eq!(unasked(status, "x", "y").unwrap().again, again, "{status}");
        }
        assert!(!unasked(429, "budget_exceeded", "y").unwrap().again);
    }
}
