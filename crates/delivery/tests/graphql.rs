//! GraphQL over a release: what is answered, what is refused, and what is kept.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_contracts::ContractSet;
use ashlar_delivery::{
    graphql::{Graph, document_id},
    views::Views,
};
use ashlar_model::Files;
use common::{Fixture, QUERY, ask, json, key, percent, post};
use serde_json::{Value, json};

fn get(operation: &str, variables: &Value) -> String {
    format!(
        "/graphql?documentId=sha256:{}&operationName={operation}&variables={}",
        document_id(QUERY),
        percent(variables)
    )
}

fn world() -> Fixture {
    let mut f = Fixture::new();
    let plan = |slug: &str, price: i32| json!({"slug": slug, "name": slug.to_uppercase(), "price": price});
    f.put(&[
        (key("plan", "small", "en"), Some(plan("small", 10))),
        (key("plan", "large", "en"), Some(plan("large", 30))),
        (key("plan", "large", "de"), Some(plan("gross", 30))),
        (key("plan", "free", "en"), Some(json!({"slug": "free"}))),
        (
            key("page", "home", "en"),
            Some(json!({"slug": "home", "title": "Say \"hi\" \u{1}", "secret": "s",
                "plans": ["large", "gone", "small"], "hero": "large"})),
        ),
        (key("page", "bare", "en"), Some(json!({"slug": "bare", "title": "Bare", "hero": "gone"}))),
    ]);
    f
}

#[test]
fn an_operation_answers_what_it_selects() {
    let f = world();
    let release = f.release("r1");
    let page = json(&release, &get("Page", &json!({"slug": "home"})));
    // A reference to nothing is left out of a list; the order is that of the document.
    assert_eq!(
        page.to_string(),
        json!({"data": {"page": {"_id": "home", "hero": {"name": "LARGE"},
            "plans": [{"key": "large", "price": 30}, {"key": "small", "price": 10}],
            "title": "Say \"hi\" \u{1}"}}})
        .to_string()
    );
    let rich = json(&release, &get("Page", &json!({"slug": "home", "rich": true})));
    assert_eq!(rich["data"]["page"]["secret"], "s");
    let bare = json(&release, &get("Page", &json!({"slug": "bare"})));
    assert_eq!(bare["data"]["page"], json!({"_id": "bare", "title": "Bare", "plans": null, "hero": null}));
    let none = json(&release, &get("Page", &json!({"slug": "never"})));
    assert_eq!(none, json!({"data": {"page": null}}));

    let first = json(&release, &get("Plans", &json!({"first": 1, "min": 5, "locale": "de"})));
    let list = &first["data"]["planList"];
    assert_eq!(list["items"], json!([{"_id": "large", "_locale": "de", "key": "gross", "price": 30}]));
    let after = json!({"first": 1, "min": 5, "locale": "de", "after": list["nextCursor"]});
    let second = json(&release, &get("Plans", &after));
    assert_eq!(second["data"]["planList"]["items"][0]["_id"], "small");
    assert_eq!(second["data"]["planList"]["nextCursor"], Value::Null);

    let answer = ask(
        &release,
        &format!("GET {}\naccept: application/graphql-response+json", get("Page", &json!({"slug": "home"}))),
    );
    let line =
        |name: &str| answer.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).unwrap().to_owned();
    assert_eq!(line("content-type"), "application/graphql-response+json; charset=utf-8");
    assert_eq!(line("surrogate-key"), "page:home:en plan:large:en plan:gone:en plan:small:en page/slug/home");
    assert_eq!(line("vary"), "accept-encoding, accept-language, authorization, accept");
    let again = ask(
        &release,
        &format!("GET {}\nif-none-match: {}", get("Page", &json!({"slug": "home"})), line("etag")),
    );
    assert!(again.starts_with("304"), "{again}");
    let list = ask(&release, &format!("GET {}", get("Plans", &json!({"locale": "de"}))));
    assert!(list.contains("surrogate-key: ") && list.contains(" plan\n"), "{list}");
    assert!(list.contains("content-language: de"), "{list}");
}

