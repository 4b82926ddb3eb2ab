//! One case, sent to where it does its work.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    cache::Cache,
    corpus::{Case, Load},
    http::{self, Outcome},
    rig::{self, Rig},
};

/// Whoever attacks.
pub struct Attacker<'a> {
    pub rig: &'a Rig,
    pub address: &'a str,
    pub cache: &'a Cache,
    /// Tells attackers apart, so that they write entries of their own.
    pub number: usize,
    /// How long an answer may take.
    pub deadline: Duration,
    /// The path of a preview link on drafts.
    pub preview: &'a str,
}

/// What came of a case.
#[derive(Debug, Default)]
pub struct Report {
    /// Each request with its status and time.
    pub steps: Vec<String>,
    /// What must not be.
    pub wrong: Vec<String>,
    /// Whether a request was left without an answer; the rest is not sent then.
    silent: bool,
}

/// Bytes as base64.
fn base64(bytes: &[u8]) -> String {
    const SET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len() / 3 * 4 + 4);
    for three in bytes.chunks(3) {
        let n = three.iter().fold(0_u32, |n, b| (n << 8) | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let at = (n >> (18 - 6 * i)) & 63;
            out.push(if i <= three.len() { char::from(SET[at as usize]) } else { '=' });
        }
    }
    out
}

/// A page of the tenant's own that its template cannot show is a 500 with a reason; anything else is a fault of the server.
fn explained(answer: &http::Answer) -> bool {
    answer.status == 500 && answer.contains("urn:ashlar:problem:page-failed")
}

