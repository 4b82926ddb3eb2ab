//! What a command works on, and how it reports.

use ashlar_release::{Action, Page};
use ashlar_server::endpoints::Call;
use serde::Serialize;
use serde_json::Value;

use crate::{
    args::{At, Format},
    backend::{Backend, Local, value},
    error::{CliError, Done, done},
    output,
};

/// Pages of a list that are read.
const PAGES_MAX: usize = 1_000;

/// The target of a command, and the format of its report.
pub struct Session {
    pub backend: Backend,
    /// Whether to report as JSON.
    pub json: bool,
}

impl Session {
    /// Opens a target that exists.
    pub async fn open(at: &At) -> Result<Self, CliError> {
        Ok(Self { backend: Backend::open(at).await?, json: at.format == Format::Json })
    }

    /// Opens a target. A data directory is created if it does not exist.
    pub async fn open_or_create(at: &At) -> Result<Self, CliError> {
        Ok(Self { backend: Backend::open_or_create(at).await?, json: at.format == Format::Json })
    }

    /// Runs an action in this process, or calls the operation of the server that runs it.
    pub async fn run<A: Action<Output: Serialize>>(
        &self,
        action: A,
        call: Call,
        body: Option<Value>,
    ) -> Result<Value, CliError> {
        match &self.backend {
            Backend::Local(local) => value(local.run(action).await?),
            Backend::Remote(remote) => remote.call(call, body).await,
        }
    }

    /// Reads in this process, or calls the operation of the server that reads the same.
    pub async fn read<T: Serialize, E>(
        &self,
        here: impl AsyncFnOnce(&Local) -> Result<T, E>,
        call: Call,
    ) -> Result<Value, CliError>
    where
        CliError: From<E>,
    {
        match &self.backend {
            Backend::Local(local) => value(here(local).await?),
            Backend::Remote(remote) => remote.call(call, None).await,
        }
    }

    /// Reads all pages of a list, in this process or from the server, as one JSON array.
    pub async fn read_pages<T: Serialize, E>(
        &self,
        here: impl AsyncFn(&Local, Option<&str>) -> Result<Page<T>, E>,
        call: impl Fn() -> Call,
    ) -> Result<Value, CliError>
    where
        CliError: From<E>,
    {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let at = cursor.as_deref();
            let page = self.read(async |local| here(local, at).await, call().with_any("cursor", at)).await?;
            items.extend_from_slice(output::items(&page));
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(Value::Array(items))
    }

    /// Prints the answer as JSON, or a sentence for people.
    pub fn report(&self, answer: &Value, sentence: &str) -> Done {
        output::report(self.json, answer, sentence);
        done()
    }

    /// Prints the answer as JSON, or a table for people.
    pub fn list(&self, answer: &Value, columns: &[(&str, &str)], empty: &str) -> Done {
        match self.json {
            true => output::print_json(answer),
            false => output::table(output::items(answer), columns, empty),
        }
        done()
    }

    /// [`Self::list`] of one page. `option` continues with the next page.
    pub fn list_page(&self, answer: &Value, columns: &[(&str, &str)], empty: &str, option: &str) -> Done {
        self.list(answer, columns, empty)?;
        if let Some(cursor) = answer["next_cursor"].as_str().filter(|_| !self.json) {
            output::line(format!("More results: add {option} '{cursor}'"));
        }
        done()
    }
}
