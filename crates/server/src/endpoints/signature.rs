//! What a handler takes and answers, read from its signature: so the description cannot say anything else.

use std::{future::Future, sync::Arc};

use axum::{
    Json,
    body::{Body as HttpBody, Bytes},
    extract::{FromRequestParts, Request, State},
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Value, json};

use super::extract::{Body, Path, Query};
use crate::front::ApiError;

/// Where schemas with a name stand in the document.
pub(crate) const SCHEMAS: &str = "/components/schemas";

/// The schemas of what is sent and of what is answered: a member may be optional in one and always there in the other.
pub(crate) struct Schemas {
    pub(crate) sent: SchemaGenerator,
    pub(crate) answered: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|s| {
                s.definitions_path = SCHEMAS.into();
                s.meta_schema = None;
            })
        };
        Self {
            sent: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
        }
    }
}

/// One answer that is not a problem.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) says: &'static str,
    /// Names of headers, with what each says.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    /// The media type with the schema of the body; nothing without a body.
    pub(crate) content: Vec<(&'static str, Value)>,
}

/// What an operation takes and answers.
#[derive(Default)]
pub(crate) struct About {
    /// The schema of the parameters in the path: an object, a tuple, or that of the only one.
    pub(crate) path: Option<Value>,
    /// The schema of the query, an object.
    pub(crate) query: Option<Value>,
    /// Request headers with what each says.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    /// Media type and schema of the body.
    pub(crate) body: Option<(&'static str, Value)>,
    pub(crate) replies: Vec<Reply>,
}

impl About {
    /// An answer with a body of one media type.
    pub(crate) fn reply(
        &mut self,
        status: u16,
        says: &'static str,
        media: &'static str,
        schema: Value,
    ) -> &mut Reply {
        self.replies.push(Reply { status, says, headers: Vec::new(), content: vec![(media, schema)] });
        let last = self.replies.len() - 1;
        &mut self.replies[last]
    }

    /// An answer of JSON.
    pub(crate) fn json<T: JsonSchema>(
        &mut self,
        status: u16,
        says: &'static str,
        schemas: &mut Schemas,
    ) -> &mut Reply {
        let schema = schemas.answered.subschema_for::<T>().to_value();
        self.reply(status, says, "application/json", schema)
    }

    /// An answer of bytes.
    pub(crate) fn bytes(&mut self, says: &'static str, media: &'static str) -> &mut Reply {
        self.reply(200, says, media, json!({"type": "string", "format": "binary"}))
    }

    /// An answer of text.
    pub(crate) fn text(&mut self, says: &'static str, media: &'static str) -> &mut Reply {
        self.reply(200, says, media, json!({"type": "string"}))
    }

    /// An answer of a JSON object that is described in words alone.
    pub(crate) fn object(&mut self, says: &'static str) {
        self.reply(200, says, "application/json", json!({"type": "object", "additionalProperties": true}));
    }

    /// An answer without a body.
    pub(crate) fn empty(&mut self, status: u16, says: &'static str) {
        self.replies.push(Reply { status, says, headers: Vec::new(), content: Vec::new() });
    }

    pub(crate) fn query<T: JsonSchema>(&mut self, schemas: &mut Schemas) {
        self.query = Some(T::json_schema(&mut schemas.sent).to_value());
    }
}

/// Something a handler takes.
pub(crate) trait Takes {
    fn about(about: &mut About, schemas: &mut Schemas);
}

macro_rules! takes_nothing {
    ($($of:ty),*) => {$(
        impl Takes for $of {
            fn about(_: &mut About, _: &mut Schemas) {}
        }
    )*};
}

takes_nothing!(HeaderMap, Extensions, Request);

impl<S> Takes for State<S> {
    fn about(_: &mut About, _: &mut Schemas) {}
}

impl<T: JsonSchema> Takes for Path<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        about.path = Some(T::json_schema(&mut schemas.sent).to_value());
    }
}

impl<T: JsonSchema> Takes for axum::extract::Path<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        Path::<T>::about(about, schemas);
    }
}

impl<T: JsonSchema> Takes for Query<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        about.query::<T>(schemas);
    }
}