#[test]
fn what_cannot_be_run_is_said() {
    let f = world();
    let release = f.release("r1");
    let id = document_id(QUERY);
    for (target, status, code) in [
        ("/graphql".to_owned(), 400, "no-document"),
        (format!("/graphql?documentId={}", "0".repeat(64)), 404, "unknown-document"),
        ("/graphql?documentId=page".to_owned(), 400, "bad-document-id"),
        (format!("/graphql?documentId={id}"), 400, "operation-name"),
        (format!("/graphql?documentId={id}&operationName=Nope"), 400, "operation-name"),
        (get("Page", &json!({})), 400, "bad-variables"),
        (get("Page", &json!({"slug": 5})), 400, "bad-variables"),
        (get("Page", &json!({"slug": "home", "more": [1]})), 200, ""),
        (get("Page", &json!([1])), 400, "bad-variables"),
        (format!("/graphql?documentId={id}&operationName=Page&variables=%7B"), 400, "bad-variables"),
        (get("Page", &json!({"slug": "x".repeat(40_000)})), 413, "variables-too-large"),
        ("/graphql?query=%7B__typename%7D".to_owned(), 403, "persisted-only"),
        (format!("/graphql?documentId={id}&locale=xx"), 400, "unknown-locale"),
    ] {
        let answer = ask(&release, &format!("GET {target}"));
        assert!(answer.starts_with(&status.to_string()), "{target}: {answer}");
        let body: Value = serde_json::from_str(answer.split_once("\n\n").unwrap().1).unwrap();
        if status != 200 {
            assert_eq!(body["errors"][0]["extensions"]["code"], code, "{target}: {answer}");
            assert!(!body["errors"][0]["extensions"]["help"].as_str().unwrap().is_empty(), "{answer}");
            assert!(answer.contains("cache-control: no-store"), "{answer}");
        }
    }
    // What is wrong with an argument at run time is an error of its field, and kept by nobody.
    for variables in
        [json!({"first": 0}), json!({"first": 101}), json!({"after": "AAAA"}), json!({"locale": "xx"})]
    {
        let answer = ask(&release, &format!("GET {}", get("Plans", &variables)));
        assert!(answer.starts_with("200") && answer.contains("no-store"), "{answer}");
        let body: Value = serde_json::from_str(answer.split_once("\n\n").unwrap().1).unwrap();
        assert_eq!(body["data"], Value::Null);
        assert_eq!(body["errors"][0]["path"], json!(["planList"]));
    }
    for body in
        ["", "[]", "{\"documentId\": 5}", "{\"query\": [", "{\"variables\": 5, \"query\": \"{page}\"}"]
    {
        assert_eq!(post(&release, body, true).0, 400, "{body}");
    }
    let (status, answer) =
        post(&release, r#"{"query": "{ plan(id: \"small\") { name } __typename }"}"#, true);
    assert_eq!((status, answer), (200, json!({"data": {"plan": {"name": "SMALL"}, "__typename": "Query"}})));
    let (status, answer) = post(&release, r#"{"query": "{ __schema { queryType { name } } }"}"#, true);
    assert_eq!((status, &answer["data"]["__schema"]["queryType"]["name"]), (200, &json!("Query")));
    assert_eq!(post(&release, r#"{"query": "{ __schema { queryType { name } } }"}"#, false).0, 403);
}

#[test]
fn a_kept_answer_holds_until_what_it_read_changes() {
    let mut f = world();
    let target = get("Page", &json!({"slug": "home"}));
    let first = json(&f.release("r1"), &target);
    f.put(&[(key("plan", "free", "en"), Some(json!({"slug": "free", "name": "F"})))]);
    assert_eq!(json(&f.release("r2"), &target), first);
    let counts = f.caches.counts();
    assert_eq!((counts.hits, counts.kept, counts.stale, counts.misses), (1, 1, 0, 1));
    // What was looked for and was not there comes to be.
    f.put(&[(key("plan", "gone", "en"), Some(json!({"slug": "back", "price": 1})))]);
    let changed = json(&f.release("r3"), &target);
    assert_eq!(changed["data"]["page"]["plans"][1]["key"], "back");
    // Another entry takes over the slug.
    f.put(&[
        (key("page", "home", "en"), Some(json!({"slug": "old"}))),
        (key("page", "new", "en"), Some(json!({"slug": "home", "title": "New"}))),
    ]);
    let other = json(&f.release("r4"), &target);
    assert_eq!(other["data"]["page"]["_id"], "new");
    assert_eq!(f.caches.counts().stale, 2);
}

fn findings(edits: &[(&str, &str)]) -> Vec<String> {
    let mut files = common::files();
    for (path, text) in edits {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    let (contracts, found) = ContractSet::load(&files);
    assert!(found.is_empty(), "{found:?}");
    let (views, _) = Views::parse(&files, &contracts);
    let (_, found) = Graph::compile(&files, &contracts, &views);
    found.into_iter().map(|f| format!("{} {}: {}", f.code, f.place, f.message)).collect()
}

#[test]
fn documents_are_judged_before_anybody_sends_them() {
    assert_eq!(findings(&[]), Vec::<String>::new());
    let reported = |text: &str| findings(&[("queries/x.graphql", text)]).join("\n");
    for (text, says) in [
        ("", "query-invalid queries/x.graphql:1"),
        ("{", "query-invalid queries/x.graphql:1"),
        ("{ plan(id: \"a\") {\n  nme } }", "query-invalid queries/x.graphql:2:3"),
        ("{ plan(id: 5.5) { name } }", "query-invalid"),
        ("mutation { x }", "query-invalid"),
        ("{ plan { name } }", "exactly one of: id"),
        ("{ page(id: \"a\", slug: \"b\") { title } }", "exactly one of: id, slug"),
        ("{ planList(first: 0) { nextCursor } }", "query-page-size queries/x.graphql:1:3"),
        ("{ planList(first: 101) { nextCursor } }", "query-page-size"),
        (
            "{ a: pageList(first: 100) { items { plans { name } hero { name } } } b: pageList(first: 100) { items { plans { name } } } }",
            "may read 2300 entries",
        ),
        ("{ __schema { queryType { name } } }", "query-introspection"),
        ("{ __typename __schema { queryType { name } } plan(id: \"a\") { name } }", "query-introspection"),
        ("query Page { plan(id: \"a\") { name } }", "query-name queries/x.graphql: `Page`"),
        ("query A { plan(id: \"a\") { ...F } } fragment F on Plan { ...F }", "query-invalid"),
    ] {
        let said = reported(text);
        assert!(said.contains(says), "{text}: {said}");
    }
    // Many fragments in one another neither hang nor overflow.
    let mut bomb = String::from("query B { plan(id: \"a\") { ...F0 } }\n");
    for n in 0..40 {
        bomb.push_str(&format!("fragment F{n} on Plan {{ ...F{m} ...F{m} ...F{m} }}\n", m = n + 1));
    }
    bomb.push_str("fragment F40 on Plan { name }");
    assert_eq!(reported(&bomb), "");
    let deep = format!("{{ plan(id: \"a\") {}name{} }}", "{ ... on Plan ".repeat(3_000), "}".repeat(3_000));
    assert!(reported(&deep).contains("query-invalid"));
    assert!(reported(&"a".repeat(70_000)).contains("query-too-large"));
}

#[test]
fn versions_and_blocks_have_types_of_their_own() {
    const ONE: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0"},"required":["seo","title","old"],"properties":{
        "title":{"type":"string"},"old":{"type":"string"},
        "seo":{"type":"object","required":["d"],"properties":{"d":{"type":"string"}}},
        "self":{"type":"string","x-ashlar":{"ref":["doc"]}},
        "any":{"type":"string","x-ashlar":{"ref":["doc","plan"]}},
        "blocks":{"type":"array","items":{"oneOf":[
            {"type":"object","required":["intent"],"properties":{"intent":{"const":"a"},"n":{"type":"integer","minimum":0,"maximum":9}}},
            {"type":"object","required":["intent"],"properties":{"intent":{"const":"b"},"m":{"type":"boolean"}}}]}}}}"#;
    let two = ONE.replace("1.0.0", "2.0.0").replace("\"old\"]", "\"new\"]").replace("\"old\":", "\"new\":");
    let query = "query Q { doc(id: \"x\") { _id title seo { d } self { title } any { __typename ... on Plan { name } } \
        ... on DocV1 { old blocks { ... on DocV1BlocksA { n } ... on DocV1BlocksB { m } } } ... on DocV2 { new } } }";
    let edits = [
        ("contracts/doc.v1.json", ONE),
        ("contracts/doc.v2.json", two.as_str()),
        ("queries/q.graphql", query),
    ];
    assert_eq!(findings(&edits), Vec::<String>::new());
    // A field that only one version has is asked for on that version.
    let wrong = [edits[0], edits[1], ("queries/q.graphql", "query Q { doc(id: \"x\") { old } }")];
    assert!(findings(&wrong)[0].contains("does not have a field `old`"), "{:?}", findings(&wrong));
    // What a first version allows goes on when a second one comes beside it.
    let lonely = [edits[0], ("queries/q.graphql", "query Q { doc(id: \"x\") { title seo { d } } }")];
    assert_eq!(findings(&lonely), Vec::<String>::new());
    assert_eq!(findings(&[edits[0], edits[1], lonely[1]]), Vec::<String>::new());

    let mut files: Files = common::files();
    for (path, text) in edits {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    let mut f = Fixture::of(files);
    f.put(&[
        (
            key("doc", "x", "en"),
            Some(json!({"title": "T", "old": "o", "seo": {"d": "D"}, "self": "x", "any": "plan/p",
                "blocks": [{"intent": "b", "m": true}, {"intent": "a", "n": 3}, {"intent": "a"}]})),
        ),
        (key("plan", "p", "en"), Some(json!({"name": "P"}))),
    ]);
    let answer = json(&f.release("r1"), &format!("/graphql?documentId={}", document_id(query)));
    assert_eq!(
        answer["data"]["doc"],
        json!({"_id": "x", "title": "T", "seo": {"d": "D"}, "self": {"title": "T"}, "old": "o",
            "any": {"__typename": "PlanV1", "name": "P"}, "blocks": [{"m": true}, {"n": 3}, {"n": null}]})
    );
    // What does not have its type makes null where null may stand.
    f.put(&[(key("doc", "x", "en"), Some(json!({"title": 5, "old": "o", "seo": {"d": "D"}})))]);
    let answer = json(&f.release("r2"), &format!("/graphql?documentId={}", document_id(query)));
    assert_eq!(answer["data"]["doc"], Value::Null);
    assert_eq!(answer["errors"][0]["path"], json!(["doc", "title"]));
}

#[test]
fn entries_that_refer_to_each_other_in_a_circle_are_answered() {
    const DOC: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0"},"properties":{"title":{"type":"string"},
        "next":{"type":"array","items":{"type":"string","x-ashlar":{"ref":["doc"]}}}}}"#;
    let view = "source = 'doc'\nlookup = 'id'\n[include.next]\n[include.next.include.next]\n[include.next.include.next.include.next]\n";
    let query = "query Q { doc(id: \"a\") { title next { title next { title next { _id } } } } }";
    let mut files = common::files();
    for (path, text) in
        [("contracts/doc.v1.json", DOC), ("views/docs.v1.toml", view), ("queries/q.graphql", query)]
    {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    let mut f = Fixture::of(files);
    let doc = |id: &str, next: &[&str]| (key("doc", id, "en"), Some(json!({"title": id, "next": next})));
    f.put(&[doc("a", &["b", "a"]), doc("b", &["a"])]);
    let release = f.release("r1");
    let found = json(&release, &format!("/graphql?documentId={}", document_id(query)));
    let a = |next: Value| json!({"title": "a", "next": next});
    let b = |next: Value| json!({"title": "b", "next": next});
    let ids = |ids: &[&str]| Value::Array(ids.iter().map(|i| json!({ "_id": i })).collect());
    let inner = |t: &str| if t == "a" { a(ids(&["b", "a"])) } else { b(ids(&["a"])) };
    assert_eq!(found["data"]["doc"], a(json!([b(json!([inner("a")])), a(json!([inner("b"), inner("a")]))])));
    // The view ends where its includes end: there the ids stand.
    let body = json(&release, "/v1/docs/a");
    assert_eq!(body["next"][0]["next"][0]["next"][0]["next"], json!(["a"]));
    assert_eq!(body["next"][1]["next"][1]["next"][1]["next"], json!(["b", "a"]));
}

#[test]
fn documents_that_stand_for_a_lot_of_work_are_answered_within_a_bound() {
    let f = world();
    let release = f.release("r1");
    let start = std::time::Instant::now();
    let spreads = |n: usize| -> String {
        let one = |i: usize| format!("fragment F{i} on Query {{ ...F{} ...F{} }} ", i + 1, i + 1);
        (0..n).map(one).collect::<String>()
            + &format!("fragment F{n} on Query {{ __typename }} query {{ ...F0 }}")
    };
    let aliases = |n: usize| (0..n).map(|i| format!("a{i}: __typename ")).collect::<String>();
    for document in [
        "{".repeat(4_000),
        format!("{{ {} }}", "a(b: [".repeat(2_000)),
        format!("{{ {} }}", aliases(2_500)),
        format!("{{ {} }}", "__typename ".repeat(7_000)),
        spreads(500),
        "fragment A on Query { ...B } fragment B on Query { ...A } { ...A }".to_owned(),
        format!("{{ {} }}", "... on Query { __typename } ".repeat(1_200)),
        format!("query({}) {{ __typename }}", (0..1_500).map(|i| format!("$v{i}: Int ")).collect::<String>()),
        (0..1_500).map(|i| format!("query Q{i} {{ __typename }} ")).collect(),
    ] {
        let (status, _) = post(&release, json!({ "query": document }).to_string(), true);
        assert!(status < 500, "{status}");
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}
