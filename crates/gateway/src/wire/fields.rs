//! The members of a JSON object, each as the bytes it was sent as.

use std::fmt;

use ashlar_model::Locale;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Ask, Fault, MESSAGES_MAX, TOOLS_MAX};

/// The most members of a request.
const FIELDS_MAX: usize = 256;

/// The members of an object in their order. A name occurs once: two readers of the same bytes must not see two values.
#[derive(Debug)]
pub struct Fields<'a>(pub Vec<(String, &'a RawValue)>);

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut out: Vec<(String, &'de RawValue)> = Vec::with_capacity(12);
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            if out.iter().any(|(known, _)| *known == name) {
                return Err(serde::de::Error::custom(format_args!("`{}` occurs twice", cut(&name))));
            }
            if out.len() == FIELDS_MAX {
                return Err(serde::de::Error::custom(format_args!("more than {FIELDS_MAX} fields")));
            }
            out.push((name, value));
        }
        Ok(Fields(out))
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(Members)
    }
}

/// Text of a request, short enough to repeat it.
pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

impl<'a> Fields<'a> {
    /// Reads the members of an object.
    ///
    /// # Errors
    /// When the bytes are no JSON object, or a name occurs twice.
    pub fn read(body: &'a [u8]) -> Result<Self, Fault> {
        serde_json::from_slice(body).map_err(|error| {
            Fault::new(
                super::FaultKind::Invalid,
                "invalid_json",
                format!("the body cannot be read: {}; send a JSON object", cut(&error.to_string())),
            )
        })
    }

    /// Takes a member out; `None` when it is absent or null.
    pub fn take_raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.0.remove(at);
        (value.get() != "null").then_some(value)
    }

    /// Takes a member out and reads it; `None` when it is absent or null.
    ///
    /// # Errors
    /// When it is something else than expected.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Fault> {
        let Some(raw) = self.take_raw(name) else { return Ok(None) };
        read(name, raw).map(Some)
    }

    /// Takes out what a call asks of this server itself.
    ///
    /// # Errors
    /// When it has a wrong field or a wrong locale.
    pub fn ashlar(&mut self) -> Result<Ask, Fault> {
        let ask: Ask = self.take("ashlar")?.unwrap_or_default();
        // It is stored with the text of the call, so it must be short and say nothing else.
        if let Some(wrong) = ask.locale.as_ref().filter(|locale| Locale::new(locale.as_str()).is_err()) {
            let message = format!("`{}` is not a locale; write one such as en or de-AT", cut(wrong));
            return Err(Fault::invalid("ashlar.locale", message));
        }
        Ok(ask)
    }

    /// Takes out the route that a call names.
    ///
    /// # Errors
    /// When it is missing, or no text.
    pub fn model(&mut self) -> Result<String, Fault> {
        self.take("model")?.ok_or_else(|| {
            Fault::invalid(
                "model",
                "`model` is missing: name a route, such as \"extractive\"; GET /llm/v1/models lists them",
            )
        })
    }

    /// Takes out the messages of a call. `prompted`: the call names a prompt, which has messages of its own, so there may be none.
    ///
    /// # Errors
    /// When they are missing, too many, or no list.
    pub fn messages(&mut self, prompted: bool) -> Result<Vec<&'a RawValue>, Fault> {
        let Some(raw) = self.take_raw("messages") else {
            let missing = "`messages` is missing: send at least one message with a role and content, or name a prompt with `ashlar.prompt`";
            return if prompted { Ok(Vec::new()) } else { Err(Fault::invalid("messages", missing)) };
        };
        let messages: Vec<&RawValue> = serde_json::from_str(raw.get())
            .map_err(|_| Fault::invalid("messages", "`messages` is not a list of messages"))?;
        if messages.len() > MESSAGES_MAX || (messages.is_empty() && !prompted) {
            let message = format!("`messages` has {} items; send from 1 to {MESSAGES_MAX}", messages.len());
            return Err(Fault::invalid("messages", message));
        }
        Ok(messages)
    }

    /// Takes out the tools of a call.
    ///
    /// # Errors
    /// When they are too many, or no list.
    pub fn tools(&mut self) -> Result<Vec<Box<RawValue>>, Fault> {
        let tools: Vec<Box<RawValue>> = self.take("tools")?.unwrap_or_default();
        if tools.len() > TOOLS_MAX {
            let message = format!("`tools` has {} items; at most {TOOLS_MAX} are allowed", tools.len());
            return Err(Fault::invalid("tools", message));
        }
        Ok(tools)
    }
}

/// Reads a value of a request.
///
/// # Errors
/// When it is something else than expected; the fault names the field.
pub(crate) fn read<T: DeserializeOwned>(name: &str, raw: &RawValue) -> Result<T, Fault> {
    serde_json::from_str(raw.get()).map_err(|error| {
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        Fault::invalid(name, format!("`{name}` cannot be read: {}", cut(said)))
    })
}