impl Attacker<'_> {
    fn host(&self) -> String {
        format!("{}.example", rig::HOSTILE)
    }

    /// Sends one request; `None` unless it was answered with 2xx.
    fn ask(
        &self,
        report: &mut Report,
        method: &str,
        path: &str,
        keyed: bool,
        headers: &[(String, String)],
        body: Option<&[u8]>,
    ) -> Option<Value> {
        // What is not answered once is not answered twice.
        if report.silent {
            return None;
        }
        let host = self.host();
        let key = keyed.then_some(self.rig.hostile_key.as_str());
        let bytes = http::request(method, path, &host, key, headers, body, false);
        let started = Instant::now();
        let outcome = http::send(self.address, &bytes, self.deadline);
        let took = started.elapsed();
        let short: String = path.chars().take(60).collect();
        let said = match &outcome {
            Outcome::Answered(answer) => answer.status.to_string(),
            Outcome::Closed => "closed".to_owned(),
            Outcome::Silent => "silent".to_owned(),
            Outcome::Refused => "refused".to_owned(),
        };
        report.steps.push(format!("{method} {short} {said} {:.2}s", took.as_secs_f64()));
        match outcome {
            Outcome::Answered(answer) => {
                if answer.status >= 500 && ![503, 507].contains(&answer.status) && !explained(&answer) {
                    let body: String = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
                    report.wrong.push(format!("{method} {short} is answered with {}: {body}", answer.status));
                }
                if answer.contains(&rig::marker(rig::QUIET)) {
                    report.wrong.push(format!("{method} {short} shows content of {}", rig::QUIET));
                }
                if method == "GET" {
                    report.wrong.extend(self.cache.see(&host, path, headers, key, &answer));
                }
                (200..300)
                    .contains(&answer.status)
                    .then(|| serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
            }
            Outcome::Silent => {
                report.silent = true;
                report.wrong.push(format!("{method} {short} is not answered within {:?}", self.deadline));
                None
            }
            Outcome::Closed | Outcome::Refused => None,
        }
    }

    /// Freezes what is there and looks at it as previews show it.
    fn judged(&self, report: &mut Report, pages: &[&str], promote: bool) {
        let made = self.ask(report, "POST", "/api/v1/candidates", true, &[], Some(b"{}"));
        for page in pages {
            let and = if page.contains('?') { '&' } else { '?' };
            self.ask(report, "GET", &format!("{page}{and}at=draft"), true, &[], None);
        }
        let Some(candidate) = made.as_ref().and_then(|m| m["candidate"].as_str()) else { return };
        self.ask(report, "GET", &format!("/en/home?at={candidate}"), true, &[], None);
        let passed = made.as_ref().is_some_and(|m| m["status"] == "passed");
        if promote && passed {
            // Not to the public channel: there, everything stays as it was, so that it can be compared.
            let to = format!("/api/v1/candidates/{candidate}/promote");
            self.ask(report, "POST", &to, true, &[], Some(br#"{"channel":"staging"}"#));
            self.ask(report, "GET", "/en/home?at=staging", true, &[], None);
        } else {
            self.ask(report, "DELETE", &format!("/api/v1/candidates/{candidate}"), true, &[], None);
        }
    }

    fn push(&self, report: &mut Report, files: &[(String, Vec<u8>)]) -> bool {
        let mut all: serde_json::Map<String, Value> =
            rig::project(rig::HOSTILE).map(|(path, text)| (path.to_owned(), json!(text))).collect();
        for (path, bytes) in files {
            let content = match std::str::from_utf8(bytes) {
                Ok(text) => json!(text),
                Err(_) => json!({"base64": base64(bytes)}),
            };
            all.insert(path.clone(), content);
        }
        let body = json!({"files": all}).to_string();
        self.ask(report, "POST", "/api/v1/definitions", true, &[], Some(body.as_bytes())).is_some()
    }

    /// Sends a case; the steps are those that its kind of load needs to do its work.
    pub fn send(&self, case: &Case) -> Report {
        let mut report = Report::default();
        let r = &mut report;
        match case.load() {
            Load::Definitions(files) => {
                if self.push(r, &files) {
                    let promote = case.seed.is_multiple_of(4) && case.load().bytes() < 1 << 20;
                    self.judged(r, &["/en/home", "/en/home?surface=email", "/v1/pages/home"], promote);
                    let preview = self.preview;
                    self.ask(r, "GET", &format!("{preview}en/home"), false, &[], None);
                }
            }
            Load::Entry(fields) => {
                let id = format!("h{}", self.number);
                let at = format!("/api/v1/entries/page/{id}?locale=en");
                let text = String::from_utf8_lossy(&fields);
                let fields = match std::str::from_utf8(&fields) {
                    Ok(_) => {
                        text.replacen("\"slug\":\"hostile\"", &format!("\"slug\":\"{id}\""), 1).into_bytes()
                    }
                    Err(_) => fields.clone(),
                };
                // Other cases may have left definitions under which nothing can be written.
                self.push(r, &[]);
                let body = [b"{\"fields\":", fields.as_slice(), b"}"].concat();
                if self.ask(r, "PUT", &at, true, &[], Some(&body)).is_some() {
                    let (page, entry) = (format!("/en/{id}"), format!("/v1/entries/page/{id}"));
                    self.judged(r, &[&page, &entry, "/en/search?q=hostile", "/v1/pages/home"], false);
                    for path in [format!("en/{id}"), format!("-/compare/en/{id}")] {
                        self.ask(r, "GET", &format!("{}{path}", self.preview), false, &[], None);
                    }
                    self.ask(r, "DELETE", &at, true, &[], None);
                }
            }
            Load::Api { method, path, body } => {
                self.ask(r, method, &format!("/api/v1{path}"), true, &[], Some(&body));
            }
            Load::Read { path, headers } => {
                self.ask(r, "GET", &path, false, &headers, None);
                if !headers.iter().any(|(n, _)| n == "authorization") {
                    self.ask(r, "GET", &path, true, &headers, None);
                }
            }
            Load::Graphql { document, variables } => {
                let document = json!(document);
                let body = format!("{{\"query\":{document},\"variables\":{variables}}}");
                let json = [("content-type".to_owned(), "application/json".to_owned())];
                self.ask(r, "POST", "/graphql", true, &json, Some(body.as_bytes()));
            }
            Load::Tampered(changes) => {
                let body = self.rig.tampered(case.seed, changes);
                let path = "/api/v1/releases/import";
                let made = self.ask(r, "POST", path, true, &[], Some(&body));
                if let Some(candidate) = made.as_ref().and_then(|m| m["candidate"].as_str()) {
                    for page in
                        ["/en/home", "/v1/entries/page?limit=100", "/v1/pages/home", "/sitemap-en-1.xml"]
                    {
                        let and = if page.contains('?') { '&' } else { '?' };
                        self.ask(r, "GET", &format!("{page}{and}at={candidate}"), true, &[], None);
                    }
                    self.ask(r, "DELETE", &format!("/api/v1/candidates/{candidate}"), true, &[], None);
                }
            }
            Load::Raw(bytes) => self.raw(r, &bytes),
            Load::Command { files, args } => self.command(r, &files, &args),
        }
        report
    }

    /// Bytes that need not be answered; what is answered is judged.
    fn raw(&self, report: &mut Report, bytes: &[u8]) {
        let host = self.host();
        let place = bytes.windows(4).position(|w| w == b"HOST");
        let bytes = match place {
            Some(at) => [&bytes[..at], host.as_bytes(), &bytes[at + 4..]].concat(),
            None => bytes.to_vec(),
        };
        let outcome = http::send(self.address, &bytes, Duration::from_secs(2).min(self.deadline));
        let said = match &outcome {
            Outcome::Answered(answer) => answer.status.to_string(),
            other => format!("{other:?}"),
        };
        report.steps.push(format!("{} bytes {said}", bytes.len()));
        if let Outcome::Answered(answer) = outcome
            && answer.status >= 500
            && ![501, 503, 505, 507].contains(&answer.status)
        {
            report.wrong.push(format!("raw bytes are answered with {}", answer.status));
        }
    }

    /// The command line in a directory of its own.
    fn command(&self, report: &mut Report, files: &[(String, Vec<u8>)], args: &[&str]) {
        let done = (|| -> rig::Result<String> {
            let dir = self.rig.path().join(format!("command-{}", self.number));
            let _ = fs::remove_dir_all(&dir);
            for (path, bytes) in files {
                let path = dir.join(path);
                fs::create_dir_all(path.parent().ok_or("no folder")?)?;
                fs::write(path, bytes)?;
            }
            let mut child = self
                .rig
                .limited(&self.rig.binary)
                .args(args)
                .current_dir(&dir)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()?;
            let until = Instant::now() + self.deadline;
            loop {
                if let Some(status) = child.try_wait()? {
                    let _ = fs::remove_dir_all(&dir);
                    return Ok(status.code().map_or_else(|| status.to_string(), |c| format!("exit {c}")));
                }
                if Instant::now() > until {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Ok("silent".to_owned());
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        })();
        let said = done.unwrap_or_else(|e| format!("could not be run: {e}"));
        report.steps.push(format!("ashlar {} {said}", args.join(" ")));
        let fine = ["exit 0", "exit 1", "exit 2", "exit 3"].contains(&said.as_str());
        if !fine {
            report.wrong.push(format!("`ashlar {}`: {said}", args.join(" ")));
        }
    }
}

/// Writes what a case sends as files, for people.
pub fn write(case: &Case, dir: &std::path::Path, said: &str) -> rig::Result<()> {
    fs::create_dir_all(dir)?;
    let (format, name) = (case.generator.format, case.generator.name);
    let again =
        format!("cargo xtask hostile --only {format}/{name} --size {} --seed {}", case.size, case.seed);
    fs::write(dir.join("README.txt"), format!("{case}\n\n{said}\n\nAgain, alone:\n    {again}\n"))?;
    let place = |path: &str, bytes: &[u8]| -> rig::Result<()> {
        let plain = path.split('/').all(|p| !["", ".", ".."].contains(&p))
            && !path.contains('\0')
            && path.len() < 200;
        let to = if plain { dir.join(path) } else { dir.join("file-with-a-strange-name") };
        fs::create_dir_all(to.parent().ok_or("no folder")?)?;
        Ok(fs::write(to, bytes)?)
    };
    match case.load() {
        Load::Definitions(files) | Load::Command { files, .. } => {
            files.iter().take(1_000).try_for_each(|(path, bytes)| place(path, bytes))
        }
        Load::Entry(fields) => place("fields.json", &fields),
        Load::Api { path, body, .. } => place(&format!("body{}", path.replace(['/', '?'], "-")), &body),
        Load::Read { path, headers } => place("request.txt", format!("GET {path}\n{headers:?}\n").as_bytes()),
        Load::Graphql { document, variables } => {
            place("document.graphql", document.as_bytes())?;
            place("variables.json", variables.as_bytes())
        }
        Load::Raw(bytes) => place("request.bin", &bytes),
        Load::Tampered(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_as_in_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(super::base64(plain.as_bytes()), coded);
        }
    }
}