impl<T: JsonSchema> Takes for Body<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        about.body = Some(("application/json", schemas.sent.subschema_for::<T>().to_value()));
    }
}

impl Takes for HttpBody {
    fn about(about: &mut About, _: &mut Schemas) {
        about.body = Some(("application/octet-stream", json!({"type": "string", "format": "binary"})));
    }
}

impl Takes for Bytes {
    fn about(about: &mut About, schemas: &mut Schemas) {
        HttpBody::about(about, schemas);
    }
}

/// `If-Match` and `If-None-Match` of a request: ETags, or `*`. An ETag begins with the version that it names.
pub(crate) struct Preconditions {
    matches: Option<String>,
    none_matches: Option<String>,
}

/// The ETags of a list.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|tag| !tag.is_empty()).take(50)
}

/// The version that an ETag names.
fn version_of(tag: &str) -> Option<u64> {
    let bare = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
    bare.split('.').next()?.parse().ok()
}

impl Preconditions {
    /// Whether there is one.
    pub(crate) fn any(&self) -> bool {
        self.matches.is_some() || self.none_matches.is_some()
    }

    /// Checks them against the version that something has now; 0 when there is nothing.
    ///
    /// # Errors
    /// When one does not hold, or is no ETag.
    pub(crate) fn check(&self, now: u64) -> Result<(), ApiError> {
        let named = |list: &str| -> Result<bool, ApiError> {
            let mut found = false;
            for tag in tags(list) {
                found |= match (tag, version_of(tag)) {
                    ("*", _) => now > 0,
                    (_, Some(version)) => version == now && now > 0,
                    (_, None) => {
                        let tag: String = tag.chars().take(80).collect();
                        let detail = format!("`{tag}` is not an ETag of a version");
                        return Err(ApiError::invalid(
                            detail,
                            "send the ETag of the last answer, a version such as `\"3\"`, or `*`",
                        ));
                    }
                };
            }
            Ok(found)
        };
        let unmet = |name: &str, list: &str| {
            let list: String = list.chars().take(80).collect();
            let is = match now {
                0 => "it does not exist".to_owned(),
                now => format!("it has version {now}"),
            };
            let detail = format!("`{name}: {list}` does not match: {is}");
            let mut problem = ApiError::new(
                412,
                "precondition-failed",
                detail,
                "read it again, and send the ETag of that answer",
            );
            problem.more = json!({ "version": now });
            problem
        };
        if let Some(list) = self.matches.as_deref()
            && !named(list)?
        {
            return Err(unmet("If-Match", list));
        }
        if let Some(list) = self.none_matches.as_deref()
            && named(list)?
        {
            return Err(unmet("If-None-Match", list));
        }
        Ok(())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Preconditions {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let text = |name: header::HeaderName| -> Result<Option<String>, ApiError> {
            let lines: Vec<_> = parts.headers.get_all(&name).iter().map(HeaderValue::to_str).collect();
            if lines.is_empty() {
                return Ok(None);
            }
            let lines: Result<Vec<_>, _> = lines.into_iter().collect();
            let lines =
                lines.map_err(|_| ApiError::invalid(format!("{name} is not text"), "send `\"3\"` or `*`"))?;
            Ok(Some(lines.join(", ")))
        };
        Ok(Self { matches: text(header::IF_MATCH)?, none_matches: text(header::IF_NONE_MATCH)? })
    }
}

impl Takes for Preconditions {
    fn about(about: &mut About, _: &mut Schemas) {
        about.headers.extend([
            (
                "If-Match",
                "The ETag or version that must be the current one, such as `\"3\"`, or `*` for any.",
            ),
            ("If-None-Match", "An ETag or version that must not be the current one, or `*` for any."),
        ]);
    }
}

/// Something a handler answers.
pub(crate) trait Answers {
    fn about(about: &mut About, schemas: &mut Schemas);
}

impl<T: Answers, E> Answers for Result<T, E> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        T::about(about, schemas);
    }
}

impl<T: JsonSchema> Answers for Json<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        about.json::<T>(200, "Done.", schemas);
    }
}

/// Its row says what it is.
impl Answers for Response {
    fn about(_: &mut About, _: &mut Schemas) {}
}

