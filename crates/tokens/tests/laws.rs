//! Laws that hold for every set of tokens.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use ashlar_tokens::{BuildOptions, Bump, Output, SourceFile, TokenSet, Tolerance, build, diff};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Def {
    Value(i32),
    Alias(usize),
}

fn def(tokens: usize) -> impl Strategy<Value = Def> {
    prop_oneof![(0..50_i32).prop_map(Def::Value), (0..tokens).prop_map(Def::Alias)]
}

const TOKENS: usize = 6;

/// Layers in order: the base, then for each of two modifiers the tokens that each of its three contexts sets.
type Sets = (Vec<Option<Def>>, Vec<Vec<Vec<Option<Def>>>>);

fn sets() -> impl Strategy<Value = Sets> {
    let layer = |often| proptest::collection::vec(proptest::option::weighted(often, def(TOKENS)), TOKENS);
    let modifiers = proptest::collection::vec(proptest::collection::vec(layer(0.3), 3), 2);
    (layer(0.9), modifiers)
}

fn json(layer: &[Option<Def>]) -> String {
    let tokens: Vec<String> = layer
        .iter()
        .enumerate()
        .filter_map(|(at, def)| match def.as_ref()? {
            Def::Value(n) => Some(format!("\"t{at}\": {{ \"$type\": \"number\", \"$value\": {n} }}")),
            Def::Alias(to) => {
                Some(format!("\"t{at}\": {{ \"$type\": \"number\", \"$value\": \"{{t{to}}}\" }}"))
            }
        })
        .collect();
    format!("{{ {} }}", tokens.join(", "))
}

fn load((base, modifiers): &Sets) -> TokenSet {
    let mut document = format!(
        "{{ \"version\": \"2025.10\", \"sets\": {{ \"base\": {{ \"sources\": [{}] }} }}, \"modifiers\": {{",
        json(base)
    );
    let mut order = vec!["{ \"$ref\": \"#/sets/base\" }".to_owned()];
    for (m, contexts) in modifiers.iter().enumerate() {
        let contexts: Vec<String> =
            contexts.iter().enumerate().map(|(c, layer)| format!("\"c{c}\": [{}]", json(layer))).collect();
        document.push_str(&format!(
            "{}\"m{m}\": {{ \"contexts\": {{ {} }} }}",
            if m > 0 { ", " } else { "" },
            contexts.join(", ")
        ));
        order.push(format!("{{ \"$ref\": \"#/modifiers/m{m}\" }}"));
    }
    document.push_str(&format!("}}, \"resolutionOrder\": [{}] }}", order.join(", ")));
    TokenSet::of_resolver(SourceFile { path: "a.resolver.json".into(), text: document }, &|_| {
        Err("none".into())
    })
}

