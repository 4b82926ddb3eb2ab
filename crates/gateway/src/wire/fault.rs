//! What is wrong with a call, in the words of each format.

use std::{borrow::Cow, time::Duration};

use serde_json::json;

use super::Surface;

/// The kind of a fault. Each format has a name and a status for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The request is wrong.
    Invalid,
    /// There is no key, or it is no good.
    Authentication,
    /// The key may not do this.
    Permission,
    /// What is named does not exist.
    NotFound,
    /// The body is too large.
    TooLarge,
    /// Too many requests or tokens, or a budget is spent.
    Limited,
    /// The provider answered an error, or nothing that can be used.
    Upstream,
    /// This server has too much to do, or cannot reach what it needs.
    Overloaded,
    /// The provider took too long.
    Timeout,
    /// The method does not exist at this address.
    Method,
    /// What the model answered is not what its prompt promises.
    Refused,
}

impl FaultKind {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Authentication => 401,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::Method => 405,
            Self::TooLarge => 413,
            Self::Refused => 422,
            Self::Limited => 429,
            Self::Upstream => 502,
            Self::Overloaded => 503,
            Self::Timeout => 504,
        }
    }

    fn openai(self) -> &'static str {
        match self {
            Self::Invalid | Self::NotFound | Self::TooLarge | Self::Method => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Permission => "permission_error",
            Self::Limited => "rate_limit_error",
            Self::Refused => "output_refused",
            Self::Upstream | Self::Overloaded | Self::Timeout => "server_error",
        }
    }

    fn anthropic(self) -> &'static str {
        match self {
            Self::Invalid | Self::Method => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::Limited => "rate_limit_error",
            Self::Upstream | Self::Refused => "api_error",
            Self::Overloaded => "overloaded_error",
            Self::Timeout => "timeout_error",
        }
    }
}

/// What is wrong with a call, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// The policy or check that refused, such as `budget_exceeded`.
    pub code: Cow<'static, str>,
    /// What is wrong and how to fix it.
    pub message: String,
    /// The field of the request that is wrong.
    pub param: Option<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault.
    pub fn new(kind: FaultKind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), param: None, retry_after: None }
    }

    /// A field of the request that is wrong.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(FaultKind::Invalid, "invalid_request", message) }
    }

    /// Names the field of the request that is wrong.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self, surface: Surface) -> Vec<u8> {
        let body = match surface {
            Surface::OpenAi => json!({"error": {
                "message": self.message, "type": self.kind.openai(), "param": self.param, "code": self.code,
            }}),
            Surface::Anthropic => json!({"type": "error", "error": {
                "type": self.kind.anthropic(), "message": self.message, "code": self.code, "param": self.param,
            }}),
        };
        body.to_string().into_bytes()
    }

    /// The event that ends a stream which has begun.
    #[must_use]
    pub fn event(&self, surface: Surface) -> Vec<u8> {
        let mut out = match surface {
            Surface::OpenAi => b"data: ".to_vec(),
            Surface::Anthropic => b"event: error\ndata: ".to_vec(),
        };
        out.extend(self.body(surface));
        out.extend_from_slice(b"\n\n");
        out
    }
}
