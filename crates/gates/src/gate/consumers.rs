use ashlar_contracts::{Answer, compare, consumers::FieldPath};
use ashlar_delivery::{
    ReleaseView, RequestParts, Traceparent, answer,
    views::{LookupBy, View},
};
use ashlar_model::{EntryKey, Fields, Finding, Locale, TypeName};
use serde_json::Value;

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    definitions::{Definitions, promises::Promise},
    findings::{Findings, count},
    inputs::Inputs,
    world::{Change, Looked, Part, Work, World},
};

const FINDINGS: &[Code] = findings! {
    "consumer-form": "A consumer contract cannot be read." => "Correct the field that the message names.";
    "consumer-duplicate": "Two files describe the same consumer." => "Put both into one file.";
    "consumer-too-many": "The project has too many consumer contracts." => "Remove contracts of clients that no longer exist.";
    "consumer-empty": "A Pact file has nothing that can be checked." => "Remove the file, or add what the client reads.";
    "consumer-provider": "A Pact file is for another provider." => "Name the provider `content-api`, or move the file away.";
    "consumer-not-judged": "Parts of a Pact file cannot be checked here." => "Check these interactions with Pact's own verifier.";
    "consumer-endpoint-unknown": "A consumer reads an endpoint that does not exist." => "Keep the view until its consumers have left it.";
    "consumer-version": "A consumer needs another version of a view." => "Serve that version beside the new one, or change the consumer contract.";
    "consumer-broken": "The shape of an endpoint no longer has what a consumer relies on." => "Keep the field, or add a new version of the view.";
    "consumer-unknown": "It cannot be proven that an endpoint keeps what a consumer relies on." => "Say more in the contract; the bodies of each candidate are checked as well.";
    "consumer-body": "A body does not have what a consumer relies on." => "Add the value to the entry.";
    "consumer-example": "An example that a consumer names is not answered." => "Restore the entry, or remove the example from the consumer contract.";
    "too-deep": "A value is nested too deeply." => "Flatten the value.";
    "too-large": "A consumer contract is too large." => "Split it.";
    "duplicate-key": "A key appears twice in the same object." => "Remove one of the two.";
    "integer-range": "An integer is too large to be stored without losing digits." => "Write a smaller number.";
};

/// The gate `consumers`.
pub(crate) struct Consumers;

impl Gate for Consumers {
    fn about(&self) -> &'static About {
        &About {
            name: "consumers",
            judges: "Everything that registered consumers rely on is there, in the shape of their endpoints and in every body.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        let definitions = world.definitions();
        inputs.digest("views", &definitions.part("views/"));
        inputs.digest("consumers", &definitions.part("consumers/"));
        inputs.json("locales", &world.config().locales).digest("base", &world.base_contracts());
        for part in ["views/", "consumers/"] {
            inputs.digest("base", &world.base_part(part));
        }
        inputs.json("waived", world.waived());
        // Without consumers nothing that is released matters to this gate.
        if !definitions.consumers.is_empty() {
            inputs.digest("snapshot", &world.digest(Part::Snapshot));
        }
    }

    fn follows(&self, world: &dyn World, change: &Change<'_>) -> bool {
        change.same_lookup && change.base.same(world.definitions(), &["views/", "consumers/"])
    }

    fn run(&self, world: &dyn World, change: Option<&Change<'_>>) -> Result<Work, GateError> {
        let definitions = world.definitions();
        let n = definitions.consumers.len();
        let what = count(n, "consumer", "consumers");
        let mut work = Work::of(findings(definitions, world.base()), n, what);
        let promises = definitions.promises();
        let view = if promises.is_empty() { None } else { world.bodies()? };
        if let Some(view) = view {
            let bodies = Bodies { view: &view, locales: world.config().locales.all() };
            let mut checked = 0;
            for promise in promises {
                let Some(source) = promise.source() else { continue };
                let found = world.bodies_of(source, change, &mut |key, fields, out| {
                    checked += promise.body(&bodies, key, fields, out);
                })?;
                work.findings.merge(found);
                promise.examples(&bodies, &mut work.findings);
            }
            let reused = change.map_or(0, |_| world.len());
            work.looked = Looked { checked, reused };
            work.what = format!("{}, {}", work.what, count(checked, "body", "bodies"));
        }
        Ok(work)
    }
}

