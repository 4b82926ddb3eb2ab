//! Templates of prompts: a small environment, and rendering within bounds.

use std::{io, sync::Arc};

use minijinja::{
    Environment, Error, ErrorKind, UndefinedBehavior,
    value::{Value, ValueKind},
};

use super::marks::Untrusted;

/// The most bytes of the messages that a prompt renders to.
pub const RENDERED_BYTES_MAX: usize = 1 << 20;
/// How many steps a template may take.
const FUEL: u64 = 200_000;
/// How deep partials may lie in each other.
const DEPTH_MAX: usize = 32;

/// The environment of all templates of a project. It has no functions, and only the filters of `tags::FILTERS`.
pub(crate) fn environment() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(DEPTH_MAX);
    env.set_debug(true);
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    env.add_filter("trim", |value: &Value| map(value, |text| text.trim().to_owned()));
    env.add_filter("lower", |value: &Value| map(value, str::to_lowercase));
    env.add_filter("upper", |value: &Value| map(value, str::to_uppercase));
    env.add_filter("title", |value: &Value| map(value, titled));
    env.add_filter("length", length);
    env.add_filter("first", |value: &Value| end(value, true));
    env.add_filter("last", |value: &Value| end(value, false));
    env.add_filter("join", join);
    env.add_filter(
        "default",
        |value: &Value, other: &Value| {
            if is_missing(value) { other.clone() } else { value.clone() }
        },
    );
    env.add_filter("round", round);
    env.add_filter("json", json);
    env.add_test("defined", |value: &Value| !value.is_undefined() && !value.is_none());
    env.add_test("undefined", |value: &Value| value.is_undefined() || value.is_none());
    env.add_test("none", Value::is_none);
    env.add_test("number", Value::is_number);
    env.add_test("string", |value: &Value| {
        value.as_str().is_some() || value.downcast_object_ref::<Untrusted>().is_some()
    });
    env.add_test("sequence", |value: &Value| value.kind() == ValueKind::Seq);
    env
}

/// A template whose lines stay lines: the line break after a tag is left out only when the tag is alone on its line.
pub(crate) fn lines_kept(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 16);
    let mut raw = false;
    for line in source.split_inclusive('\n') {
        let text = line.trim();
        let alone = text.starts_with("{%") && text.find("%}") == Some(text.len().saturating_sub(2));
        let ends = text.ends_with("%}") && !text.ends_with("-%}") && !text.ends_with("+%}");
        let begun = raw;
        raw = match (line.rfind("endraw"), line.rfind("raw %}").or(line.rfind("raw%}"))) {
            (Some(end), Some(begin)) => begin > end + "end".len(),
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (None, None) => raw,
        };
        match line.trim_end().strip_suffix("%}").filter(|_| ends && !alone && !(begun && raw)) {
            Some(before) => out.extend([before, "+%}", &line[line.trim_end().len()..]]),
            None => out.push_str(line),
        }
    }
    out
}

/// Whether a value was not given: optional variables without a value are empty.
fn is_missing(value: &Value) -> bool {
    let empty = value.kind() != ValueKind::Bool && value.kind() != ValueKind::Number && !value.is_true();
    value.is_undefined() || value.is_none() || empty
}

/// The text changed by `change`. Text of others stays text of others.
fn map(value: &Value, change: impl Fn(&str) -> String) -> Value {
    if let Some(untrusted) = value.downcast_object_ref::<Untrusted>() {
        return Untrusted::value(&untrusted.name, change(&untrusted.text));
    }
    value.as_str().map_or_else(|| value.clone(), |text| Value::from(change(text)))
}

fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins {
            out.extend(c.to_uppercase())
        } else {
            out.push(c)
        }
        begins = c.is_whitespace();
    }
    out
}

