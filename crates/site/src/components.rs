use std::collections::{BTreeMap, BTreeSet};

use ashlar_contracts::{Contract, ContractSet, Violation};
use ashlar_model::{ContractName, Files, Finding, Level, position};
use serde::Deserialize;
use serde_json::Value;

const ROOT: &str = "components/";
/// The most components of a project.
const COMPONENTS_MAX: usize = 1_000;

/// What `component.toml` says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// Its name for people.
    pub title: String,
    /// What it is for, and what it is not for.
    pub description: String,
    /// Its states; each has an example of the same name.
    pub states: Vec<String>,
    /// What may be put into it.
    pub slots: Vec<String>,
    /// What those who cannot see it or cannot use a mouse get: roles, names, order of focus.
    pub accessibility: String,
}

/// Props in one state, from `examples/<state>.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The state.
    pub state: String,
    /// The props.
    pub props: Value,
}

/// A component: `components/<name>.vN/`.
#[derive(Debug, Clone)]
pub struct Component {
    /// Name and major version.
    pub name: ContractName,
    /// What `component.toml` says.
    pub facts: Facts,
    /// The file of its template by surface: `template.html` is that of the web, `template.email.html` of e-mail.
    pub templates: BTreeMap<String, String>,
    /// Its style sheet.
    pub style: Option<String>,
    /// Its examples, one per state.
    pub examples: Vec<Example>,
    /// States whose example cannot be read.
    unread: BTreeSet<String>,
    /// The custom properties that its style sheet and templates use, without dashes.
    pub tokens: BTreeSet<String>,
}

impl Component {
    /// The directory.
    pub fn dir(&self) -> String {
        format!("{ROOT}{}", self.name)
    }
}

/// The components of a project.
#[derive(Default)]
pub struct Components {
    map: BTreeMap<ContractName, Component>,
    props: ContractSet,
}

impl Components {
    /// Reads `components/`. What is wrong comes beside what can be used.
    pub fn load(files: &Files) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut dirs: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for (path, bytes) in files.iter() {
            let Some((dir, file)) = path.strip_prefix(ROOT).and_then(|p| p.split_once('/')) else { continue };
            match std::str::from_utf8(bytes) {
                Ok(text) => dirs.entry(dir).or_default().push((file, text)),
                Err(_) => {
                    findings.push(Finding::error("component-form", path, "The file is not UTF-8 text."))
                }
            }
        }
        if dirs.len() > COMPONENTS_MAX {
            findings.push(Finding::error(
                "component-form",
                ROOT,
                format!("A project may have {COMPONENTS_MAX} components."),
            ));
            return (Self::default(), findings);
        }
        // Props are contracts of their own: the same loader, the same rules, another folder.
        let mut schemas = Files::new();
        let mut map = BTreeMap::new();
        for (dir, content) in dirs {
            let Ok(name) = dir.parse::<ContractName>() else {
                findings.push(
                    Finding::error(
                        "component-name",
                        format!("{ROOT}{dir}"),
                        format!("`{dir}` is not the name of a component."),
                    )
                    .help("name the directory `<name>.v<major>`, such as `hero.v1`"),
                );
                continue;
            };
            let component = component(name.clone(), &content, &mut schemas, &mut findings);
            map.insert(name, component);
        }
        let (props, wrong) = ContractSet::load(&schemas);
        findings.extend(wrong.into_iter().map(|mut f| {
            if let Some((name, rest)) = f.place.strip_prefix("contracts/").and_then(|p| p.split_once(".json"))
            {
                f.place = format!("{ROOT}{name}/props.json{rest}");
            }
            f
        }));
        let components = Self { map, props };
        components.check_examples(&mut findings);
        (components, findings)
    }

    fn check_examples(&self, findings: &mut Vec<Finding>) {
        for component in self.map.values() {
            let dir = component.dir();
            for state in &component.facts.states {
                let broken = component.unread.contains(state);
                if !broken && !component.examples.iter().any(|e| e.state == *state) {
                    findings.push(
                        Finding::error(
                            "component-example",
                            format!("{dir}/component.toml"),
                            format!("The state `{state}` has no example."),
                        )
                        .help(format!("write {dir}/examples/{state}.json with props that show it")),
                    );
                }
            }
            for example in &component.examples {
                for wrong in self.misfits(&component.name, &example.props) {
                    findings.push(
                        Finding::error(
                            "component-example",
                            format!("{dir}/examples/{}.json {}", example.state, wrong.path),
                            wrong.message,
                        )
                        .help(wrong.help),
                    );
                }
            }
            if component.examples.is_empty() && component.unread.is_empty() {
                findings.push(
                    Finding::warning("component-example", dir.clone(), "The component has no example.")
                        .help(format!("write {dir}/examples/default.json")),
                );
            }
        }
    }

    /// The components, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Component> {
        self.map.values()
    }

    /// The component with this name.
    pub fn get(&self, name: &ContractName) -> Option<&Component> {
        self.map.get(name)
    }

    /// The schema of a component's props.
    pub fn props(&self, name: &ContractName) -> Option<&Contract> {
        self.props.get(name)
    }

    /// The schemas of all props.
    pub fn schemas(&self) -> &ContractSet {
        &self.props
    }

    /// What keeps props from fitting a component.
    pub fn misfits(&self, name: &ContractName, props: &Value) -> Vec<Violation> {
        self.props(name).map(|c| c.validate(props)).unwrap_or_default()
    }
}

