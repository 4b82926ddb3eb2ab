//! `demo`: a seeded project, served.

mod docs;
mod embedded;

use std::{path::Path, sync::Arc};

use ashlar_model::{Actor, EntryKey, Fields, Files, ServerConfig, TenantId};
use ashlar_release::{Approve, CreateCandidate, Ctx, Engine, Promote, PushDefinitions, PutEntry};
use ashlar_retrieval::models::NoModels;
use ashlar_server::Role;
use include_dir::{Dir, include_dir};
use serde::Deserialize;

use self::embedded::{broken, files_of};
use super::serve::{LocalKeys, open, ready_line, remember, run, stop_signal};
use crate::{
    args::{DemoArgs, Format},
    backend::{Local, models, providers},
    error::{CliError, Done, done},
    output, project, writing,
};

static DEMO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/demo");

/// One step of the demo's history.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    title: String,
    author: String,
    /// Import everything under content/ first.
    #[serde(default)]
    all: bool,
    #[serde(default)]
    approve: Vec<StepApproval>,
    #[serde(default)]
    put: Vec<StepPut>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepApproval {
    right: String,
    by: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepPut {
    #[serde(flatten)]
    key: EntryKey,
    /// Top-level fields that are set.
    set: Fields,
}

/// Makes the releases of a project in an empty installation.
async fn seed(engine: &Engine, files: &Files) -> Result<(), CliError> {
    let temp = tempfile::tempdir().map_err(|e| CliError::file("create", &std::env::temp_dir(), &e))?;
    project::write_files(temp.path(), files)?;
    let definitions = project::read(temp.path())?;
    let entries = project::read_content(temp.path(), &definitions)?;
    let act = |name: &str| -> Result<Local, CliError> {
        let ctx = Ctx::new(TenantId::main(), Actor::local(name))?;
        Ok(Local { engine: engine.clone(), ctx, models: Arc::new(NoModels) })
    };
    act("platform")?.run(PushDefinitions { files: definitions }).await?;
    let mut entries = Some(entries);
    for (path, bytes) in files.iter().filter(|(p, _)| p.starts_with("history/") && p.ends_with(".toml")) {
        let text = std::str::from_utf8(bytes).map_err(|e| broken(format!("{path}: {e}")))?;
        let step: Step = toml::from_str(text).map_err(|e| broken(format!("{path}: {e}")))?;
        let author = act(&step.author)?;
        if let Some(entries) = entries.take_if(|_| step.all) {
            let entries = entries.into_iter().map(writing::incoming).collect();
            writing::import_local(&author, "content/", entries, &mut |_| {}).await?;
        }
        for put in step.put {
            let mut fields = engine.draft(&author.ctx, &put.key).await?.fields.unwrap_or_default();
            fields.extend(put.set);
            author.run(PutEntry { key: put.key, major: None, fields, expected_version: None }).await?;
        }
        let made = author.run(CreateCandidate { changeset: None, note: step.title.clone() }).await?;
        let candidate = made.candidate;
        for approval in step.approve {
            act(&approval.by)?.run(Approve { candidate, right: approval.right }).await?;
        }
        author.run(Promote { candidate, channel: None, note: step.title }).await?;
    }
    Ok(())
}

fn print(url: &str, data: &Path, keys: &LocalKeys) {
    let data = data.display();
    output::line(format!("{}  {url}", output::paint("Mooring, the demo project, is served on", "1")));
    output::line(format!("its data is in {data}\n"));
    output::line("Look at it:");
    output::line(format!("  {url}/                                  the site, in three languages"));
    output::line(format!(
        "  {url}/studio/components                 every component, in every state and theme"
    ));
    output::line(format!(
        "  ashlar preview draft --data '{data}'    a link that shows what is not live yet\n"
    ));
    output::line("Read what is live:");
    output::line(format!("  curl -i '{url}/v1/plans/basin?locale=de'"));
    output::line(format!("  curl '{url}/v1/entries/pricing-plan?sort=price_minor'"));
    output::line(format!("  curl '{url}/v1/pages/home'"));
    output::line(format!("  curl '{url}/v1/search?q=high+tide'\n"));
    output::line("Change a price, and see what blocks its release (in another terminal):");
    output::line(format!("  export ASHLAR_DATA='{data}'"));
    output::line("  ashlar entry get pricing-plan port > port.json");
    output::line("  sed -i 's/39900/42900/' port.json");
    output::line("  ashlar entry put pricing-plan port --file port.json --as jonas");
    // The demo's suites ask for the old price, as they should.
    output::line(
        "  ashlar candidate create --as jonas --no-evals  # without it: evals fail, the suite asks for the old price",
    );
    output::line("  ashlar release promote c4                      # refused: nobody approved the price");
    output::line("  ashlar candidate approve c4 --right pricing --as ines");
    output::line("  ashlar release promote c4");
    output::line(format!("  curl '{url}/v1/plans/port'"));
    output::line("  ashlar ask 'What does the Port plan cost?'     # answers from the same release");
    output::line("  ashlar release diff r3 r4");
    output::line(
        "  ashlar release rollback r3                     # pages, API, search and answers: the old price\n",
    );
    output::line("The same over HTTP, with this installation's admin key:");
    output::line(format!("  curl -H 'Authorization: Bearer {}' {url}/api/v1/releases\n", keys.admin));
    output::line("Call a model through the gateway, with any OpenAI client and this installation's llm key:");
    output::line(format!("  export OPENAI_BASE_URL={url}/llm/v1 OPENAI_API_KEY={}", keys.llm));
    output::line("  curl $OPENAI_BASE_URL/chat/completions -H \"Authorization: Bearer $OPENAI_API_KEY\" \\");
    output::line(
        "    -d '{\"model\":\"extractive\",\"messages\":[{\"role\":\"user\",\"content\":\"What does the Port plan cost?\"}]}'\n",
    );
    output::line("`ashlar` is the binary that `cargo install --path crates/cli` installs. Stop with Ctrl-C.");
}

fn print_docs(url: &str) {
    output::line(format!("{}  {url}/docs", output::paint("Documentation:", "1")));
    output::line("Stop with Ctrl-C.");
}

pub async fn demo(args: DemoArgs) -> Done {
    let DemoArgs { docs, serve: mut args } = args;
    let mut temp = None;
    if args.data.is_none() {
        let dir = tempfile::Builder::new()
            .prefix("ashlar-demo-")
            .tempdir()
            .map_err(|e| CliError::file("create", &std::env::temp_dir(), &e))?;
        args.data = Some(temp.insert(dir).path().display().to_string());
    }
    let (models, providers) = (models(args.data.as_deref())?, providers(args.data.as_deref())?);
    let (engine, keys) = open(&args, &models).await?;
    let Some(keys) = keys else {
        return Err(CliError::input("the demo works in a directory", "give --data DIR"));
    };
    let ctx = Ctx::new(TenantId::main(), Actor::local("demo"))?;
    if engine.releases(&ctx, None).await?.items.is_empty() {
        let files = if docs { docs::files()? } else { files_of(&DEMO)? };
        seed(&engine, &files).await?;
    }
    let listen = args.listen.clone().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let config =
        ServerConfig { listen, trusted_proxies: args.trusted_proxies.clone(), ..ServerConfig::default() };
    let data = std::path::PathBuf::from(args.data.clone().unwrap_or_default());
    let ready = |url: String| {
        remember(args.data.as_deref(), &url);
        match args.format {
            Format::Json => ready_line(&url, Some(&keys)),
            Format::Human if docs => print_docs(&url),
            Format::Human => print(&url, &data, &keys),
        }
    };
    let objects = engine.objects().clone();
    let stop = stop_signal(&config);
    run(Some(engine), objects, Role::All, config, (args.purge.clone(), models, providers), ready, stop)
        .await?;
    done()
}
