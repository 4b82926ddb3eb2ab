//! The judge on candidates: what stands against a change, approvals, waivers, evidence; and that judging only the changes
//! gives the verdict of judging everything.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use ashlar_gates::{Checker, text};
use ashlar_model::{
    Digest, EntryId, EntryKey, EntryRecord, Files, GateReport, GateStatus, Locale, ReleaseId, TenantId,
    TypeName, Waiver, canonical_json,
};
use ashlar_release::{Approval, Base, ChangeRecord, Judge, JudgeInput, Judgement, RequiredApproval};
use ashlar_store::{Objects, TenantObjects, Tree};
use proptest::prelude::*;
use serde_json::{Value, json};

const CONFIG: &str = "name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en', 'de']\n";

fn page_contract() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "x-ashlar": {"version": "1.0.0", "owner": "web", "kind": "type", "status": "active", "route": "/{slug}", "title_field": "title"},
        "properties": {
            "slug": {"type": "string"},
            "title": {"type": "string", "minLength": 1},
            "plans": {"type": "array", "items": {"type": "string", "x-ashlar": {"ref": ["plan"]}}},
            "body": {"type": "string", "contentMediaType": "text/markdown"}
        },
        "required": ["title"],
        "additionalProperties": false
    })
}

fn plan_contract() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "x-ashlar": {"version": "1.0.0", "owner": "sales", "kind": "type", "status": "active"},
        "properties": {
            "name": {"type": "string"},
            "price": {"type": "number", "x-ashlar": {"sensitivity": "pricing"}}
        },
        "required": ["name"],
        "additionalProperties": false
    })
}

fn definitions(page: &Value, plan: &Value, more: &[(&str, &str)]) -> Arc<Files> {
    let mut files = Files::new();
    files.insert("ashlar.toml", CONFIG.into()).unwrap();
    files.insert("contracts/page.v1.json", page.to_string().into_bytes()).unwrap();
    files.insert("contracts/plan.v1.json", plan.to_string().into_bytes()).unwrap();
    for (path, content) in more {
        // The last one counts.
        files.insert(path, content.as_bytes().to_vec()).unwrap();
    }
    Arc::new(files)
}

fn key(type_name: &str, id: &str, locale: &str) -> EntryKey {
    EntryKey {
        type_name: TypeName::new(type_name).unwrap(),
        id: EntryId::new(id).unwrap(),
        locale: Locale::new(locale).unwrap(),
    }
}

type Entries = BTreeMap<EntryKey, Value>;

