//! Placeholders in the place of what a feature does not send.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, value::RawValue};

use crate::{
    config::{Feature, Kind},
    redact::Vault,
    wire::{Call, Part, openai::Embeddings},
};

/// Puts placeholders into the texts of a call. `None` when there is nothing to restore.
pub(super) fn redacted(feature: &Feature, call: &mut Call) -> Option<Arc<Vault>> {
    let kinds = &feature.redact.sending;
    if kinds.is_empty() {
        return None;
    }
    let mut vault = Vault::default();
    for message in &mut call.messages {
        for part in &mut message.parts {
            match part {
                Part::Text(text) => *text = vault.redact(text, kinds).into_owned(),
                Part::Other(raw) => {
                    if let Some(changed) = redacted_part(raw, &mut vault, kinds) {
                        *part = Part::Other(changed);
                    }
                }
                Part::Image(_) => {}
            }
        }
        for called in &mut message.calls {
            called.arguments = vault.redact(&called.arguments, kinds).into_owned();
        }
    }
    if vault.is_empty() {
        return None;
    }
    call.changed = true;
    Some(Arc::new(vault))
}

/// The texts to embed with placeholders; `None` when the feature sends everything.
pub(super) fn redacted_texts(feature: &Feature, asked: &Embeddings) -> Option<Embeddings> {
    let kinds = &feature.redact.sending;
    if kinds.is_empty() {
        return None;
    }
    let mut vault = Vault::default();
    asked.with_texts(|text| vault.redact(text, kinds).into_owned())
}

/// Puts placeholders into the members `text` of a value, at any depth. Other strings are data, such as sounds and files. Says whether
/// something changed.
fn texts(value: &mut Value, vault: &mut Vault, kinds: &BTreeSet<Kind>) -> bool {
    match value {
        Value::Array(all) => all.iter_mut().fold(false, |any, value| texts(value, vault, kinds) | any),
        Value::Object(all) => all.iter_mut().fold(false, |any, (name, value)| {
            let changed = match value {
                Value::String(text) if name == "text" => {
                    let redacted = vault.redact(text, kinds).into_owned();
                    let changed = redacted != *text;
                    *text = redacted;
                    changed
                }
                value => texts(value, vault, kinds),
            };
            changed | any
        }),
        _ => false,
    }
}

/// A part that is passed on as it was sent, with placeholders in its texts; `None` when nothing changes.
fn redacted_part(raw: &RawValue, vault: &mut Vault, kinds: &BTreeSet<Kind>) -> Option<Box<RawValue>> {
    let mut value: Value = serde_json::from_str(raw.get()).ok()?;
    if texts(&mut value, vault, kinds) { RawValue::from_string(value.to_string()).ok() } else { None }
}
