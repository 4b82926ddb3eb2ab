//! Lists: every entry exactly once, in order, whatever the page size.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::{Fixture, ask, json, key};
use proptest::prelude::*;
use serde_json::json;

fn walk(release: &ashlar_delivery::ReleaseView, query: &str, limit: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut cursor = String::new();
    for _ in 0..1000 {
        let page = json(release, &format!("/v1/entries/plan?limit={limit}{query}{cursor}"));
        for item in page["items"].as_array().unwrap() {
            out.push(format!(
                "{}.{}={}",
                item["id"].as_str().unwrap(),
                item["locale"].as_str().unwrap(),
                item["fields"]["price"]
            ));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return out,
        }
    }
    panic!("a walk without end");
}

#[test]
fn filters_sorts_and_explains() {
    let mut f = Fixture::new();
    f.put(&[
        (key("plan", "a", "en"), Some(json!({"slug": "a", "price": 10, "tags": ["x", "y"]}))),
        (key("plan", "b", "en"), Some(json!({"slug": "b", "price": 9.5, "tags": ["x"]}))),
        (key("plan", "b", "de"), Some(json!({"slug": "b", "price": 100, "tags": ["y"]}))),
        (key("plan", "c", "en"), Some(json!({"slug": "c"}))),
        (key("plan", "d", "fr"), Some(json!({"slug": "d", "price": 1}))),
    ]);
    let r = f.release("r1");
    let check = |query: &str, expect: &str| {
        for limit in [1, 2, 100] {
            assert_eq!(walk(&r, query, limit).join(" "), expect, "{query} by {limit}");
        }
    };
    check("", "a.en=10 b.en=9.5 c.en=null");
    check("&locale=de", "a.en=10 b.de=100 c.en=null");
    check("&sort=price", "b.en=9.5 a.en=10 c.en=null");
    check("&sort=-price", "c.en=null a.en=10 b.en=9.5");
    check("&sort=price&locale=de", "a.en=10 b.de=100 c.en=null");
    check("&price=10", "a.en=10");
    check("&price=9.5&locale=de", "");
    check("&price[gte]=9.5", "b.en=9.5 a.en=10");
    check("&price[gt]=9.5", "a.en=10");
    check("&price%5Blt%5D=10", "b.en=9.5");
    check("&price[lte]=10&price[gt]=9.5", "a.en=10");
    check("&price[gt]=20&price[lt]=10", "");
    check("&sort=slug&price[gte]=0", "a.en=10 b.en=9.5");
    check("&tags=x", "a.en=10 b.en=9.5");
    check("&tags=x&tags=y", "a.en=10");
    check("&tags=x&price[lt]=10", "b.en=9.5");
    let problem = |target: &str, expect: &str| {
        let text = ask(&r, &format!("GET {target}"));
        assert!(text.starts_with("400") || text.starts_with("404"), "{text}");
        let body: serde_json::Value = serde_json::from_str(text.split_once("\n\n").unwrap().1).unwrap();
        assert_eq!(
            format!("{} | {}", body["detail"].as_str().unwrap(), body["help"].as_str().unwrap()),
            expect
        );
    };
    problem("/v1/entries/plan?limit=0", "`0` is not a limit | limit is a number from 1 to 100");
    problem(
        "/v1/entries/plan?color=red",
        "`color` is not an indexed field of plan | the indexed fields of plan are price, slug, tags",
    );
    problem("/v1/entries/plan?price=x", "`x` is not a value of `price` | `price` is a number");
    problem(
        "/v1/entries/plan?price[near]=1",
        "`price[near]` is not a comparison | compare with [eq], [gt], [gte], [lt] or [lte]: ?price[gte]=10",
    );
    problem(
        "/v1/entries/plan?sort=tags",
        "`tags` contains many values and cannot be sorted by | filter it by equality",
    );
    problem("/v1/entries/none", "there is no content type `none` | this release has page, plan");
    let next = json(&r, "/v1/entries/plan?limit=1")["next_cursor"].as_str().unwrap().to_owned();
    let help = "the cursor does not belong to this query | send next_cursor with the same type, filters, sort and locale; or start without a cursor";
    problem(&format!("/v1/entries/plan?sort=price&cursor={next}"), help);
    problem("/v1/entries/plan?cursor=!!", help);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]
    #[test]
    fn a_walk_meets_every_entry_once(
        prices in prop::collection::btree_map(("[a-c]{1,2}", "(en|de)"), prop::option::of(-2_i32..3), 0..12),
        limit in 1_usize..5,
        sort in "(|&sort=price|&sort=-price|&sort=slug)",
        locale in "(en|de|fr)",
    ) {
        let mut f = Fixture::new();
        let entries: Vec<_> = prices
            .iter()
            .map(|((id, l), p)| (key("plan", id, l), Some(match p {
                Some(p) => json!({"slug": id, "price": p}),
                None => json!({"slug": id}),
            })))
            .collect();
        f.put(&entries);
        let r = f.release("r1");
        let chain = if locale == "de" { vec!["de", "en"] } else { vec!["en"] };
        let mut expect: Vec<String> = Vec::new();
        let ids: std::collections::BTreeSet<&String> = prices.keys().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(l) = chain.iter().find(|l| prices.contains_key(&(id.clone(), (**l).to_owned()))) {
                let price = prices[&(id.clone(), (*l).to_owned())];
                expect.push(format!("{id}.{l}={}", price.map_or("null".to_owned(), |p| p.to_string())));
            }
        }
        let query = format!("{sort}&locale={locale}");
        let got = walk(&r, &query, limit);
        prop_assert_eq!(&got, &walk(&r, &query, 100));
        let mut sorted = got.clone();
        sorted.sort();
        expect.sort();
        prop_assert_eq!(sorted, expect);
    }
}

#[test]
fn entries_that_are_not_served_count_as_looked_at() {
    let mut f = Fixture::new();
    let plan = |n: u32| Some(json!({"slug": format!("s{n}"), "price": n}));
    // Many in a language that is not asked for, and many whose index entry is in a fallback that is not served.
    let mut entries: Vec<_> = (0..5_200).map(|n| (key("plan", &format!("p{n:05}"), "fr"), plan(n))).collect();
    entries.push((key("plan", "z", "en"), plan(7_000)));
    for n in 0..5_200 {
        entries.push((key("page", &format!("g{n:05}"), "en"), Some(json!({"slug": format!("a{n:05}")}))));
        entries.push((key("page", &format!("g{n:05}"), "de"), Some(json!({"slug": format!("z{n:05}")}))));
    }
    f.put(&entries);
    let release = f.release("r1");
    let first = json(&release, "/v1/entries/plan?locale=en");
    assert_eq!((&first["items"], first["next_cursor"].is_string()), (&json!([]), true));
    assert_eq!(walk(&release, "&locale=en", 20), ["z.en=7000"]);
    // German is asked for: the English values are walked along, and none is served.
    let first = json(&release, "/v1/entries/page?locale=de&sort=slug");
    assert_eq!((&first["items"], first["next_cursor"].is_string()), (&json!([]), true));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = json(&release, &format!("/v1/entries/page?locale=de&sort=slug&cursor={cursor}"));
    assert_eq!(second["items"][0]["fields"]["slug"], "z00000");
}
