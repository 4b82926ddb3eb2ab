//! TOML: every definition file that is written in it, and migrations.

use super::text::{nested, pieces};
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

const FILES: [&str; 12] = [
    "ashlar.toml",
    "redirects.toml",
    "retrieval.toml",
    "gateway.toml",
    "governance.toml",
    "intents.toml",
    "tokens.toml",
    "site/site.toml",
    "views/pages.v1.toml",
    "views/hostile.v1.toml",
    "components/notice.v1/component.toml",
    "queries/sunsets.toml",
];

fn toml(random: &mut Random, text: &str) -> Load {
    match random.index(FILES.len() + 2) {
        i if i < FILES.len() => Load::file(FILES[i], text.as_bytes().to_vec()),
        _ => Load::Api {
            method: "POST",
            path: "/migrations".to_owned(),
            body: serde_json::json!({"mapping": text, "dry_run": true}).to_string().into_bytes(),
        },
    }
}

fn migration(text: &str) -> Load {
    Load::Api {
        method: "POST",
        path: "/migrations".to_owned(),
        body: serde_json::json!({"mapping": text, "dry_run": true}).to_string().into_bytes(),
    }
}

const DEEP: [usize; 4] = [20, 100, 10_000, 400_000];
const MANY: [usize; 4] = [100, 5_000, 100_000, 1_000_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "toml", name: $name, sizes: $sizes, make: $make }
    };
}

