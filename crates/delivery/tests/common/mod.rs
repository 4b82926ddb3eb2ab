//! A small release in a temporary directory, and requests to it.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::sync::Arc;

use ashlar_contracts::ContractSet;
use ashlar_delivery::{
    Caches, Definitions, Quick, ReleaseView, RequestParts, Traceparent, answer,
    lookup::{self, Lookup, LookupRules},
    share_posted,
    views::Views,
};
use ashlar_model::{
    Digest, EntryId, EntryKey, EntryRecord, Files, Locale, TenantId, TypeName, canonical_json,
};
use ashlar_store::{Objects, TenantObjects, Tree};
use serde_json::Value;
use tempfile::TempDir;

pub const CONFIG: &str = "name = 'demo'\n[locales]\ndefault = 'en'\nsupported = ['en', 'de', 'fr']\n";

pub const PLAN: &str = r#"{"type":"object","additionalProperties":false,"x-ashlar":{"version":"1.0.0","route":"/pricing/{slug}"},
"properties":{
 "slug":{"type":"string","x-ashlar":{"indexed":true}},
 "name":{"type":"string"},
 "price":{"type":"number","x-ashlar":{"indexed":true}},
 "tags":{"type":"array","items":{"type":"string"},"x-ashlar":{"indexed":true}},
 "text":{"type":"string","contentMediaType":"text/markdown"}}}"#;

pub const PAGE: &str = r#"{"type":"object","additionalProperties":false,"x-ashlar":{"version":"1.0.0","route":"/{slug}"},
"properties":{
 "slug":{"type":"string","x-ashlar":{"indexed":true}},
 "title":{"type":"string"},
 "secret":{"type":"string"},
 "plans":{"type":"array","items":{"type":"string","x-ashlar":{"ref":["plan"]}}},
 "hero":{"type":"string","x-ashlar":{"ref":["plan"]}}}}"#;

pub const PAGES: &str = "source = 'page'\nlookup = 'slug'\nfields = ['title', 'plans', 'hero', '$id']\n[include.plans]\nfields = ['$id', 'name', 'price']\n[include.hero]\nfields = ['name']\n";

/// A page by its slug with what it refers to, and lists.
pub const QUERY: &str = "query Page($slug: String!, $rich: Boolean = false) {
  page(slug: $slug) { _id title plans { ...Plan } hero { name } secret @include(if: $rich) }
}
query Plans($first: Int, $after: String, $min: Float, $locale: String) {
  planList(first: $first, after: $after, where: {price: {gte: $min}}, sort: price_DESC, locale: $locale) {
    items { _id _locale ...Plan } nextCursor
  }
}
fragment Plan on Plan { key: slug price }
";

