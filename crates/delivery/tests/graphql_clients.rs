//! What GraphQL clients send: aliases, documents by the hash of what they print, and what they are reported.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_delivery::graphql::document_id;
use common::{Fixture, QUERY, ask, json, key, percent, post};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

fn world() -> Fixture {
    let mut f = Fixture::new();
    let plan = |slug: &str, name: &str, price: i32| json!({"slug": slug, "name": name, "price": price});
    let page = |title: &str| json!({"slug": "home", "title": title, "hero": "large", "plans": ["large", "small", "gone"]});
    f.put(&[
        (key("plan", "small", "en"), Some(plan("small", "Small", 10))),
        (key("plan", "small", "fr"), Some(plan("petit", "Petit", 11))),
        (key("plan", "large", "en"), Some(plan("large", "Large", 30))),
        (key("plan", "large", "de"), Some(plan("gross", "Groß", 31))),
        (key("plan", "only", "de"), Some(plan("nur", "Nur", 5))),
        (key("page", "home", "en"), Some(page("Home"))),
        (key("page", "home", "de"), Some(page("Start"))),
    ]);
    f
}

#[test]
fn aliases_with_other_arguments_are_answered_in_their_own_language() {
    let f = world();
    let release = f.release("r1");
    let query = "{ de: plan(id: \"large\", locale: \"de\") { name } en: plan(id: \"large\", locale: \"en\") { name } \
        bad: plan(id: \"large\", locale: \"xx\") { name } none: plan(id: \"large\") { name } }";
    let (_, answer) = post(&release, json!({ "query": query }), true);
    assert_eq!(
        answer["data"],
        json!({"de": {"name": "Groß"}, "en": {"name": "Large"}, "bad": null, "none": {"name": "Large"}})
    );
    assert_eq!(answer["errors"][0]["path"], json!(["bad"]));
}

/// A field of `Query` with arguments, without its alias.
fn field() -> impl Strategy<Value = String> {
    let locale = prop_oneof![Just(""), Just("en"), Just("de"), Just("fr"), Just("xx")];
    let known = prop_oneof![Just(""), Just("en"), Just("de"), Just("fr")];
    let with = |locale: &str| match locale {
        "" => String::new(),
        locale => format!(", locale: \"{locale}\""),
    };
    let plan = (prop_oneof![Just("small"), Just("large"), Just("only"), Just("none")], locale.clone())
        .prop_map(move |(id, l)| format!("plan(id: \"{id}\"{}) {{ _id _locale name key: slug }}", with(l)));
    let page = (prop_oneof![Just("id: \"home\""), Just("slug: \"home\""), Just("slug: \"x\"")], locale)
        .prop_map(move |(by, l)| {
            format!("page({by}{}) {{ _locale title hero {{ name }} plans {{ _locale name }} }}", with(l))
        });
    let list = (
        1..4_u8,
        prop_oneof![Just(""), Just(", sort: price_DESC"), Just(", where: {price: {gte: 11}}")],
        known,
    )
        .prop_map(move |(n, more, l)| {
            format!("planList(first: {n}{more}{}) {{ nextCursor items {{ _id _locale name }} }}", with(l))
        });
    prop_oneof![plan, page, list]
}

#[test]
fn a_document_with_aliases_is_the_union_of_its_fields() {
    let f = world();
    let release = f.release("r1");
    let mut runner = TestRunner::new(ProptestConfig::with_cases(64));
    let documents = prop::collection::vec(field(), 1..7);
    let done = runner.run(&documents, |fields| {
        let mut document = String::from("{ ");
        let (mut data, mut errors) = (serde_json::Map::new(), Vec::new());
        for (n, field) in fields.iter().enumerate() {
            let (_, alone) = post(&release, json!({ "query": format!("{{ a{n}: {field} }}") }), true);
            data.extend(alone["data"].as_object().unwrap().clone());
            errors.extend(alone["errors"].as_array().cloned().unwrap_or_default());
            document.push_str(&format!("a{n}: {field} "));
        }
        document.push('}');
        let (_, together) = post(&release, json!({ "query": document }), true);
        prop_assert_eq!(&together["data"], &Value::Object(data), "{}", document);
        prop_assert_eq!(together["errors"].as_array().cloned().unwrap_or_default(), errors, "{}", document);
        Ok(())
    });
    done.unwrap();
}

/// What clients with a cache make of the operation `Page` and the others of its file.
const WITH_TYPENAMES: &str = "query Page($slug: String!, $rich: Boolean = false) {
  page(slug: $slug) {
    _id
    title
    plans {
      ...Plan
      __typename
    }
    hero {
      name
      __typename
    }
    secret @include(if: $rich)
    __typename
  }
}

