//! YAML: consumer contracts over HTTP and in a project, front matter of Markdown files.

use super::text::{nested, pieces};
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

/// As a consumer contract, offered or defined, or as front matter.
fn yaml(random: &mut Random, text: &str) -> Load {
    match random.below(4) {
        0 => Load::file("consumers/hostile.yaml", text.as_bytes().to_vec()),
        1 => Load::Command {
            files: vec![("tree/hostile.md".to_owned(), format!("---\n{text}\n---\nwords\n").into_bytes())],
            args: vec!["import", "markdown", "tree", "--type", "page", "--dry-run", "--data", "data"],
        },
        _ => verify(text),
    }
}

fn verify(text: &str) -> Load {
    Load::Api {
        method: "POST",
        path: "/consumers/verify".to_owned(),
        body: serde_json::json!({"contract": text}).to_string().into_bytes(),
    }
}

const DEEP: [usize; 4] = [50, 1_000, 50_000, 400_000];
const MANY: [usize; 4] = [100, 10_000, 100_000, 1_000_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "yaml", name: $name, sizes: $sizes, make: $make }
    };
}

/// Brackets, references, depth, length.
pub const ALL: &[Generator] = &[
    generator!("brackets", DEEP, |r, n| yaml(r, &"[".repeat(n))),
    generator!("brackets-closed", DEEP, |r, n| yaml(r, &nested("[", "", "]", n))),
    generator!("brackets-spaced", DEEP, |r, n| yaml(r, &"[ \n".repeat(n))),
    generator!("braces", DEEP, |r, n| yaml(r, &"{".repeat(n))),
    generator!("braces-closed", DEEP, |r, n| yaml(r, &nested("{a: ", "1", "}", n))),
    generator!("braces-as-keys", DEEP, |r, n| yaml(r, &nested("{", "a", ": 1}", n))),
    generator!("sequences", DEEP, |r, n| yaml(r, &format!("{}a", "- ".repeat(n)))),
    generator!("explicit-keys", DEEP, |r, n| yaml(r, &format!("{}a", "? ".repeat(n)))),
    generator!("blocks", [10, 100, 1_000, 4_000], |r, n| {
        yaml(r, &pieces(n, "\n", |i| format!("{}a:", " ".repeat(i))))
    }),
    generator!("laughs", [3, 6, 9, 30], |r, n| {
        let lines = pieces(n, "\n", |i| {
            format!("a{}: &a{} [{}]", i + 1, i + 1, pieces(10, ",", |_| format!("*a{i}")))
        });
        yaml(r, &format!("a0: &a0 [lol]\n{lines}\n"))
    }),
    generator!("laughs-in-maps", [3, 6, 9, 30], |r, n| {
        let lines = pieces(n, "\n", |i| {
            format!("a{}: &a{} {{{}}}", i + 1, i + 1, pieces(9, ", ", |k| format!("k{k}: *a{i}")))
        });
        yaml(r, &format!("a0: &a0 lol\n{lines}\n"))
    }),
    generator!("alias-to-itself", [1, 2, 3, 4], |r, n| yaml(r, &"a: &a [*a, *a]\n".repeat(n))),
    generator!("anchors", MANY, |r, n| yaml(r, &pieces(n, "\n", |i| format!("- &a{i} x")))),
    generator!("aliases", MANY, |r, n| {
        yaml(r, &format!("a: &a [1,2,3,4,5,6,7,8,9]\nb: [{}]", pieces(n, ",", |_| "*a".to_owned())))
    }),
    generator!("long-anchor", MANY, |r, n| yaml(r, &format!("a: &{} 1", "x".repeat(n)))),
    generator!("long-key", MANY, |r, n| yaml(r, &format!("{}: 1", "x".repeat(n)))),
    generator!("long-keys", [10, 100, 1_000, 4_000], |r, n| {
        yaml(r, &pieces(n, "\n", |i| format!("{}{i}: 1", "x".repeat(1_000))))
    }),
    generator!("keys", MANY, |r, n| yaml(r, &pieces(n, "\n", |i| format!("k{i}: 1")))),
    generator!("same-key", MANY, |r, n| yaml(r, &"k: 1\n".repeat(n))),
    generator!("documents", MANY, |r, n| yaml(r, &"---\na\n".repeat(n))),
    generator!("directives", MANY, |r, n| yaml(r, &"%TAG ! tag:x:\n".repeat(n))),
    generator!("tags", MANY, |r, n| yaml(r, &format!("a: {}x", "!t ".repeat(n)))),
    generator!("commas", MANY, |r, n| yaml(r, &format!("[{}]", ",".repeat(n)))),
    generator!("colons", MANY, |r, n| yaml(r, &":".repeat(n))),
    generator!("colons-spaced", MANY, |r, n| yaml(r, &": ".repeat(n))),
    generator!("comments", MANY, |r, n| yaml(r, &"#\n".repeat(n))),
    generator!("blank-lines", MANY, |r, n| yaml(r, &format!("a: |\n{}x", "\n".repeat(n)))),
    generator!("folded", MANY, |r, n| yaml(r, &format!("a: >\n{}", " x\n\n".repeat(n)))),
    generator!("quoted", MANY, |r, n| yaml(r, &format!("a: \"{}\"", "\\\n ".repeat(n)))),
    generator!("escapes", MANY, |r, n| yaml(r, &format!("a: \"{}\"", "\\U0010FFFF".repeat(n)))),
    generator!("plain-lines", MANY, |r, n| yaml(r, &format!("a: {}", "b\n ".repeat(n)))),
    generator!("merge-keys", MANY, |r, n| yaml(
        r,
        &format!("a: &a {{x: 1}}\nb: {{{}}}", "<<: *a,".repeat(n))
    )),
    generator!("indentation", MANY, |r, n| yaml(r, &format!("a:\n{}b: 1", " ".repeat(n)))),
    generator!("tabs", MANY, |r, n| yaml(r, &format!("a:{}b", "\t".repeat(n)))),
    generator!("endpoints", [10, 200, 5_000, 50_000], |r, n| {
        let one = "  - endpoint: /v1/pages/{slug}\n    must_include: [slug, title, \"sections[].title\"]\n";
        let text = format!("consumer: c\nprovider: content-api\nowner: o\nexpects:\n{}", one.repeat(n));
        if r.below(2) == 0 { verify(&text) } else { Load::file("consumers/hostile.yaml", text) }
    }),
];
