//! The tokens of a project as the scanner knows them.

use ashlar_tokens::{Config, Resolved, Token, Typography, Value, css_name};

use crate::{Kind, Known, Lexicon, Options};

impl Lexicon {
    /// What the scanner knows of resolved tokens: their names and values as `tokens.css` has them, in the default contexts.
    ///
    /// A token that is not defined in the default contexts is known by its name only. Typography comes with the parts that
    /// CSS needs one by one; other composites are compared with nothing, but shadows.
    pub fn of_tokens(resolved: &Resolved, config: &Config) -> Self {
        let mut known = Vec::with_capacity(resolved.tokens.len());
        for token in &resolved.tokens {
            let Some((combination, value)) = token.variants.first() else { continue };
            let Some(value) = resolved.values.get(*value as usize) else { continue };
            let is_default = *combination == 0;
            known.push(entry(config, token, "", if is_default { kind(value) } else { Kind::Other }, value));
            if let Value::Typography(typography) = value {
                for (part, value) in parts(typography) {
                    let kind = if is_default { kind(&value) } else { Kind::Other };
                    known.push(entry(config, token, part, kind, &value));
                }
            }
        }
        Self::new(known, Options { prefixes: prefixes(resolved, config), ..Options::default() })
    }
}

fn entry(config: &Config, token: &Token, part: &str, kind: Kind, value: &Value) -> Known {
    let named = |name: &str| css_name(&config.prefix, name) + part;
    let deprecated = token.deprecated.as_deref();
    Known {
        name: named(&token.name),
        kind,
        value: value.css(),
        deprecated: deprecated.map(|d| d.reason.clone()),
        replaced_by: deprecated.and_then(|d| d.replaced_by.as_deref()).map(named),
        rank: match &*token.name {
            name if lies_in(&config.layers.semantic, name) => 0,
            name if lies_in(&config.layers.component, name) => 1,
            _ => 2,
        },
    }
}

fn lies_in(layer: &str, name: &str) -> bool {
    name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Color(_) => Kind::Color,
        Value::Dimension(_) => Kind::Dimension,
        Value::FontFamily(_) => Kind::FontFamily,
        Value::FontWeight(_) => Kind::FontWeight,
        Value::Duration(_) => Kind::Duration,
        Value::CubicBezier(_) => Kind::CubicBezier,
        Value::Number(_) => Kind::Number,
        Value::Shadow(_) => Kind::Shadow,
        Value::StrokeStyle(_)
        | Value::Border(_)
        | Value::Transition(_)
        | Value::Gradient(_)
        | Value::Typography(_)
        | Value::Text(_)
        | Value::Boolean(_) => Kind::Other,
    }
}

/// The custom properties that stand beside that of a typography token, by the end of their names.
fn parts(typography: &Typography) -> Vec<(&'static str, Value)> {
    let mut parts = vec![
        ("-font-family", Value::FontFamily(typography.family.clone())),
        ("-font-size", Value::Dimension(typography.size)),
        ("-font-weight", Value::FontWeight(typography.weight)),
    ];
    parts.extend(typography.line_height.map(|height| ("-line-height", Value::Number(height))));
    parts.extend(typography.spacing.map(|spacing| ("-letter-spacing", Value::Dimension(spacing))));
    parts
}

/// How the system's names begin: with the prefix of `tokens.toml`, or with the name of a layer that has tokens. Names of
/// layers are common words, but without a prefix nothing else tells a mistyped token from a variable of the app.
fn prefixes(resolved: &Resolved, config: &Config) -> Vec<String> {
    let begins = |name: &str| css_name(&config.prefix, name) + "-";
    let layers = [&config.layers.semantic, &config.layers.component, &config.layers.base].into_iter();
    let used = layers.filter(|l| !l.is_empty() && resolved.tokens.iter().any(|t| lies_in(l, &t.name)));
    let mut prefixes: Vec<String> = used.map(|layer| begins(layer)).collect();
    if !config.prefix.is_empty() {
        let mut own = config.prefix.clone();
        if !own.ends_with('-') {
            own.push('-');
        }
        prefixes.push(own);
    }
    prefixes
}
