use std::collections::BTreeMap;

use ashlar_model::{ContractName, Files, Finding};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::components::{Components, toml_error};

/// The file that maps intents.
const FILE: &str = "intents.toml";

/// Something content is shown on: `web`, `email`, `app`.
pub type Surface = String;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default = "web")]
    surfaces: Vec<Surface>,
    #[serde(default)]
    intent: BTreeMap<String, RawIntent>,
}

fn web() -> Vec<Surface> {
    vec!["web".to_owned()]
}

#[derive(Debug, Deserialize)]
struct RawIntent {
    #[serde(default)]
    variant: Vec<RawVariant>,
    #[serde(flatten)]
    components: BTreeMap<Surface, String>,
}

#[derive(Debug, Deserialize)]
struct RawVariant {
    when: RawWhen,
    #[serde(flatten)]
    components: BTreeMap<Surface, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWhen {
    field: String,
    exists: Option<bool>,
    equals: Option<toml::Value>,
    items_min: Option<usize>,
}

/// When a variant is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Test {
    Exists(bool),
    Equals(Value),
    ItemsMin(usize),
}

/// A component that an intent is shown by, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The field of the payload that decides, with its test; `None` for the one that is left.
    when: Option<(String, Test)>,
    /// Component by surface.
    components: BTreeMap<Surface, ContractName>,
}

/// Which component shows which intent, on each surface.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Intents {
    /// The surfaces, in the order they are named.
    pub surfaces: Vec<Surface>,
    map: BTreeMap<String, Vec<Choice>>,
}

impl Intents {
    /// Reads `intents.toml`; nothing is mapped when there is none.
    pub fn load(files: &Files, components: &Components) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let text = match files.text(FILE) {
            Ok(Some(text)) => text,
            Ok(None) => return (Self::default(), findings),
            Err(e) => return (Self::default(), vec![Finding::error("intent-form", FILE, e.to_string())]),
        };
        let raw: Raw = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(e) => return (Self::default(), vec![toml_error("intent-form", FILE, text, &e)]),
        };
        let line = |intent: &str| {
            let heads = [format!("[intent.{intent}]"), format!("[intent.\"{intent}\"]")];
            let at = heads.iter().find_map(|h| text.find(h.as_str())).unwrap_or(0);
            format!("{FILE}:{}", 1 + text[..at].matches('\n').count())
        };
        let mut map = BTreeMap::new();
        for (intent, raw_intent) in raw.intent {
            let place = line(&intent);
            let mut choices = Vec::new();
            for variant in raw_intent.variant {
                let RawWhen { field, exists, equals, items_min } = variant.when;
                let test = match (exists, equals, items_min) {
                    (Some(exists), None, None) => Test::Exists(exists),
                    (None, Some(value), None) => {
                        Test::Equals(serde_json::to_value(value).unwrap_or(Value::Null))
                    }
                    (None, None, Some(n)) => Test::ItemsMin(n),
                    _ => {
                        findings.push(
                            Finding::error(
                                "intent-form",
                                &place,
                                format!("A variant of `{intent}` has no condition."),
                            )
                            .help("give `when` a `field`, and one of `exists`, `equals`, `items_min`"),
                        );
                        continue;
                    }
                };
                let components =
                    named(&raw.surfaces, &intent, variant.components, &place, components, &mut findings);
                choices.push(Choice { when: Some((field, test)), components });
            }
            let plain =
                named(&raw.surfaces, &intent, raw_intent.components, &place, components, &mut findings);
            for surface in raw.surfaces.iter().filter(|s| !plain.contains_key(*s)) {
                findings.push(
                    Finding::error(
                        "intent-unmapped",
                        &place,
                        format!("The intent `{intent}` has no component on the surface `{surface}`."),
                    )
                    .help(format!("add `{surface} = \"<component>.v1\"` under [intent.{intent}]")),
                );
            }
            choices.push(Choice { when: None, components: plain });
            map.insert(intent, choices);
        }
        (Self { surfaces: raw.surfaces, map }, findings)
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Whether an intent is mapped.
    pub fn has(&self, intent: &str) -> bool {
        self.map.contains_key(intent)
    }

    /// Whether what shows an intent depends on its payload.
    pub fn has_variants(&self, intent: &str) -> bool {
        self.map.get(intent).is_some_and(|choices| choices.len() > 1)
    }

    /// The intents that are mapped.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// The component that shows a payload of an intent on a surface.
    pub fn choose(&self, intent: &str, surface: &str, payload: &Value) -> Option<&ContractName> {
        let fits = |choice: &&Choice| match &choice.when {
            None => true,
            Some((field, test)) => {
                let found = field.split('.').try_fold(payload, |v, step| v.get(step));
                match test {
                    Test::Exists(wanted) => found.is_some_and(|v| !v.is_null()) == *wanted,
                    Test::Equals(wanted) => found == Some(wanted),
                    Test::ItemsMin(n) => found.and_then(Value::as_array).is_some_and(|a| a.len() >= *n),
                }
            }
        };
        self.map
            .get(intent)?
            .iter()
            .filter(|c| c.components.contains_key(surface))
            .find(fits)?
            .components
            .get(surface)
    }

    /// Every component that shows an intent on a surface, in any variant.
    pub fn components<'a>(
        &'a self,
        intent: &str,
        surface: &'a str,
    ) -> impl Iterator<Item = &'a ContractName> {
        self.map.get(intent).into_iter().flatten().filter_map(move |c| c.components.get(surface))
    }
}

fn named(
    surfaces: &[Surface],
    intent: &str,
    raw: BTreeMap<Surface, String>,
    place: &str,
    components: &Components,
    findings: &mut Vec<Finding>,
) -> BTreeMap<Surface, ContractName> {
    let mut out = BTreeMap::new();
    for (surface, name) in raw {
        if !surfaces.contains(&surface) {
            findings.push(
                Finding::error(
                    "intent-surface",
                    place,
                    format!("The intent `{intent}` names the undefined surface `{surface}`."),
                )
                .help(format!("there are {}; name more in `surfaces`", surfaces.join(", "))),
            );
            continue;
        }
        let found = name.parse::<ContractName>().ok().and_then(|n| components.get(&n));
        let Some(component) = found else {
            findings.push(
                Finding::error("intent-component", place, format!("The intent `{intent}` is to be shown by `{name}` on {surface}, and there is no such component."))
                    .help(format!("make components/{name}/, or name another")),
            );
            continue;
        };
        // An app draws by itself: it gets the name and the props.
        if surface != "app" && !component.templates.contains_key(&surface) {
            let file = if surface == "web" {
                "template.html".to_owned()
            } else {
                format!("template.{surface}.html")
            };
            findings.push(
                Finding::error(
                    "intent-component",
                    place,
                    format!("The component `{name}` has no template for the surface `{surface}`."),
                )
                .help(format!("write {}/{file}", component.dir())),
            );
            continue;
        }
        out.insert(surface, component.name.clone());
    }
    out
}
