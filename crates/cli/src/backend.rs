//! Where a command works: an engine in this process, or a server.

use std::{path::PathBuf, sync::Arc};

use ashlar_gates::Checker;
use ashlar_model::{Actor, Rules, TenantId};
use ashlar_release::{Action, Ctx, Engine, Location};
use ashlar_retrieval::models::Models;
use ashlar_server::{
    ToolServers,
    endpoints::{Call, Method, rows},
    models::{MODELS_FILE, Offered, Providers, SettingsError},
};
use serde::Serialize;
use serde_json::Value;

use crate::{args::At, error::CliError, output, target};

/// An engine, or a server.
pub enum Backend {
    /// An engine in this process.
    Local(Box<Local>),
    /// A server.
    Remote(Remote),
}

/// An engine with for whom it acts.
pub struct Local {
    pub engine: Engine,
    pub ctx: Ctx,
    /// The models that releases may use.
    pub models: Arc<dyn Models>,
}

/// A server with a key.
pub struct Remote {
    client: reqwest::Client,
    base: String,
    key: String,
}

/// Reads --data, --objects and --cache. Unless `create`, a directory must have an installation already: a mistyped name must
/// not make a new one.
pub fn location(
    data: Option<&str>,
    objects: Option<&str>,
    cache: Option<&PathBuf>,
    create: bool,
) -> Result<Location, CliError> {
    let help =
        "use `--data DIR` or `--server URL --key KEY`, set ASHLAR_DATA, or run `ashlar use --data DIR` once";
    let data = data.ok_or_else(|| CliError::input("no target given", help))?;
    if data.starts_with("postgres://") || data.starts_with("postgresql://") {
        let objects = objects.ok_or_else(|| {
            CliError::input(
                "with PostgreSQL, --objects says where objects are kept",
                "give --objects s3://bucket/prefix or a directory",
            )
        })?;
        if !objects.contains("://") && cache.is_none() {
            return Ok(Location { sql: data.to_owned(), objects_dir: objects.into(), remote: None });
        }
        let name = ashlar_model::Digest::of(objects.as_bytes()).short();
        let cache = match cache {
            Some(cache) => cache.clone(),
            None => {
                let cache = std::env::temp_dir().join(format!("ashlar-cache-{name}"));
                ashlar_store::own_dir(&cache).map_err(|e| CliError::file("use the directory", &cache, &e))?;
                cache
            }
        };
        return Ok(Location { sql: data.to_owned(), objects_dir: cache, remote: Some(objects.to_owned()) });
    }
    if data.contains("://") {
        return Err(CliError::input(format!("`{data}` is neither a directory nor postgres://…"), help));
    }
    let dir = PathBuf::from(data);
    if !create && !dir.join("state.db").is_file() {
        let message = format!("there is no installation in `{data}`");
        let help = format!("check the name, or create one from a project with `ashlar push --data {data}`");
        return Err(CliError::new(2, "no-installation", message, help));
    }
    ashlar_store::private_dir(&dir).map_err(|e| CliError::file("create the directory", &dir, &e))?;
    let dir = std::path::absolute(&dir).map_err(|e| CliError::file("find", &dir, &e))?;
    let mut location = Location::embedded(&dir);
    if let Some(objects) = objects {
        location.objects_dir = cache.cloned().unwrap_or_else(|| dir.join("cache"));
        location.remote = Some(objects.to_owned());
    }
    Ok(location)
}

/// The variable that names the file with the models of this machine.
const MODELS: &str = "ASHLAR_MODELS";

/// The file with the models of this machine: what `ASHLAR_MODELS` names, else `models.toml` in an embedded data directory.
pub fn models_file(data: Option<&str>) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(MODELS).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let beside = PathBuf::from(data.filter(|data| !data.contains("://"))?).join(MODELS_FILE);
    beside.is_file().then_some(beside)
}

/// The models that releases may use here.
pub fn models(data: Option<&str>) -> Result<Arc<dyn Models>, CliError> {
    Offered::read(models_file(data).as_deref()).map_err(|error| models_error(&error))
}

