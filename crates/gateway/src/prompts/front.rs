//! The front matter of a prompt, field by field.

use std::collections::BTreeMap;

use ashlar_model::{ContractName, Fields, Finding, did_you_mean, sentence};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    CHUNKS_MAX, ITEMS_MAX, LENGTH_DEFAULT, LENGTH_MAX, VARIABLES_MAX,
    prompt::{Grounding, Params, Rule, Variable, VariableType},
};

/// Fields of the front matter.
const FIELDS: [&str; 10] = [
    "owner",
    "changelog",
    "route",
    "params",
    "variables",
    "output",
    "grounding",
    "tools",
    "description",
    "provider_cache",
];
/// Names that variables cannot have.
const RESERVED: [&str; 12] =
    ["sources", "loop", "true", "false", "none", "not", "and", "or", "in", "is", "if", "else"];
/// Chunks that are retrieved when the prompt does not say.
const CHUNKS: usize = 6;
/// The most tools of a prompt.
const TOOLS_MAX: usize = 64;
/// The sensitivity of variables with personal values, as in contracts.
const PERSONAL: &str = "pii";
/// The longest text of a field, in bytes.
const TEXT_BYTES_MAX: usize = 4_000;

#[derive(Default)]
pub(super) struct Front {
    pub owner: String,
    pub changelog: String,
    pub route: Option<String>,
    pub params: Params,
    pub variables: BTreeMap<String, Variable>,
    pub output: Option<ContractName>,
    pub grounding: Option<Grounding>,
    pub tools: Vec<String>,
    pub provider_cache: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawParams {
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_tokens: Option<u32>,
    stop: Option<OneOrMany>,
    seed: Option<i64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    reasoning_effort: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawVariable {
    r#type: Option<String>,
    required: Option<bool>,
    trusted: bool,
    max_length: Option<usize>,
    max_items: Option<usize>,
    values: Vec<String>,
    default: Option<Value>,
    sensitivity: Option<String>,
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrounding {
    #[serde(default)]
    indexes: Vec<String>,
    chunks: Option<usize>,
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    citations: Option<String>,
    query: Option<String>,
}

/// Reads front matter.
pub(super) struct Reading<'a> {
    pub place: &'a dyn Fn(&str) -> String,
    pub findings: Vec<Finding>,
}

impl Reading<'_> {
    pub fn wrong(&mut self, field: &str, message: impl Into<String>, help: impl Into<String>) {
        let place = (self.place)(field);
        self.findings.push(Finding::error("prompt-front-matter", place, message).help(help));
    }

    fn typed<T: DeserializeOwned>(&mut self, field: &str, value: &Value, help: &str) -> Option<T> {
        match T::deserialize(value) {
            Ok(value) => Some(value),
            Err(error) => {
                let text = error.to_string();
                let help = ashlar_model::nearest_in_message(&text, help);
                self.wrong(field, format!("`{field}`: {}", sentence(&text)), help);
                None
            }
        }
    }

    fn text(&mut self, field: &str, value: &Value) -> String {
        let text: String = self.typed(field, value, "write one line of text").unwrap_or_default();
        if text.len() > TEXT_BYTES_MAX {
            self.wrong(
                field,
                format!("`{field}` has {} bytes; at most {TEXT_BYTES_MAX} are possible.", text.len()),
                "shorten it",
            );
        }
        text.trim().to_owned()
    }

    pub fn front(&mut self, fields: &Fields) -> Front {
        let mut front = Front::default();
        for (name, value) in fields {
            match name.as_str() {
                "owner" => front.owner = self.text(name, value),
                "changelog" => front.changelog = self.text(name, value),
                "description" => drop(self.text(name, value)),
                "route" => front.route = Some(self.text(name, value)).filter(|route| !route.is_empty()),
                "params" => front.params = self.params(value),
                "variables" => front.variables = self.variables(value),
                "output" => front.output = self.output(value),
                "grounding" => front.grounding = self.grounding(value),
                "tools" => {
                    front.tools =
                        self.typed(name, value, "write a list of names: [find-berth]").unwrap_or_default();
                    if front.tools.len() > TOOLS_MAX {
                        self.wrong(name, format!("A prompt may name {TOOLS_MAX} tools."), "remove some");
                    }
                }
                "provider_cache" => {
                    front.provider_cache = self.typed(name, value, "write true or false").unwrap_or_default();
                }
                other => {
                    let help = did_you_mean(other, FIELDS, format!("fields are {}", FIELDS.join(", ")));
                    let shown: String = other.chars().take(80).collect();
                    self.wrong(other, format!("Prompts have no field `{shown}`."), help);
                }
            }
        }
        if let Some(query) = front.grounding.as_ref().and_then(|grounding| grounding.query.clone())
            && !front.variables.get(&query).is_some_and(|v| v.kind == VariableType::String)
        {
            let known = front.variables.keys().map(String::as_str);
            let help = did_you_mean(&query, known, "name a variable of the type string");
            self.wrong(
                "grounding",
                format!("`grounding.query` names `{query}`, which is no text variable."),
                help,
            );
        }
        front
    }

    fn params(&mut self, value: &Value) -> Params {
        let help = "write it like `params: { temperature: 0.2, max_tokens: 600 }`";
        let Some(raw) = self.typed::<RawParams>("params", value, help) else { return Params::default() };
        let ranges = [
            ("temperature", raw.temperature, 0.0, 2.0),
            ("top_p", raw.top_p, 0.0, 1.0),
            ("presence_penalty", raw.presence_penalty, -2.0, 2.0),
            ("frequency_penalty", raw.frequency_penalty, -2.0, 2.0),
        ];
        for (name, value, min, max) in ranges {
            if value.is_some_and(|value| !(min..=max).contains(&value)) {
                self.wrong(
                    "params",
                    format!("`params.{name}` is out of range."),
                    format!("write a number from {min} to {max}"),
                );
            }
        }
        if raw.max_tokens.is_some_and(|tokens| !(1..=1_000_000).contains(&tokens)) {
            self.wrong("params", "`params.max_tokens` is out of range.", "write a number from 1 to 1000000");
        }
        let stop = match raw.stop {
            None => Vec::new(),
            Some(OneOrMany::One(text)) => vec![text],
            Some(OneOrMany::Many(texts)) => texts,
        };
        if stop.len() > 4 || stop.iter().any(|text| text.is_empty() || text.len() > 200) {
            self.wrong("params", "`params.stop` is not possible.", "write at most 4 texts of 1 to 200 bytes");
        }
        const EFFORTS: [&str; 4] = ["minimal", "low", "medium", "high"];
        if let Some(effort) = raw.reasoning_effort.as_deref().filter(|effort| !EFFORTS.contains(effort)) {
            let help = did_you_mean(effort, EFFORTS, "write minimal, low, medium or high");
            self.wrong("params", "`params.reasoning_effort` is unknown.", help);
        }
        Params {
            temperature: raw.temperature,
            top_p: raw.top_p,
            max_tokens: raw.max_tokens,
            stop,
            seed: raw.seed,
            presence_penalty: raw.presence_penalty,
            frequency_penalty: raw.frequency_penalty,
            reasoning_effort: raw.reasoning_effort,
        }
    }

    fn variables(&mut self, value: &Value) -> BTreeMap<String, Variable> {
        let Value::Object(map) = value else {
            self.wrong(
                "variables",
                "`variables` is not a list of names.",
                "write it like `variables: { question: string }`",
            );
            return BTreeMap::new();
        };
        if map.len() > VARIABLES_MAX {
            self.wrong(
                "variables",
                format!("There are {} variables; at most {VARIABLES_MAX} are possible.", map.len()),
                "remove some",
            );
            return BTreeMap::new();
        }
        map.iter().filter_map(|(name, value)| Some((name.clone(), self.variable(name, value)?))).collect()
    }

    fn variable(&mut self, name: &str, value: &Value) -> Option<Variable> {
        let shown: String = name.chars().take(80).collect();
        let letters = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !name.chars().all(letters) || name.len() > 64 || RESERVED.contains(&name) {
            let help = "use at most 64 lower-case letters, digits and `_`, and no word of templates such as `sources`";
            self.wrong("variables", format!("`{shown}` cannot be the name of a variable."), help);
            return None;
        }
        let help = "write it like `question: { type: string, max_length: 500 }`";
        let raw = match value {
            Value::String(kind) => RawVariable { r#type: Some(kind.clone()), ..RawVariable::default() },
            value => match RawVariable::deserialize(value) {
                Ok(raw) => raw,
                Err(error) => {
                    let text = error.to_string();
                    let help = ashlar_model::nearest_in_message(&text, help);
                    self.wrong("variables", format!("`variables.{shown}`: {}", sentence(&text)), help);
                    return None;
                }
            },
        };
        let written = raw.r#type.as_deref().unwrap_or("string");
        let Some(kind) = VariableType::ALL.into_iter().find(|kind| kind.as_str() == written) else {
            let kinds = VariableType::ALL.map(VariableType::as_str);
            let help = did_you_mean(written, kinds, format!("types are {}", kinds.join(", ")));
            self.wrong("variables", format!("`variables.{shown}` has an unknown type."), help);
            return None;
        };
        if raw.sensitivity.as_deref().is_some_and(|word| word != PERSONAL) {
            let message = format!("`variables.{shown}.sensitivity` is unknown.");
            self.wrong("variables", message, format!("write {PERSONAL}, or remove it"));
        }
        let variable = Variable {
            kind,
            personal: raw.sensitivity.is_some(),
            required: raw.required.unwrap_or(raw.default.is_none()),
            trusted: raw.trusted,
            max_length: raw.max_length.unwrap_or(LENGTH_DEFAULT),
            max_items: raw.max_items.unwrap_or(50),
            values: raw.values,
            default: raw.default,
            description: raw.description,
        };
        if !(1..=LENGTH_MAX).contains(&variable.max_length) || !(1..=ITEMS_MAX).contains(&variable.max_items)
        {
            let help = format!("`max_length` is 1 to {LENGTH_MAX}, `max_items` 1 to {ITEMS_MAX}");
            self.wrong("variables", format!("A bound of `variables.{shown}` is not possible."), help);
        }
        if !variable.values.is_empty() && kind != VariableType::String && kind != VariableType::List {
            self.wrong("variables", format!("`variables.{shown}.values` is for texts."), "remove it");
        }
        if variable.values.len() > ITEMS_MAX {
            self.wrong("variables", format!("`variables.{shown}.values` is too long."), "remove some");
        }
        if let Some(default) = &variable.default
            && let Err(error) = super::render::value_of(name, &variable, default)
        {
            self.wrong(
                "variables",
                format!("The default of `variables.{shown}`: {}", error.message),
                error.help,
            );
        }
        Some(variable)
    }

    fn output(&mut self, value: &Value) -> Option<ContractName> {
        let text = self.text("output", value);
        match text.parse() {
            Ok(name) => Some(name),
            // Said on purpose: the answer is free text.
            Err(_) if text == "none" => None,
            Err(_) => {
                let help = "write it like support-reply.v1, or none for free text";
                self.wrong("output", "`output` does not name a contract.", help);
                None
            }
        }
    }

    fn grounding(&mut self, value: &Value) -> Option<Grounding> {
        let help = "write it like `grounding: { indexes: [product], chunks: 6, rule: refuse }`";
        let raw: RawGrounding = self.typed("grounding", value, help)?;
        let chunks = raw.chunks.unwrap_or(CHUNKS);
        if !(1..=CHUNKS_MAX).contains(&chunks) {
            self.wrong(
                "grounding",
                "`grounding.chunks` is out of range.",
                format!("write a number from 1 to {CHUNKS_MAX}"),
            );
        }
        let rule = match raw.rule.as_deref() {
            None | Some("refuse") => Rule::Refuse,
            Some("drop") => Rule::Drop,
            Some(other) => {
                let help = did_you_mean(other, ["drop", "refuse"], "write drop or refuse");
                self.wrong("grounding", "`grounding.rule` is unknown.", help);
                Rule::Refuse
            }
        };
        let citations = match raw.citations.as_deref() {
            None | Some("required") => true,
            Some("optional") => false,
            Some(other) => {
                let help = did_you_mean(other, ["required", "optional"], "write required or optional");
                self.wrong("grounding", "`grounding.citations` is unknown.", help);
                true
            }
        };
        Some(Grounding { indexes: raw.indexes, chunks, rule, citations, query: raw.query })
    }
}