query Plans($first: Int, $after: String, $min: Float, $locale: String) {
  planList(
    first: $first
    after: $after
    where: {price: {gte: $min}}
    sort: price_DESC
    locale: $locale
  ) {
    items {
      _id
      _locale
      ...Plan
      __typename
    }
    nextCursor
    __typename
  }
}

fragment Plan on Plan {
  key: slug
  price
  __typename
}";

#[test]
fn a_document_is_known_by_the_hash_of_what_a_client_makes_of_it() {
    let f = world();
    let release = f.release("r1");
    let asked = |hash: &str| {
        json!({"operationName": "Page", "variables": {"slug": "home"},
            "extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}})
    };
    let without = WITH_TYPENAMES
        .replace("      __typename\n", "")
        .replace("    __typename\n", "")
        .replace("  __typename\n", "");
    for (text, typename) in [
        (QUERY, Value::Null),
        (QUERY.trim(), Value::Null),
        (without.as_str(), Value::Null),
        (WITH_TYPENAMES, json!("PageV1")),
        (&WITH_TYPENAMES.replace("\n\n", "\n"), json!("PageV1")),
    ] {
        let hash = document_id(text);
        let (status, by_hash) = post(&release, asked(&hash), false);
        assert_eq!((status, &by_hash["data"]["page"]["title"]), (200, &json!("Home")), "{text}: {by_hash}");
        assert_eq!(by_hash["data"]["page"]["__typename"], typename);
        assert_eq!(
            by_hash["data"]["page"]["plans"][0]["__typename"],
            by_hash["data"]["page"]["hero"]["__typename"]
        );
        // The same by `GET`, and with the text beside the hash or alone.
        let extensions = percent(&json!({"persistedQuery": {"version": 1, "sha256Hash": hash}}));
        let target = format!(
            "/graphql?operationName=Page&variables={}&extensions={extensions}",
            percent(&json!({"slug": "home"}))
        );
        assert_eq!(json(&release, &target), by_hash);
        assert!(ask(&release, &format!("GET {target}")).contains("cache-control: public"), "{target}");
        let graph = release.definitions().graph();
        assert_eq!(graph.file_asked(target.split_once('?').unwrap().1), Some("queries/page.graphql"));
        let mut body = asked(&hash);
        body["query"] = json!(text);
        assert_eq!(post(&release, &body, false), (200, by_hash.clone()));
        body.as_object_mut().unwrap().remove("extensions");
        assert_eq!(post(&release, &body, false), (200, by_hash));
    }
    // What is not known is said in the words that clients look for.
    let unknown = document_id("{ plan(id: \"small\") { name } }");
    let (status, answer) = post(&release, asked(&unknown), false);
    assert_eq!((status, &answer["errors"][0]["message"]), (200, &json!("PersistedQueryNotFound")));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND");
    // Then they send the text, which everybody else's documents are not run for.
    let mut body = asked(&unknown);
    body["query"] = json!("{ plan(id: \"small\") { name } }");
    body.as_object_mut().unwrap().remove("operationName");
    let (status, answer) = post(&release, &body, false);
    assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (403, &json!("persisted-only")));
    assert_eq!(post(&release, &body, true).0, 200);
    // A hash of another text, no hash, another version.
    body["query"] = json!("{ plan(id: \"large\") { name } }");
    for wrong in [
        body,
        json!({"extensions": {"persistedQuery": {"version": 1}}}),
        json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "abc"}}}),
        json!({"extensions": {"persistedQuery": {"version": 2, "sha256Hash": unknown}}}),
        json!({"extensions": {"other": 1}}),
    ] {
        assert_eq!(post(&release, &wrong, true).0, 400, "{wrong}");
    }
}

#[test]
fn every_error_of_a_document_has_its_place() {
    let f = world();
    let release = f.release("r1");
    let query = "{\n  plan(id: \"small\") {\n    nme\n    price\n    prize\n  }\n}";
    let (status, answer) = post(&release, json!({ "query": query }), true);
    assert_eq!(status, 400);
    let places: Vec<&Value> = answer["errors"].as_array().unwrap().iter().map(|e| &e["locations"]).collect();
    assert_eq!(json!(places), json!([[{"line": 3, "column": 5}], [{"line": 5, "column": 5}]]));
    let (status, answer) =
        post(&release, json!({"query": "query ($id: ID!) { plan(id: $id) { name } }"}), true);
    assert_eq!((status, &answer["errors"][0]["locations"]), (400, &json!([{"line": 1, "column": 8}])));
}