/// The providers that calls of models may go to, and the servers of tools.
pub fn providers(data: Option<&str>) -> Result<(Providers, ToolServers), CliError> {
    let file = models_file(data);
    let providers =
        ashlar_server::models::providers(file.as_deref()).map_err(|error| models_error(&error))?;
    let servers =
        ashlar_server::models::tool_servers(file.as_deref()).map_err(|error| models_error(&error))?;
    Ok((providers, servers))
}

/// What is wrong with the file.
pub fn models_error(error: &SettingsError) -> CliError {
    let help = "docs/search.md describes models.toml";
    CliError::new(2, "models", error.to_string(), help)
}

/// Says on standard error which target is used.
pub fn noted(found: &target::Remembered) {
    output::note(format!("Target: {} (from {})", output::public(found.target.name()), found.file.display()));
}

/// The arguments with the target that this directory remembers, when neither an option nor a variable names one.
pub fn remembered(at: &At) -> Result<At, CliError> {
    let mut at = at.clone();
    if at.data.is_none()
        && at.server.is_none()
        && at.objects.is_none()
        && let Some(found) = target::find()?
    {
        noted(&found);
        (at.data, at.objects, at.server) = (found.target.data, found.target.objects, found.target.server);
    }
    Ok(at)
}

/// Who acts when nobody is named.
pub fn default_actor() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .ok()
        .filter(|u| !u.is_empty())
        .unwrap_or_else(|| "local".to_owned())
}

impl Backend {
    /// Opens what the arguments name; it exists.
    pub async fn open(at: &At) -> Result<Self, CliError> {
        Self::find(at, false).await
    }

    /// Opens what the arguments name, or makes it.
    pub async fn open_or_create(at: &At) -> Result<Self, CliError> {
        Self::find(at, true).await
    }

    /// Closes an engine; a server stays as it is.
    pub async fn close(self) {
        if let Self::Local(local) = self {
            local.engine.close().await;
        }
    }

    async fn find(at: &At, create: bool) -> Result<Self, CliError> {
        // An option beats a variable: `--server` wins over ASHLAR_DATA, `--data` over ASHLAR_SERVER.
        let given = |name: &str| std::env::args().any(|a| a == name || a.starts_with(&format!("{name}=")));
        if given("--data") && given("--server") {
            return Err(CliError::input("--data and --server exclude each other", "give one of them"));
        }
        let at = &remembered(at)?;
        if let Some(server) = at.server.as_ref().filter(|_| !given("--data")) {
            let key = at
                .key
                .clone()
                .ok_or_else(|| CliError::input("--server needs --key", "give --key KEY or set ASHLAR_KEY"))?;
            let client = reqwest::Client::builder()
                .timeout(std::time::Duration::from_secs(300))
                .build()
                .map_err(|e| CliError::new(3, "network", e.to_string(), ""))?;
            return Ok(Self::Remote(Remote { client, base: server.trim_end_matches('/').to_owned(), key }));
        }
        Ok(Self::Local(Box::new(Local::open(at, create).await?)))
    }
}

impl Local {
    async fn open(at: &At, create: bool) -> Result<Self, CliError> {
        let location = location(at.data.as_deref(), at.objects.as_deref(), at.cache.as_ref(), create)?;
        let models = models(at.data.as_deref())?;
        let checker = Checker::new().with_models(models.clone());
        let engine = Engine::open(&location, Arc::new(checker)).await?;
        let tenant = TenantId::new(&at.tenant)?;
        if !engine
            .db()
            .tenants()
            .await
            .map_err(ashlar_release::ReleaseError::from)?
            .iter()
            .any(|t| t.tenant == tenant)
        {
            let message = format!("there is no tenant `{tenant}`");
            return Err(CliError::input(message, format!("create it with `ashlar tenant create {tenant}`")));
        }
        let actor = at.actor.clone().unwrap_or_else(default_actor);
        let ctx = Ctx::new(tenant, Actor::local(actor))?;
        Ok(Self { engine, ctx, models })
    }

