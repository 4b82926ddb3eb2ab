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

    /// The style sheet, read as a browser reads it, gives every element what the set says.
    #[test]
    fn the_cascade_gives_what_is_resolved(sets in sets()) {
        let (resolved, set, _) = load(&sets).resolve();
        let (files, _) = build(&resolved, &set, &[Output::Css], &BuildOptions::default());
        for one in 0..3_usize {
            for two in 0..3_usize {
                let expected = merged(&sets, [one, two]);
                let given = cascade(&files[0].text, one, two);
                for (at, value) in expected {
                    let everywhere = (0..3).all(|a| (0..3).all(|b| merged(&sets, [a, b])[&at].is_some()));
                    if everywhere {
                        prop_assert_eq!(given.get(&format!("--t{at}")).cloned(), value.map(|n| n.to_string()), "--t{} with c{} c{}\n{}", at, one, two, files[0].text);
                    }
                }
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

/// Which declarations win on an element that carries both attributes (absent for the default context), by specificity and order.
fn cascade(css: &str, one: usize, two: usize) -> BTreeMap<String, String> {
    let mut won: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut selectors: Vec<String> = Vec::new();
    for line in css.lines() {
        if let Some(selector) = line.strip_suffix(" {").or_else(|| line.strip_suffix(',')) {
            selectors.push(selector.to_owned());
            continue;
        }
        if line == "}" {
            selectors.clear();
            continue;
        }
        let Some((name, value)) = line.trim().trim_end_matches(';').split_once(": ") else { continue };
        let has =
            |part: &str| part == format!("[data-m0=\"c{one}\"]") || part == format!("[data-m1=\"c{two}\"]");
        let specificity = selectors.iter().filter_map(|s| {
            if s == ":root" {
                return Some(1);
            }
            if s.contains("] [") {
                return None;
            }
            let parts: Vec<String> = s.split_inclusive(']').map(str::to_owned).collect();
            parts.iter().all(|p| has(p)).then_some(parts.len())
        });
        if let Some(specificity) = specificity.max()
            && won.get(name).is_none_or(|(s, _)| *s <= specificity)
        {
            won.insert(name.to_owned(), (specificity, value.to_owned()));
        }
    }
    won.into_iter().map(|(name, (_, value))| (name, value)).collect()
}