/// Depth, dotted keys, many tables.
pub const ALL: &[Generator] = &[
    generator!("arrays", DEEP, |r, n| toml(r, &format!("a = {}", nested("[", "", "]", n)))),
    generator!("arrays-unclosed", DEEP, |r, n| toml(r, &format!("a = {}", "[".repeat(n)))),
    generator!("inline-tables", DEEP, |r, n| toml(r, &format!("a = {}", nested("{a=", "1", "}", n)))),
    generator!("dotted-key", DEEP, |r, n| toml(r, &format!("{}a = 1", "a.".repeat(n)))),
    generator!("dotted-header", DEEP, |r, n| toml(r, &format!("[{}a]", "a.".repeat(n)))),
    generator!("dotted-keys", [10, 100, 1_000, 3_000], |r, n| {
        toml(r, &pieces(n, "\n", |i| format!("{}k{i} = 1", "a.".repeat(n))))
    }),
    generator!("growing-headers", [10, 100, 1_000, 4_000], |r, n| {
        toml(r, &pieces(n, "\n", |i| format!("[{}a]", "a.".repeat(i))))
    }),
    generator!("dotted-in-inline", DEEP, |r, n| toml(r, &format!("a = {{ {}a = 1 }}", "a.".repeat(n)))),
    generator!("tables", MANY, |r, n| toml(r, &pieces(n, "\n", |i| format!("[t{i}]")))),
    generator!("same-table", MANY, |r, n| toml(r, &"[[t]]\n".repeat(n))),
    generator!("nested-arrays-of-tables", [10, 100, 1_000, 3_000], |r, n| {
        toml(r, &pieces(n, "\n", |i| format!("[[{}]]", pieces(i + 1, ".", |_| "a".to_owned()))))
    }),
    generator!("keys", MANY, |r, n| toml(r, &pieces(n, "\n", |i| format!("k{i} = {i}")))),
    generator!("long-key", MANY, |r, n| toml(r, &format!("{} = 1", "k".repeat(n)))),
    generator!("long-text", MANY, |r, n| toml(r, &format!("name = \"{}\"", "\\u00e9".repeat(n)))),
    generator!("number", MANY, |r, n| toml(r, &format!("name = {}", "9".repeat(n)))),
    generator!("underscores", MANY, |r, n| toml(r, &format!("name = {}1", "1_".repeat(n)))),
    generator!("array", MANY, |r, n| toml(r, &format!("a = [{}]", "1,".repeat(n)))),
    generator!("comments", MANY, |r, n| toml(r, &"#\n".repeat(n))),
    generator!("locales", [10, 200, 1_000, 20_000], |_, n| {
        let all = pieces(n, ",", |i| format!("\"en-x{i:05}\""));
        Load::file(
            "ashlar.toml",
            format!(
                "name = \"a\"\n[locales]\ndefault = \"en\"\nsupported = [\"en\",{all}]\n[tenant]\nname = \"alpha\"\nhosts = [\"alpha.example\"]\n"
            ),
        )
    }),
    generator!("fallbacks", [5, 20, 100, 190], |_, n| {
        let all = pieces(n, ",", |i| format!("\"en-x{i:05}\""));
        let chains = pieces(n, "\n", |i| format!("en-x{i:05} = [{all}]"));
        Load::file(
            "ashlar.toml",
            format!(
                "name = \"a\"\n[locales]\ndefault = \"en\"\nsupported = [\"en\",\"de\",{all}]\n[locales.fallback]\n{chains}\n[tenant]\nname = \"alpha\"\nhosts = [\"alpha.example\"]\n"
            ),
        )
    }),
    generator!("hosts", [10, 100, 10_000, 200_000], |_, n| {
        let all = pieces(n, ",", |i| format!("\"h{i}.example\""));
        Load::file("ashlar.toml", format!("name = \"a\"\n[tenant]\nname = \"alpha\"\nhosts = [{all}]\n"))
    }),
    // A tenant that says it is another, or that another's name leads to it.
    generator!("hosts-of-others", [1, 2, 3, 4], |_, n| {
        let host = ["beta.example", "BETA.example", "beta.example.", "beta.example:80"][n % 4];
        let tenant = if n.is_multiple_of(2) { "alpha" } else { "beta" };
        Load::file(
            "ashlar.toml",
            format!("name = \"a\"\n[tenant]\nname = \"{tenant}\"\nhosts = [\"{host}\"]\n"),
        )
    }),
    generator!("intents", [10, 200, 10_000, 100_000], |_, n| {
        let all = pieces(n, "\n", |i| {
            format!("[intent.i{i}]\nweb = \"notice.v1\"\nemail = \"notice.v1\"\napp = \"notice.v1\"")
        });
        Load::file(
            "intents.toml",
            format!(
                "surfaces = [\"web\", \"email\", \"app\"]\n[intent.notice]\nweb = \"notice.v1\"\nemail = \"notice.v1\"\napp = \"notice.v1\"\n{all}\n"
            ),
        )
    }),
    generator!("variants", [10, 200, 10_000, 100_000], |_, n| {
        let all =
            "[[intent.notice.variant]]\nwhen = { field = \"a.b.c.d\", exists = true }\nweb = \"notice.v1\"\n"
                .repeat(n);
        Load::file(
            "intents.toml",
            format!(
                "surfaces = [\"web\", \"email\", \"app\"]\n[intent.notice]\nweb = \"notice.v1\"\nemail = \"notice.v1\"\napp = \"notice.v1\"\n{all}"
            ),
        )
    }),
    generator!("search-routes", [10, 200, 2_000, 10_000], |_, n| {
        let one = |i: usize| {
            format!(
                "[[routes]]\nwhen = \"((a{{{i}}}){{100}}){{100}}|b\"\nindexes = {{ main = 1.0 }}\n[[examples]]\ntext = \"a{i} b\"\nindex = \"main\"\n"
            )
        };
        Load::file("retrieval.toml", format!("[indexes.main]\n{}", pieces(n, "", one)))
    }),
    generator!("search-synonyms", [10, 1_000, 10_000, 100_000], |_, n| {
        let one = |i: usize| format!("[synonyms.l{i}]\nw = []\n[readers.r{i}]\nx = []\n");
        Load::file("retrieval.toml", pieces(n, "", one))
    }),
    generator!("features", [10, 150, 10_000, 100_000], |_, n| {
        let one = |i: usize| {
            format!(
                "[routes.r{i}]\ntargets = [{{ provider = \"p\", model = \"m{i}\" }}]\nfallbacks = [\"r0\"]\n[features.f{i}]\nroutes = [\"r{i}\"]\n"
            )
        };
        Load::file("gateway.toml", pieces(n, "", one))
    }),
    generator!("includes", [2, 4, 8, 100], |_, n| {
        let one = |i: usize| {
            format!("[include.related{}]\nfields = [\"related\", \"slug\"]\n", ".include.related".repeat(i))
        };
        Load::file(
            "views/pages.v1.toml",
            format!(
                "source = \"page\"\nlookup = \"slug\"\npath = \"/v1/pages/{{slug}}\"\nfields = [\"slug\", \"title\", \"body\", \"related\", \"sections\"]\n{}",
                pieces(n, "", one)
            ),
        )
    }),
    generator!("steps", [10, 200, 1_000, 100_000], |_, n| {
        let steps = pieces(n, "\n", |i| format!("[[step]]\ndo = \"copy\"\nfield = \"extra\"\nto = \"x{i}\""));
        migration(&format!("name = \"m\"\nfrom = \"page.v1\"\nto = \"page.v1\"\n{steps}\n"))
    }),
    generator!("step-values", DEEP, |_, n| {
        let deep = nested("[", "", "]", n);
        migration(&format!(
            "name = \"m\"\nfrom = \"page.v1\"\nto = \"page.v1\"\n[[step]]\ndo = \"set\"\nfield = \"extra\"\nvalue = {deep}\n"
        ))
    }),
];
