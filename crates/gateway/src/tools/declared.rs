//! What `gateway.toml` says of a tool.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ashlar_contracts::{Contract, ContractSet};
use ashlar_model::ContractName;
use serde_json::Value;

use crate::output::json_schema;

/// The most tools of a project.
pub const TOOLS_MAX: usize = 200;
/// The longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4_096;
/// The largest schema, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// The most headers of a tool.
pub const HEADERS_MAX: usize = 20;
/// The most bytes of a result when the file does not say.
pub const RESULT_BYTES: usize = 16 << 10;
/// The most bytes of a result.
pub const RESULT_BYTES_MAX: usize = 256 << 10;
/// How long a tool may take when the file does not say, in seconds.
pub const TIMEOUT: f64 = 10.0;
/// How long a tool may take at most, in seconds.
pub const TIMEOUT_SECONDS_MAX: f64 = 60.0;

/// How a tool is asked over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Arguments that are not in the path go into the query.
    Get,
    /// As `Get`.
    Delete,
    /// Arguments that are not in the path go into a JSON body.
    Post,
    /// As `Post`.
    Put,
    /// As `Post`.
    Patch,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Delete, Self::Post, Self::Put, Self::Patch];

    /// Its name in HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Delete => "DELETE",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// What running a tool means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// A request to a path of the server.
    Http {
        /// The method.
        method: Method,
        /// The path, with `{argument}` in the place of arguments.
        path: String,
    },
    /// A tool of an MCP server.
    Mcp {
        /// What the server calls it.
        tool: String,
    },
}

/// What the gateway puts into an argument. The model neither sees nor sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The end user, as the call names it.
    User,
    /// The session of the call.
    Session,
    /// The feature.
    Feature,
    /// The tenant.
    Tenant,
}

impl Bound {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::User, Self::Session, Self::Feature, Self::Tenant];

    /// What the file calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Session => "session",
            Self::Feature => "feature",
            Self::Tenant => "tenant",
        }
    }
}

/// The schema of arguments.
#[derive(Debug, Clone)]
pub enum Input {
    /// In the file: the only contract of this set.
    Inline(Arc<ContractSet>),
    /// A contract of the project.
    Named(ContractName),
}

impl PartialEq for Input {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Named(one), Self::Named(two)) => one == two,
            (Self::Inline(one), Self::Inline(two)) => {
                one.iter().map(|contract| &contract.schema).eq(two.iter().map(|contract| &contract.schema))
            }
            _ => false,
        }
    }
}

/// A tool that the gateway runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// What it does, for the model.
    pub description: String,
    /// What the operator calls its server.
    pub server: String,
    /// What running it means.
    pub does: Does,
    /// The schema of its arguments.
    pub input: Input,
    /// Arguments that the gateway sets.
    pub bound: BTreeMap<String, Bound>,
    /// Headers of requests.
    pub headers: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Duration,
    /// The most bytes of a result; the rest is cut.
    pub result_bytes: usize,
    /// It changes something, so a person has to approve each call.
    pub effects: bool,
    /// Its line in the file.
    pub line: usize,
}

impl Tool {
    /// The contract that arguments follow.
    #[must_use]
    pub fn contract<'a>(&'a self, contracts: &'a ContractSet) -> Option<&'a Contract> {
        match &self.input {
            Input::Inline(set) => set.iter().next(),
            Input::Named(name) => contracts.get(name),
        }
    }

    /// Names of arguments whose values are personal, as the schema in the file says. Contracts of the project say it themselves.
    #[must_use]
    pub fn personal_fields(&self) -> BTreeSet<String> {
        match &self.input {
            Input::Inline(set) => set.personal_fields(),
            Input::Named(_) => BTreeSet::new(),
        }
    }

    /// The schema that the model sees: without arguments that the gateway sets.
    #[must_use]
    pub fn shown(&self, contracts: &ContractSet) -> Option<Value> {
        let contract = self.contract(contracts)?;
        let own = match &self.input {
            Input::Inline(set) => set,
            Input::Named(_) => contracts,
        };
        let mut schema = json_schema(contract, own);
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !self.bound.contains_key(name));
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !name.as_str().is_some_and(|name| self.bound.contains_key(name)));
        }
        Some(schema)
    }
}

/// Whether a project may not set a header: it names somebody, or says how the request is sent.
#[must_use]
pub fn reserved_header(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "accept",
        "authorization",
        "connection",
        "cookie",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-api-key",
    ];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str())
        || ["content-", "mcp-", "proxy-", "sec-", "x-forwarded-", "x-real-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}
