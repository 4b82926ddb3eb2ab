//! Prompts as every door moves them: which version of a prompt answers, as a release of its own.

use std::sync::Arc;

use ashlar_gateway::prompts::{
    Active, FOLDER, Moved, Prompt, PromptError, Prompts, STATE_FILE, promote, roll_back,
};
use ashlar_model::Files;
use ashlar_release::{ReleaseError, ReviseDefinitions, Revising, Revision};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// The beginning of the paths of prompts and of `prompts.toml`, for [`ashlar_release::Engine::served_definitions`].
pub const PROMPT_FILES: &str = "prompts";

/// A prompt of a release.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PromptView {
    /// Its name.
    pub prompt: String,
    /// The version that answers when no flag applies.
    pub active: u32,
    /// The newest version.
    pub newest: u32,
    /// All versions.
    pub versions: Vec<u32>,
    /// Who gets another version, as `prompts.toml` has it.
    pub flags: Vec<Value>,
    /// Who owns the active version.
    pub owner: String,
    /// What is new in the active version.
    pub changelog: String,
}

/// A version of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PromptVersion {
    /// The prompt.
    pub prompt: String,
    /// The version.
    pub version: u32,
    /// Whether it answers when no flag applies.
    pub is_active: bool,
    /// Who owns it.
    pub owner: String,
    /// What is new in it.
    pub changelog: String,
    /// The route that answers it.
    pub route: Option<String>,
    /// The contract that answers follow.
    pub output: Option<String>,
    /// What a call gives, by name.
    pub variables: Value,
    /// What is retrieved.
    pub grounding: Option<Value>,
    /// How the model is to answer.
    pub params: Value,
    /// Tools that the model may call.
    pub tools: Vec<String>,
    /// The digest of everything that decides what it renders to.
    pub digest: String,
    /// The file, as it is.
    pub text: String,
}

fn flags(active: &Active) -> Vec<Value> {
    active.flags.iter().map(|flag| json!(flag)).collect()
}

fn failed(error: PromptError) -> ReleaseError {
    match error.code {
        "prompt_not_found" | "prompt_version_not_found" => ReleaseError::NotFound {
            what: "prompt",
            name: error.message.split('`').nth(1).unwrap_or_default().to_owned(),
            help: format!("{} {}", error.message, error.help),
        },
        "prompt_active" => ReleaseError::refused("prompt-active", plain(&error.message), error.help),
        "prompt_nothing_to_roll_back" => {
            ReleaseError::refused("nothing-to-roll-back", plain(&error.message), error.help)
        }
        _ => ReleaseError::invalid(plain(&error.message), error.help),
    }
}

/// A sentence as the message of an error: without its full stop.
fn plain(message: &str) -> String {
    message.trim_end_matches('.').to_owned()
}

/// The prompts of a release, by name.
#[must_use]
pub fn prompts_of(definitions: &Files) -> Vec<PromptView> {
    let (prompts, _) = Prompts::parse(definitions);
    let view = |name: &str| {
        let active = prompts.active(name)?;
        let prompt = prompts.get(name, active.version)?;
        let versions: Vec<u32> = prompts.versions(name).collect();
        Some(PromptView {
            prompt: name.to_owned(),
            active: active.version,
            newest: versions.last().copied().unwrap_or(active.version),
            flags: flags(&active),
            owner: prompt.owner.clone(),
            changelog: prompt.changelog.clone(),
            versions,
        })
    };
    prompts.names().filter_map(view).collect()
}

/// A version of a prompt of a release; the active one when none is named.
///
/// # Errors
/// When there is no such prompt or version.
pub fn prompt_of(
    definitions: &Files,
    name: &str,
    version: Option<u32>,
) -> Result<PromptVersion, ReleaseError> {
    let (prompts, _) = Prompts::parse(definitions);
    let who = ashlar_gateway::prompts::Who::default();
    let active = prompts.active(name).map(|active| active.version);
    let chosen = prompts.choose(name, version.or(active), &who).map_err(failed)?;
    let prompt: &Prompt = &chosen.prompt;
    let text = definitions.text(&prompt.file).ok().flatten().unwrap_or_default();
    Ok(PromptVersion {
        prompt: prompt.name.clone(),
        version: prompt.version,
        is_active: active == Some(prompt.version),
        owner: prompt.owner.clone(),
        changelog: prompt.changelog.clone(),
        route: prompt.route.clone(),
        output: prompt.output.as_ref().map(ToString::to_string),
        variables: json!(prompt.variables),
        grounding: prompt.grounding.as_ref().map(|grounding| json!(grounding)),
        params: json!(prompt.params),
        tools: prompt.tools.clone(),
        digest: prompt.digest.to_string(),
        text: text.to_owned(),
    })
}

fn revision(moved: Moved) -> Revision {
    let state = |active: &Active| json!({"active": active.version, "flags": flags(active)});
    let data = json!({"prompt": moved.prompt, "from": state(&moved.from), "to": state(&moved.to)});
    Revision { served: moved.served, working: moved.working, data }
}

fn revise(
    name: &str,
    note: String,
    work: impl Fn(&Revising<'_>, &str) -> Result<Moved, PromptError> + Send + Sync + 'static,
) -> ReviseDefinitions {
    debug_assert!(FOLDER.starts_with(PROMPT_FILES) && STATE_FILE.starts_with(PROMPT_FILES));
    let owned = name.to_owned();
    let revise = move |revising: &Revising<'_>| work(revising, &owned).map(revision).map_err(failed);
    ReviseDefinitions {
        subject: format!("{FOLDER}/{name}"),
        prefix: PROMPT_FILES,
        revise: Arc::new(revise),
        note,
    }
}

fn noted(note: String, usual: String) -> String {
    if note.is_empty() { usual } else { note }
}

/// Makes a version of a prompt the active one, or gives it to a share of calls, as a release of its own.
#[must_use]
pub fn promote_prompt(name: &str, version: u32, percent: Option<f64>, note: String) -> ReviseDefinitions {
    let usual = match percent {
        Some(percent) => format!("prompt {name}@v{version} for {percent} % of calls"),
        None => format!("prompt {name}@v{version}"),
    };
    revise(name, noted(note, usual), move |revising, name| {
        promote(revising.served, revising.working, name, version, percent)
    })
}

/// Takes the last change of which version of a prompt answers back, as a release of its own.
#[must_use]
pub fn roll_back_prompt(name: &str, note: String) -> ReviseDefinitions {
    revise(name, noted(note, format!("prompt {name} rolled back")), |revising, name| {
        roll_back(revising.served, revising.earlier, revising.working, name)
    })
}
