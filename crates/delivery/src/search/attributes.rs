//! Who an entry is for, as its fields say.

use ashlar_model::Fields;
use ashlar_retrieval::{
    access::{Attributes, VALUE_BYTES_MAX, VALUES_MAX},
    config::{AttributeFields, FieldPath},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

const DAY_SECONDS: i64 = 86_400;

fn at<'a>(fields: &'a Fields, path: &FieldPath) -> Option<&'a Value> {
    let mut steps = path.steps();
    let first = fields.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| match value {
        Value::Object(map) => map.get(&step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The values of an attribute. One that is too long to be asked for stays, cut, so that it still restricts.
fn values(value: &Value) -> Vec<String> {
    let cut = |mut text: String| {
        text.truncate(text.floor_char_boundary(VALUE_BYTES_MAX));
        text
    };
    match value {
        Value::Array(items) => items.iter().filter_map(text).map(cut).take(VALUES_MAX).collect(),
        one => text(one).map(cut).into_iter().collect(),
    }
}

/// A time in seconds since 1970: an RFC 3339 time, or a day. `end`: the end of the day is meant.
fn seconds(text: &str, end: bool) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    let day: Date = text.parse().ok()?;
    let begin = day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    Some(if end { begin.saturating_add(DAY_SECONDS) } else { begin })
}

/// The attributes of an entry. A time that cannot be read hides the entry: nobody knows when it was meant to be seen.
pub(crate) fn attributes_of(fields: &Fields, rules: &AttributeFields) -> Attributes {
    let named =
        rules.values.iter().filter_map(|(name, path)| Some((name.clone(), values(at(fields, path)?))));
    let of = |path: &Option<FieldPath>| at(fields, path.as_ref()?).and_then(text);
    let from = of(&rules.from).map(|text| seconds(&text, false).unwrap_or(i64::MAX));
    let until = of(&rules.until).map(|text| seconds(&text, true).unwrap_or(i64::MIN));
    Attributes::new(named, of(&rules.versions), from, until)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_become_attributes() {
        let rules = AttributeFields {
            values: [
                ("audience".to_owned(), FieldPath::new("audience")),
                ("region".to_owned(), FieldPath::new("/for/regions")),
            ]
            .into(),
            versions: Some(FieldPath::new("applies_to")),
            from: Some(FieldPath::new("from")),
            until: Some(FieldPath::new("until")),
            ..AttributeFields::default()
        };
        let of = |value: Value| attributes_of(value.as_object().unwrap(), &rules);
        let found = of(json!({
            "audience": "partner", "for": {"regions": ["us", "eu", "us", 7, null]}, "applies_to": ">=2",
            "from": "1970-01-02", "until": "1970-01-02",
        }));
        assert_eq!(found.values_of("audience"), ["partner"]);
        assert_eq!(found.values_of("region"), ["7", "eu", "us"]);
        assert_eq!(found.versions(), Some(">=2"));
        assert_eq!(found.times(), (Some(DAY_SECONDS), Some(2 * DAY_SECONDS)));
        assert_eq!(of(json!({"until": "1970-01-01T00:01:00Z"})).times(), (None, Some(60)));
        assert_eq!(of(json!({"from": "soon", "until": "late"})).times(), (Some(i64::MAX), Some(i64::MIN)));
        assert_eq!(of(json!({"audience": [], "for": []})), Attributes::default());
    }
}
