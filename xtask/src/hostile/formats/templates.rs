//! Templates: deep and long syntax, recursion, and values that grow.

use super::text::{nested, pieces};
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

const COMPONENT: &str = "components/notice.v1/template.html";
const LAYOUT: &str = "site/layouts/page.html";

/// A component's template, or the layout of pages.
fn template(random: &mut Random, text: String) -> Load {
    let path = if random.below(3) == 0 { LAYOUT } else { COMPONENT };
    Load::file(path, text)
}

/// An operator in front of, behind or between operands.
fn long(random: &mut Random, front: &str, again: &str, end: &str, n: usize) -> Load {
    template(random, format!("{{{{ {front}{}{end} }}}}", again.repeat(n)))
}

/// Statements inside each other.
fn deep(random: &mut Random, open: &str, inner: &str, close: &str, n: usize) -> Load {
    template(random, nested(open, inner, close, n))
}

const DEEP: [usize; 4] = [50, 200, 5_000, 150_000];
const GROW: [usize; 4] = [8, 20, 28, 60];
const COUNT: [usize; 4] = [1_000, 1_000_000, 1_000_000_000, 9_999_999_999];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "templates", name: $name, sizes: $sizes, make: $make }
    };
}

/// Everything a template may say too often.
pub const ALL: &[Generator] = &[
    // Parsers recurse once per operator.
    generator!("minus", DEEP, |r, n| long(r, "", "-", "1", n)),
    generator!("tilde", DEEP, |r, n| long(r, "1", "~1", "", n)),
    generator!("plus", DEEP, |r, n| long(r, "1", "+1", "", n)),
    generator!("power", DEEP, |r, n| long(r, "1", "**1", "", n)),
    generator!("and", DEEP, |r, n| long(r, "1", " and 1", "", n)),
    generator!("compare", DEEP, |r, n| long(r, "1", " in [1]", "", n)),
    generator!("not", DEEP, |r, n| long(r, "", "not ", "1", n)),
    generator!("attribute", DEEP, |r, n| long(r, "props", ".b", "", n)),
    generator!("index", DEEP, |r, n| long(r, "props", "[0]", "", n)),
    generator!("slice", DEEP, |r, n| long(r, "props.title", "[:]", "", n)),
    generator!("filter", DEEP, |r, n| long(r, "props.title", "|upper", "", n)),
    generator!("test", DEEP, |r, n| long(r, "1", " is defined", "", n)),
    generator!("call", DEEP, |r, n| long(r, "icon", "()", "", n)),
    generator!("ternary", DEEP, |r, n| long(r, "", "1 if 1 else ", "1", n)),
    generator!("parentheses", DEEP, |r, n| template(r, format!("{{{{ {} }}}}", nested("(", "1", ")", n)))),
    generator!("lists", DEEP, |r, n| template(r, format!("{{{{ {} }}}}", nested("[", "", "]", n)))),
    generator!("maps", DEEP, |r, n| template(r, format!("{{{{ {} }}}}", nested("{\"a\":", "1", "}", n)))),
    generator!("calls", DEEP, |r, n| template(r, format!("{{{{ {} }}}}", nested("icon(", "1", ")", n)))),
    generator!("unclosed", DEEP, |r, n| template(r, "{{ ((".repeat(n))),
    generator!("elif", DEEP, |r, n| {
        template(r, format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(n)))
    }),
    // Statements inside each other.
    generator!("if", DEEP, |r, n| deep(r, "{% if 1 %}", "x", "{% endif %}", n)),
    generator!("for", DEEP, |r, n| deep(r, "{% for i in [1] %}", "x", "{% endfor %}", n)),
    generator!("for-unclosed", DEEP, |r, n| template(r, "{% for i in [1] %}".repeat(n))),
    generator!("with", DEEP, |r, n| deep(r, "{% with a=1 %}", "x", "{% endwith %}", n)),
    generator!("macro", DEEP, |r, n| deep(r, "{% macro m() %}", "x", "{% endmacro %}", n)),
    generator!("filter-block", DEEP, |r, n| deep(r, "{% filter upper %}", "x", "{% endfilter %}", n)),
    generator!("autoescape", DEEP, |r, n| deep(r, "{% autoescape true %}", "x", "{% endautoescape %}", n)),
    generator!("set-block", DEEP, |r, n| deep(r, "{% set a %}", "x", "{% endset %}", n)),
    generator!("block", DEEP, |r, n| {
        let open = pieces(n, "", |i| format!("{{% block b{i} %}}"));
        template(r, format!("{open}x{}", "{% endblock %}".repeat(n)))
    }),
    generator!("call-block", DEEP, |r, n| {
        let head = "{% macro m() %}{{ caller() }}{% endmacro %}";
        template(r, format!("{head}{}", nested("{% call m() %}", "x", "{% endcall %}", n)))
    }),
    // Recursion while it runs.
    generator!("macro-calls-itself", GROW, |r, n| {
        let calls = "{{ m(n + 1) }}".repeat(n.min(8));
        template(r, format!("{{% macro m(n) %}}{calls}{{% endmacro %}}{{{{ m(0) }}}}"))
    }),
    generator!("macros-call-each-other", GROW, |r, n| {
        let all = pieces(n, "", |i| {
            format!("{{% macro m{i}(x) %}}{{{{ m{0}(x) }}}}{{{{ m{0}(x) }}}}{{% endmacro %}}", (i + 1) % n)
        });
        template(r, format!("{all}{{{{ m0(1) }}}}"))
    }),
    generator!("macro-doubling", GROW, |r, n| {
        let all = pieces(n, "", |i| {
            format!("{{% macro m{i}() %}}{{{{ m{0}() }}}}{{{{ m{0}() }}}}{{% endmacro %}}", i + 1)
        });
        template(r, format!("{{% macro m{n}() %}}x{{% endmacro %}}{all}{{{{ m0() }}}}"))
    }),
    generator!("include-itself", GROW, |_, n| {
        Load::file(LAYOUT, "{% include \"site/layouts/page.html\" %}".repeat(n.min(8)))
    }),
    generator!("extends-itself", GROW, |_, _| {
        Load::file(LAYOUT, "{% extends \"site/layouts/page.html\" %}{% block a %}{{ super() }}{% endblock %}")
    }),
    generator!("include-each-other", GROW, |_, n| {
        let name = |i: usize| {
            if i.is_multiple_of(n) { LAYOUT.to_owned() } else { format!("site/layouts/l{i}.html") }
        };
        let body = |i: usize| format!("{{% include \"{0}\" %}}{{% include \"{0}\" %}}", name(i + 1));
        Load::Definitions((0..n).map(|i| (name(i), body(i).into_bytes())).collect())
    }),
    generator!("section-of-itself", GROW, |_, n| {
        Load::file(
            COMPONENT,
            "{{ section({\"intent\": \"notice\", \"title\": \"x\"}) }}".repeat(n.clamp(1, 4)),
        )
    }),
    generator!("recursive-loop", GROW, |r, n| {
        let again = "{{ loop([1]) }}".repeat(n.min(4));
        template(r, format!("{{% for i in [1] recursive %}}{again}{{% endfor %}}"))
    }),
    generator!("self-block", GROW, |r, n| {
        template(r, format!("{{% block a %}}{}{{% endblock %}}", "{{ self.a() }}".repeat(n.min(4))))
    }),
    // Few instructions, many bytes.
    generator!("indent", COUNT, |r, n| template(r, format!("{{{{ \"a\\nb\"|indent({n}) }}}}"))),
    generator!("format", COUNT, |r, n| template(r, format!("{{{{ \"%{n}d\"|format(1) }}}}"))),
    generator!("format-precision", COUNT, |r, n| template(r, format!("{{{{ \"%.{n}f\"|format(1.5) }}}}"))),
    generator!("batch", COUNT, |r, n| template(r, format!("{{{{ [1]|batch({n}, 0) }}}}"))),
    generator!("slice-filter", COUNT, |r, n| template(r, format!("{{{{ [1]|slice({n}, 0) }}}}"))),
    generator!("repeat", COUNT, |r, n| template(r, format!("{{{{ (\"a\" * {n})|length }}}}"))),
    generator!("repeat-list", COUNT, |r, n| template(r, format!("{{{{ ([1] * {n})|length }}}}"))),
    generator!("range", COUNT, |r, n| template(r, format!("{{{{ range({n})|list|length }}}}"))),
    generator!("range-join", COUNT, |r, n| template(r, format!("{{{{ range({n})|join(\"xxxxxxxx\") }}}}"))),
    generator!("range-sort", COUNT, |r, n| template(
        r,
        format!("{{{{ range({n})|sort(reverse=true)|first }}}}")
    )),
    generator!("range-loops", GROW, |r, n| {
        template(r, nested("{% for i in range(100000) %}", "xxxxxxxxxxxxxxxx", "{% endfor %}", n.min(20)))
    }),
    generator!("range-group", COUNT, |r, n| {
        template(r, format!("{{{{ range({n})|groupby(\"a\")|list|length }}}}"))
    }),
    generator!("capture-doubling", GROW, |r, n| {
        template(
            r,
            format!(
                "{{% set x %}}aaaaaaaa{{% endset %}}{}{{{{ x|length }}}}",
                "{% set x %}{{ x }}{{ x }}{% endset %}".repeat(n)
            ),
        )
    }),
    generator!("concat-doubling", GROW, |r, n| {
        template(
            r,
            format!("{{% set x = \"aaaaaaaa\" %}}{}{{{{ x|length }}}}", "{% set x = x ~ x %}".repeat(n)),
        )
    }),
    generator!("add-doubling", GROW, |r, n| {
        template(r, format!("{{% set x = [1,2,3,4] %}}{}{{{{ x|length }}}}", "{% set x = x + x %}".repeat(n)))
    }),
    generator!("replace-growth", GROW, |r, n| {
        template(
            r,
            format!(
                "{{{{ \"a\"{}|length }}}}",
                "|replace(\"a\", \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\")".repeat(n)
            ),
        )
    }),
    generator!("join-growth", GROW, |r, n| {
        template(
            r,
            format!(
                "{{% set x = \"aaaaaaaaaaaaaaaa\" %}}{}{{{{ x|length }}}}",
                "{% set x = x|join(x) %}".repeat(n)
            ),
        )
    }),
    generator!("escape-growth", GROW, |r, n| {
        template(r, format!("{{{{ \"&&&&&&&&\"{}|length }}}}", "|string|e|safe|string|urlencode".repeat(n)))
    }),
    generator!("list-doubling-shown", GROW, |r, n| {
        let show = r
            .one(&[
                "x",
                "x|tojson",
                "x|pprint",
                "x == [x, x]",
                "x|string|length",
                "json_ld(x)",
                "x|list|sort",
            ])
            .copied()
            .unwrap_or("x");
        template(r, format!("{{% set x = [1] %}}{}{{{{ {show} }}}}", "{% set x = [x, x] %}".repeat(n)))
    }),
    generator!("deep-value", DEEP, |r, n| {
        let show =
            r.one(&["x", "x|tojson", "x|pprint", "x == x", "x|string|length", "json_ld(x)", "debug()"]);
        let show = show.copied().unwrap_or("x");
        template(r, format!("{{% set x = [] %}}{}{{{{ {show} }}}}", "{% set x = [x] %}".repeat(n)))
    }),
    generator!("namespace-growth", GROW, |r, n| {
        let head = "{% set ns = namespace(x=[1]) %}";
        let body = "{% for i in range(100000) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}".repeat(n.min(10));
        template(r, format!("{head}{body}{{{{ ns.x|tojson|length }}}}"))
    }),
    generator!("namespace-text", GROW, |r, n| {
        let body = "{% for i in range(1000) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}".repeat(n.min(10));
        template(r, format!("{{% set ns = namespace(x=\"aaaa\") %}}{body}{{{{ ns.x|length }}}}"))
    }),
    generator!("map-chain", DEEP, |r, n| {
        template(r, format!("{{{{ range(1000){}|list|length }}}}", "|map(\"string\")".repeat(n.min(100_000))))
    }),
    generator!("markdown-filter", DEEP, |_, n| {
        Load::file(LAYOUT, format!("{{{{ \"{}\"|markdown }}}}", ">".repeat(n)))
    }),
    // Much of one thing.
    generator!("literal", [1_000, 100_000, 1_000_000, 9_000_000], |r, n| {
        template(r, format!("{{{{ \"{}\"|length }}}}", "a".repeat(n)))
    }),
    generator!("number", [20, 400, 100_000, 2_000_000], |r, n| {
        template(r, format!("{{{{ {} }}}}", "9".repeat(n)))
    }),
    generator!("raw-text", [1_000, 100_000, 1_000_000, 9_000_000], |r, n| template(r, "a".repeat(n))),
    generator!("blocks", [100, 10_000, 100_000, 500_000], |r, n| {
        template(r, pieces(n, "", |i| format!("{{% block b{i} %}}{{% endblock %}}")))
    }),
    generator!("variables", [100, 10_000, 100_000, 500_000], |r, n| {
        template(r, pieces(n, "", |i| format!("{{% set v{i} = {i} %}}")))
    }),
    generator!("comments", [100, 10_000, 100_000, 2_000_000], |r, n| template(r, "{# ".repeat(n))),
    generator!("arguments", [10, 200, 10_000, 200_000], |r, n| {
        template(
            r,
            format!(
                "{{% macro m({}) %}}{{% endmacro %}}{{{{ m({}) }}}}",
                pieces(n, ",", |i| format!("a{i}")),
                pieces(n, ",", |i| i.to_string())
            ),
        )
    }),
];
