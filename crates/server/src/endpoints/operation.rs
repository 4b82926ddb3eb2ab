//! What one operation of the HTTP surface is: its name, address, scope and purpose; and a call of it.

use std::fmt::Display;

use ashlar_model::Right;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in one part of a path.
const PART: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, which answers HEAD as well.
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// Its name, in upper case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may call an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody. A key is not looked at.
    Open,
    /// Everybody. A key with the scope `read` or `preview` chooses the channel and what else is visible.
    Reads,
    /// A key with this right. The router refuses every other caller.
    Needs(Right),
    /// A key with the right `approve:RIGHT` that the body names.
    Approval,
    /// A key with the right `llm`, or `llm:FEATURE` for the feature of the request.
    Calls,
}

impl Scope {
    /// The scope as keys name it; `None` when no key is needed.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Open | Self::Reads => None,
            Self::Needs(right) => Some(right.to_string()),
            Self::Approval => Some("approve:RIGHT".to_owned()),
            Self::Calls => Some("llm".to_owned()),
        }
    }
}

/// One operation of the HTTP surface. Routers, scopes, the OpenAPI document and the command line's remote calls are made
/// of these rows.
#[derive(Debug)]
pub struct Operation {
    /// `operationId`: its name in generated clients.
    pub id: &'static str,
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// What it belongs to, as a tag.
    pub area: &'static str,
    /// Who may call it.
    pub scope: Scope,
    /// What it does, as one sentence.
    pub summary: &'static str,
    /// Statuses of its own problems, with what each means here.
    pub problems: &'static [(u16, &'static str)],
}

/// An operation with everything of its address filled in.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation.
    pub operation: &'static Operation,
    /// Path and query, percent-encoded.
    pub target: String,
    query: bool,
}

impl Operation {
    /// The names of the parameters in its path.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
            .map(|n| n.trim_start_matches('*'))
    }

    /// A call of an operation without parameters in its path.
    pub fn call(&'static self) -> Call {
        self.at::<&str>([])
    }

    /// A call with the parameters of its path, in their order. A parameter too many is dropped, one too few is empty: no
    /// server has such an address.
    pub fn at<T: Display>(&'static self, parameters: impl IntoIterator<Item = T>) -> Call {
        let mut parameters = parameters.into_iter();
        let mut target = String::new();
        for part in self.path.split('/').skip(1) {
            target.push('/');
            match part.strip_prefix('{') {
                None => target.push_str(part),
                Some(_) => {
                    let given = parameters.next().map(|p| p.to_string()).unwrap_or_default();
                    target.extend(utf8_percent_encode(&given, PART));
                }
            }
        }
        debug_assert!(parameters.next().is_none(), "{}: too many parameters", self.id);
        Call { operation: self, target, query: false }
    }
}

impl Call {
    /// Adds a parameter of the query.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.target.push(if std::mem::replace(&mut self.query, true) { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        self.target.extend(utf8_percent_encode(&value.to_string(), NON_ALPHANUMERIC));
        self
    }

    /// Adds a parameter of the query when there is a value.
    #[must_use]
    pub fn with_any(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}
