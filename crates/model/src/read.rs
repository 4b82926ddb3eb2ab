//! Reading JSON, YAML and TOML into JSON values. Every reader of YAML goes through here: the work of its parser grows with
//! depth times size, so the depth is bounded before the parser sees the text.

use std::{cell::Cell, fmt};

use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::{
    Finding, JSON_DEPTH_MAX, YAML_BYTES_MAX, YAML_FLOW_DEPTH_MAX,
    bounds::yaml_flow_depth,
    nearest::nearest_in_message,
    position::{position, sentence},
};

/// The most bytes one parsed value may take, roughly: a bound on what YAML aliases expand to.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// The most bytes of a definition file of TOML.
const TOML_BYTES_MAX: usize = 1 << 20;

const INTEGER_MAX: u64 = (1 << 53) - 1;

const DEEP: &str = "nested deeper than 64 levels";
const TWICE: &str = "appears twice in the same object";
const LARGE: &str = "grows too large when it is expanded";
const INTEGER: &str = "is beyond ±(2^53 − 1) and would lose digits";

/// Precedes the messages of this module, to distinguish them from the path that the YAML reader puts before.
const MARK: char = '\u{1}';

fn refuse<E: Error>(message: impl fmt::Display) -> E {
    E::custom(format_args!("{MARK}{message}"))
}

/// What a parser said, without its own way of naming the place.
fn said(full: &str) -> &str {
    let message = full.split_once(MARK).map_or(full, |(_, m)| m);
    message.split_once(" at line ").map_or(message, |(m, _)| m)
}

