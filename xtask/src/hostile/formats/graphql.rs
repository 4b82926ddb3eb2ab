//! GraphQL: documents sent as text with the scope `define`, and files of a project.

use super::text::{nested, pieces};
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

fn graphql(random: &mut Random, document: String) -> Load {
    if random.below(3) == 0 {
        return Load::file("queries/hostile.graphql", document);
    }
    Load::Graphql { document, variables: "{}".to_owned() }
}

const DEEP: [usize; 4] = [5, 12, 200, 20_000];
const MANY: [usize; 4] = [10, 200, 5_000, 60_000];
const TIMES: [usize; 4] = [5, 12, 22, 60];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "graphql", name: $name, sizes: $sizes, make: $make }
    };
}

/// Aliases, fragments, depth, overlap, length.
pub const ALL: &[Generator] = &[
    generator!("aliases", MANY, |r, n| {
        graphql(
            r,
            format!(
                "{{ {} }}",
                pieces(n, " ", |i| format!(
                    "a{i}: pageList(first: 100) {{ items {{ slug related {{ slug }} }} }}"
                ))
            ),
        )
    }),
    generator!("field-aliases", MANY, |r, n| {
        graphql(r, format!("{{ pageList {{ items {{ {} }} }} }}", pieces(n, " ", |i| format!("a{i}: body"))))
    }),
    generator!("list-in-list", TIMES, |r, n| {
        graphql(
            r,
            format!("{{ pageList(first: 100) {{ items {{ {} }} }} }}", nested("related { ", "slug", " }", n)),
        )
    }),
    generator!("fragment-doubling", TIMES, |r, n| {
        let all = pieces(n, " ", |i| format!("fragment f{i} on Page {{ ...f{0} ...f{0} }}", i + 1));
        graphql(r, format!("{{ page(id: \"home\") {{ ...f0 }} }} {all} fragment f{n} on Page {{ slug }}"))
    }),
    generator!("fragment-doubling-in-fields", TIMES, |r, n| {
        let all = pieces(n, " ", |i| {
            format!("fragment f{i} on Page {{ a: related {{ ...f{0} }} b: related {{ ...f{0} }} }}", i + 1)
        });
        graphql(r, format!("{{ page(id: \"home\") {{ ...f0 }} }} {all} fragment f{n} on Page {{ slug }}"))
    }),
    generator!("fragment-cycle", [1, 2, 50, 5_000], |r, n| {
        let all = pieces(n, " ", |i| format!("fragment f{i} on Page {{ ...f{} }}", (i + 1) % n));
        graphql(r, format!("{{ page(id: \"home\") {{ ...f0 }} }} {all}"))
    }),
    generator!("fragment-chain", MANY, |r, n| {
        let all = pieces(n, " ", |i| format!("fragment f{i} on Page {{ ...f{} }}", i + 1));
        graphql(r, format!("{{ page(id: \"home\") {{ ...f0 }} }} {all} fragment f{n} on Page {{ slug }}"))
    }),
    generator!("depth", DEEP, |r, n| graphql(
        r,
        format!("{{ page(id: \"home\") {{ {} }} }}", nested("related { ", "slug", " }", n))
    )),
    generator!("braces", DEEP, |r, n| graphql(r, nested("{a", "", "}", n))),
    generator!("braces-unclosed", DEEP, |r, n| graphql(r, "{a".repeat(n))),
    generator!("inline-fragments", DEEP, |r, n| {
        graphql(r, format!("{{ page(id: \"home\") {{ {} }} }}", nested("... on Page { ", "slug", " }", n)))
    }),
    generator!("overlapping", MANY, |r, n| {
        graphql(r, format!("{{ page(id: \"home\") {{ {} }} }}", "related { slug } ".repeat(n)))
    }),
    generator!("overlapping-deep", [2, 8, 20, 60], |r, n| {
        let mut inner = "slug".to_owned();
        for _ in 0..n.min(22) {
            inner = format!("related {{ {inner} }}");
        }
        graphql(r, format!("{{ page(id: \"home\") {{ {} }} }}", format!("{inner} ").repeat(n * n)))
    }),
    generator!("overlapping-fragments", [5, 50, 500, 3_000], |r, n| {
        let all = pieces(n, " ", |i| {
            format!("fragment f{i} on Page {{ slug title ...f{} ...f{} }}", (i + 1).min(n), (i + 2).min(n))
        });
        graphql(
            r,
            format!(
                "{{ page(id: \"home\") {{ {} }} }} {all} fragment f{n} on Page {{ slug }}",
                pieces(n, " ", |i| format!("...f{i}"))
            ),
        )
    }),
    generator!("conflicts", MANY, |r, n| {
        graphql(r, format!("{{ {} }}", pieces(n, " ", |i| format!("a: page(id: \"p{i}\") {{ slug }}"))))
    }),
    generator!("directives", MANY, |r, n| {
        graphql(r, format!("{{ pageList {{ items {{ slug {} }} }} }}", "@include(if: true) ".repeat(n)))
    }),
    generator!("unknown-directives", MANY, |r, n| graphql(
        r,
        format!("{{ pageList {{ items {{ slug {} }} }} }}", "@a ".repeat(n))
    )),
    generator!("arguments", MANY, |r, n| {
        graphql(
            r,
            format!("{{ pageList({}) {{ items {{ slug }} }} }}", pieces(n, ",", |i| format!("a{i}: 1"))),
        )
    }),
    generator!("where-depth", DEEP, |r, n| {
        graphql(
            r,
            format!("{{ pageList(where: {}) {{ items {{ slug }} }} }}", nested("{and: [", "", "]}", n)),
        )
    }),
    generator!("list-literal", DEEP, |r, n| {
        graphql(r, format!("{{ page(id: {}) {{ slug }} }}", nested("[", "1", "]", n)))
    }),
    generator!("object-literal", DEEP, |r, n| {
        graphql(r, format!("{{ page(id: {}) {{ slug }} }}", nested("{a: ", "1", "}", n)))
    }),
    generator!("variable-types", DEEP, |r, n| {
        graphql(r, format!("query ($a: {}) {{ page(id: \"home\") {{ slug }} }}", nested("[", "Int", "]", n)))
    }),
    generator!("variables", MANY, |r, n| {
        graphql(
            r,
            format!(
                "query ({}) {{ page(id: \"home\") {{ slug }} }}",
                pieces(n, ",", |i| format!("$v{i}: Int"))
            ),
        )
    }),
    generator!("operations", MANY, |r, n| {
        graphql(r, pieces(n, "\n", |i| format!("query Q{i} {{ page(id: \"home\") {{ slug }} }}")))
    }),
    generator!("unused-fragments", MANY, |r, n| {
        graphql(
            r,
            format!(
                "{{ page(id: \"home\") {{ slug }} }} {}",
                pieces(n, " ", |i| format!("fragment f{i} on Page {{ slug }}"))
            ),
        )
    }),
    generator!("introspection", [2, 4, 10, 100], |r, n| {
        graphql(
            r,
            format!("{{ __schema {{ types {{ {} }} }} }}", nested("fields { type { ", "name", " } }", n)),
        )
    }),
    generator!("introspection-of-type", [2, 7, 20, 2_000], |r, n| {
        graphql(
            r,
            format!(
                "{{ __type(name: \"Page\") {{ fields {{ type {{ {} }} }} }} }}",
                nested("ofType { ", "name", " }", n)
            ),
        )
    }),
    generator!("commas", [100, 100_000, 250_000, 3_000_000], |r, n| graphql(
        r,
        format!("{{ page(id: \"home\") {{ slug {} }} }}", ",".repeat(n))
    )),
    generator!("comments", [100, 100_000, 125_000, 1_500_000], |r, n| graphql(
        r,
        format!("{}{{ page(id: \"home\") {{ slug }} }}", "#\n".repeat(n))
    )),
    generator!("text", [100, 100_000, 250_000, 3_000_000], |r, n| graphql(
        r,
        format!("{{ page(id: \"{}\") {{ slug }} }}", "a".repeat(n))
    )),
    generator!("block-text", [100, 30_000, 120_000, 1_000_000], |r, n| graphql(
        r,
        format!("{{ page(id: \"\"\"{}\"\"\") {{ slug }} }}", " \n".repeat(n))
    )),
    generator!("long-name", [100, 100_000, 250_000, 3_000_000], |r, n| graphql(
        r,
        format!("{{ {} }}", "a".repeat(n))
    )),
    generator!("numbers", [10, 1_000, 100_000, 1_000_000], |r, n| graphql(
        r,
        format!("{{ pageList(first: {}) {{ items {{ slug }} }} }}", "9".repeat(n))
    )),
    generator!("variable-values", [10, 64, 5_000, 15_000], |_, n| Load::Graphql {
        document: "query ($a: JSON) { pageList { items { slug } } }".to_owned(),
        variables: format!("{{\"a\":{}}}", nested("[", "", "]", n)),
    }),
    generator!("cursors", [1, 2, 3, 4], |_, n| {
        let cursor = ["x", "%00", "eyJhIjpbW1tbW1td", "////////"][n % 4];
        Load::Graphql {
            document: format!(
                "{{ pageList(after: \"{cursor}\", first: 100) {{ items {{ slug }} nextCursor }} }}"
            ),
            variables: "{}".to_owned(),
        }
    }),
    generator!("schema-definitions", MANY, |r, n| graphql(
        r,
        pieces(n, "\n", |i| format!("type T{i} {{ a: T{i} }}"))
    )),
];
