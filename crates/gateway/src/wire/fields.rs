//! The members of a JSON object, each as the bytes it was sent as.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Fault;

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
