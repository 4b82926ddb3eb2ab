//! Traces of answers are read again, and hostile ones are refused.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ashlar_delivery::search::{TRACE_BYTES_MAX, Trace, TraceError};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

fn trace() -> Trace {
    let mut trace = Trace::new("r42", "How much does the Basin plan cost?", 1_795_000_000);
    trace.locale = Some("en".to_owned());
    trace.indexes = vec!["product".to_owned()];
    trace.filters.insert("region".to_owned(), vec!["eu".to_owned(), "uk".to_owned()]);
    trace.reader = Some("partner".to_owned());
    trace.engine = 1;
    trace.answer = "ab".repeat(32);
    trace
}

fn encoded(json: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

#[test]
fn a_trace_is_read_again() {
    let text = trace().encode();
    assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
    assert_eq!(Trace::decode(&format!(" {text}\n")).unwrap(), trace());
}

#[test]
fn what_is_wrong_with_a_trace_is_reported() {
    let json = || -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(trace().encode()).unwrap()).unwrap()
    };
    let with = |key: &str, value: serde_json::Value| {
        let mut json = json();
        json[key] = value;
        Trace::decode(&encoded(&json)).unwrap_err()
    };
    assert_eq!(with("v", 2.into()), TraceError::Form(2));
    assert_eq!(with("question", "x".repeat(1_001).into()), TraceError::Bound("question"));
    assert_eq!(with("release", "x".repeat(201).into()), TraceError::Bound("release"));
    assert_eq!(with("indexes", vec!["a"; 17].into()), TraceError::Bound("indexes"));
    assert_eq!(with("filters", serde_json::json!({"region": vec!["a"; 65]})), TraceError::Bound("filters"));
    assert!(matches!(with("other", 1.into()), TraceError::Broken(_)));
    assert!(matches!(with("at", "soon".into()), TraceError::Broken(_)));
    assert!(matches!(Trace::decode("not a trace!"), Err(TraceError::Broken(_))));
    assert!(matches!(Trace::decode(""), Err(TraceError::Broken(_))));
    let long = "a".repeat(TRACE_BYTES_MAX + 1);
    assert_eq!(Trace::decode(&long), Err(TraceError::Long(TRACE_BYTES_MAX + 1)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Any text, and any JSON as a trace: no panic, and what is read is what was written.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}", question in "\\PC{0,200}", at in any::<i64>()) {
        let _ = Trace::decode(&text);
        let _ = Trace::decode(&URL_SAFE_NO_PAD.encode(&text));
        let trace = Trace::new("r1", question, at);
        prop_assert_eq!(Trace::decode(&trace.encode()).unwrap(), trace);
    }
}