/// A tenant without SQL: content, what is released, and evidence.
struct World {
    objects: TenantObjects,
    checker: Checker,
    definitions: Arc<Files>,
    entries: Entries,
    authors: BTreeMap<EntryKey, BTreeSet<String>>,
    base: Option<Base>,
    approvals: Vec<Approval>,
    waivers: Vec<(String, Waiver)>,
    evidence: Mutex<HashMap<(String, Digest), GateReport>>,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path(), None).unwrap().tenant(&TenantId::main());
        Self {
            objects,
            checker: Checker::new(),
            definitions: definitions(&page_contract(), &plan_contract(), &[]),
            entries: Entries::new(),
            authors: BTreeMap::new(),
            base: None,
            approvals: Vec::new(),
            waivers: Vec::new(),
            evidence: Mutex::default(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            _dir: dir,
        }
    }

    fn put(&mut self, type_name: &str, id: &str, locale: &str, fields: Value) {
        let key = key(type_name, id, locale);
        self.authors.entry(key.clone()).or_default().insert("ana".to_owned());
        self.entries.insert(key, fields);
    }

    fn remove(&mut self, type_name: &str, id: &str, locale: &str) {
        self.entries.remove(&key(type_name, id, locale));
    }

    fn snapshot(&self) -> Tree {
        let mut batch = self.objects.batch();
        let edits: Vec<_> = self
            .entries
            .iter()
            .map(|(key, fields)| {
                let bytes = canonical_json(fields).unwrap();
                let len = bytes.len() as u32;
                let record = EntryRecord { digest: batch.put(bytes), major: 1, len };
                (key.to_bytes(), Some(record.to_bytes().to_vec()))
            })
            .collect();
        let tree = Tree::empty().apply(&edits, &mut batch).unwrap();
        self.runtime.block_on(self.objects.commit(batch)).unwrap();
        Tree::open(&self.objects, &tree.root()).unwrap()
    }

    fn with_input<T>(&self, base: Option<Base>, act: impl FnOnce(&JudgeInput<'_>) -> T) -> T {
        let mut batch = self.objects.batch();
        let edits: Vec<_> = self
            .authors
            .iter()
            .map(|(key, authors)| {
                let record = ChangeRecord { authors: authors.clone(), made: None };
                (key.to_bytes(), Some(serde_json::to_vec(&record).unwrap()))
            })
            .collect();
        let changes = Tree::empty().apply(&edits, &mut batch).unwrap();
        let snapshot = self.snapshot();
        let evidence = |gate: &str, inputs: &Digest| {
            self.evidence.lock().unwrap().get(&(gate.to_owned(), *inputs)).cloned()
        };
        act(&JudgeInput {
            objects: &self.objects,
            definitions: &self.definitions,
            definitions_digest: Digest::of(b"definitions"),
            snapshot: &snapshot,
            base,
            history: Vec::new(),
            changes: &changes,
            definition_authors: &BTreeSet::from(["dev".to_owned()]),
            approvals: &self.approvals,
            end: None,
            waivers: &self.waivers,
            runs: &[],
            baselines: &BTreeMap::new(),
            released: &[],
            evidence: &evidence,
            now: "2026-06-01T12:00:00Z".parse().unwrap(),
        })
    }

    fn judge_on(&self, checker: &Checker, base: Option<Base>) -> Judgement {
        self.with_input(base, |input| checker.judge(input).unwrap())
    }

    fn judge(&self) -> Judgement {
        self.judge_on(&self.checker, self.base.clone())
    }

    fn required(&self) -> Vec<RequiredApproval> {
        self.with_input(self.base.clone(), |input| self.checker.required_approvals(input).unwrap())
    }

    /// Releases what is there, whatever the gates say.
    fn release(&mut self) -> Vec<GateReport> {
        let judgement = self.judge();
        let gates = judgement.gates.clone();
        self.runtime.block_on(self.objects.commit(judgement.objects)).unwrap();
        self.base = Some(Base {
            release: ReleaseId(1),
            definitions: self.definitions.clone(),
            definitions_digest: Digest::of(b"definitions"),
            snapshot: self.snapshot(),
            derived: judgement.derived,
            gates: gates.clone(),
        });
        self.authors.clear();
        gates
    }

    /// Releases what is there after waiving what stands against it. A waived gate no longer tells what others left to it, so
    /// they may have to be waived then.
    fn release_with_waivers(&mut self) {
        loop {
            let against = self.judge().gates.into_iter().filter(|g| !g.status.lets_through());
            let against: Vec<_> = against.map(|g| (g.gate, waiver())).collect();
            if against.is_empty() {
                break;
            }
            self.waivers.extend(against);
        }
        self.release();
        self.waivers.clear();
    }

    fn keep_evidence(&self, gates: &[GateReport]) {
        let mut evidence = self.evidence.lock().unwrap();
        evidence.extend(gates.iter().map(|g| ((g.gate.clone(), g.inputs), g.clone())));
    }

    fn approve(&mut self, right: &str, change: Digest, by: &str) {
        let at = "2026-06-01T12:00:00Z".to_owned();
        self.approvals.push(Approval { right: right.to_owned(), change, by: by.to_owned(), at });
    }
}

/// The reports without what differs from run to run.
fn shown(gates: &[GateReport]) -> String {
    let loud: Vec<_> =
        gates.iter().filter(|g| g.status != GateStatus::Pass || !g.findings.is_empty()).cloned().collect();
    text(&loud)
}

fn gate<'g>(gates: &'g [GateReport], name: &str) -> &'g GateReport {
    gates.iter().find(|g| g.gate == name).unwrap()
}

