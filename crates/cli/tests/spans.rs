//! Spans of model calls at a collector of OpenTelemetry. The collector is a stand-in; the official definitions of OTLP read what it got.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/installed.rs"]
mod installed;
#[path = "../../gateway/tests/standin/mod.rs"]
mod standin;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use common::{Rig, Served, eventually, http};
use installed::{installed, run};
use serde_json::{Value, json};
use standin::{Standin, Step};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Reads a request with the official definitions. Ids are hexadecimal in OTLP's JSON and base64 in that of Protobuf.
const READ: &str = r#"
import base64, json, sys
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
body = json.load(open(sys.argv[1]))
for resource in body["resourceSpans"]:
    for scope in resource["scopeSpans"]:
        for span in scope["spans"]:
            for name in ("traceId", "spanId", "parentSpanId"):
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
request = json_format.ParseDict(body, ExportTraceServiceRequest())
for resource in request.resource_spans:
    for scope in resource.scope_spans:
        for span in scope.spans:
            assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
            assert span.end_time_unix_nano >= span.start_time_unix_nano > 0, span
            print(span.name, span.kind, len(span.attributes))
"#;

/// The demo, whose spans go to a collector.
fn demo(collector: &str) -> (Rig, Served, Value) {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let mut child = Command::new(env!("CARGO_BIN_EXE_ashlar"))
        .args(["demo", "--data", "demo", "--listen", "127.0.0.1:0", "--format", "json"])
        .current_dir(rig.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-team=harbour")
        .env("OTEL_SERVICE_NAME", "shop")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (rig, Served(child), serde_json::from_str(&line).unwrap())
}

fn spans(asked: &standin::Asked) -> Vec<Value> {
    asked.json()["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn ask(url: &str, key: &str) {
    let body = json!({"model": "extractive", "messages": [{"role": "user", "content": "How much does the Basin plan cost each month?"}]});
    let body = body.to_string();
    let address = url.strip_prefix("http://").unwrap();
    let request = format!(
        "POST /llm/v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         traceparent: 00-{TRACE}-{PARENT}-01\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn every_call_is_a_span_of_the_clients_trace() {
    // The first request fails, as one of a collector that restarts.
    let collector = Standin::new(|_, number| match number {
        0 => vec![Step::text("HTTP/1.1 503 X\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n")],
        _ => vec![Step::json(200, "{}")],
    });
    let (rig, _server, ready) = demo(&collector.url);
    let (url, keys) = (ready["url"].as_str().unwrap(), &ready["keys"]);
    ask(url, keys["llm"].as_str().unwrap());
    eventually("a span arrives", || (collector.requests().len() >= 2).then_some(()));
    let requests = collector.requests();
    let asked = &requests[1];
    assert_eq!(requests[0].body, asked.body, "it is sent again");
    assert_eq!((asked.path.as_str(), asked.header("x-team")), ("/v1/traces", Some("harbour")));
    let all = spans(asked);
    assert_eq!(all.len(), 1);
    assert_eq!((&all[0]["traceId"], &all[0]["parentSpanId"]), (&json!(TRACE), &json!(PARENT)));
    assert!(!String::from_utf8_lossy(&asked.body).contains("Basin plan"), "spans have no text");
    let (status, _, figures) = http(url, "GET", "/metrics", keys["admin"].as_str().unwrap(), "");
    assert_eq!(status, 200);
    assert!(figures.contains("ashlar_llm_spans_sent_total 1\n"), "{figures}");

    let Some(tools) = installed("definitions of OTLP") else { return };
    rig.write("read.py", READ);
    rig.write("request.json", &String::from_utf8_lossy(&asked.body));
    let said = run(rig.path(), &tools.join("python/bin/python"), &["read.py", "request.json"]);
    assert!(said.starts_with("chat extractive 3 "), "{said}");
}

#[test]
fn a_collector_that_is_gone_costs_spans_but_no_call() {
    static GONE: AtomicBool = AtomicBool::new(true);
    let collector = Standin::new(|_, _| match GONE.load(Ordering::Relaxed) {
        true => vec![Step::json(400, "{}")],
        false => {
            vec![Step::json(200, r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}"#)]
        }
    });
    let (_rig, _server, ready) = demo(&collector.url);
    let (url, keys) = (ready["url"].as_str().unwrap(), &ready["keys"]);
    let (llm, admin) = (keys["llm"].as_str().unwrap(), keys["admin"].as_str().unwrap());
    let dropped = || {
        let (_, _, figures) = http(url, "GET", "/metrics", admin, "");
        let line = figures.lines().find_map(|line| line.strip_prefix("ashlar_llm_spans_dropped_total "));
        line.and_then(|count| count.trim().parse::<u64>().ok())
    };
    ask(url, llm);
    eventually("the span is dropped", || dropped().filter(|count| *count == 1));
    GONE.store(false, Ordering::Relaxed);
    ask(url, llm);
    eventually("the collector rejects it", || dropped().filter(|count| *count == 2));
    let (_, _, calls) = http(url, "GET", "/api/v1/llm/calls", admin, "");
    let calls: Value = serde_json::from_str(&calls).unwrap();
    assert_eq!(calls["items"].as_array().unwrap().len(), 2, "both calls are recorded: {calls}");
}
