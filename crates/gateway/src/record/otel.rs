//! A record in the words of OpenTelemetry: a span with the attributes of the GenAI semantic conventions.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::{OK, Record};

impl Record {
    /// The name of its span.
    pub(super) fn span_name(&self) -> String {
        format!("{} {}", self.operation, self.model)
    }

    /// The attributes of its span. What the conventions have no name for begins with `ashlar.`.
    pub(super) fn attributes(&self) -> Map<String, Value> {
        let mut attributes = Map::new();
        let texts = [
            ("gen_ai.operation.name", &self.operation),
            ("gen_ai.provider.name", &self.provider),
            ("gen_ai.request.model", &self.model),
            ("gen_ai.response.model", &self.answered_by),
            ("gen_ai.prompt.name", &self.prompt),
            ("ashlar.call.id", &self.id),
            ("ashlar.feature", &self.feature),
            ("ashlar.key", &self.key),
            ("ashlar.user.hash", &self.user),
            ("ashlar.release", &self.release),
            ("ashlar.route", &self.route),
            ("ashlar.cost.currency", &self.currency),
            ("ashlar.cache", &self.cache),
            ("ashlar.hedged", &self.hedged),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            attributes.insert(name.to_owned(), json!(text));
        }
        let counts = [
            ("gen_ai.usage.input_tokens", self.input_tokens),
            ("gen_ai.usage.output_tokens", self.output_tokens),
            ("gen_ai.usage.cache_read.input_tokens", self.cached_input_tokens),
            ("gen_ai.usage.cache_creation.input_tokens", self.cache_write_tokens),
            ("http.response.status_code", u64::from(self.status)),
            ("ashlar.attempts", u64::from(self.attempts)),
        ];
        for (name, count) in counts {
            attributes.insert(name.to_owned(), json!(count));
        }
        // A decimal number as text, so that no digit is lost.
        attributes.insert("ashlar.cost".to_owned(), json!(self.cost));
        if let Some(first) = self.first_token_ms {
            attributes.insert("ashlar.first_token_ms".to_owned(), json!(first));
        }
        let lists = [
            ("ashlar.fallbacks", &self.fell_back),
            ("ashlar.chunks", &self.chunks),
            ("ashlar.tools", &self.tools),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            attributes.insert(name.to_owned(), json!(list));
        }
        for (check, verdict) in &self.verdicts {
            attributes.insert(format!("ashlar.verdict.{check}"), json!(verdict));
        }
        if self.outcome != OK {
            attributes.insert("error.type".to_owned(), json!(self.outcome));
        }
        attributes
    }

    /// The call as a span: one line of an export.
    #[must_use]
    pub fn span(&self) -> Value {
        let began = self.began();
        let ended = i64::try_from(self.total_ms)
            .ok()
            .and_then(|ms| began.checked_add(SignedDuration::from_millis(ms)).ok());
        json!({
            "trace_id": self.trace,
            "span_id": self.span,
            "parent_span_id": self.parent,
            "name": self.span_name(),
            "kind": "CLIENT",
            "start_time": self.at,
            "end_time": ended.unwrap_or(began).to_string(),
            "status": if self.outcome == OK { "OK" } else { "ERROR" },
            "attributes": self.attributes(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn a_span_has_the_names_of_the_conventions() {
        let record = Record {
            id: "1".to_owned(),
            at: "2026-11-22T10:00:00Z".to_owned(),
            trace: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            operation: "chat".to_owned(),
            provider: "openai".to_owned(),
            model: "small".to_owned(),
            outcome: "rate_limited".to_owned(),
            input_tokens: 12,
            cost: "0.5".parse().unwrap(),
            total_ms: 1_500,
            ..Record::default()
        };
        let span = record.span();
        assert_eq!((&span["name"], &span["status"]), (&json!("chat small"), &json!("ERROR")));
        assert_eq!(span["end_time"], "2026-11-22T10:00:01.5Z");
        let attributes = &span["attributes"];
        assert_eq!(attributes["gen_ai.provider.name"], "openai");
        assert_eq!(attributes["gen_ai.usage.input_tokens"], 12);
        assert_eq!(
            (&attributes["error.type"], &attributes["ashlar.cost"]),
            (&json!("rate_limited"), &json!("0.50"))
        );
        assert!(attributes.get("ashlar.user.hash").is_none());
    }
}