#[test]
fn only_changes_are_judged_again() {
    let mut world = World::new();
    for n in 0..600 {
        world.put(
            "page",
            &format!("p{n}"),
            "en",
            json!({"title": "x", "slug": format!("s{n}"), "body": "[a](/s0)"}),
        );
    }
    assert_eq!(shown(&world.release()), "");
    world.put("page", "p7", "en", json!({"title": "", "slug": "s7"}));
    let gates = world.judge().gates;
    assert_eq!(gate(&gates, "content-validity").metrics["checked"], 1.0);
    assert_eq!(gate(&gates, "content-validity").metrics["reused"], 599.0);
    assert_eq!(gate(&gates, "content-validity").status, GateStatus::Fail);
    assert_eq!(gate(&gates, "links").metrics["checked"], 0.0);
    // A base that had only been waived says nothing about its entries.
    world.waivers = vec![("content-validity".to_owned(), waiver())];
    let gates = world.release();
    assert_eq!(gate(&gates, "content-validity").status, GateStatus::Waived);
    world.waivers.clear();
    world.put("page", "p8", "en", json!({"title": "y", "slug": "s8"}));
    let gates = world.judge().gates;
    assert_eq!(gate(&gates, "content-validity").metrics["checked"], 600.0);
    assert_eq!(gate(&gates, "content-validity").findings[0].place, "page/p7 (en) /title");
}

fn waiver() -> Waiver {
    Waiver { by: "ines".to_owned(), reason: "known".to_owned(), at: "2026-06-01T12:00:00Z".to_owned() }
}

