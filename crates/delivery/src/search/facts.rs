//! Numbers and dates of an entry as statements that can be quoted: `Price per month, before tax: 149.00 EUR`.
//!
//! A search finds words, and a field such as `"price_minor": 14900` has none. Its contract says what it means: the title or description of
//! the property, and `semantics` and `unit` of `x-ashlar`. Together with the value they make a statement.

use ashlar_contracts::Contract;
use ashlar_model::{Fields, pointer_step};
use serde_json::{Map, Value};

/// The most facts of an entry.
pub const FACTS_MAX: usize = 64;
/// How deep objects and lists are looked into.
const DEPTH_MAX: usize = 4;
/// Items of a list that are looked into.
const ITEMS_MAX: usize = 32;
/// The longest label of a statement, in bytes.
const LABEL_BYTES_MAX: usize = 160;
/// Currencies without minor units, and those with three digits of them (ISO 4217).
const NO_MINOR: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF"];
const THREE_DIGITS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// A field whose value is no text, with what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// JSON pointer to the field.
    pub field: String,
    /// What it says, as a statement.
    pub statement: String,
    /// Everything the contract says of the field. A question that uses these words may mean it.
    pub about: String,
    /// The length of the value in bytes: of its JSON for a number, of the text itself for a date.
    pub bytes: u32,
}

/// The numbers and dates of an entry. Fields that are left out of searches (`"search": "off"`) and personal data are no facts, and neither
/// are fields of which the contract says nothing but their name.
#[must_use]
pub fn facts(contract: &Contract, fields: &Fields) -> Vec<Fact> {
    let mut reader = Reader { root: &contract.schema, facts: Vec::new() };
    reader.members(&contract.schema, fields, &mut String::new(), 0);
    reader.facts
}

struct Reader<'a> {
    root: &'a Value,
    facts: Vec<Fact>,
}

impl<'a> Reader<'a> {
    /// The schema that a reference inside the same file leads to.
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    fn members(&mut self, schema: &'a Value, fields: &Map<String, Value>, path: &mut String, depth: usize) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        for (name, value) in fields {
            let Some(schema) = properties.get(name) else { continue };
            let len = path.len();
            path.push('/');
            path.push_str(&pointer_step(name));
            self.value(schema, (name, value), fields, path, depth);
            path.truncate(len);
        }
    }

    fn value(
        &mut self,
        schema: &'a Value,
        (name, value): (&str, &Value),
        beside: &Map<String, Value>,
        path: &mut String,
        depth: usize,
    ) {
        if depth >= DEPTH_MAX || self.facts.len() >= FACTS_MAX || is_hidden(schema) {
            return;
        }
        let resolved = self.resolved(schema);
        if is_hidden(resolved) {
            return;
        }
        match value {
            Value::Object(map) => self.members(resolved, map, path, depth + 1),
            Value::Array(items) => {
                let Some(below) = resolved.get("items") else { return };
                for (number, item) in items.iter().enumerate().take(ITEMS_MAX) {
                    let len = path.len();
                    path.push('/');
                    path.push_str(&number.to_string());
                    self.value(below, (name, item), beside, path, depth + 1);
                    path.truncate(len);
                }
            }
            Value::Number(_) | Value::String(_) => {
                self.facts.extend(fact(schema, resolved, (name, value), beside, path));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

fn words<'a>(schema: &'a Value, word: &str) -> Option<&'a str> {
    let found = schema.get("x-ashlar").and_then(|words| words.get(word));
    found.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

fn text<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

fn is_hidden(schema: &Value) -> bool {
    let sensitivity = schema.get("x-ashlar").and_then(|words| words.get("sensitivity"));
    let personal = match sensitivity {
        Some(Value::String(one)) => one == "pii",
        Some(Value::Array(several)) => several.iter().any(|one| one == "pii"),
        _ => false,
    };
    personal || words(schema, "search") == Some("off")
}

/// The statement of one field: own words of the property come before those of a schema that it refers to.
fn fact(
    own: &Value,
    resolved: &Value,
    (name, value): (&str, &Value),
    beside: &Map<String, Value>,
    path: &str,
) -> Option<Fact> {
    let either = |key: &str| text(own, key).or_else(|| text(resolved, key));
    let word = |key: &str| words(own, key).or_else(|| words(resolved, key));
    let (title, description, semantics, unit) =
        (either("title"), either("description"), word("semantics"), word("unit"));
    let label = title.or(description).or(semantics)?;
    let (written, bytes) = match value {
        Value::Number(number) => (amount(&number.to_string(), unit, beside), number.to_string().len()),
        Value::String(date) if matches!(either("format"), Some("date" | "date-time")) => {
            (date.clone(), date.len())
        }
        _ => return None,
    };
    let label = &label[..label.floor_char_boundary(LABEL_BYTES_MAX)];
    let label = label.trim_end_matches(['.', ':', ' ']);
    let plain = name.replace(['_', '-'], " ");
    let about: Vec<&str> =
        [Some(plain.as_str()), title, description, semantics, unit].into_iter().flatten().collect();
    Some(Fact {
        field: path.to_owned(),
        statement: format!("{label}: {}", without_repetition(&written, label)),
        about: about.join(" \u{b7} "),
        bytes: u32::try_from(bytes).ok()?,
    })
}

/// A number with its unit. An amount in minor units of a currency is written in the currency that a field beside it names.
fn amount(number: &str, unit: Option<&str>, beside: &Map<String, Value>) -> String {
    let Some(unit) = unit else { return number.to_owned() };
    let currency = beside
        .iter()
        .filter(|(name, _)| name.to_lowercase().contains("currency"))
        .find_map(|(_, value)| value.as_str().filter(|code| is_currency(code)));
    let Some((currency, minor)) = currency.zip(unit.strip_prefix("minor")) else {
        return format!("{number} {unit}");
    };
    let Some(whole) = in_major_units(number, currency) else { return format!("{number} {unit}") };
    // What follows the currency: `minor currency units per month`.
    match minor.find(" per ") {
        Some(at) => format!("{whole} {currency}{}", &minor[at..]),
        None => format!("{whole} {currency}"),
    }
}

fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// `14900` and `EUR` are `149.00`; nothing for what is no whole number.
fn in_major_units(number: &str, currency: &str) -> Option<String> {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let places = if NO_MINOR.contains(&currency) {
        return Some(number.to_owned());
    } else if THREE_DIGITS.contains(&currency) {
        3
    } else {
        2
    };
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    Some(format!("{sign}{whole}.{part}"))
}

/// A value without `per month` at its end when its label says so.
fn without_repetition<'a>(written: &'a str, label: &str) -> &'a str {
    match written.find(" per ") {
        Some(at) if label.to_lowercase().contains(&written[at..].to_lowercase()) => &written[..at],
        _ => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_become_amounts() {
        for (number, currency, expect) in [
            ("14900", "EUR", Some("149.00")),
            ("5", "EUR", Some("0.05")),
            ("-5", "USD", Some("-0.05")),
            ("500", "JPY", Some("500")),
            ("1234", "KWD", Some("1.234")),
            ("1.5", "EUR", None),
        ] {
            assert_eq!(in_major_units(number, currency).as_deref(), expect, "{number} {currency}");
        }
    }
}
