//! Records as a request of OTLP, the protocol of OpenTelemetry, in its JSON encoding
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use ashlar_model::TenantId;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{OK, Record};

/// The kind of a span that calls another service.
const CLIENT: u8 = 3;
/// The codes of a status.
const STATUS_UNSET: u8 = 0;
const STATUS_ERROR: u8 = 2;

fn any(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        // 64-bit integers are strings in this encoding.
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Bool(yes) => json!({"boolValue": yes}),
        Value::Array(items) => json!({"arrayValue": {"values": items.iter().map(any).collect::<Vec<_>>()}}),
        Value::String(text) => json!({"stringValue": text}),
        other => json!({"stringValue": other.to_string()}),
    }
}

fn attribute(key: &str, value: &Value) -> Value {
    json!({"key": key, "value": any(value)})
}

fn nanos(at: Timestamp) -> String {
    at.as_nanosecond().max(0).to_string()
}

impl Record {
    /// The call as a span of OTLP.
    fn otlp(&self, tenant: &TenantId) -> Value {
        let began = self.began();
        let took = SignedDuration::from_millis(i64::try_from(self.total_ms).unwrap_or(i64::MAX));
        let ended = began.checked_add(took).unwrap_or(began);
        let mut attributes: Vec<Value> =
            self.attributes().iter().map(|(key, value)| attribute(key, value)).collect();
        attributes.push(attribute("ashlar.tenant", &json!(tenant.as_str())));
        let status = match self.outcome == OK {
            true => json!({"code": STATUS_UNSET}),
            false => json!({"code": STATUS_ERROR, "message": self.outcome}),
        };
        json!({
            "traceId": self.trace,
            "spanId": self.span,
            "parentSpanId": self.parent,
            "name": self.span_name(),
            "kind": CLIENT,
            "startTimeUnixNano": nanos(began),
            "endTimeUnixNano": nanos(ended),
            "attributes": attributes,
            "status": status,
        })
    }
}

/// The body of a request to a collector (`ExportTraceServiceRequest`). `resource`: attributes of this process. Records without a trace are
/// left out.
#[must_use]
pub fn export<'a>(
    resource: &[(String, String)],
    version: &str,
    records: impl Iterator<Item = (&'a TenantId, &'a Record)>,
) -> Vec<u8> {
    let resource: Vec<Value> = resource.iter().map(|(key, value)| attribute(key, &json!(value))).collect();
    let spans: Vec<Value> = records
        .filter(|(_, record)| !record.trace.is_empty() && !record.span.is_empty())
        .map(|(tenant, record)| record.otlp(tenant))
        .collect();
    let scope = json!({"name": "ashlar.gateway", "version": version});
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]});
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn a_request_has_the_form_of_the_protocol() {
        let record = Record {
            id: "1".to_owned(),
            at: "2026-11-22T10:00:00Z".to_owned(),
            trace: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            span: "00f067aa0ba902b7".to_owned(),
            parent: "b7ad6b7169203331".to_owned(),
            operation: "chat".to_owned(),
            model: "small".to_owned(),
            outcome: "rate_limited".to_owned(),
            input_tokens: 12,
            fell_back: vec!["fast".to_owned()],
            total_ms: 1_500,
            ..Record::default()
        };
        let untraced = Record::default();
        let tenant = TenantId::main();
        let resource = [("service.name".to_owned(), "ashlar".to_owned())];
        let body = export(&resource, "1.2.3", [(&tenant, &record), (&tenant, &untraced)].into_iter());
        let body: Value = serde_json::from_slice(&body).unwrap();
        let of = &body["resourceSpans"][0];
        assert_eq!(of["resource"]["attributes"][0]["value"]["stringValue"], "ashlar");
        let spans = of["scopeSpans"][0]["spans"].as_array().unwrap();
        assert_eq!(spans.len(), 1, "a record without a trace has no place in one");
        let span = &spans[0];
        assert_eq!(span["startTimeUnixNano"], "1795341600000000000");
        assert_eq!(span["endTimeUnixNano"], "1795341601500000000");
        assert_eq!((&span["status"]["code"], &span["parentSpanId"]), (&json!(2), &json!("b7ad6b7169203331")));
        let value = |key: &str| {
            let all = span["attributes"].as_array().unwrap();
            all.iter().find(|a| a["key"] == key).unwrap_or_else(|| panic!("{key}: {all:?}"))["value"].clone()
        };
        assert_eq!(value("gen_ai.usage.input_tokens"), json!({"intValue": "12"}));
        assert_eq!(value("ashlar.fallbacks"), json!({"arrayValue": {"values": [{"stringValue": "fast"}]}}));
        assert_eq!(value("ashlar.tenant"), json!({"stringValue": "main"}));
    }
}