/// What the specification says, word for word: merge the layers of one combination, then follow the aliases.
fn merged((base, modifiers): &Sets, chosen: [usize; 2]) -> BTreeMap<usize, Option<i32>> {
    let mut tokens = base.clone();
    for (contexts, c) in modifiers.iter().zip(chosen) {
        for (at, def) in contexts[c].iter().enumerate().filter(|(_, d)| d.is_some()) {
            tokens[at] = def.clone();
        }
    }
    let follow = |mut at: usize| {
        for _ in 0..=TOKENS {
            match tokens[at].as_ref()? {
                Def::Value(n) => return Some(*n),
                Def::Alias(to) => at = *to,
            }
        }
        None
    };
    (0..TOKENS).map(|at| (at, follow(at))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn resolving_is_merging_and_following(sets in sets()) {
        let (resolved, _, _) = load(&sets).resolve();
        for one in 0..3 {
            for two in 0..3 {
                let (c1, c2) = (format!("c{one}"), format!("c{two}"));
                let combination = resolved.combination([("m0", c1.as_str()), ("m1", c2.as_str())]).unwrap();
                for (at, expected) in merged(&sets, [one, two]) {
                    let token = resolved.get(&format!("t{at}"));
                    let value = token.and_then(|t| resolved.value(t, combination)).map(|v| v.css());
                    prop_assert_eq!(value, expected.map(|n| n.to_string()), "t{} with {} {}", at, c1, c2);
                }
            }
        }
    }

    /// The style sheet, read as a browser reads it, gives every element what the set says, however contexts are nested:
    /// elements inside one another, each with attributes for some of the modifiers.
    #[test]
    fn the_cascade_gives_what_is_resolved(
        sets in sets(),
        nested in proptest::collection::vec([proptest::option::of(0..3_usize), proptest::option::of(0..3_usize)], 1..5),
    ) {
        let (resolved, set, _) = load(&sets).resolve();
        let (files, _) = build(&resolved, &set, &[Output::Css], &BuildOptions::default());
        let rules = rules(&files[0].text);
        let mut here = BTreeMap::new();
        let mut chosen = [0, 0];
        for (depth, attributes) in nested.iter().enumerate() {
            here = computed(&rules, &here, *attributes, depth == 0);
            for (chosen, own) in chosen.iter_mut().zip(attributes) {
                *chosen = own.unwrap_or(*chosen);
            }
            for (at, value) in merged(&sets, chosen) {
                let given = here.get(&format!("t{at}")).map(|v| v.trim().to_owned());
                prop_assert_eq!(given, value.map(|n| n.to_string()), "--t{} in {:?} at {}\n{}", at, nested, depth, files[0].text);
            }
        }
    }

    #[test]
    fn a_set_does_not_differ_from_itself_and_removal_is_major(sets in sets()) {
        let (one, _, _) = load(&sets).resolve();
        let (same, _, _) = load(&sets).resolve();
        prop_assert_eq!(diff(&one, &same, &Tolerance::default()).verdict, Bump::None);
        let mut fewer = sets.clone();
        fewer.0[0] = None;
        fewer.1.iter_mut().flatten().for_each(|layer| layer[0] = None);
        let (fewer, _, _) = load(&fewer).resolve();
        if one.get("t0").is_some() {
            prop_assert_eq!(diff(&one, &fewer, &Tolerance::default()).verdict, Bump::Major);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}", path in "[a-z.]{1,8}") {
        let (resolved, set, _) = TokenSet::of_files("", vec![SourceFile { path, text: text.clone() }]).resolve();
        let all = Output::ALL.map(|(output, _)| output);
        build(&resolved, &set, &all, &BuildOptions::default());
        TokenSet::of_resolver(SourceFile { path: "r".into(), text }, &|_| Err("none".into())).resolve();
    }

    #[test]
    fn no_tree_makes_it_panic(text in tree()) {
        let (resolved, set, _) = TokenSet::of_files("", vec![SourceFile { path: "a".into(), text }]).resolve();
        let all = Output::ALL.map(|(output, _)| output);
        build(&resolved, &set, &all, &BuildOptions::default());
    }
}

/// JSON that nearly is a token file.
fn tree() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("$value"),
        Just("$type"),
        Just("$ref"),
        Just("$extends"),
        Just("$root"),
        Just("$deprecated"),
        Just("a"),
        Just("b"),
        Just("color"),
        Just("components"),
        Just("colorSpace"),
        Just("value"),
        Just("unit"),
        Just("fontSize"),
        Just("position")
    ];
    let leaf = prop_oneof![
        Just("1".to_owned()),
        Just("\"{a}\"".to_owned()),
        Just("\"{a.b}\"".to_owned()),
        Just("\"{b.$root}\"".to_owned()),
        Just("\"color\"".to_owned()),
        Just("\"shadow\"".to_owned()),
        Just("\"#/a/$value/color\"".to_owned()),
        Just("\"srgb\"".to_owned()),
        Just("null".to_owned()),
        Just("\"#fff\"".to_owned()),
        Just("\"typography\"".to_owned()),
        Just("true".to_owned())
    ];
    leaf.prop_recursive(5, 48, 4, move |inner| {
        prop_oneof![
            proptest::collection::btree_map(word.clone(), inner.clone(), 0..4).prop_map(|m| {
                let members: Vec<String> = m.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
                format!("{{ {} }}", members.join(", "))
            }),
            proptest::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    })
}

/// A rule of a style sheet: selectors, and declarations.
type Rule = (Vec<String>, Vec<(String, String)>);

fn rules(css: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for rule in css.split_terminator("}\n") {
        let (selectors, body) = rule.split_once('{').unwrap();
        let selectors = selectors.trim().split(",\n").map(str::to_owned).collect();
        let declared = |line: &str| {
            let (name, value) = line.trim().strip_prefix("--")?.split_once(':')?;
            Some((name.to_owned(), value.strip_suffix(';')?.trim().to_owned()))
        };
        rules.push((selectors, body.lines().filter_map(declared).collect()));
    }
    rules
}

/// The custom properties of an element inside another. All rules weigh the same, so that the last one counts.
fn computed(
    rules: &[Rule],
    parent: &BTreeMap<String, String>,
    attributes: [Option<usize>; 2],
    is_root: bool,
) -> BTreeMap<String, String> {
    let matches = |selector: &String| match selector.as_str() {
        ":root" => is_root,
        other => attributes.iter().enumerate().any(|(m, context)| {
            context
                .is_some_and(|c| other == format!("[data-m{m}]") || other == format!("[data-m{m}=\"c{c}\"]"))
        }),
    };
    let mut declared: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, lines) in rules.iter().filter(|(selectors, _)| selectors.iter().any(matches)) {
        declared.extend(lines.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
    let mut here = parent.clone();
    // What refers to others is computed after them.
    for refers in [false, true] {
        for (name, value) in declared.iter().filter(|(_, v)| v.contains("var(") == refers) {
            match substituted(value, &here).filter(|v| v != "initial") {
                Some(value) => here.insert((*name).to_owned(), value),
                None => here.remove(*name),
            };
        }
    }
    here
}

/// A value without `var()`; `None` when one of them refers to nothing and says nothing else.
fn substituted(value: &str, known: &BTreeMap<String, String>) -> Option<String> {
    let Some((before, rest)) = value.split_once("var(--") else { return Some(value.to_owned()) };
    let mut depth = 1;
    let end = rest.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    })?;
    let (name, fallback) = match rest[..end].split_once(", ") {
        Some((name, fallback)) => (name, Some(fallback)),
        None => (&rest[..end], None),
    };
    let own = match (known.get(name), fallback) {
        (Some(own), _) => own.clone(),
        (None, fallback) => substituted(fallback?, known)?,
    };
    Some(format!("{before}{own}{}", substituted(&rest[end + 1..], known)?))
}