/// Findings of one promise in bodies.
const BODIES_TOLD_MAX: usize = 50;

/// A release whose bodies are judged.
struct Bodies<'a> {
    view: &'a ReleaseView,
    locales: Vec<Locale>,
}

/// Objections to the consumers' contracts by the definitions alone.
pub(crate) fn findings(definitions: &Definitions, base: Option<&Definitions>) -> Vec<Finding> {
    let mut out = definitions.consumer_findings.clone();
    for promise in definitions.promises() {
        promise.by_shape(definitions, base, &mut out);
    }
    out
}

/// What may stand in a path as it is.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

impl Promise {
    /// The content type whose bodies are read.
    fn source(&self) -> Option<&TypeName> {
        self.endpoint.as_ref().map(|e| &e.source)
    }

    fn place(&self, path: Option<&FieldPath>) -> String {
        let path = path.map_or(String::new(), |p| format!(" {}", p.as_str()));
        format!("{} expects[{}]{path}", self.consumer.file, self.expectation.index)
    }

    fn who(&self) -> String {
        match self.consumer.owner.as_str() {
            "" => format!("The consumer `{}`", self.consumer.name),
            owner => format!("The consumer `{}` (owner {owner})", self.consumer.name),
        }
    }

    fn by_shape(&self, definitions: &Definitions, base: Option<&Definitions>, out: &mut Vec<Finding>) {
        let at = &self.expectation.endpoint;
        let Some(endpoint) = &self.endpoint else {
            let known: Vec<String> = definitions.views.iter().take(30).map(View::path).collect();
            let message = format!("{} reads {at}, which nothing answers.", self.who());
            out.push(Finding::error("consumer-endpoint-unknown", self.place(None), message).help(format!(
                "keep the view until its consumers have left it; there are {}",
                known.join(", ")
            )));
            return;
        };
        if let (Some(range), Some(version)) = (self.expectation.version, endpoint.version)
            && (range.major != version.major || range.minor > version.minor)
        {
            let message = format!(
                "{} reads {at} in version {}.{} or later of that major version, and {} is {version}.",
                self.who(),
                range.major,
                range.minor,
                endpoint.file
            );
            out.push(
                Finding::error("consumer-version", self.place(None), message)
                    .help("serve the version beside the newer one, or change the consumer's contract"),
            );
        }
        for broken in &self.broken {
            let because = base.map_or(String::new(), |base| self.because(definitions, base, &broken.path));
            let message =
                format!("{} relies on {at}: {}.{because}", self.who(), broken.why.trim_end_matches('.'));
            let place = self.place(Some(&broken.path));
            out.push(match broken.certain {
                true => Finding::error("consumer-broken", place, message).help(
                    "keep the field unchanged, or put a new version of the view beside this one and let the consumer move; \
                     when the consumer does not need it, change its contract",
                ),
                false => Finding::warning("consumer-unknown", place, message)
                    .help("the bodies of each candidate are judged; say more in the contract to be certain"),
            });
        }
    }

    /// The change since the base that did it, for people.
    fn because(&self, here: &Definitions, base: &Definitions, path: &FieldPath) -> String {
        let held = base.promises().iter().any(|p| {
            p.consumer.name == self.consumer.name
                && p.expectation.endpoint == self.expectation.endpoint
                && !p.broken.iter().any(|b| b.path == *path)
        });
        if !held {
            return String::new();
        }
        let mut changed = Vec::new();
        let names: Vec<&str> = path.names().collect();
        for contract in here.contracts.iter() {
            let Some(before) = base.contracts.get(&contract.name).filter(|b| b.digest != contract.digest)
            else {
                continue;
            };
            let comparison = compare(before, contract, false);
            for change in comparison.changes {
                // A field that is no longer required is a change that only readers notice.
                let noticed = change.backward != Answer::Yes || change.forward != Answer::Yes;
                let about = names.iter().any(|n| {
                    change.path.split('/').any(|p| p == *n) || change.message.contains(&format!("`{n}`"))
                });
                if noticed && about {
                    changed.push(format!(
                        "contracts/{} {}: {}",
                        contract.file(),
                        change.path,
                        change.message
                    ));
                }
            }
        }
        if let Some(endpoint) = &self.endpoint
            && base.part("views/") != here.part("views/")
            && changed.is_empty()
        {
            changed.push(format!("{} has changed.", endpoint.file));
        }
        changed.truncate(3);
        match changed.is_empty() {
            true => String::new(),
            false => format!(" What changed: {}", changed.join(" ")),
        }
    }