    /// The rules of the working definitions; `None` before the first push.
    pub async fn rules(&self) -> Result<Option<Arc<Rules>>, CliError> {
        let tenant = &self.ctx.tenant;
        let mut conn = self.engine.db().read(tenant).await.map_err(ashlar_release::ReleaseError::from)?;
        let definitions =
            conn.rows().working_definitions().await.map_err(ashlar_release::ReleaseError::from)?;
        drop(conn);
        Ok(match definitions {
            Some(d) => Some(self.engine.rules(tenant, &d.digest).await?),
            None => None,
        })
    }

    /// Runs an action.
    pub async fn run<A: Action>(&self, action: A) -> Result<A::Output, CliError> {
        Ok(self.engine.run(&self.ctx, action).await?)
    }
}

/// A value as programs read it.
pub fn value(value: impl Serialize) -> Result<Value, CliError> {
    serde_json::to_value(value).map_err(|e| CliError::new(3, "internal", e.to_string(), ""))
}

impl Remote {
    /// The server's address, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The key that calls are made with.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the server says that it is ready, and what time it has.
    pub async fn readiness(&self) -> Result<(bool, Option<jiff::Timestamp>), CliError> {
        let url = format!("{}{}", self.base, rows::GET_READINESS.call().target);
        let response = self.client.get(&url).send().await.map_err(|e| self.silent(&e))?;
        let date = response.headers().get("date").and_then(|d| d.to_str().ok());
        let date = date.and_then(|d| jiff::fmt::rfc2822::parse(d).ok()).map(|d| d.timestamp());
        Ok((response.status().is_success(), date))
    }

    fn silent(&self, error: &reqwest::Error) -> CliError {
        let message = format!("the server {} did not answer: {error}", self.base);
        CliError::new(3, "network", message, "is it running, and is the address right?")
    }

    /// Reads what an operation of the server answers to a GET, at most so many bytes, with its status.
    pub async fn bytes(&self, call: &Call, bytes_max: usize) -> Result<(u16, Vec<u8>), CliError> {
        let failed = |e: reqwest::Error| self.silent(&e);
        let request = self.client.get(format!("{}{}", self.base, call.target)).bearer_auth(&self.key);
        let mut response = request.send().await.map_err(failed)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > bytes_max {
                let message = format!("the answer of the server has more than {bytes_max} bytes");
                return Err(CliError::new(3, "network", message, ""));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((response.status().as_u16(), bytes))
    }

    /// Calls an operation of the server.
    pub async fn call(&self, call: Call, body: Option<Value>) -> Result<Value, CliError> {
        let url = format!("{}{}", self.base, call.target);
        let method = match call.operation.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self.client.request(method, &url).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let failed = |e: reqwest::Error| self.silent(&e);
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(failed)?;
        let answer: Value = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).map_err(|e| {
                CliError::new(
                    3,
                    "network",
                    format!("the server answered {status} with something that is not JSON: {e}"),
                    "",
                )
            })?,
        };
        if status.is_success() {
            return Ok(answer);
        }
        Err(problem(status.as_u16(), answer))
    }
}

/// The error that a problem of the HTTP API is on the command line.
pub fn problem(status: u16, answer: Value) -> CliError {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = text("type");
    let exit = match status {
        401 | 403 | 409 | 412 | 422 => 1,
        400 | 404 | 405 | 413 | 415 => 2,
        _ => 3,
    };
    let findings =
        answer.get("findings").cloned().and_then(|f| serde_json::from_value(f).ok()).unwrap_or_default();
    CliError {
        exit,
        code: kind.rsplit(['/', ':']).next().unwrap_or("problem").to_owned(),
        message: match text("detail") {
            detail if detail.is_empty() => format!("the server answered {status}"),
            detail => detail,
        },
        help: text("help"),
        findings,
        more: answer,
        snippet: None,
    }
}
