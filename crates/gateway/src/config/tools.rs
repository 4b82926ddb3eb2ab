//! `[tools.NAME]`: tools that the gateway runs.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use ashlar_contracts::ContractSet;
use ashlar_model::{ContractName, Files, did_you_mean};
use serde_json::{Map, Value, json};
use toml::Spanned;

use super::{
    raw::{Named, RawInput, RawTool},
    read::{Reading, shown},
};
use crate::tools::{
    Bound, DESCRIPTION_BYTES_MAX, Does, HEADERS_MAX, Input, Method, RESULT_BYTES, RESULT_BYTES_MAX,
    SCHEMA_BYTES_MAX, TIMEOUT, TIMEOUT_SECONDS_MAX, Tool, path_names, reserved_header,
};

/// The longest path, name of a tool at its server, or value of a header, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// The file that a schema in `gateway.toml` is read as.
const INLINE: &str = "contracts/input.v1.json";
/// Findings of one schema that are repeated.
const SCHEMA_FINDINGS_MAX: usize = 3;

impl Reading<'_> {
    pub(super) fn tools(&mut self, raw: Named<RawTool>) -> BTreeMap<String, Tool> {
        let mut tools = BTreeMap::new();
        for (name, tool) in raw {
            self.name(&name.span(), "a tool", name.get_ref());
            let tool = self.tool(&name.span(), name.get_ref(), tool);
            tools.insert(name.into_inner(), tool);
        }
        tools
    }

    fn tool(&mut self, span: &Range<usize>, name: &str, raw: RawTool) -> Tool {
        let description = raw.description.get_ref().trim();
        if description.is_empty() || description.len() > DESCRIPTION_BYTES_MAX {
            let message = format!("The description of the tool `{}` cannot be used.", shown(name));
            let help = format!(
                "say what the tool does and when to use it, in at most {DESCRIPTION_BYTES_MAX} bytes"
            );
            self.wrong(&raw.description.span(), message, help);
        }
        self.name(&raw.server.span(), "a tool server", raw.server.get_ref());
        let does = self.does(span, name, &raw);
        let input = self.input(&raw.input);
        let bound = self.bind(&raw.bind, &input);
        let timeout = raw.timeout.as_ref().map_or(TIMEOUT, |given| {
            let seconds = given.get_ref().value();
            if !(0.001..=TIMEOUT_SECONDS_MAX).contains(&seconds) {
                let help = format!("write seconds, from 0.001 to {TIMEOUT_SECONDS_MAX}");
                self.wrong(&given.span(), format!("`timeout = {seconds}` is not a time limit."), help);
                return TIMEOUT;
            }
            seconds
        });
        if let Does::Http { path, .. } = &does {
            self.in_path(span, path, &input);
        }
        Tool {
            description: description.to_owned(),
            server: raw.server.get_ref().clone(),
            does,
            input,
            bound,
            headers: self.headers(span, &raw.headers),
            timeout: Duration::from_secs_f64(timeout),
            result_bytes: raw
                .result_bytes
                .as_ref()
                .map_or(RESULT_BYTES, |n| self.whole("result_bytes", n, 1, RESULT_BYTES_MAX as u64) as usize),
            effects: raw.effects,
            line: self.line(span),
        }
    }

    fn does(&mut self, span: &Range<usize>, name: &str, raw: &RawTool) -> Does {
        let kind = raw.kind.as_ref().map_or("http", |kind| kind.get_ref().as_str());
        let mut misplaced = |field: &str, given: Option<&Spanned<String>>, of: &str| {
            if let Some(given) = given {
                let message = format!("`{field}` belongs to tools of the kind \"{of}\".");
                self.wrong(&given.span(), message, format!("remove it, or write kind = \"{of}\""));
            }
        };
        match kind {
            "mcp" => {
                misplaced("method", raw.method.as_ref(), "http");
                misplaced("path", raw.path.as_ref(), "http");
                let tool = raw.tool.as_ref().map_or(name, |tool| tool.get_ref().as_str());
                if tool.is_empty() || tool.len() > TEXT_BYTES_MAX || tool.chars().any(char::is_control) {
                    let message = format!("`{}` cannot be the name of a tool.", shown(tool));
                    self.wrong(span, message, "write the name that the MCP server uses");
                }
                Does::Mcp { tool: tool.to_owned() }
            }
            "http" => {
                misplaced("tool", raw.tool.as_ref(), "mcp");
                let method = raw.method.as_ref().map_or(Some(Method::Post), |given| {
                    Method::ALL.into_iter().find(|method| method.name() == given.get_ref())
                });
                if let (None, Some(given)) = (method, &raw.method) {
                    let message = format!("`method = \"{}\"` is not possible.", shown(given.get_ref()));
                    let help = did_you_mean(
                        &given.get_ref().to_uppercase(),
                        Method::ALL.map(Method::name),
                        "write GET, POST, PUT, PATCH or DELETE",
                    );
                    self.wrong(&given.span(), message, help);
                }
                let path = raw.path.as_ref().map_or("", |path| path.get_ref().as_str());
                let at = raw.path.as_ref().map_or_else(|| span.clone(), Spanned::span);
                let plain =
                    path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'\\' | b'%'));
                let dots = path.split('/').any(|part| !part.is_empty() && part.chars().all(|c| c == '.'));
                if !path.starts_with('/')
                    || path.starts_with("//")
                    || path.len() > TEXT_BYTES_MAX
                    || !plain
                    || dots
                {
                    let message = format!("`path = \"{}\"` is not a path of a tool server.", shown(path));
                    self.wrong(&at, message, "write a path such as \"/orders/{number}\", without a query");
                } else if path_names(path).is_none() {
                    let message = format!("The braces of `path = \"{}\"` do not match.", shown(path));
                    self.wrong(&at, message, "write arguments as {name}");
                }
                Does::Http { method: method.unwrap_or(Method::Post), path: path.to_owned() }
            }
            other => {
                let message = format!("`kind = \"{}\"` is not a kind of tool.", shown(other));
                let at = raw.kind.as_ref().map_or_else(|| span.clone(), Spanned::span);
                let help = did_you_mean(other, ["http", "mcp"], "write \"http\" or \"mcp\"");
                self.wrong(&at, message, help);
                Does::Mcp { tool: name.to_owned() }
            }
        }
    }

    /// A schema of the file, or the name of a contract.
    fn input(&mut self, raw: &Spanned<RawInput>) -> Input {
        let nothing = || Input::Inline(Arc::default());
        let span = raw.span();
        let schema = match raw.get_ref() {
            RawInput::Schema(schema) => schema,
            RawInput::Name(name) => {
                return name.parse::<ContractName>().map_or_else(
                    |_| {
                        let message = format!("`input = \"{}\"` is not the name of a contract.", shown(name));
                        let help = "write a name such as \"order-query.v1\", or a schema as a table";
                        self.wrong(&span, message, help);
                        nothing()
                    },
                    Input::Named,
                );
            }
        };
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            let help = "write input = { type = \"object\", properties = { … } }";
            self.wrong(&span, "The schema of a tool does not describe an object.".to_owned(), help);
            return nothing();
        }
        match inline(schema) {
            Ok(set) => Input::Inline(Arc::new(set)),
            Err(problems) => {
                for problem in problems.into_iter().take(SCHEMA_FINDINGS_MAX) {
                    self.wrong(
                        &span,
                        format!("The schema of a tool cannot be used: {problem}"),
                        "fix the schema",
                    );
                }
                nothing()
            }
        }
    }

    fn bind(&mut self, raw: &Named<Spanned<String>>, input: &Input) -> BTreeMap<String, Bound> {
        let mut out = BTreeMap::new();
        for (name, to) in raw {
            let Some(bound) = Bound::ALL.into_iter().find(|bound| bound.name() == to.get_ref()) else {
                let known = Bound::ALL.map(Bound::name);
                let help = did_you_mean(to.get_ref(), known, format!("write {}", known.join(", ")));
                let message = format!("An argument cannot be bound to `{}`.", shown(to.get_ref()));
                self.wrong(&to.span(), message, help);
                continue;
            };
            self.declared(&name.span(), name.get_ref(), input);
            out.insert(name.get_ref().clone(), bound);
        }
        out
    }

    /// Whether a schema of the file has a property. Contracts are compared by the gate.
    fn declared(&mut self, span: &Range<usize>, name: &str, input: &Input) {
        let Input::Inline(set) = input else { return };
        let Some(contract) = set.iter().next() else { return };
        let known = contract.schema.get("properties").and_then(Value::as_object);
        if !known.is_some_and(|known| known.contains_key(name)) {
            let names = known.into_iter().flat_map(Map::keys).map(String::as_str);
            let help = did_you_mean(name, names, "add it to the properties of `input`");
            self.wrong(span, format!("`{}` is not a property of the schema.", shown(name)), help);
        }
    }

    fn in_path(&mut self, span: &Range<usize>, path: &str, input: &Input) {
        for name in path_names(path).unwrap_or_default() {
            self.declared(span, name, input);
        }
    }

    fn headers(&mut self, span: &Range<usize>, raw: &Named<Spanned<String>>) -> BTreeMap<String, String> {
        self.bounded(span, raw.len(), HEADERS_MAX, "headers");
        let mut out = BTreeMap::new();
        for (name, value) in raw.iter().take(HEADERS_MAX) {
            let (at, name) = (name.span(), name.get_ref());
            let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
                let message = format!("`{}` cannot be the name of a header.", shown(name));
                self.wrong(&at, message, "use letters, digits, `-` and `_`");
            } else if reserved_header(name) {
                let message = format!("A project cannot set the header `{}`.", shown(name));
                self.wrong(&at, message, "remove it; credentials are in models.toml");
            }
            let fits =
                |text: &str| text.len() <= TEXT_BYTES_MAX && text.bytes().all(|b| (0x20..0x7f).contains(&b));
            if !fits(value.get_ref()) {
                let message = format!("The value of the header `{}` cannot be sent.", shown(name));
                self.wrong(
                    &value.span(),
                    message,
                    format!("use at most {TEXT_BYTES_MAX} visible characters"),
                );
            }
            out.insert(name.to_ascii_lowercase(), value.get_ref().clone());
        }
        out
    }
}

/// A schema as the only contract of a set: the reader of contracts bounds its size, its depth and what validating costs.
fn inline(schema: &Map<String, Value>) -> Result<ContractSet, Vec<String>> {
    let mut schema = schema.clone();
    schema.insert("x-ashlar".to_owned(), json!({"version": "1.0.0", "owner": "gateway", "kind": "tool"}));
    let text = Value::Object(schema).to_string();
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(vec![format!("it has {} bytes; at most {SCHEMA_BYTES_MAX} are possible.", text.len())]);
    }
    let mut files = Files::new();
    files.insert(INLINE, text.into_bytes()).map_err(|error| vec![error.to_string()])?;
    let (set, findings) = ContractSet::load(&files);
    let mut problems: Vec<String> = findings.into_iter().map(|finding| finding.message).collect();
    if let Some((place, why)) = set.iter().next().and_then(|contract| contract.compile_error()) {
        problems.push(format!("{why} (at {place})"));
    }
    if problems.is_empty() { Ok(set) } else { Err(problems) }
}
