//! Consumer contracts in YAML.

use std::collections::BTreeMap;

use ashlar_model::{Digest, Finding, Locale, nearest_in_message, read_yaml_as};
use serde::Deserialize;
use serde_json::Value;

use super::{
    expectation::{
        BYTES_MAX, Consumer, EXPECTATIONS_MAX, Expectation, PATHS_MAX, VersionRange, is_provided_here,
    },
    kind::FieldType,
    path::FieldPath,
};

const FORM: &str = "write consumer, provider and expects: a list of endpoint, must_include, types, version";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumerFile {
    consumer: String,
    provider: Option<String>,
    owner: Option<String>,
    version: Option<Value>,
    #[serde(default)]
    expects: Vec<ExpectationFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectationFile {
    endpoint: String,
    #[serde(default)]
    must_include: Vec<String>,
    #[serde(default)]
    types: BTreeMap<String, String>,
    version: Option<Value>,
    #[serde(default)]
    locales: Vec<String>,
    #[serde(default)]
    examples: Vec<Value>,
}

fn error(place: String, message: String, help: &str) -> Box<Finding> {
    Box::new(Finding::error("consumer-form", place, message).help(help))
}

/// A version or an example, which may be written as a number.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads a file.
pub(super) fn read_yaml(path: &str, bytes: &[u8]) -> Result<Consumer, Box<Finding>> {
    if bytes.len() > BYTES_MAX {
        return Err(error(path.to_owned(), "the file has more than 1 MiB".to_owned(), "split it by client"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| error(path.to_owned(), "the file is not UTF-8 text".to_owned(), "save it as UTF-8"))?;
    let file: ConsumerFile = read_yaml_as(path, text).map_err(|finding| match finding.code.as_str() {
        "yaml-form" | "yaml-malformed" => {
            let help = nearest_in_message(&finding.message, FORM);
            Box::new(Finding { code: "consumer-form".to_owned(), ..finding }.help(help))
        }
        _ => Box::new(finding),
    })?;
    if let Some(provider) = &file.provider
        && !is_provided_here(provider)
    {
        let message = format!("`{provider}` is not provided here");
        return Err(error(path.to_owned(), message, "the provider is `content-api`"));
    }
    if file.consumer.trim().is_empty() || file.consumer.len() > 200 {
        return Err(error(path.to_owned(), "the consumer has no name".to_owned(), FORM));
    }
    if file.expects.is_empty() || file.expects.len() > EXPECTATIONS_MAX {
        let message = format!("a consumer expects 1 to {EXPECTATIONS_MAX} endpoints");
        return Err(error(path.to_owned(), message, FORM));
    }
    let each = file.expects.into_iter().enumerate();
    let expects = each.map(|(index, e)| expectation(path, index, e)).collect::<Result<_, _>>()?;
    Ok(Consumer {
        name: file.consumer,
        version: file.version.as_ref().map(text_of),
        owner: file.owner.unwrap_or_default(),
        expects,
        file: path.to_owned(),
        digest: Digest::of(bytes),
    })
}

fn expectation(path: &str, index: usize, e: ExpectationFile) -> Result<Expectation, Box<Finding>> {
    let place = format!("{path} expects[{index}]");
    let fail = |message: String, help: &str| error(place.clone(), message, help);
    if e.must_include.len() + e.types.len() > PATHS_MAX {
        return Err(fail(format!("more than {PATHS_MAX} fields are named"), "name what is relied on"));
    }
    let paths = "write `hero.title`, `sections[].title` for every item, or `sections[intent=hero].title`";
    let parse = |text: &String| FieldPath::parse(text).map_err(|why| fail(why, paths));
    let types = e
        .types
        .iter()
        .map(|(path, kind)| {
            let known = FieldType::parse(kind).ok_or_else(|| {
                let help =
                    "string, url, date, date-time, email, uuid, number, integer, boolean, array or object";
                fail(format!("`{kind}` is not a field type"), help)
            })?;
            Ok((parse(path)?, known))
        })
        .collect::<Result<_, Box<Finding>>>()?;
    // A version of the file is that of the endpoints, unless it is a client's own.
    let version = match &e.version {
        None => None,
        Some(v) => Some(VersionRange::parse(&text_of(v)).ok_or_else(|| {
            fail(format!("`{}` is not a version range", text_of(v)), "write `1.x` or `1.4`")
        })?),
    };
    let locales = e
        .locales
        .iter()
        .map(|l| Locale::new(l).map_err(|why| fail(why.to_string(), "write `en` or `pt-BR`")))
        .collect::<Result<_, _>>()?;
    Ok(Expectation {
        must_include: e.must_include.iter().map(parse).collect::<Result<_, _>>()?,
        types,
        version,
        locales,
        examples: e.examples.iter().take(PATHS_MAX).map(text_of).collect(),
        endpoint: e.endpoint,
        index,
    })
}
