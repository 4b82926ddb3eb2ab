// What each fuzz target calls. `crates/gates/tests/corpora.rs` calls the same with the committed corpora.

use ashlar_model::Files;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn file(path: &str, bytes: &[u8]) -> Files {
    let mut files = Files::new();
    let _ = files.insert(path, bytes.to_vec());
    files
}

pub fn yaml(bytes: &[u8]) {
    let _ = ashlar_model::read_yaml("a.yaml", 1, text(bytes));
    ashlar_contracts::consumers::Consumer::read_all(&file("consumers/a.yaml", bytes));
}

pub fn json(bytes: &[u8]) {
    if let Ok(value) = ashlar_model::read_json("a.json", 1, text(bytes), 1 << 24) {
        let _ = ashlar_model::check_json(&value);
        let _ = ashlar_model::canonical_json(&value);
    }
    ashlar_model::line_of(text(bytes), "/a/0/b");
}

pub fn toml(bytes: &[u8]) {
    let _ = ashlar_model::read_toml("a.toml", 1, text(bytes));
    let _ = ashlar_project::Governance::parse(&file("governance.toml", bytes));
}

pub fn redirects(bytes: &[u8]) {
    if let Ok(redirects) = ashlar_project::Redirects::parse(&file("redirects.toml", bytes)) {
        for (from, _) in redirects.iter() {
            assert_eq!(redirects.follow(from).is_err(), redirects.circle(from).is_some());
        }
    }
}

pub fn markdown(bytes: &[u8]) {
    ashlar_site::markdown(text(bytes));
    ashlar_project::markdown::links(text(bytes));
}

pub fn contract(bytes: &[u8]) {
    use ashlar_contracts::{ContractSet, codegen, compare};
    let (set, _) = ContractSet::load(&file("contracts/a.v1.json", bytes));
    let (other, _) = ContractSet::load(&file("contracts/a.v1.json", br#"{"type": "object"}"#));
    for contract in set.iter() {
        for value in [serde_json::json!({"a": ["b", 1, {"a": null}]}), serde_json::json!("a")] {
            assert_eq!(contract.is_valid(&value), contract.validate(&value).is_empty());
        }
        other.iter().for_each(|o| drop(compare(contract, o, true)));
    }
    codegen::generate(&set, &[], &[], &[], codegen::Language::TypeScript);
}

pub fn tokens(bytes: &[u8]) {
    use ashlar_tokens::{BuildOptions, Output, SourceFile, TokenSet, build};
    let source = SourceFile { path: "a.tokens.json".to_owned(), text: text(bytes).to_owned() };
    let resolver = TokenSet::of_resolver(source.clone(), &|_| Ok(text(bytes).to_owned()));
    for set in [TokenSet::of_files("", vec![source]), resolver] {
        let (resolved, set, _) = set.resolve();
        build(&resolved, &set, &Output::ALL.map(|(output, _)| output), &BuildOptions::default());
    }
}

pub fn svg(bytes: &[u8]) {
    let _ = ashlar_images::facts(bytes);
}

pub fn graphql(bytes: &[u8]) {
    use ashlar_contracts::ContractSet;
    use ashlar_delivery::{graphql::Graph, views::Views};
    let mut files = file("queries/a.graphql", bytes);
    let contract = br#"{"type": "object", "x-ashlar": {"kind": "type"}, "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "string", "x-ashlar": {"ref": ["a"]}}}}}"#;
    let _ = files.insert("contracts/a.v1.json", contract.to_vec());
    let (contracts, _) = ContractSet::load(&files);
    Graph::compile(&files, &contracts, &Views::default());
}
