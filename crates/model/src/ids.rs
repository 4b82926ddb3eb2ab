use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that does not have the form its kind demands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind}: {rule}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

impl IdError {
    fn new(kind: &'static str, text: &str, rule: &'static str) -> Self {
        Self { kind, text: text.chars().take(80).collect(), rule }
    }
}

/// What is written as text of one form.
macro_rules! text_schema {
    ($name:ty, $kind:expr, $rule:expr, $pattern:expr) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "description": concat!("It is ", $kind, ": ", $rule, ".")})
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Reads and checks the name.
            ///
            /// # Errors
            /// When `text` does not have the form this kind of name demands.
            pub fn new(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(IdError::new($kind, text, $rule)) }
            }

            /// Whether `text` has the form.
            pub fn is_valid(text: &str) -> bool {
                let check: fn(&str) -> bool = $check;
                check(text)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(s: &str) -> Result<Self, IdError> {
                Self::new(s)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(d)?).map_err(serde::de::Error::custom)
            }
        }

        text_schema!($name, $kind, $rule, $pattern);
    };
}

fn kebab(text: &str, chars_max: usize) -> bool {
    text.len() <= chars_max
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

text_id!(
    /// The isolation boundary: content, keys, releases and budgets belong to exactly one tenant.
    TenantId,
    "a tenant name",
    "lower-case letters, digits and hyphens, starting with a letter, at most 40 characters",
    r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$",
    |t| kebab(t, 40)
);
text_id!(
    /// The name of a content type without its version: `pricing-plan`.
    TypeName,
    "a type name",
    "lower-case letters, digits and hyphens, starting with a letter, at most 64 characters",
    r"^[a-z]([a-z0-9-]{0,62}[a-z0-9])?$",
    |t| kebab(t, 64)
);
text_id!(
    /// The name of a channel: `preview`, `staging`, `production`.
    ChannelName,
    "a channel name",
    "lower-case letters, digits and hyphens, starting with a letter, at most 40 characters",
    r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$",
    |t| kebab(t, 40)
);
text_id!(
    /// The id of an entry within its type.
    EntryId,
    "an entry id",
    "letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 200 characters",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$",
    |t| {
        (1..=200).contains(&t.len())
            && t.as_bytes()[0].is_ascii_alphanumeric()
            && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    }
);
text_id!(
    /// A language tag (the common subset of BCP 47): `en`, `de-AT`, `zh-Hant`.
    Locale,
    "a locale",
    "a language tag such as `en`, `de-AT` or `zh-Hant`",
    r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
    |t| {
        let mut parts = t.split('-');
        let language = parts.next().unwrap_or_default();
        t.len() <= 35
            && (2..=3).contains(&language.len())
            && language.bytes().all(|b| b.is_ascii_lowercase())
            && parts.all(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
    }
);
text_id!(
    /// A W3C trace id: 32 lower-case hexadecimal digits, not all zero.
    TraceId,
    "a trace id",
    "32 lower-case hexadecimal digits, not all zero",
    r"^[0-9a-f]{32}$",
    |t| {
        t.len() == 32
            && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            && t.bytes().any(|b| b != b'0')
    }
);

impl Locale {
    /// Reads a tag that a person wrote: `EN-us` is `en-us`. Which of the project's locales it is,
    /// [`crate::LocaleConfig::spelled`] says.
    ///
    /// # Errors
    /// When it is no language tag.
    pub fn any_case(text: &str) -> Result<Self, IdError> {
        match text.split_once('-') {
            Some((language, rest)) => Self::new(&format!("{}-{rest}", language.to_ascii_lowercase())),
            None => Self::new(&text.to_ascii_lowercase()),
        }
        .map_err(|e| IdError::new(e.kind, text, e.rule))
    }
}

impl TenantId {
    /// The tenant of a fresh installation: `main`.
    pub fn main() -> Self {
        Self("main".to_owned())
    }
}

/// The name of one major version of a contract: `pricing-plan.v1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractName {
    /// The name without the version.
    pub name: TypeName,
    /// The major version, from 1.
    pub major: u32,
}

const CONTRACT_RULE: &str = "a name and a major version such as `pricing-plan.v1`";

impl FromStr for ContractName {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        let err = || IdError::new("a contract name", s, CONTRACT_RULE);
        let (name, major) = s.rsplit_once(".v").ok_or_else(err)?;
        let major = match major.parse::<u32>() {
            Ok(m) if (1..=9999).contains(&m) && !major.starts_with(['0', '+']) => m,
            _ => return Err(err()),
        };
        Ok(Self { name: TypeName::new(name).map_err(|_| err())?, major })
    }
}

impl fmt::Display for ContractName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.v{}", self.name, self.major)
    }
}

impl Serialize for ContractName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContractName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

text_schema!(
    ContractName,
    "a contract name",
    "a name and a major version such as `pricing-plan.v1`",
    r"^[a-z]([a-z0-9-]{0,62}[a-z0-9])?\.v[1-9][0-9]{0,3}$"
);

macro_rules! numbered_id {
    ($(#[$doc:meta])* $name:ident, $letter:literal, $kind:literal, $rule:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(s: &str) -> Result<Self, IdError> {
                s.strip_prefix($letter)
                    .filter(|n| !n.starts_with(['0', '+']))
                    .and_then(|n| n.parse::<u32>().ok())
                    .map(Self)
                    .ok_or_else(|| IdError::new($kind, s, $rule))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }

        text_schema!($name, $kind, $rule, $pattern);
    };
}

numbered_id!(
    /// A release, numbered per tenant from 1: `r42`.
    ReleaseId,
    "r",
    "a release",
    "`r` and a number, such as `r42`",
    "^r[1-9][0-9]{0,8}$"
);
numbered_id!(
    /// A candidate, numbered per tenant from 1: `c42`.
    CandidateId,
    "c",
    "a candidate",
    "`c` and a number, such as `c42`",
    "^c[1-9][0-9]{0,8}$"
);
numbered_id!(
    /// A run of an eval suite by servers, numbered per tenant from 1: `e42`.
    EvalRunId,
    "e",
    "a run",
    "`e` and a number, such as `e42`",
    "^e[1-9][0-9]{0,8}$"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_forms() {
        for good in ["pricing-plan.v1", "a.v10"] {
            assert_eq!(good.parse::<ContractName>().unwrap().to_string(), good);
        }
        for bad in ["pricing-plan", "pricing-plan.v0", "Pricing.v1", "a.v01", "a.v+1", ".v1", "a.vx"] {
            assert!(bad.parse::<ContractName>().is_err(), "{bad}");
        }
        for good in ["en", "de-AT", "zh-Hant", "pt-BR"] {
            assert!(Locale::new(good).is_ok(), "{good}");
        }
        for bad in ["", "e", "EN", "en_US", "en-", "en-a", "../x"] {
            assert!(Locale::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "-a", "a/b", "a b", "a:b", "ü", &"x".repeat(201)] {
            assert!(EntryId::new(bad).is_err(), "{bad}");
        }
        assert_eq!("r42".parse::<ReleaseId>().unwrap(), ReleaseId(42));
        assert!("r042".parse::<ReleaseId>().is_err());
        assert!("42".parse::<CandidateId>().is_err());
    }
}