fn component(
    name: ContractName,
    content: &[(&str, &str)],
    schemas: &mut Files,
    findings: &mut Vec<Finding>,
) -> Component {
    let mut component = Component {
        name: name.clone(),
        facts: Facts::default(),
        templates: BTreeMap::new(),
        style: None,
        examples: Vec::new(),
        unread: BTreeSet::new(),
        tokens: BTreeSet::new(),
    };
    let dir = component.dir();
    let mut has_props = false;
    for (file, text) in content {
        let place = format!("{dir}/{file}");
        match *file {
            "props.json" => {
                has_props = true;
                if let Err(e) = schemas.insert(&format!("contracts/{name}.json"), text.as_bytes().to_vec()) {
                    findings.push(Finding::error("component-form", place, e.to_string()));
                }
            }
            "component.toml" => match toml::from_str(text) {
                Ok(facts) => component.facts = facts,
                Err(e) => findings.push(toml_error("component-form", &place, text, &e)),
            },
            "style.css" => {
                component.tokens.extend(ashlar_tokens::variables(text).map(|(_, n)| n.to_owned()));
                component.style = Some((*text).to_owned());
            }
            "template.html" => {
                component.tokens.extend(ashlar_tokens::variables(text).map(|(_, n)| n.to_owned()));
                component.templates.insert("web".to_owned(), place);
            }
            _ => {
                if let Some(surface) = file.strip_prefix("template.").and_then(|f| f.split('.').next()) {
                    component.templates.insert(surface.to_owned(), place);
                } else if let Some(state) =
                    file.strip_prefix("examples/").and_then(|f| f.strip_suffix(".json"))
                {
                    match serde_json::from_str(text) {
                        Ok(props) => component.examples.push(Example { state: state.to_owned(), props }),
                        Err(e) => {
                            component.unread.insert(state.to_owned());
                            findings.push(
                                Finding::error(
                                    "component-example",
                                    format!("{place}:{}:{}", e.line(), e.column()),
                                    format!("The file is not valid JSON: {e}."),
                                )
                                .help("fix the JSON at this place"),
                            );
                        }
                    }
                }
            }
        }
    }
    if !has_props {
        findings.push(
            Finding::error("component-form", dir, "The component has no props.json.")
                .help("describe its props as a JSON Schema with `x-ashlar` { \"version\", \"owner\", \"kind\": \"props\" }"),
        );
    }
    // The state everybody looks at first comes first.
    component
        .examples
        .sort_by_key(|e| (e.state != "default", component.facts.states.iter().position(|s| *s == e.state)));
    component
}

/// What is wrong with a TOML file, with its line.
pub(crate) fn toml_error(code: &str, path: &str, text: &str, error: &toml::de::Error) -> Finding {
    let line = error.span().map_or(1, |s| position(text.as_bytes(), s.start).0);
    Finding::error(code, format!("{path}:{line}"), format!("{}.", error.message().trim_end()))
        .help(ashlar_model::nearest_in_message(error.message(), "correct the file at this place"))
}

/// Whether findings hold an error.
pub(crate) fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|f| f.level == Level::Error)
}
