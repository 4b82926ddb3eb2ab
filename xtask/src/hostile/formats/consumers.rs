//! Consumer contracts with too many or too strange expectations, and Pact files.

use serde_json::{Value, json};

use super::text::nested;
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

fn consumer(random: &mut Random, expects: &Value) -> Load {
    // JSON is YAML.
    let text = json!({"consumer": "hostile", "provider": "content-api", "owner": "o", "expects": expects})
        .to_string();
    offered(random, "consumers/hostile.yaml", &text, "hostile.yaml")
}

fn pact(random: &mut Random, interactions: &str) -> Load {
    let text = format!(
        "{{\"consumer\":{{\"name\":\"hostile\"}},\"provider\":{{\"name\":\"content-api\"}},\"metadata\":{{\"pactSpecification\":{{\"version\":\"3.0.0\"}}}},\"interactions\":{interactions}}}"
    );
    offered(random, "consumers/hostile.json", &text, "hostile.json")
}

fn offered(random: &mut Random, path: &str, text: &str, name: &str) -> Load {
    if random.below(3) == 0 {
        return Load::file(path, text.as_bytes().to_vec());
    }
    let body = json!({"contract": text, "name": name}).to_string().into_bytes();
    Load::Api { method: "POST", path: "/consumers/verify".to_owned(), body }
}

fn interaction(path: &str, body: &str) -> String {
    format!(
        "{{\"description\":\"d\",\"request\":{{\"method\":\"GET\",\"path\":\"{path}\"}},\"response\":{{\"status\":200,\"body\":{body}}}}}"
    )
}

const MANY: [usize; 4] = [10, 500, 10_000, 100_000];
const DEEP: [usize; 4] = [20, 100, 10_000, 500_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "consumers", name: $name, sizes: $sizes, make: $make }
    };
}

/// What one client may rely on.
pub const ALL: &[Generator] = &[
    generator!("expectations", MANY, |r, n| {
        consumer(
            r,
            &json!(vec![
                json!({"endpoint": "/v1/pages/{slug}", "must_include": ["title", "sections[].title"]});
                n
            ]),
        )
    }),
    generator!("fields", MANY, |r, n| {
        let all: Vec<String> = (0..n).map(|i| format!("sections[intent=x{i}].title")).collect();
        consumer(r, &json!([{"endpoint": "/v1/pages/{slug}", "must_include": all}]))
    }),
    generator!("field-depth", DEEP, |r, n| consumer(
        r,
        &json!([{"endpoint": "/v1/pages/{slug}", "must_include": ["extra.".repeat(n) + "a"]}])
    )),
    generator!("array-depth", DEEP, |r, n| consumer(
        r,
        &json!([{"endpoint": "/v1/entries/page/{id}", "must_include": [format!("extra{}", "[]".repeat(n))]}])
    )),
    generator!("selectors", DEEP, |r, n| consumer(
        r,
        &json!([{"endpoint": "/v1/pages/{slug}", "must_include": [format!("sections{}", "[a=b]".repeat(n))]}])
    )),
    generator!("brackets", DEEP, |r, n| consumer(
        r,
        &json!([{"endpoint": "/v1/pages/{slug}", "must_include": ["[".repeat(n)]}])
    )),
    generator!("types", MANY, |r, n| {
        let all: serde_json::Map<String, Value> =
            (0..n).map(|i| (format!("extra.t{i}"), json!("url"))).collect();
        consumer(r, &json!([{"endpoint": "/v1/entries/page/{id}", "types": all}]))
    }),
    generator!("locales", MANY, |r, n| {
        let all: Vec<&str> = (0..n).map(|i| if i.is_multiple_of(2) { "en" } else { "de" }).collect();
        consumer(r, &json!([{"endpoint": "/v1/pages/{slug}", "must_include": ["title"], "locales": all}]))
    }),
    generator!("examples", MANY, |r, n| {
        let all: Vec<String> = (0..n).map(|i| format!("e{i}")).collect();
        consumer(r, &json!([{"endpoint": "/v1/pages/{slug}", "must_include": ["title"], "examples": all}]))
    }),
    generator!("versions", [1, 2, 3, 4], |r, n| {
        let version = ["99999999999999999999.x", "x.x.x.x", "-1", "1.x.1.x"][n % 4];
        consumer(r, &json!([{"endpoint": "/v1/pages/{slug}", "version": version}]))
    }),
    generator!("endpoints", [1, 2, 3, 4], |r, n| {
        let path = ["/v1/{a}/{b}/{c}", "../../etc/passwd", "/v1/pages/{slug}{slug}", "/v1/pages/{"][n % 4];
        consumer(r, &json!([{"endpoint": path, "must_include": ["title"]}]))
    }),
    generator!("long-endpoint", [100, 10_000, 100_000, 4_000_000], |r, n| consumer(
        r,
        &json!([{"endpoint": format!("/v1/{}", "a/".repeat(n / 2))}])
    )),
    generator!("pact-interactions", MANY, |r, n| {
        pact(r, &format!("[{}]", vec![interaction("/v1/pages/home", "{\"title\":\"t\"}"); n].join(",")))
    }),
    generator!("pact-paths", MANY, |r, n| {
        pact(
            r,
            &format!(
                "[{}]",
                super::text::pieces(n, ",", |i| interaction(&format!("/v1/pages/p{i}"), "{\"title\":\"t\"}"))
            ),
        )
    }),
    generator!("pact-depth", DEEP, |r, n| pact(
        r,
        &format!("[{}]", interaction("/v1/pages/home", &nested("{\"a\":", "1", "}", n)))
    )),
    generator!("pact-arrays", DEEP, |r, n| pact(
        r,
        &format!("[{}]", interaction("/v1/pages/home", &nested("[", "1", "]", n)))
    )),
    generator!("pact-width", MANY, |r, n| {
        pact(
            r,
            &format!(
                "[{}]",
                interaction(
                    "/v1/pages/home",
                    &format!("{{{}}}", super::text::pieces(n, ",", |i| format!("\"k{i}\":1")))
                )
            ),
        )
    }),
    generator!("pact-items", MANY, |r, n| {
        pact(
            r,
            &format!(
                "[{}]",
                interaction(
                    "/v1/pages/home",
                    &format!(
                        "{{\"sections\":[{}]}}",
                        super::text::pieces(n, ",", |i| format!("{{\"k{i}\":1}}"))
                    )
                )
            ),
        )
    }),
    generator!("pact-name", [1, 2, 3, 4], |_, n| {
        let name = ["../../x.json", "x/../../y.json", "\u{0}.json", ".json"][n % 4];
        let body = json!({"contract": "{}", "name": name}).to_string().into_bytes();
        Load::Api { method: "POST", path: "/consumers/verify".to_owned(), body }
    }),
];
