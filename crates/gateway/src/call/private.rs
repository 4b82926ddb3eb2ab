//! Placeholders in the place of what a feature does not send.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value, value::RawValue};

use super::case::Scene;
use crate::{
    config::{Feature, Kind},
    prompts::{Prompt, as_data},
    redact::{Declared, Names, Rules, Values, Vault, masked},
    wire::{Call, Fault, FaultKind, Message, Part, openai::Embeddings},
};

/// What stands for an answer that cannot be stored without its values.
const NOT_STORED: &str = "[not stored: too many personal values]";

/// What is replaced in one call, and what the placeholders stand for.
pub(super) struct Private<'a> {
    kinds: &'a BTreeSet<Kind>,
    declared: &'a Declared,
    /// Values of variables.
    values: Option<Arc<Values>>,
    /// `None` when there is nothing to restore.
    vault: Option<Arc<Vault>>,
}

/// What is replaced in text that is stored.
#[derive(Debug, Default)]
pub(super) struct Masks {
    kinds: BTreeSet<Kind>,
    declared: Arc<Declared>,
    values: Option<Arc<Values>>,
    /// What was replaced before the call was sent: that is not stored either.
    pub vault: Option<Arc<Vault>>,
}

impl Masks {
    /// A text as it is stored.
    pub fn mask(&self, text: &str) -> String {
        let (names, values) = (Some(self.declared.everywhere().as_ref()), self.values.as_deref());
        let text = masked(text, Rules { kinds: &self.kinds, names, values });
        let Some(vault) = self.vault.as_ref().filter(|_| self.kinds.contains(&Kind::Field)) else {
            return text.into_owned();
        };
        // A model may repeat in prose what it read in JSON.
        match Values::new(vault.of_label("FIELD")) {
            Ok(values) => {
                let kinds = BTreeSet::from([Kind::Field]);
                masked(&text, Rules { kinds: &kinds, names: None, values: values.as_ref() }).into_owned()
            }
            Err(_) => NOT_STORED.to_owned(),
        }
    }
}

/// The values of variables that are personal: declared so by the prompt, or named as a field that is.
fn personal(
    prompt: &Prompt,
    given: &Map<String, Value>,
    declared: &Declared,
) -> Result<Option<Values>, Fault> {
    let names = declared.everywhere();
    let is = |name: &str| prompt.variables.get(name).is_some_and(|v| v.personal) || names.contains(name);
    let mut texts: Vec<String> = Vec::new();
    for value in given.iter().filter(|(name, _)| is(name)).map(|(_, value)| value) {
        match value {
            Value::String(text) => texts.push(text.clone()),
            Value::Number(number) => texts.push(number.to_string()),
            Value::Array(items) => texts.extend(items.iter().filter_map(Value::as_str).map(str::to_owned)),
            _ => {}
        }
    }
    if texts.is_empty() {
        return Ok(None);
    }
    // As they are printed between marks.
    let printed: Vec<String> = texts.iter().map(|text| as_data(text)).collect();
    Values::new(texts.iter().chain(&printed).map(String::as_str)).map_err(|error| {
        let message = format!("personal variables cannot be replaced: {error}; send less in them");
        Fault::new(FaultKind::Invalid, "redaction_too_large", message).at("ashlar.variables")
    })
}

impl<'a> Private<'a> {
    /// What is replaced in a call, and in its text when it is stored. Nothing is replaced yet.
    pub fn of(
        scene: &'a Scene,
        feature: &'a Feature,
        call: &Call,
        prompt: Option<&Prompt>,
    ) -> Result<(Self, Masks), Fault> {
        let redact = &feature.redact;
        let stores = feature.text_days > 0 && redact.logging.contains(&Kind::Field);
        let values = match prompt.filter(|_| stores || redact.sending.contains(&Kind::Field)) {
            Some(prompt) => personal(prompt, &call.ashlar.variables, &scene.declared)?.map(Arc::new),
            None => None,
        };
        let masks = Masks {
            kinds: redact.logging.clone(),
            declared: scene.declared.clone(),
            values: values.clone(),
            vault: None,
        };
        Ok((Self { kinds: &redact.sending, declared: &scene.declared, values, vault: None }, masks))
    }

    /// What the placeholders stand for; `None` when there are none.
    pub fn vault(&self) -> Option<Arc<Vault>> {
        self.vault.clone()
    }

    fn rules(&self, names: &'a Names) -> Rules<'_> {
        Rules { kinds: self.kinds, names: Some(names), values: self.values.as_deref() }
    }

    /// Puts placeholders into messages of a call from one on.
    pub fn hide(&mut self, call: &mut Call, from: usize) {
        if self.kinds.is_empty() {
            return;
        }
        let mut vault = self.vault.take().map(Arc::unwrap_or_clone).unwrap_or_default();
        for message in call.messages.iter_mut().skip(from) {
            self.hide_in(message, &mut vault);
        }
        if !vault.is_empty() {
            call.changed = true;
            self.vault = Some(Arc::new(vault));
        }
    }

    /// Adds messages to a call, with placeholders as the others have.
    pub fn add(&mut self, call: &mut Call, new: impl IntoIterator<Item = Message>) {
        let from = call.messages.len();
        call.messages.extend(new);
        call.changed = true;
        self.hide(call, from);
    }

    fn hide_in(&self, message: &mut Message, vault: &mut Vault) {
        let rules = self.rules(self.declared.everywhere());
        for part in &mut message.parts {
            match part {
                Part::Text(text) => *text = vault.redact(text, rules).into_owned(),
                Part::Other(raw) => {
                    if let Some(changed) = redacted_part(raw, vault, rules) {
                        *part = Part::Other(changed);
                    }
                }
                Part::Image(_) => {}
            }
        }
        for called in &mut message.calls {
            let rules = self.rules(self.declared.of_tool(&called.name));
            called.arguments = vault.redact_json(&called.arguments, rules).into_owned();
        }
    }
}

/// The texts to embed with placeholders; `None` when the feature sends everything.
pub(super) fn redacted_texts(scene: &Scene, feature: &Feature, asked: &Embeddings) -> Option<Embeddings> {
    let kinds = &feature.redact.sending;
    if kinds.is_empty() {
        return None;
    }
    let mut vault = Vault::default();
    let rules = Rules { kinds, names: Some(scene.declared.everywhere()), values: None };
    asked.with_texts(|text| vault.redact(text, rules).into_owned())
}

/// Puts placeholders into the members `text` of a value, at any depth. Other strings are data, such as sounds and files. Says whether
/// something changed.
fn texts(value: &mut Value, vault: &mut Vault, rules: Rules<'_>) -> bool {
    match value {
        Value::Array(all) => all.iter_mut().fold(false, |any, value| texts(value, vault, rules) | any),
        Value::Object(all) => all.iter_mut().fold(false, |any, (name, value)| {
            let changed = match value {
                Value::String(text) if name == "text" => {
                    let redacted = vault.redact(text, rules).into_owned();
                    let changed = redacted != *text;
                    *text = redacted;
                    changed
                }
                value => texts(value, vault, rules),
            };
            changed | any
        }),
        _ => false,
    }
}

/// A part that is passed on as it was sent, with placeholders in its texts; `None` when nothing changes.
fn redacted_part(raw: &RawValue, vault: &mut Vault, rules: Rules<'_>) -> Option<Box<RawValue>> {
    let mut value: Value = serde_json::from_str(raw.get()).ok()?;
    if texts(&mut value, vault, rules) { RawValue::from_string(value.to_string()).ok() } else { None }
}