/// Something new, with where it is from now on.
pub(crate) struct Created<T> {
    pub(crate) location: String,
    pub(crate) value: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.value)).into_response();
        if let Ok(at) = HeaderValue::try_from(self.location) {
            response.headers_mut().insert(header::LOCATION, at);
        }
        response
    }
}

impl<T: JsonSchema> Answers for Created<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        let reply = about.json::<T>(201, "Created.", schemas);
        reply.headers.push(("Location", "Where it is."));
    }
}

/// Something that is there now; new when there is a place.
pub(crate) struct MaybeCreated<T> {
    pub(crate) location: Option<String>,
    pub(crate) value: T,
}

impl<T: Serialize> IntoResponse for MaybeCreated<T> {
    fn into_response(self) -> Response {
        match self.location {
            Some(location) => Created { location, value: self.value }.into_response(),
            None => Json(self.value).into_response(),
        }
    }
}

impl<T: JsonSchema> Answers for MaybeCreated<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        Json::<T>::about(about, schemas);
        Created::<T>::about(about, schemas);
    }
}

/// Something with a version, which its ETag names; new when there is a place.
pub(crate) struct Versioned<T> {
    pub(crate) etag: String,
    pub(crate) created: Option<String>,
    pub(crate) value: T,
}

fn tagged(mut response: Response, etag: &str) -> Response {
    if let Ok(tag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let response = match self.created {
            Some(location) => Created { location, value: self.value }.into_response(),
            None => Json(self.value).into_response(),
        };
        tagged(response, &self.etag)
    }
}

const ETAG: (&str, &str) = ("ETag", "Names this state, for `If-Match` and `If-None-Match`.");

impl<T: JsonSchema> Answers for Versioned<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        about.json::<T>(200, "Done.", schemas).headers.push(ETAG);
    }
}

/// Something that was written, and may be new.
pub(crate) struct Written<T>(pub(crate) Versioned<T>);

impl<T: Serialize> IntoResponse for Written<T> {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl<T: JsonSchema> Answers for Written<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        about.json::<T>(200, "Done.", schemas).headers.push(ETAG);
        let created = about.json::<T>(201, "Created.", schemas);
        created.headers.extend([("Location", "Where it is."), ETAG]);
    }
}

/// Something that was read; without a body when the caller knows it.
pub(crate) struct Read<T> {
    etag: String,
    value: Option<T>,
}

impl<T> Read<T> {
    pub(crate) fn new(etag: String, value: T, conditions: &Preconditions) -> Self {
        let known = conditions
            .none_matches
            .as_deref()
            .is_some_and(|known| tags(known).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag));
        Self { etag, value: (!known).then_some(value) }
    }
}

impl<T: Serialize> IntoResponse for Read<T> {
    fn into_response(self) -> Response {
        let response = match self.value {
            Some(value) => Json(value).into_response(),
            None => StatusCode::NOT_MODIFIED.into_response(),
        };
        tagged(response, &self.etag)
    }
}

impl<T: JsonSchema> Answers for Read<T> {
    fn about(about: &mut About, schemas: &mut Schemas) {
        about.json::<T>(200, "Done.", schemas).headers.push(ETAG);
        about.empty(304, "Not modified.");
    }
}

/// A handler whose signature says what it takes and answers.
pub(crate) trait Described<Arguments> {
    fn about(about: &mut About, schemas: &mut Schemas);
}

macro_rules! described {
    ($($argument:ident),*) => {
        impl<F, Later, Out, $($argument),*> Described<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Later,
            Later: Future<Output = Out>,
            Out: Answers,
            $($argument: Takes),*
        {
            fn about(about: &mut About, schemas: &mut Schemas) {
                let _ = (&about, &schemas);
                $($argument::about(about, schemas);)*
                Out::about(about, schemas);
            }
        }
    };
}

described!();
described!(A);
described!(A, B);
described!(A, B, C);
described!(A, B, C, D);
described!(A, B, C, D, E);
described!(A, B, C, D, E, G);

/// What describes an operation.
pub(crate) type Description = Arc<dyn Fn(&mut About, &mut Schemas) + Send + Sync>;
