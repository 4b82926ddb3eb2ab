//! `prompt`.

use ashlar_gates::{PROMPT_FILES, promote_prompt, prompt_of, prompts_of, roll_back_prompt};
use ashlar_gateway::prompts::{PromptError, PromptName};
use ashlar_release::ReviseDefinitions;
use ashlar_server::endpoints::{Call, rows};
use serde_json::{Value, json};

use crate::{
    args::PromptCommand,
    backend::Backend,
    error::{CliError, Done, done},
    output,
    session::Session,
};

const COLUMNS: [(&str, &str); 5] = [
    ("prompt", "PROMPT"),
    ("active", "ACTIVE"),
    ("rollout", "ROLLOUT"),
    ("newest", "NEWEST"),
    ("changelog", "CHANGELOG"),
];

pub async fn prompt(command: PromptCommand) -> Done {
    let session = &Session::open(command.at()).await?;
    match command {
        PromptCommand::List { .. } => list(session).await,
        PromptCommand::Show { prompt, .. } => show(session, &named(&prompt)?).await,
        PromptCommand::Promote { prompt, percent, note, .. } => {
            promote(session, &named(&prompt)?, percent, note).await
        }
        PromptCommand::Rollback { prompt, note, .. } => roll_back(session, &named(&prompt)?, note).await,
    }
}

fn named(text: &str) -> Result<PromptName, CliError> {
    text.parse().map_err(|e: PromptError| CliError::input(e.message.trim_end_matches('.'), e.help))
}

async fn list(session: &Session) -> Done {
    let here = async |local: &crate::backend::Local| {
        let (release, files) = local.engine.served_definitions(&local.ctx, PROMPT_FILES).await?;
        Ok::<Value, ashlar_release::ReleaseError>(json!({"release": release, "items": prompts_of(&files)}))
    };
    let mut answer = session.read(here, rows::LIST_PROMPTS.call()).await?;
    if session.json {
        output::print_json(&answer);
        return done();
    }
    for item in answer["items"].as_array_mut().into_iter().flatten() {
        let flags = item["flags"].as_array().cloned().unwrap_or_default();
        let shares: Vec<String> = flags.iter().map(share).collect();
        item["rollout"] = json!(shares.join(", "));
    }
    output::table(output::items(&answer), &COLUMNS, "The release has no prompts.");
    done()
}

/// A flag for people: `v3 for 10 %`.
fn share(flag: &Value) -> String {
    let listed = ["tenants", "features", "keys"].into_iter().filter_map(|key| {
        let names: Vec<&str> = flag[key].as_array()?.iter().filter_map(Value::as_str).collect();
        Some(format!(" of {}", names.join(", ")))
    });
    let listed: String = listed.collect();
    format!("v{} for {} %{listed}", flag["version"], flag["percent"].as_f64().unwrap_or(100.0))
}

async fn show(session: &Session, name: &PromptName) -> Done {
    let call = rows::GET_PROMPT.at([&name.name]).with_any("version", name.version);
    let here = async |local: &crate::backend::Local| {
        let (_, files) = local.engine.served_definitions(&local.ctx, PROMPT_FILES).await?;
        prompt_of(&files, &name.name, name.version)
    };
    let answer = session.read(here, call).await?;
    if session.json {
        output::print_json(&answer);
        return done();
    }
    let state = if answer["is_active"] == true { "active" } else { "not active" };
    output::line(format!(
        "{}@v{} ({state})",
        output::text(&answer, "prompt"),
        output::text(&answer, "version")
    ));
    output::line("");
    output::print(&output::text(&answer, "text"));
    done()
}

async fn released(session: &Session, revise: ReviseDefinitions, call: Call, body: Value, what: &str) -> Done {
    let answer = session.run(revise, call, Some(body)).await?;
    if let Backend::Local(local) = &session.backend {
        local.engine.tenant_objects(&local.ctx.tenant).repack().await?;
    }
    let sentence = format!(
        "{what}: {} is on {} (was {})",
        output::text(&answer, "release"),
        output::text(&answer, "channel"),
        output::text(&answer, "from")
    );
    session.report(&answer, &sentence)?;
    if !session.json {
        output::line("prompts.toml has changed. Copy the change into your project before the next push.");
    }
    done()
}

async fn promote(session: &Session, name: &PromptName, percent: Option<f64>, note: String) -> Done {
    let Some(version) = name.version else {
        let message = format!("`{}` names no version", name.name);
        return Err(CliError::input(message, format!("write it like {}@v2", name.name)));
    };
    let body = json!({"version": version, "percent": percent, "note": note});
    let what = match percent.filter(|percent| *percent < 100.0) {
        Some(percent) => format!("{}@v{version} answers {percent} % of calls", name.name),
        None => format!("{}@v{version} is active", name.name),
    };
    let revise = promote_prompt(&name.name, version, percent, note);
    released(session, revise, rows::PROMOTE_PROMPT.at([&name.name]), body, &what).await
}

async fn roll_back(session: &Session, name: &PromptName, note: String) -> Done {
    if name.version.is_some() {
        let help = format!(
            "leave out the version to undo the last change, or run `ashlar prompt promote {}@vN`",
            name.name
        );
        return Err(CliError::input("a rollback takes no version", help));
    }
    let body = json!({"note": note});
    let revise = roll_back_prompt(&name.name, note);
    let what = format!("{} is rolled back", name.name);
    released(session, revise, rows::ROLL_BACK_PROMPT.at([&name.name]), body, &what).await
}
