use ashlar_model::{ContractName, EntryId, EntryKey, Fields, Locale, LocaleConfig, TypeName};
use ashlar_release::{
    DeleteEntry, DraftQuery, DraftView, ImportEntries, Imported, IncomingEntry, Page, PutEntry,
    SetUnpublished, VersionView,
};
use axum::http::{HeaderMap, header};
use serde::Deserialize;

use super::{Answer, Body, Path, Query, answer};
use crate::{auth::Caller, problem::ApiError};

#[derive(Deserialize)]
pub struct Where {
    locale: Option<String>,
    version: Option<u64>,
    cursor: Option<String>,
}

/// The entry a request names, and the contract version when the type names one.
async fn key(
    caller: &Caller,
    (type_name, id): (String, String),
    at: &Where,
) -> Result<(EntryKey, Option<u32>), ApiError> {
    let wrong = |e: ashlar_model::IdError| ApiError::invalid(e.to_string(), "");
    let (type_name, major) = match type_name.parse::<ContractName>() {
        Ok(contract) => (contract.name, Some(contract.major)),
        Err(_) => (TypeName::new(&type_name).map_err(wrong)?, None),
    };
    let named = at.locale.as_deref().map(Locale::any_case).transpose().map_err(wrong)?;
    let mut conn =
        caller.engine.db().read(&caller.ctx.tenant).await.map_err(ashlar_release::ReleaseError::from)?;
    let working = conn.rows().definitions().await.map_err(ashlar_release::ReleaseError::from)?;
    drop(conn);
    // Drafts are found under the project's own spelling of a locale.
    let locales = match working {
        Some(row) => match caller.engine.rules(&caller.ctx.tenant, &row.digest).await {
            Ok(rules) => rules.config.locales.clone(),
            Err(_) if named.is_some() => LocaleConfig::default(),
            Err(error) => return Err(error.into()),
        },
        None => LocaleConfig::default(),
    };
    let locale = match named {
        Some(locale) => locales.spelled(locale),
        None => locales.default,
    };
    Ok((EntryKey { type_name, id: EntryId::new(&id).map_err(wrong)?, locale }, major))
}

#[derive(Deserialize)]
pub struct PutBody {
    fields: Fields,
    version: Option<u64>,
    major: Option<u32>,
    /// Write nothing that the contract refuses.
    #[serde(default)]
    strict: bool,
}

/// `If-Match: "3"` says the same as `version` in the body.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim_matches('"');
    text.parse()
        .map(Some)
        .map_err(|_| ApiError::invalid("If-Match is not a version", "send the version as `If-Match: \"3\"`"))
}

pub async fn put(
    caller: Caller,
    Path(path): Path<(String, String)>,
    Query(at): Query<Where>,
    headers: HeaderMap,
    Body(body): Body<PutBody>,
) -> Answer<DraftView> {
    let (key, named) = key(&caller, path, &at).await?;
    let expected_version = body.version.or(if_match(&headers)?);
    let put = PutEntry { key, major: body.major.or(named), fields: body.fields, expected_version };
    answer(caller.engine.put(&caller.ctx, put, body.strict).await?)
}

pub async fn show(
    caller: Caller,
    Path(path): Path<(String, String)>,
    Query(at): Query<Where>,
) -> Answer<DraftView> {
    let (key, _) = key(&caller, path, &at).await?;
    answer(caller.engine.draft(&caller.ctx, &key).await?)
}

pub async fn delete(
    caller: Caller,
    Path(path): Path<(String, String)>,
    Query(at): Query<Where>,
    headers: HeaderMap,
) -> Answer<DraftView> {
    let (key, _) = key(&caller, path, &at).await?;
    let expected_version = at.version.or(if_match(&headers)?);
    answer(caller.engine.run(&caller.ctx, DeleteEntry { key, expected_version }).await?)
}

pub async fn history(
    caller: Caller,
    Path(path): Path<(String, String)>,
    Query(at): Query<Where>,
) -> Answer<Page<VersionView>> {
    let (key, _) = key(&caller, path, &at).await?;
    answer(caller.engine.history(&caller.ctx, &key, at.cursor.as_deref()).await?)
}

#[derive(Deserialize)]
pub struct UnpublishBody {
    #[serde(default = "yes")]
    unpublished: bool,
}

fn yes() -> bool {
    true
}

pub async fn unpublish(
    caller: Caller,
    Path(path): Path<(String, String)>,
    Query(at): Query<Where>,
    Body(body): Body<UnpublishBody>,
) -> Answer<DraftView> {
    let (key, _) = key(&caller, path, &at).await?;
    answer(caller.engine.run(&caller.ctx, SetUnpublished { key, unpublished: body.unpublished }).await?)
}

#[derive(Deserialize)]
pub struct ListQuery {
    #[serde(rename = "type")]
    type_name: Option<TypeName>,
    #[serde(default)]
    pending: bool,
    changeset: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

pub async fn list(caller: Caller, Query(q): Query<ListQuery>) -> Answer<Page<DraftView>> {
    let query = DraftQuery {
        type_name: q.type_name,
        pending: q.pending,
        changeset: q.changeset,
        cursor: q.cursor,
        limit: q.limit,
    };
    answer(caller.engine.drafts(&caller.ctx, &query).await?)
}

#[derive(Deserialize)]
pub struct ImportBody {
    source: String,
    entries: Vec<IncomingEntry>,
}

pub async fn import(caller: Caller, Body(body): Body<ImportBody>) -> Answer<Imported> {
    let import = ImportEntries { source: body.source.chars().take(500).collect(), entries: body.entries };
    answer(caller.engine.run(&caller.ctx, import).await?)
}