/// Builds a JSON value from any self-describing format, and refuses what JSON cannot hold without loss: deep
/// nesting, keys that stand twice, integers beyond 2^53 − 1, numbers that are not finite, tags, and expansions
/// without bound.
#[derive(Clone, Copy)]
struct Bounded<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Bounded<'_> {
    fn spend<E: Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes + 16) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(refuse(format_args!("the value {LARGE}"))),
        }
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth >= JSON_DEPTH_MAX {
            true => Err(refuse(DEEP)),
            false => Ok(Self { depth: self.depth + 1, ..self }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, b: bool) -> Result<Value, E> {
        self.spend(0).map(|()| Value::Bool(b))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Value, E> {
        if n > INTEGER_MAX {
            return Err(refuse(format_args!("the integer {n} {INTEGER}")));
        }
        self.spend(0).map(|()| Value::from(n))
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Value, E> {
        if n.unsigned_abs() > INTEGER_MAX {
            return Err(refuse(format_args!("the integer {n} {INTEGER}")));
        }
        self.spend(0).map(|()| Value::from(n))
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<Value, E> {
        self.spend(0)?;
        Number::from_f64(n)
            .map(Value::Number)
            .ok_or_else(|| refuse(format_args!("{n} is not a number that JSON has")))
    }

    fn visit_str<E: Error>(self, s: &str) -> Result<Value, E> {
        self.spend(s.len()).map(|()| Value::String(s.to_owned()))
    }

    fn visit_string<E: Error>(self, s: String) -> Result<Value, E> {
        self.spend(s.len()).map(|()| Value::String(s))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.spend(0).map(|()| Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if key == "<<" {
                return Err(refuse("merge keys (`<<`) are not supported; write the keys out"));
            }
            self.spend(key.len())?;
            if map.contains_key(&key) {
                return Err(refuse(format_args!("the key `{key}` {TWICE}")));
            }
            let value = access.next_value_seed(inner)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(refuse("tags (`!name`) are not supported; write the plain value"))
    }
}

/// Code and help of what a parser said.
fn classify(message: &str, malformed: &str) -> (String, &'static str) {
    if message.contains(DEEP) || message.contains("recursion limit") {
        ("too-deep".to_owned(), "flatten the value, or move parts of it to entries of their own")
    } else if message.contains(TWICE) {
        ("duplicate-key".to_owned(), "remove one of the two")
    } else if message.contains(LARGE) || message.contains("repetition limit") {
        ("too-large".to_owned(), "write the values out instead of repeating them through aliases")
    } else if message.contains(INTEGER) {
        ("integer-range".to_owned(), "store it as a string")
    } else {
        (malformed.to_owned(), "")
    }
}

/// Reads JSON text. `line` is the line (from 1) of `path` on which the text starts.
///
/// # Errors
/// What is wrong, with file, line and column.
pub fn read_json(path: &str, line: usize, text: &str, bytes_max: usize) -> Result<Value, Finding> {
    let left = Cell::new(bytes_max);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Bounded { depth: 0, left: &left }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|e| {
            let full = e.to_string();
            let message = said(&full);
            let (code, help) = classify(message, "json-malformed");
            let help = match (help, message) {
                ("", m) if m.contains("trailing comma") => "remove the comma",
                ("", _) if text.trim().is_empty() => "the file is empty; write an object such as {}",
                ("", _) => "fix the JSON at this place; comments and trailing commas are not allowed",
                (help, _) => help,
            };
            let place = format!("{path}:{}:{}", line - 1 + e.line().max(1), e.column().max(1));
            Finding::error(&code, place, sentence(message)).help(help)
        })
}

/// Reads a YAML file into a type. What does not fit the type is named with its line.
///
/// # Errors
/// What is wrong, with file, line and column.
pub fn read_yaml_as<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, Finding> {
    // First without the type: that reader bounds depth and what aliases expand to.
    read_yaml(path, 1, text)?;
    serde_norway::from_str(text).map_err(|e| {
        let place = e.location().map_or(path.to_owned(), |l| format!("{path}:{}:{}", l.line(), l.column()));
        let full = e.to_string();
        Finding::error("yaml-form", place, full.split(" at line ").next().unwrap_or(&full))
    })
}

/// Reads one YAML document. `line` is the line (from 1) of `path` on which the text starts. Dates and times stay the
/// text they are.
///
/// # Errors
/// What is wrong, with file, line and column.
pub fn read_yaml(path: &str, line: usize, text: &str) -> Result<Value, Finding> {
    if text.len() > YAML_BYTES_MAX {
        let message = format!("The YAML has {} bytes; at most {YAML_BYTES_MAX} are read.", text.len());
        return Err(Finding::error("too-large", format!("{path}:{line}:1"), message).help("split it"));
    }
    if yaml_flow_depth(text, YAML_FLOW_DEPTH_MAX).is_none() {
        let message = format!("Brackets nest deeper than {YAML_FLOW_DEPTH_MAX} levels.");
        return Err(Finding::error("too-deep", format!("{path}:{line}:1"), message)
            .help("close every `[` and `{`, flatten the value, or quote text that has many brackets"));
    }
    let left = Cell::new(VALUE_BYTES_MAX / 16);
    Bounded { depth: 0, left: &left }.deserialize(serde_norway::Deserializer::from_str(text)).map_err(|e| {
        let full = e.to_string();
        let message = said(&full);
        let (code, help) = classify(message, "yaml-malformed");
        let help = match help {
            "" if text.contains('\t') => "YAML is indented with spaces, not with tabs",
            "" => "quote values that contain `: `, `#`, `@` or start with a bracket",
            help => help,
        };
        let place = match e.location() {
            Some(at) => format!("{path}:{}:{}", line - 1 + at.line(), at.column()),
            None => format!("{path}:{line}:1"),
        };
        Finding::error(&code, place, sentence(message)).help(help)
    })
}

/// Reads a definition file of TOML into a type, whose `Spanned` values know their places. The rest of the checks is the caller's. A file that is
/// too large gets the finding `code`.
///
/// # Errors
/// What is wrong, with file, line and column.
pub fn read_toml_as<T: DeserializeOwned>(path: &str, code: &str, bytes: &[u8]) -> Result<T, Finding> {
    if bytes.len() > TOML_BYTES_MAX {
        let message = format!("The file has {} bytes; at most {TOML_BYTES_MAX} are possible.", bytes.len());
        return Err(Finding::error(code, path, message).help("remove what is not used"));
    }
    let place = |at: usize| {
        let (line, column) = position(bytes, at);
        format!("{path}:{line}:{column}")
    };
    let text = std::str::from_utf8(bytes).map_err(|e| {
        Finding::error("encoding", place(e.valid_up_to()), "The file is not UTF-8.")
            .help("save the file as UTF-8")
    })?;
    toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        let help = nearest_in_message(e.message(), "");
        Finding::error("toml-malformed", place(at), sentence(e.message())).help(help)
    })
}

/// Turns TOML into JSON; dates and times become RFC 3339 text.
///
/// # Errors
/// What is wrong, with file, line and column.
pub fn read_toml(path: &str, line: usize, text: &str) -> Result<Value, Finding> {
    let table: toml::Table = toml::from_str(text).map_err(|e| {
        let (l, column) = e.span().map_or((1, 1), |s| position(text.as_bytes(), s.start));
        Finding::error("toml-malformed", format!("{path}:{}:{column}", line - 1 + l), sentence(e.message()))
            .help("fix the TOML at this place; text values need quotes")
    })?;
    fn convert(value: toml::Value, depth: usize) -> Result<Value, String> {
        if depth > JSON_DEPTH_MAX {
            return Err(DEEP.to_owned());
        }
        Ok(match value {
            toml::Value::String(s) => Value::String(s),
            toml::Value::Integer(n) if n.unsigned_abs() > INTEGER_MAX => {
                return Err(format!("the integer {n} {INTEGER}"));
            }
            toml::Value::Integer(n) => Value::from(n),
            toml::Value::Float(n) => Number::from_f64(n)
                .map(Value::Number)
                .ok_or_else(|| format!("{n} is not a number that JSON has"))?,
            toml::Value::Boolean(b) => Value::Bool(b),
            toml::Value::Datetime(d) => Value::String(d.to_string()),
            toml::Value::Array(items) => {
                Value::Array(items.into_iter().map(|i| convert(i, depth + 1)).collect::<Result<Vec<_>, _>>()?)
            }
            toml::Value::Table(table) => Value::Object(
                table
                    .into_iter()
                    .map(|(k, v)| convert(v, depth + 1).map(|v| (k, v)))
                    .collect::<Result<Map<_, _>, _>>()?,
            ),
        })
    }
    convert(toml::Value::Table(table), 0).map_err(|message| {
        let (code, help) = classify(&message, "toml-malformed");
        Finding::error(&code, format!("{path}:{line}:1"), sentence(&message)).help(help)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    #[test]
    fn yaml_that_would_take_long_is_refused_before_its_parser_sees_it() {
        let start = std::time::Instant::now();
        let deep = [
            "[".repeat(400_000),
            "{a: ".repeat(250_000),
            "[#]\n".repeat(200_000),
            "- x: [\n".repeat(100_000),
        ];
        for text in deep {
            assert_eq!(read_yaml("a.yaml", 1, &text).unwrap_err().code, "too-deep");
            assert_eq!(read_yaml_as::<Value>("a.yaml", &text).unwrap_err().code, "too-deep");
        }
        assert_eq!(read_yaml("a.yaml", 1, &" ".repeat(2 << 20)).unwrap_err().code, "too-large");
        let doubling: String = (1..40).map(|n| format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1)).collect();
        let doubling = format!("a0: &a0 [x]\n{doubling}");
        assert_eq!(read_yaml("a.yaml", 1, &doubling).unwrap_err().code, "too-large");
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
        let text = format!("paths:\n{}", "  - sections[].title\n".repeat(10_000));
        assert!(read_yaml("a.yaml", 1, &text).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Whatever the real parser makes of a text that is all brackets, it nests no deeper than was foreseen.
        #[test]
        fn brackets_never_nest_deeper_than_foreseen(inner in "[\\[\\]{}:,#&*!?'\" a\n.-]{0,40}", closing in "[\\]}]{0,5}") {
            let text = format!("[{inner}{closing}]");
            if let Ok(value) = serde_norway::from_str::<Value>(&text) {
                let brackets = text.matches(['[', '{']).count();
                // Fewer brackets than there are may nest, so that they are followed and not only counted.
                for foreseen in (0..brackets).filter_map(|max| yaml_flow_depth(&text, max)) {
                    // A pair in a list (`[a: b]`) is an object without a brace.
                    prop_assert!(depth(&value) <= 2 * foreseen, "{value} {foreseen}");
                }
            }
        }
    }
}
