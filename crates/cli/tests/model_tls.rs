//! Providers are asked over TLS, with HTTP/2 where they speak it, and only when their certificate is good.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/installed.rs"]
mod installed;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use common::{Rig, Served, http};
use installed::{installed, run};
use serde_json::{Value, json};

const GATEWAY: &str = "[routes.far]\ntargets = [{ provider = \"far\", model = \"m\" }]\nretries = 0\n\
    [features.default]\nroutes = [\"far\"]\n";

/// A stand-in for a provider, which speaks HTTP/2 or only HTTP/1.1, and says which in its answers.
const PROVIDER: &str = r#"
const http2 = require("http2"), https = require("https"), fs = require("fs");
const files = { key: fs.readFileSync("server.key"), cert: fs.readFileSync("server.pem") };
const answer = (request, response) => {
  let body = "";
  request.on("data", (piece) => (body += piece));
  request.on("end", () => {
    const said = `over ${request.httpVersion}`;
    if (JSON.parse(body).stream) {
      const piece = (delta, end) =>
        `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: end }] })}\n\n`;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(piece({ role: "assistant", content: said }, null));
      setTimeout(() => response.end(piece({}, "stop") + "data: [DONE]\n\n"), 50);
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    const message = { role: "assistant", content: said };
    response.end(JSON.stringify({ id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message, finish_reason: "stop" }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }));
  });
};
const server = process.argv[2] === "2" ? http2.createSecureServer(files, answer) : https.createServer(files, answer);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"#;

/// A certificate authority of our own, and a certificate of it for `localhost`.
fn certificates(dir: &Path) {
    let openssl = |args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        run(dir, Path::new("openssl"), &args)
    };
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n").unwrap();
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=tests -addext basicConstraints=critical,CA:TRUE",
    );
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names",
    );
}

/// The first line that a process prints, and the process.
fn begun(command: &mut Command) -> (Served, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Served(child), line.trim().to_owned())
}

/// What a call is answered by a node that trusts the authorities of a file.
fn asked(rig: &Rig, key: &str, trusted: &str, streams: bool) -> (u16, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ashlar"));
    command
        .args(["serve", "--data", "data", "--listen", "127.0.0.1:0", "--format", "json"])
        .current_dir(rig.path())
        .env("ASHLAR_MODELS", "models.toml")
        .env("SSL_CERT_FILE", rig.path().join(trusted))
        .env_remove("SSL_CERT_DIR")
        .env_remove("ASHLAR_SERVER");
    let (_server, line) = begun(&mut command);
    let ready: Value = serde_json::from_str(&line).unwrap();
    let body = json!({"model": "far", "stream": streams, "messages": [{"role": "user", "content": "hi"}]});
    let url = ready["url"].as_str().unwrap();
    let (status, _, said) = http(url, "POST", "/llm/v1/chat/completions", key, &body.to_string());
    (status, said)
}

#[test]
fn providers_are_asked_over_tls_and_http_2() {
    // Node is installed with the clients.
    if installed("Node and OpenSSL").is_none() {
        return;
    }
    let rig = Rig::new();
    certificates(rig.path());
    // Another authority, which signed nothing.
    std::fs::create_dir(rig.path().join("other")).unwrap();
    certificates(&rig.path().join("other"));
    rig.write("provider.js", PROVIDER);
    rig.write("site/gateway.toml", GATEWAY);
    rig.push();
    rig.release();
    let key = rig.json(0, &["key", "create", "--name", "k", "--scope", "llm", "--format", "json"]);
    let key = key["key"].as_str().unwrap();
    for (version, said) in [("1", "over 1.1"), ("2", "over 2.0")] {
        let mut command = Command::new("node");
        let (_provider, port) = begun(command.args(["provider.js", version]).current_dir(rig.path()));
        let models = format!(
            "[providers.far]\nkind = \"openai\"\nurl = \"https://localhost:{port}/v1\"\nprivate = true\n"
        );
        rig.write("models.toml", &models);
        for streams in [false, true] {
            let (status, body) = asked(&rig, key, "ca.pem", streams);
            assert!(status == 200 && body.contains(said), "{version}, {streams}: {status} {body}");
        }
        let (status, body) = asked(&rig, key, "other/ca.pem", false);
        assert!(status == 502 && body.contains("upstream_unreachable"), "{version}: {status} {body}");
    }
}
