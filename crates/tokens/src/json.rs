use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::index::Index;

/// A JSON value that keeps the order of members. A member that appears twice is an error, because one of the two
/// would be lost without a word.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(Word),
    List(Box<[Json]>),
    Object(Box<[(Word, Json)]>),
}

/// A text; those that stand in every file are not copied.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    Known(&'static str),
    Own(Box<str>),
}

impl Word {
    pub(crate) fn into_string(self) -> String {
        match self {
            Self::Known(text) => text.to_owned(),
            Self::Own(text) => text.into_string(),
        }
    }
}

impl std::ops::Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Known(text) => text,
            Self::Own(text) => text,
        }
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Word {}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self)
    }
}

/// The words of the format that a set repeats for each of its tokens.
fn word(text: &str) -> Word {
    macro_rules! known {
        ($($word:literal)*) => { match text { $($word => Word::Known($word),)* other => Word::Own(other.into()) } };
    }
    known!(
        "$value" "$type" "$description" "$ref" "$extensions" "colorSpace" "components" "alpha" "hex" "value" "unit" "color"
        "dimension" "number" "duration" "delay" "timingFunction" "fontFamily" "fontWeight" "fontSize" "letterSpacing"
        "lineHeight" "cubicBezier" "shadow" "offsetX" "offsetY" "blur" "spread" "inset" "border" "width" "style" "transition"
        "gradient" "position" "typography" "srgb" "oklch" "display-p3" "px" "rem" "ms"
    )
}

struct Name;

impl Visitor<'_> for Name {
    type Value = Word;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Word, E> {
        Ok(word(text))
    }
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Word;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Word, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Json {
    pub(crate) fn get(&self, member: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().find(|(name, _)| **name == *member).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value under a JSON pointer's steps.
    pub(crate) fn at<'a>(&self, steps: impl Iterator<Item = &'a str>) -> Option<&Json> {
        let mut here = self;
        for step in steps {
            here = match here {
                Self::Object(_) => here.get(step)?,
                Self::List(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(here)
    }

    /// About what a copy takes.
    pub(crate) fn bytes(&self) -> usize {
        const EACH: usize = 32;
        EACH + match self {
            Self::Text(text) => text.len(),
            Self::List(items) => items.iter().map(Self::bytes).sum(),
            Self::Object(members) => members.iter().map(|(name, v)| EACH + name.len() + v.bytes()).sum(),
            _ => 0,
        }
    }

    /// Writes it as JSON.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&if number.is_finite() { *number } else { 0.0 }.to_string()),
            Self::Text(text) => quote(out, text),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                Self::write_members(members, out);
                out.push('}');
            }
        }
    }

    /// Writes members without the braces around them.
    pub(crate) fn write_members(members: &[(Word, Json)], out: &mut String) {
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            quote(out, name);
            out.push(':');
            value.write(out);
        }
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote(&mut out, text);
    out
}

/// Writes a JSON string.
pub(crate) fn quote(out: &mut String, text: &str) {
    // Most texts hold nothing that has to be escaped. All bytes are looked at, because that takes many at once.
    if text.bytes().fold(false, |found, b| found | (b < b' ') | (b == b'"') | (b == b'\\')) {
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Any(&mut Open::default()).deserialize(deserializer)
    }
}

/// What was read of the lists and objects that are not at their end: each of them is made once, as large as it is.
#[derive(Default)]
struct Open {
    items: Vec<Json>,
    members: Vec<(Word, Json)>,
}

struct Any<'o>(&'o mut Open);

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = Json;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(word(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let start = self.0.items.len();
        while let Some(item) = items.next_element_seed(Any(self.0))? {
            self.0.items.push(item);
        }
        Ok(Json::List(self.0.items.drain(start..).collect()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        /// Small objects are searched, so that the common case builds no index.
        const SEARCHED: usize = 16;
        let start = self.0.members.len();
        let mut index = Index::default();
        while let Some(name) = members.next_key_seed(Name)? {
            let value = members.next_value_seed(Any(self.0))?;
            let object = &self.0.members[start..];
            let at = |at: u32| &*object[at as usize].0;
            if object.len() == SEARCHED {
                for (position, (known, _)) in object.iter().enumerate() {
                    index.insert(known, position as u32, at);
                }
            }
            let twice = match object.len() {
                0..SEARCHED => object.iter().any(|(known, _)| *known == name),
                len => index.insert(&name, len as u32, at).is_some(),
            };
            if twice {
                return Err(A::Error::custom(format_args!("`{name}` appears twice in one object")));
            }
            self.0.members.push((name, value));
        }
        Ok(Json::Object(self.0.members.drain(start..).collect()))
    }
}
