use ashlar_isolate::Workers;
use ashlar_model::{Digest, Files, LocaleConfig, TypeName};
use ashlar_release::{PushDefinitions, Pushed};
use axum::{Json, extract::State};
use base64::Engine as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::state::{Answer, answer};
use crate::endpoints::extract::{Body, Query};
use crate::{access::Caller, front::ApiError};

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DefinitionsInput")]
pub struct PushBody {
    /// Files by path: text, or `{"base64": …}` for other bytes.
    files: Map<String, Value>,
}

/// A push: path → text, or `{"base64": …}` for other bytes.
pub async fn push(
    State(workers): State<Workers>,
    caller: Caller,
    Body(body): Body<PushBody>,
) -> Answer<Pushed> {
    let files = workers.run(&caller.ctx.tenant, move || sent(body)).await??;
    answer(caller.engine.run(&caller.ctx, PushDefinitions { files }).await?)
}

/// The files of a push.
fn sent(body: PushBody) -> Result<Files, ApiError> {
    let mut files = Files::new();
    for (path, content) in body.files {
        let bytes = match (&content, content.get("base64").and_then(Value::as_str)) {
            (Value::String(text), _) => text.as_bytes().to_vec(),
            (_, Some(text)) => base64::engine::general_purpose::STANDARD.decode(text).map_err(|e| {
                ApiError::invalid(format!("`{path}`: {e}"), "send standard base64 (RFC 4648), with padding")
            })?,
            _ => {
                let detail = format!("`{path}` is neither text nor {{\"base64\": …}}");
                return Err(ApiError::invalid(
                    detail,
                    "send its content as a JSON string, other bytes as base64",
                ));
            }
        };
        files
            .insert(&path, bytes)
            .map_err(|e| ApiError::invalid(e.to_string(), "rename the file, or leave it out"))?;
    }
    Ok(files)
}

#[derive(Deserialize, JsonSchema)]
pub struct Wanted {
    /// Whether the answer has the content of the files.
    #[serde(default)]
    files: bool,
}

/// The working definitions.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Definitions")]
pub struct Working {
    /// The root of the definitions; absent before the first push.
    definitions: Option<Digest>,
    /// The language of entries that name none.
    default_locale: String,
    /// The locales, and what each falls back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    locales: Option<LocaleConfig>,
    /// The content types.
    types: Vec<TypeName>,
    /// The files.
    paths: Vec<String>,
    /// The files with their content: text, or `{"base64": …}` for other bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Map<String, Value>>,
}

/// The working definitions.
pub async fn show(
    State(workers): State<Workers>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Answer<Working> {
    let Some((digest, files)) = caller.engine.working_definitions(&caller.ctx).await? else {
        return Ok(Json(Working {
            definitions: None,
            default_locale: "en".to_owned(),
            locales: None,
            types: Vec::new(),
            paths: Vec::new(),
            files: None,
        }));
    };
    let rules = caller.engine.rules(&caller.ctx.tenant, &digest).await?;
    let paths = files.iter().map(|(p, _)| p.to_owned()).collect();
    let files = match wanted.files {
        false => None,
        // There may be many megabytes of them.
        true => Some(workers.run(&caller.ctx.tenant, move || contents(&files)).await?),
    };
    answer(Working {
        definitions: Some(digest),
        default_locale: rules.config.locales.default.to_string(),
        locales: Some(rules.config.locales.clone()),
        types: rules.types.keys().cloned().collect(),
        paths,
        files,
    })
}

/// Files with their content: text, or other bytes in base64.
fn contents(files: &Files) -> Map<String, Value> {
    let content = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => serde_json::json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)}),
    };
    files.iter().map(|(path, bytes)| (path.to_owned(), content(bytes))).collect()
}
