//! Templates of other tools: only values of variables, no logic.

use serde_json::{Map, Value};

use super::{TEXT_BYTES_MAX, scalar};

/// A text with its `{{ variable }}` replaced. A variable without a value becomes nothing, as in promptfoo.
///
/// # Errors
/// What of the template is not supported, or that the text would be too long.
pub(super) fn render(template: &str, variables: &Map<String, Value>) -> Result<String, String> {
    if template.contains("{%") {
        return Err("The template has a statement in `{% %}`.".to_owned());
    }
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            break;
        };
        out.push_str(before);
        out.push_str(&value_of(name.trim_matches(['-', ' ', '\n', '\t']), variables)?);
        rest = after;
        if out.len() > TEXT_BYTES_MAX {
            break;
        }
    }
    out.push_str(rest);
    if out.len() > TEXT_BYTES_MAX {
        return Err(format!("The text would have more than {TEXT_BYTES_MAX} bytes."));
    }
    Ok(out)
}

fn value_of(name: &str, variables: &Map<String, Value>) -> Result<String, String> {
    let simple =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    if !name.split('.').all(simple) {
        let shown: String = name.chars().take(60).collect();
        return Err(format!(
            "The template has the expression `{shown}`; only names of variables are supported."
        ));
    }
    let mut parts = name.split('.');
    let mut value = parts.next().and_then(|first| variables.get(first));
    for part in parts {
        value = value.and_then(|value| value.get(part));
    }
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(value) => Ok(scalar(value).unwrap_or_else(|| value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(template: &str) -> Result<String, String> {
        let variables = json!({"name": "Ada", "n": 3, "deep": {"x": [1]}, "long": "x".repeat(1_000)});
        render(template, variables.as_object().unwrap())
    }

    #[test]
    fn values_replace_names_and_nothing_is_run() {
        assert_eq!(of("Hi {{name}}, {{ n }} of {{deep.x}}{{none}}{ x").unwrap(), "Hi Ada, 3 of [1]{ x");
        assert_eq!(of("{{ name").unwrap(), "{{ name");
        for refused in ["{{ name | upper }}", "{% if n %}x{% endif %}", "{{ 'x' * 1000000 }}", "{{}}"] {
            assert!(of(refused).is_err(), "{refused}");
        }
        assert!(of(&"{{long}}".repeat(1_000)).is_err());
    }

    proptest! {
        #[test]
        fn text_without_braces_stays(text in "[^{]{0,80}") {
            prop_assert_eq!(of(&text).unwrap(), text);
        }

        #[test]
        fn nothing_panics(text in "[{}% a.n-]{0,40}") {
            let _ = of(&text);
        }
    }
}