#[test]
fn what_goes_away_is_missed() {
    let mut world = World::new();
    world.put("plan", "basic", "en", json!({"name": "Basic"}));
    world.put(
        "page",
        "home",
        "en",
        json!({"title": "Home", "slug": "home", "plans": ["basic"], "body": "See [about](/about)."}),
    );
    world.put("page", "about", "en", json!({"title": "About", "slug": "about"}));
    world.put("page", "about", "de", json!({"title": "Über", "slug": "about", "body": "[zu](/de/home)"}));
    assert_eq!(shown(&world.release()), "");
    world.remove("plan", "basic", "en");
    world.remove("page", "about", "en");
    world.put(
        "page",
        "home",
        "en",
        json!({"title": "Home", "slug": "start", "plans": ["basic"], "body": "See [about](/about)."}),
    );
    world.put("page", "other", "en", json!({"title": "Start", "slug": "start"}));
    insta::assert_snapshot!(shown(&world.judge().gates), @r#"
FAIL   references  2 targets of references affected by the changes: 1 error
         page/home (en) /plans/0: It refers to plan/basic, which is deleted here. [reference-deleted] (keep plan/basic, or remove this reference in the same changeset)
FAIL   routes      3 routes affected by the changes: 3 errors
         page/about (en): The route /about (en) disappears: its entry was removed, and it has no redirect. [route-vanished] (add to redirects.toml: [[redirect]] from = "/about" and to = the path that takes its place, or status = 410 when nothing does)
         page/home (en): The route /start (en) is also that of page/other (en). [route-duplicate] (give one of them another route, for example another slug)
         page/home (en): The route /home (en) disappears: its entry has another route now, and it has no redirect. [route-vanished] (add to redirects.toml: [[redirect]] from = "/home" and to = the path that takes its place, or status = 410 when nothing does)
"#);
}

#[test]
fn who_changed_something_has_to_be_known() {
    let mut world = World::new();
    world.put("plan", "basic", "en", json!({"name": "Basic", "price": 5}));
    let mut batch = world.objects.batch();
    let damaged = [(key("plan", "basic", "en").to_bytes(), Some(b"?".to_vec()))];
    let changes = Tree::empty().apply(&damaged, &mut batch).unwrap();
    world.with_input(None, |input| {
        let input = JudgeInput {
            objects: input.objects,
            definitions: input.definitions,
            definitions_digest: input.definitions_digest,
            snapshot: input.snapshot,
            base: None,
            history: Vec::new(),
            changes: &changes,
            definition_authors: input.definition_authors,
            approvals: input.approvals,
            end: None,
            waivers: input.waivers,
            runs: &[],
            baselines: &BTreeMap::new(),
            released: &[],
            evidence: input.evidence,
            now: input.now,
        };
        let gates = world.checker.judge(&input).unwrap().gates;
        let approvals = gate(&gates, "approvals");
        assert!(!approvals.status.lets_through());
        assert!(approvals.findings[0].message.contains("plan/basic (en)"), "{approvals:?}");
        assert!(world.checker.required_approvals(&input).is_err());
    });
}

#[test]
fn a_price_needs_somebody_elses_approval() {
    let mut world = World::new();
    world.put("plan", "basic", "en", json!({"name": "Basic", "price": 10}));
    world.release();
    world.put("plan", "basic", "en", json!({"name": "Basic plan", "price": 12}));
    let first = world.judge().gates;
    insta::assert_snapshot!(shown(&first), @r#"
FAIL   approvals  1 approval needed: 1 error
         plan/basic (en) /price: `price` has changed and needs an approval under the right `pricing` (by anyone but its authors). [approval-missing] (ashlar candidate approve CANDIDATE --right pricing --as NAME)
"#);
    let required = world.required();
    assert_eq!(required.len(), 1);
    assert_eq!(required[0].right, "pricing");
    assert_eq!(required[0].subjects, ["plan/basic (en) /price"]);
    assert_eq!(required[0].authors, BTreeSet::from(["ana".to_owned()]));

    world.approve("pricing", required[0].change, "ana");
    let own = world.judge().gates;
    assert!(shown(&own).contains("nobody approves their own change"), "{}", shown(&own));
    world.approve("pricing", required[0].change, "bo");
    assert_eq!(shown(&world.judge().gates), "");

    // Another price is another change.
    world.put("plan", "basic", "en", json!({"name": "Basic plan", "price": 13}));
    assert_eq!(gate(&world.judge().gates, "approvals").status, GateStatus::Fail);
    let change = world.required()[0].change;
    world.definitions = definitions(
        &page_contract(),
        &plan_contract(),
        &[("governance.toml", "[approvals.pricing]\npeople = ['ines', 'ana']\n")],
    );
    world.approve("pricing", change, "bo");
    let not_held = world.judge().gates;
    assert!(shown(&not_held).contains("(by ines)"), "{}", shown(&not_held));
    world.approve("pricing", change, "ines");
    assert_eq!(shown(&world.judge().gates), "");
}

#[test]
fn an_owner_agrees_to_what_a_value_means() {
    let mut world = World::new();
    world.release();
    let mut plan = plan_contract();
    plan["x-ashlar"]["version"] = json!("1.1.0");
    plan["properties"]["price"]["x-ashlar"]["semantics"] = json!("EUR per year");
    world.definitions = definitions(&page_contract(), &plan, &[]);
    assert_eq!(gate(&world.judge().gates, "schema-compatibility").status, GateStatus::Fail);
    let required = world.required();
    assert_eq!(required[0].right, "owner:sales");
    world.approve("owner:sales", required[0].change, "dev");
    assert_eq!(gate(&world.judge().gates, "schema-compatibility").status, GateStatus::Fail);
    world.approve("owner:sales", required[0].change, "sam");
    assert_eq!(shown(&world.judge().gates), "");
}

#[test]
fn evidence_answers_and_waivers_do_not_stick_to_it() {
    let mut world = World::new();
    world.put("page", "home", "en", json!({"title": "", "slug": "home"}));
    world.waivers = vec![("content-validity".to_owned(), waiver())];
    let first = world.judge().gates;
    assert_eq!(gate(&first, "content-validity").status, GateStatus::Waived);
    assert!(first.iter().all(|g| !g.from_evidence));
    world.keep_evidence(&first);
    let again = world.judge().gates;
    assert!(again.iter().all(|g| g.from_evidence), "{again:?}");
    assert_eq!(shown(&again), shown(&first));
    world.waivers.clear();
    let plain = world.judge().gates;
    assert_eq!(gate(&plain, "content-validity").status, GateStatus::Fail);
    assert!(!gate(&plain, "content-validity").summary.contains("waived"));
}

/// A site that shows pages and lists plans; a plan named `bad` breaks the pages that show it.
const SITE: [(&str, &str); 6] = [
    (
        "site/site.toml",
        "title = 'S'\nhome = '/home'\n[[page]]\ntype = 'page'\nview = 'pages.v1'\nlayout = 'page.html'\n[[page]]\ntype = 'plan'\nview = 'plans.v1'\nlayout = 'plan.html'\n[[list]]\nroute = '/{locale}/plans'\ntype = 'plan'\nview = 'plans.v1'\nsort = 'slug'\nlayout = 'list.html'\n[data]\ntop = { view = 'plans.v1', key = 'top' }\n",
    ),
    ("site/layouts/page.html", "<p>{% if data.top.name == 'bad' %}{{ nothing() }}{% endif %}</p>"),
    (
        "site/layouts/list.html",
        "{% for item in items %}{% if item.body.name == 'bad' %}{{ nothing() }}{% endif %}{% endfor %}",
    ),
    ("site/layouts/plan.html", "<p></p>"),
    ("views/pages.v1.toml", "source = 'page'\nlookup = 'id'\npath = '/v1/pages/{id}'\n"),
    ("views/plans.v1.toml", "source = 'plan'\nlookup = 'id'\npath = '/v1/plans/{id}'\n"),
];

fn world_with_site(more: &[(&str, &str)]) -> World {
    let mut world = World::new();
    let mut plan = plan_contract();
    plan["x-ashlar"]["route"] = json!("/plans/{slug}");
    plan["properties"]["slug"] = json!({"type": "string"});
    world.definitions = definitions(&page_contract(), &plan, &[&SITE[..], more].concat());
    world.put("page", "home", "en", json!({"title": "Home", "slug": "home"}));
    world.put("page", "about", "en", json!({"title": "About", "slug": "about"}));
    world.put("plan", "top", "en", json!({"name": "Top", "slug": "top"}));
    world.put("plan", "pro", "en", json!({"name": "Pro", "slug": "pro"}));
    world
}

fn failed_pages(gates: &[GateReport]) -> Vec<&str> {
    let found = gate(gates, "components").findings.iter().filter(|f| f.code == "page-failed");
    found.map(|f| f.place.as_str()).collect()
}

#[test]
fn lists_are_rendered_as_well() {
    let mut world = world_with_site(&[]);
    world.put("plan", "pro", "en", json!({"name": "bad", "slug": "pro"}));
    assert_eq!(failed_pages(&world.judge().gates), ["/de/plans", "/en/plans"]);
}

#[test]
fn a_change_is_judged_on_every_page_that_shows_it() {
    let mut world = world_with_site(&[]);
    world.release();
    world.put("plan", "pro", "en", json!({"name": "Professional", "slug": "pro"}));
    let gates = world.judge().gates;
    assert_eq!(failed_pages(&gates), [""; 0]);
    assert_eq!(gate(&gates, "components").metrics["checked"], 3.0);
    world.put("plan", "pro", "en", json!({"name": "bad", "slug": "pro"}));
    assert_eq!(failed_pages(&world.judge().gates), ["/de/plans", "/en/plans"]);
    world.put("plan", "pro", "en", json!({"name": "Pro", "slug": "pro"}));
    // Every page gets this one.
    world.put("plan", "top", "en", json!({"name": "bad", "slug": "top"}));
    let everywhere = ["/de/plans", "/en/plans", "page/about (en)", "page/home (en)"];
    assert_eq!(failed_pages(&world.judge().gates), everywhere);
}

#[test]
fn a_redirect_to_a_list_that_goes_is_missed() {
    let redirects = ("redirects.toml", "[[redirect]]\nfrom = '/old'\nto = '/en/plans'\n");
    let mut world = world_with_site(&[redirects]);
    assert_eq!(gate(&world.release(), "routes").status, GateStatus::Pass);
    let site = SITE[0].1.replace("route = '/{locale}/plans'", "route = '/{locale}/prices'");
    world.definitions = world_with_site(&[redirects, ("site/site.toml", &site)]).definitions;
    let gates = world.judge().gates;
    assert_eq!(gate(&gates, "routes").findings[0].code, "redirect-target");
}

#[test]
fn a_pin_is_missed_when_its_entry_goes() {
    let pins = ("retrieval.toml", "[[pins]]\nquery = 'home'\nentry = 'page/home'\n");
    let mut world = World::new();
    world.definitions = definitions(&page_contract(), &plan_contract(), &[pins]);
    world.put("page", "home", "en", json!({"title": "Home", "slug": "home"}));
    world.put("page", "other", "en", json!({"title": "Other", "slug": "other"}));
    assert_eq!(gate(&world.release(), "retrieval").status, GateStatus::Pass);
    world.remove("page", "home", "en");
    let gates = world.judge().gates;
    assert_eq!(gate(&gates, "retrieval").findings[0].code, "retrieval-pin-missing");
}

#[test]
fn a_feed_is_judged_when_the_site_cannot_be_read() {
    let config = format!("{CONFIG}[[site.feeds]]\nname = 'news'\ntype = 'nothing'\ndate = 'slug'\n");
    let mut world = world_with_site(&[("ashlar.toml", &config)]);
    let whole = world.definitions.clone();
    let broken = [("ashlar.toml", config.as_str()), ("site/site.toml", "title = ")];
    world.definitions = world_with_site(&broken).definitions;
    world.keep_evidence(&world.judge().gates);
    world.definitions = whole;
    assert_eq!(gate(&world.judge().gates, "views").status, GateStatus::Fail);
}

#[test]
fn evidence_covers_what_a_gate_reads_of_the_base() {
    let mut world = world_with_site(&[]);
    let whole = world.definitions.clone();
    world.release();
    let before = world.judge().gates;
    let base = world.base.as_mut().unwrap();
    base.definitions = world_with_site(&[("views/plans.v1.toml", SITE[4].1)]).definitions;
    world.definitions = whole;
    let after = world.judge().gates;
    for name in ["consumers", "persisted-queries"] {
        assert_ne!(gate(&before, name).inputs, gate(&after, name).inputs, "{name}");
    }
}

#[test]
fn unusable_definitions_let_nothing_through() {
    let mut world = World::new();
    let mut files = (*world.definitions).clone();
    files.insert("ashlar.toml", b"name = 3".to_vec()).unwrap();
    world.definitions = Arc::new(files);
    let gates = world.judge().gates;
    assert!(gates.iter().all(|g| g.status == GateStatus::Error));
    assert!(world.checker.rules(&world.definitions).is_err());
}

/// One edit of a small project in which everything collides now and then.
#[derive(Debug, Clone)]
enum Edit {
    Page { id: u8, de: bool, slug: u8, plans: Vec<u8>, links: Vec<u8>, title: bool },
    Plan { id: u8, price: u8 },
    Remove { page: bool, id: u8, de: bool },
    Redirect { from: u8, to: u8 },
    NoRedirects,
    TitleMax(bool),
    Release,
}

fn edit() -> impl Strategy<Value = Edit> {
    let small = 0_u8..4;
    prop_oneof![
        8 => (0_u8..6, any::<bool>(), small.clone(), prop::collection::vec(0_u8..3, 0..3), prop::collection::vec(0_u8..8, 0..3), prop::bool::weighted(0.9))
            .prop_map(|(id, de, slug, plans, links, title)| Edit::Page { id, de, slug, plans, links, title }),
        3 => (0_u8..3, 1_u8..3).prop_map(|(id, price)| Edit::Plan { id, price }),
        4 => (any::<bool>(), 0_u8..6, any::<bool>()).prop_map(|(page, id, de)| Edit::Remove { page, id, de }),
        1 => (small.clone(), small).prop_map(|(from, to)| Edit::Redirect { from, to }),
        1 => Just(Edit::NoRedirects),
        1 => any::<bool>().prop_map(Edit::TitleMax),
        6 => Just(Edit::Release),
    ]
}

/// What edits of definitions have made of them.
#[derive(Default)]
struct Defined {
    redirects: BTreeMap<u8, u8>,
    strict: bool,
    site: bool,
}

fn apply(world: &mut World, defined: &mut Defined, edit: &Edit) {
    let locale = |de: bool| if de { "de" } else { "en" };
    match edit {
        Edit::Page { id, de, slug, plans, links, title } => {
            let body: String = links
                .iter()
                .map(|l| {
                    if *l < 4 {
                        format!("[x](/s{l}) ")
                    } else {
                        format!("[x](/{}/s{})", locale(*l % 2 == 0), l - 4)
                    }
                })
                .collect();
            let plans: Vec<String> = plans.iter().map(|p| format!("n{p}")).collect();
            let title = if *title { "title" } else { "" };
            let fields = json!({"title": title, "slug": format!("s{slug}"), "plans": plans, "body": body});
            world.put("page", &format!("p{id}"), locale(*de), fields);
        }
        Edit::Plan { id, price } => {
            let name = if *price == 2 { "bad" } else { "n" };
            let fields = json!({"name": name, "price": price, "slug": format!("n{id}")});
            world.put("plan", &format!("n{id}"), "en", fields);
        }
        Edit::Remove { page: true, id, de } => world.remove("page", &format!("p{id}"), locale(*de)),
        Edit::Remove { page: false, id, .. } => world.remove("plan", &format!("n{}", id % 3), "en"),
        Edit::Redirect { from, to } => {
            defined.redirects.insert(*from, *to);
        }
        Edit::NoRedirects => defined.redirects.clear(),
        Edit::TitleMax(on) => defined.strict = *on,
        Edit::Release => {}
    }
    let redirects = defined.redirects.iter();
    let mut text: String =
        redirects.map(|(f, t)| format!("[[redirect]]\nfrom = '/s{f}'\nto = '/s{t}'\n")).collect();
    let (mut page, mut plan) = (page_contract(), plan_contract());
    plan["properties"]["slug"] = json!({"type": "string"});
    if defined.strict {
        page["properties"]["title"]["maxLength"] = json!(3);
    }
    if !defined.site {
        world.definitions = definitions(&page, &plan, &[("redirects.toml", &text)]);
        return;
    }
    plan["x-ashlar"]["route"] = json!("/plans/{slug}");
    text.push_str("[[redirect]]\nfrom = '/old'\nto = '/en/plans'\n");
    let list = if defined.strict { "/{locale}/prices" } else { "/{locale}/plans" };
    let site = SITE[0].1.replace("/{locale}/plans", list).replace("'top'", "'n0'");
    let more = [("redirects.toml", text.as_str()), ("site/site.toml", &site)];
    world.definitions = definitions(&page, &plan, &[&SITE[..], &more].concat());
}

fn judged_alike(edits: &[Edit], site: bool) -> Result<(), TestCaseError> {
    let mut world = World::new();
    let mut defined = Defined { site, ..Defined::default() };
    for edit in edits {
        apply(&mut world, &mut defined, edit);
        if !matches!(edit, Edit::Release) {
            continue;
        }
        let incremental = world.judge();
        // Nothing of this base can be relied on, so that everything is judged.
        let base = world.base.clone().map(|b| Base { gates: Vec::new(), ..b });
        let full = world.judge_on(&Checker::new(), base);
        prop_assert_eq!(&incremental.derived, &full.derived);
        for (a, b) in incremental.gates.iter().zip(&full.gates) {
            prop_assert_eq!(
                (&a.gate, a.status, &a.findings, a.inputs),
                (&b.gate, b.status, &b.findings, b.inputs)
            );
        }
        let built = world.judge_on(&Checker::new(), None);
        prop_assert_eq!(&incremental.derived, &built.derived);
        world.release_with_waivers();
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn judging_the_changes_is_judging_everything(edits in prop::collection::vec(edit(), 1..24)) {
        judged_alike(&edits, false)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn it_is_the_same_with_a_site(edits in prop::collection::vec(edit(), 1..16)) {
        judged_alike(&edits, true)?;
    }
}
