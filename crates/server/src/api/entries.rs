use ashlar_model::{ContractName, Digest, EntryId, EntryKey, Fields, Locale, LocaleConfig, TypeName};
use ashlar_release::{
    DeleteEntry, DraftQuery, DraftView, ImportEntries, Imported, IncomingEntry, Page, PutEntry, ReleaseError,
    SetUnpublished, VersionView,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::state::{Answer, answer};
use crate::endpoints::extract::{Body, Path, Query};
use crate::{
    access::Caller,
    endpoints::{
        rows,
        signature::{Preconditions, Read, Versioned, Written},
    },
    front::ApiError,
};

/// What names an entry in a path.
#[derive(Deserialize, JsonSchema)]
pub struct Named {
    /// The content type, or one version of its contract: `page`, `page.v1`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = r"^[a-z]([a-z0-9-]{0,62}[a-z0-9])?(\.v[1-9][0-9]{0,3})?$"))]
    type_name: String,
    /// The id within the type.
    #[schemars(with = "EntryId")]
    id: String,
}

#[derive(Deserialize, JsonSchema)]
pub struct Where {
    /// The language; the project's default one when absent.
    #[schemars(with = "Option<Locale>")]
    locale: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub struct WhereExactly {
    /// The language; the project's default one when absent.
    #[schemars(with = "Option<Locale>")]
    locale: Option<String>,
    /// The version that the writer has read.
    version: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
pub struct WherePage {
    /// The language; the project's default one when absent.
    #[schemars(with = "Option<Locale>")]
    locale: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The entry a request names, and the contract version when the type names one.
async fn key(
    caller: &Caller,
    path: Named,
    locale: Option<&String>,
) -> Result<(EntryKey, Option<u32>), ApiError> {
    let wrong = |e: ashlar_model::IdError| ApiError::invalid(e.to_string(), "");
    let (type_name, major) = match path.type_name.parse::<ContractName>() {
        Ok(contract) => (contract.name, Some(contract.major)),
        Err(_) => (TypeName::new(&path.type_name).map_err(wrong)?, None),
    };
    let named = locale.map(String::as_str).map(Locale::any_case).transpose().map_err(wrong)?;
    let mut conn = caller.engine.db().read(&caller.ctx.tenant).await.map_err(ReleaseError::from)?;
    let working = conn.rows().working_definitions().await.map_err(ReleaseError::from)?;
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
    Ok((EntryKey { type_name, id: EntryId::new(&path.id).map_err(wrong)?, locale }, major))
}

/// Where a draft is read and written.
fn location(key: &EntryKey) -> String {
    rows::GET_DRAFT.at([key.type_name.as_str(), key.id.as_str()]).with("locale", &key.locale).target
}

/// The ETag of a draft: its version, and what else the answer says of it.
fn etag(view: &DraftView) -> String {
    // What was said of a write is not part of the draft.
    let bare = DraftView { findings: Vec::new(), ..view.clone() };
    let rest = serde_json::to_vec(&bare).unwrap_or_default();
    format!("\"{}.{}\"", view.version, Digest::of(&rest).short())
}

/// The version that a draft has now; 0 when there is none.
async fn version(caller: &Caller, key: &EntryKey) -> Result<u64, ApiError> {
    let mut conn = caller.engine.db().read(&caller.ctx.tenant).await.map_err(ReleaseError::from)?;
    let row = conn.rows().draft(key).await.map_err(ReleaseError::from)?;
    Ok(row.map_or(0, |row| row.version))
}

/// What a writer expects, when it says so: the version of the request, or one that meets its preconditions.
fn expected(conditions: &Preconditions, now: u64, given: Option<u64>) -> Result<Option<u64>, ApiError> {
    conditions.check(now)?;
    Ok(given.or(conditions.any().then_some(now)))
}

/// A draft that changed between the look at it and the write: the precondition does not hold any more.
fn unmet(conditions: &Preconditions, given: Option<u64>) -> impl Fn(ReleaseError) -> ApiError {
    let by_header = conditions.any() && given.is_none();
    move |error| {
        let mut problem = ApiError::from(error);
        if by_header && problem.status == 409 && problem.code == "stale-write" {
            problem.status = 412;
        }
        problem
    }
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DraftInput")]
pub struct PutBody {
    /// All fields of the entry.
    fields: Fields,
    /// The version that the writer has read; 0 when there is none yet. Absent: write over whatever is there.
    version: Option<u64>,
    /// The major version of its contract; that of the draft, or the newest, when absent.
    major: Option<u32>,
    /// Write nothing that the contract refuses.
    #[serde(default)]
    strict: bool,
}

pub async fn put(
    caller: Caller,
    Path(path): Path<Named>,
    Query(at): Query<Where>,
    conditions: Preconditions,
    Body(body): Body<PutBody>,
) -> Result<Written<DraftView>, ApiError> {
    let (key, named) = key(&caller, path, at.locale.as_ref()).await?;
    let now = version(&caller, &key).await?;
    let expected_version = expected(&conditions, now, body.version)?;
    let location = (now == 0).then(|| location(&key));
    let put = PutEntry { key, major: body.major.or(named), fields: body.fields, expected_version };
    let written =
        caller.engine.put(&caller.ctx, put, body.strict).await.map_err(unmet(&conditions, body.version))?;
    Ok(Written(Versioned { etag: etag(&written), created: location, value: written }))
}

pub async fn show(
    caller: Caller,
    Path(path): Path<Named>,
    Query(at): Query<Where>,
    conditions: Preconditions,
) -> Result<Read<DraftView>, ApiError> {
    let (key, _) = key(&caller, path, at.locale.as_ref()).await?;
    let draft = caller.engine.draft(&caller.ctx, &key).await?;
    Ok(Read::new(etag(&draft), draft, &conditions))
}

pub async fn delete(
    caller: Caller,
    Path(path): Path<Named>,
    Query(at): Query<WhereExactly>,
    conditions: Preconditions,
) -> Result<Versioned<DraftView>, ApiError> {
    let (key, _) = key(&caller, path, at.locale.as_ref()).await?;
    let now = if conditions.any() { version(&caller, &key).await? } else { 0 };
    let expected_version = expected(&conditions, now, at.version)?;
    let delete = DeleteEntry { key, expected_version };
    let deleted = caller.engine.run(&caller.ctx, delete).await.map_err(unmet(&conditions, at.version))?;
    Ok(Versioned { etag: etag(&deleted), created: None, value: deleted })
}

pub async fn history(
    caller: Caller,
    Path(path): Path<Named>,
    Query(at): Query<WherePage>,
) -> Answer<Page<VersionView>> {
    let (key, _) = key(&caller, path, at.locale.as_ref()).await?;
    answer(caller.engine.history(&caller.ctx, &key, at.cursor.as_deref()).await?)
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Unpublish")]
pub struct UnpublishBody {
    /// Whether the entry is to be out; `false` brings it back.
    #[serde(default = "yes")]
    unpublished: bool,
}

fn yes() -> bool {
    true
}

pub async fn unpublish(
    caller: Caller,
    Path(path): Path<Named>,
    Query(at): Query<Where>,
    Body(body): Body<UnpublishBody>,
) -> Answer<DraftView> {
    let (key, _) = key(&caller, path, at.locale.as_ref()).await?;
    answer(caller.engine.run(&caller.ctx, SetUnpublished { key, unpublished: body.unpublished }).await?)
}

#[derive(Deserialize, JsonSchema)]
pub struct ListQuery {
    /// Only drafts of this content type.
    #[serde(rename = "type")]
    type_name: Option<TypeName>,
    /// Only drafts that differ from what is live.
    #[serde(default)]
    pending: bool,
    /// Only drafts of this changeset.
    changeset: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// The most items of a page.
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

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DraftImport")]
pub struct ImportBody {
    /// Where the entries come from, for the audit log.
    source: String,
    /// The entries.
    #[schemars(length(max = 5000))]
    entries: Vec<IncomingEntry>,
}

pub async fn import(caller: Caller, Body(body): Body<ImportBody>) -> Answer<Imported> {
    let import = ImportEntries { source: body.source.chars().take(500).collect(), entries: body.entries };
    answer(caller.engine.run(&caller.ctx, import).await?)
}