    /// Judges the bodies of one entry in every locale; returns how many there were.
    fn body(&self, bodies: &Bodies<'_>, key: &EntryKey, fields: &Value, out: &mut Findings) -> usize {
        let Some(endpoint) = &self.endpoint else { return 0 };
        let slug = match &endpoint.lookup {
            None => return 0,
            Some(LookupBy::Id) => key.id.as_str().to_owned(),
            Some(LookupBy::Field(name)) => match fields.as_object().and_then(|f: &Fields| f.get(name)) {
                Some(Value::String(text)) => text.clone(),
                _ => return 0,
            },
        };
        let mut judged = 0;
        for locale in self.locales(bodies) {
            let Some(body) = bodies.get(&endpoint.prefix, &slug, locale) else { continue };
            judged += 1;
            let place = format!("{}/{} ({locale})", key.type_name, key.id);
            if !self.judge(&body, &place, out) {
                return judged;
            }
        }
        judged
    }

    /// Compares one body with what is expected; `false` when enough was reported.
    fn judge(&self, body: &Value, place: &str, out: &mut Findings) -> bool {
        for broken in self.expectation.against_body(body) {
            if out.total() >= BODIES_TOLD_MAX * 100 {
                return false;
            }
            let message = format!(
                "{} relies on {} of {}: {}.",
                self.who(),
                broken.path.as_str(),
                self.expectation.endpoint,
                broken.why
            );
            out.push(
                Finding::error("consumer-body", format!("{place} {}", broken.path.as_str()), message)
                    .help(format!("give the entry what is relied on, or see {}", self.place(None))),
            );
        }
        true
    }

    fn locales<'b>(&'b self, bodies: &'b Bodies<'_>) -> &'b [Locale] {
        match self.expectation.locales.is_empty() {
            true => &bodies.locales,
            false => &self.expectation.locales,
        }
    }

    /// Judges that the named examples are answered, and the first page of a list.
    fn examples(&self, bodies: &Bodies<'_>, out: &mut Findings) {
        let Some(endpoint) = &self.endpoint else { return };
        if endpoint.lookup.is_none() {
            for locale in self.locales(bodies) {
                if let Some(body) = bodies.get(&endpoint.prefix, "", locale) {
                    self.judge(&body, &format!("{} ({locale})", endpoint.prefix), out);
                }
            }
            return;
        }
        for example in self.expectation.examples.iter().chain(&self.example) {
            for locale in self.locales(bodies) {
                if bodies.get(&endpoint.prefix, example, locale).is_none() {
                    let message = format!(
                        "{} reads {}{example} in `{locale}`, which is not answered.",
                        self.who(),
                        endpoint.prefix
                    );
                    out.push(
                        Finding::error("consumer-example", self.place(None), message)
                            .help("bring the entry back, or take the example out of the consumer's contract"),
                    );
                }
            }
        }
    }
}

impl Bodies<'_> {
    /// What is answered; `None` when there is nothing.
    fn get(&self, prefix: &str, slug: &str, locale: &Locale) -> Option<Value> {
        let (path, query) = (format!("{prefix}{}", encode(slug)), format!("locale={locale}"));
        let traceparent = Traceparent::follow(None);
        let parts =
            RequestParts { query: Some(&query), private: true, ..RequestParts::get(&path, &traceparent) };
        let found = answer(self.view, &parts).filter(|a| a.status == 200)?;
        serde_json::from_slice(&found.body).ok()
    }
}