pub fn files() -> Files {
    let mut files = Files::new();
    for (path, text) in [
        ("ashlar.toml", CONFIG),
        ("contracts/plan.v1.json", PLAN),
        ("contracts/page.v1.json", PAGE),
        ("views/pages.v1.toml", PAGES),
        ("queries/page.graphql", QUERY),
        ("views/plans.v1.toml", "source = 'plan'\nlookup = 'id'\npath = '/v1/plans/{id}'\n"),
    ] {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    files
}

pub fn key(type_name: &str, id: &str, locale: &str) -> EntryKey {
    EntryKey {
        type_name: TypeName::new(type_name).unwrap(),
        id: EntryId::new(id).unwrap(),
        locale: Locale::new(locale).unwrap(),
    }
}

/// A store with definitions and the newest snapshot.
pub struct Fixture {
    _dir: TempDir,
    pub objects: TenantObjects,
    pub snapshot: Tree,
    pub contracts: ContractSet,
    pub views: Views,
    pub definitions: Arc<Definitions>,
    pub caches: Caches,
    pub runtime: tokio::runtime::Runtime,
}

impl Fixture {
    pub fn new() -> Self {
        Self::of(files())
    }

    /// A store with these definitions.
    pub fn of(files: Files) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path(), None).unwrap().tenant(&TenantId::main());
        let (contracts, findings) = ContractSet::load(&files);
        assert!(findings.is_empty(), "{findings:?}");
        let (views, findings) = Views::parse(&files, &contracts);
        assert!(findings.is_empty(), "{findings:?}");
        let definitions = Arc::new(Definitions::parse(Digest::of(b"definitions"), &files).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let caches = Caches::default();
        Self { _dir: dir, objects, snapshot: Tree::empty(), contracts, views, definitions, caches, runtime }
    }

    /// Writes and deletes entries; returns the snapshot before.
    pub fn put(&mut self, entries: &[(EntryKey, Option<Value>)]) -> Tree {
        let mut batch = self.objects.batch();
        let edits: std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>> = entries
            .iter()
            .map(|(key, fields)| {
                let record = fields.as_ref().map(|fields| {
                    let bytes = canonical_json(fields).unwrap();
                    let len = bytes.len() as u32;
                    EntryRecord { digest: batch.put(bytes), major: 1, len }.to_bytes().to_vec()
                });
                (key.to_bytes(), record)
            })
            .collect();
        let edits: Vec<_> = edits.into_iter().collect();
        let after = self.snapshot.apply(&edits, &mut batch).unwrap();
        self.runtime.block_on(self.objects.commit(batch)).unwrap();
        std::mem::replace(&mut self.snapshot, after)
    }

    pub fn rules(&self) -> LookupRules<'_> {
        LookupRules::new(&self.contracts, &self.views)
    }

    pub fn build(&self) -> Lookup {
        let mut batch = self.objects.batch();
        let built = lookup::build(&self.rules(), &self.objects, &self.snapshot, &mut batch).unwrap();
        self.runtime.block_on(self.objects.commit(batch)).unwrap();
        built
    }

    pub fn release(&self, label: &str) -> ReleaseView {
        ReleaseView::new(
            self.objects.clone(),
            label.to_owned(),
            self.snapshot.clone(),
            self.build(),
            self.definitions.clone(),
            self.caches.clone(),
        )
    }
}

/// Sends `METHOD target` and header lines; returns status, headers (without the trace) and body as text.
pub fn ask(release: &ReleaseView, request: &str) -> String {
    let mut lines = request.lines().map(str::trim);
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let (path, query) = match target.split_once('?') {
        Some((p, q)) => (p, Some(q)),
        None => (target, None),
    };
    let headers: Vec<(&str, &str)> = lines.filter_map(|l| l.split_once(": ")).collect();
    let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let traceparent = Traceparent::follow(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    let parts = RequestParts {
        method,
        path,
        query,
        accept_language: header("accept-language"),
        accept_encoding: header("accept-encoding"),
        accept: header("accept"),
        if_none_match: header("if-none-match"),
        traceparent: &traceparent,
        private: header("authorization").is_some(),
        developer: header("x-developer").is_some(),
        reader: None,
        asker: None,
        extra_head: b"",
    };
    let Some(answer) = answer(release, &parts) else { return "not delivery".to_owned() };
    let mut out = answer.status.to_string();
    for (name, value) in answer.headers.iter().filter(|(n, _)| n != "traceparent") {
        out.push_str(&format!("\n{name}: {value}"));
    }
    match std::str::from_utf8(&answer.body) {
        Ok("") => {}
        Ok(body) => out.push_str(&format!("\n\n{body}")),
        Err(_) => out.push_str(&format!("\n\n({} bytes)", answer.body.len())),
    }
    out
}

/// The body of an answer as JSON.
pub fn json(release: &ReleaseView, target: &str) -> Value {
    let text = ask(release, &format!("GET {target}"));
    serde_json::from_str(text.split_once("\n\n").unwrap().1).unwrap()
}

/// JSON in a query.
pub fn percent(value: &Value) -> String {
    value.to_string().bytes().map(|b| format!("%{b:02X}")).collect()
}

/// Posts a body; `developer` may send documents as text.
pub fn post(release: &ReleaseView, body: impl std::fmt::Display, developer: bool) -> (u16, Value) {
    let traceparent = Traceparent::follow(None);
    let parts = RequestParts {
        method: "POST",
        private: developer,
        developer,
        reader: None,
        ..RequestParts::get("/graphql", &traceparent)
    };
    let mut out = Vec::new();
    let mut shared = None;
    let body = body.to_string();
    let posted = share_posted(release, &parts, body.as_bytes(), true, &mut out, &mut shared);
    let Quick::Written(written) = posted else { panic!("{posted:?}") };
    let body = shared.as_deref().unwrap_or(&out[written.head_len..]);
    (written.status, serde_json::from_slice(body).unwrap())
}
