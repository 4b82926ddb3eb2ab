//! JSON: request bodies, fields of entries, definition files.

use super::text::{nested, pieces};
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

const FILES: [&str; 4] = [
    "contracts/hostile.v1.json",
    "components/notice.v1/examples/default.json",
    "components/notice.v1/props.json",
    "tokens/hostile.tokens.json",
];

/// A value in the field that may be anything, in a request, or in a definition file.
fn json(random: &mut Random, text: &str) -> Load {
    match random.index(9) {
        i @ 0..4 => Load::file(FILES[i], text.as_bytes().to_vec()),
        4 => Load::Api { method: "POST", path: "/entries".to_owned(), body: text.as_bytes().to_vec() },
        5 => Load::Graphql {
            document: "{ pageList { items { slug } } }".to_owned(),
            variables: text.to_owned(),
        },
        _ => Load::Entry(format!("{{\"slug\":\"hostile\",\"title\":\"t\",\"extra\":{text}}}").into_bytes()),
    }
}

const DEEP: [usize; 4] = [30, 64, 5_000, 1_000_000];
const MANY: [usize; 4] = [100, 10_000, 200_000, 2_000_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "json", name: $name, sizes: $sizes, make: $make }
    };
}

/// Depth, width, numbers, names, texts.
pub const ALL: &[Generator] = &[
    generator!("arrays", DEEP, |r, n| json(r, &nested("[", "", "]", n))),
    generator!("arrays-unclosed", DEEP, |r, n| json(r, &"[".repeat(n))),
    generator!("objects", DEEP, |r, n| json(r, &nested("{\"a\":", "1", "}", n))),
    generator!("mixed", DEEP, |r, n| json(r, &nested("[{\"a\":", "1", "}]", n))),
    generator!("width", MANY, |r, n| json(r, &format!("[{}0]", "0,".repeat(n)))),
    generator!("empty-objects", MANY, |r, n| json(r, &format!("[{}0]", "{},".repeat(n)))),
    generator!("keys", MANY, |r, n| json(r, &format!("{{{}}}", pieces(n, ",", |i| format!("\"k{i}\":0"))))),
    generator!("same-key", MANY, |r, n| json(
        r,
        &format!("{{{}}}", pieces(n, ",", |_| "\"k\":0".to_owned()))
    )),
    generator!("long-key", MANY, |r, n| json(r, &format!("{{\"{}\":0}}", "k".repeat(n)))),
    generator!("digits", MANY, |r, n| json(r, &"9".repeat(n))),
    generator!("decimals", MANY, |r, n| json(r, &format!("0.{}", "9".repeat(n)))),
    generator!("exponent", [2, 3, 10, 100_000], |r, n| json(r, &format!("1e{}", "9".repeat(n)))),
    generator!("negative-exponent", [2, 3, 10, 100_000], |r, n| json(r, &format!("1e-{}", "9".repeat(n)))),
    generator!("surrogates", MANY, |r, n| json(r, &format!("\"{}\"", "\\ud800".repeat(n)))),
    generator!("escapes", MANY, |r, n| json(r, &format!("\"{}\"", "\\u0000".repeat(n)))),
    generator!("text", MANY, |r, n| json(r, &format!("\"{}\"", "<&\\\"".repeat(n)))),
    generator!("spaces", MANY, |r, n| json(r, &format!("[{}]", " \n".repeat(n)))),
    generator!("combining", MANY, |r, n| json(r, &format!("\"e{}\"", "\u{301}".repeat(n)))),
    generator!("not-utf8", [1, 10, 1_000, 100_000], |_, n| {
        let mut body = b"{\"slug\":\"hostile\",\"title\":\"".to_vec();
        body.extend(std::iter::repeat_n(0xff, n));
        body.extend(b"\"}");
        Load::Entry(body)
    }),
    generator!("batch", [10, 1_000, 5_001, 60_000], |_, n| {
        let one = |i: usize| {
            format!(
                "{{\"type\":\"page\",\"id\":\"x{i}\",\"locale\":\"de\",\"fields\":{{\"slug\":\"x\",\"title\":1}}}}"
            )
        };
        Load::Api {
            method: "POST",
            path: "/entries".to_owned(),
            body: format!("{{\"entries\":[{}]}}", pieces(n, ",", one)).into_bytes(),
        }
    }),
    generator!("sections", [10, 1_000, 20_000, 200_000], |_, n| {
        let all = pieces(n, ",", |_| "{\"intent\":\"notice\",\"title\":\"t\"}".to_owned());
        Load::Entry(format!("{{\"slug\":\"hostile\",\"title\":\"t\",\"sections\":[{all}]}}").into_bytes())
    }),
    generator!("references", [10, 1_000, 20_000, 200_000], |r, n| {
        let to = if r.below(2) == 0 { "home" } else { "nothing" };
        let all = pieces(n, ",", |i| if to == "home" { "\"home\"".to_owned() } else { format!("\"n{i}\"") });
        Load::Entry(format!("{{\"slug\":\"hostile\",\"title\":\"t\",\"related\":[{all}]}}").into_bytes())
    }),
    generator!("link-schemes", [1, 2, 3, 4], |_, n| {
        let link =
            ["javascript:alert(1)", " java\\nscript:alert(1)", "data:text/html,x", "//evil.example/\\\"x"]
                [n % 4];
        Load::Entry(format!("{{\"slug\":\"hostile\",\"title\":\"t\",\"sections\":[{{\"intent\":\"notice\",\"title\":\"t\",\"link\":\"{link}\"}}]}}").into_bytes())
    }),
    generator!("changeset-drafts", [10, 1_000, 50_000, 300_000], |_, n| {
        let all = pieces(n, ",", |i| format!("{{\"type\":\"page\",\"id\":\"x{i}\",\"locale\":\"en\"}}"));
        Load::Api {
            method: "POST",
            path: "/changesets/hostile/drafts".to_owned(),
            body: format!("{{\"drafts\":[{all}]}}").into_bytes(),
        }
    }),
    generator!("file-names", [10, 1_000, 50_001, 300_000], |_, n| {
        Load::Definitions((0..n).map(|i| (format!("site/n{i}.css"), Vec::new())).collect())
    }),
    generator!("file-paths", [1, 2, 3, 4], |_, n| {
        let path = ["../../../etc/x", "/etc/x", "assets/../../x", "assets/\u{0}x"][n % 4];
        Load::file(path, "x")
    }),
    generator!("long-path", [100, 255, 5_000, 1_000_000], |_, n| {
        Load::file(&format!("assets/{}.txt", "a/".repeat(n / 2)), "x")
    }),
];