fn length(value: &Value) -> Result<usize, Error> {
    let text = value.downcast_object_ref::<Untrusted>().map(|u| u.text.as_str()).or(value.as_str());
    text.map(|text| text.chars().count())
        .or_else(|| value.len())
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the value has no length"))
}

fn end(value: &Value, first: bool) -> Result<Value, Error> {
    let mut items = value.try_iter()?;
    Ok(if first { items.next() } else { items.last() }.unwrap_or_default())
}

/// Items one after the other. Each item of others keeps its marks.
fn join(value: &Value, between: Option<&str>) -> Result<String, Error> {
    let mut out = String::new();
    for (at, item) in value.try_iter()?.enumerate() {
        if at > 0 {
            out.push_str(between.unwrap_or_default());
        }
        out.push_str(&item.to_string());
        if out.len() > RENDERED_BYTES_MAX {
            return Err(Error::new(ErrorKind::InvalidOperation, "the list is too long to be joined"));
        }
    }
    Ok(out)
}

fn round(value: &Value, digits: Option<u32>) -> Result<f64, Error> {
    let number = f64::try_from(value.clone())?;
    let factor = 10_f64.powi(i32::try_from(digits.unwrap_or(0).min(12)).unwrap_or(0));
    Ok((number * factor).round() / factor)
}

/// JSON. Text of others is JSON as a whole, between its marks.
fn json(value: &Value) -> Result<Value, Error> {
    let failed = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    if let Some(untrusted) = value.downcast_object_ref::<Untrusted>() {
        let text = serde_json::to_string(&untrusted.text).map_err(failed)?;
        return Ok(Untrusted::value(&untrusted.name, text));
    }
    if value.len().is_some() && value.as_str().is_none() {
        let items: Vec<Value> = value.try_iter()?.collect();
        let name =
            items.iter().find_map(|item| item.downcast_object_ref::<Untrusted>().map(|u| u.name.clone()));
        if let Some(name) = name {
            let texts: Vec<String> = items
                .iter()
                .map(|item| match item.downcast_object_ref::<Untrusted>() {
                    Some(untrusted) => untrusted.text.clone(),
                    None => item.to_string(),
                })
                .collect();
            return Ok(Untrusted::value(&name, serde_json::to_string(&texts).map_err(failed)?));
        }
    }
    Ok(Value::from(serde_json::to_string(value).map_err(failed)?))
}

/// Why a template was not rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The template: a section or a partial.
    pub template: String,
    /// The line in it, from 1; 0 when it is not known.
    pub line: usize,
    /// What went wrong, without a full stop.
    pub message: String,
}

impl Failed {
    pub(crate) fn of(error: &Error) -> Self {
        let mut inner = error;
        while let Some(source) = std::error::Error::source(inner).and_then(|s| s.downcast_ref::<Error>()) {
            inner = source;
        }
        let message = match (inner.kind(), inner.detail()) {
            (ErrorKind::OutOfFuel, _) => "the template takes too many steps".to_owned(),
            (ErrorKind::WriteFailure, _) => {
                format!("the messages would have more than {RENDERED_BYTES_MAX} bytes")
            }
            (ErrorKind::UndefinedError, _) => "a value that it uses is not defined".to_owned(),
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        let template = inner.name().or(error.name()).unwrap_or_default().to_owned();
        Self { template, line: inner.line().or(error.line()).unwrap_or(0), message }
    }
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    left: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::new(io::ErrorKind::StorageFull, "the prompt is too long"))?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Renders a template into at most `left` bytes.
pub(crate) fn render(
    env: &Arc<Environment<'static>>,
    template: &str,
    variables: &Value,
    left: usize,
) -> Result<String, Failed> {
    let mut out = Bounded { bytes: Vec::new(), left };
    let template = env.get_template(template).map_err(|e| Failed::of(&e))?;
    template.render_captured_to(variables, &mut out).map_err(|e| Failed::of(&e))?;
    Ok(String::from_utf8_lossy(&out.bytes).into_owned())
}
