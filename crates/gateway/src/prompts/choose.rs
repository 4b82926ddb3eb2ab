//! Which version of a prompt answers a call.

use std::sync::Arc;

use serde::Serialize;

use super::{
    active::{Flag, Sticky},
    prompt::{Prompt, PromptError, Prompts},
};

/// Who calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Who<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The feature.
    pub feature: &'a str,
    /// The names of the key: its id, and what people call it.
    pub keys: &'a [&'a str],
    /// The end user, when the call says.
    pub user: Option<&'a str>,
    /// The session, when the call says.
    pub session: Option<&'a str>,
    /// What the call alone has, such as its trace.
    pub request: &'a str,
}

/// Why a version was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// It is the active one.
    Active,
    /// A flag says so.
    Flag,
    /// The call names it.
    Pinned,
}

/// The version that answers.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The version.
    pub prompt: Arc<Prompt>,
    /// Why this one.
    pub why: Why,
}

impl Prompts {
    /// The version that answers: the one that the call names, else what the flags say, else the active one.
    ///
    /// # Errors
    /// When there is no such prompt or version.
    pub fn choose(&self, name: &str, pinned: Option<u32>, who: &Who<'_>) -> Result<Chosen, PromptError> {
        let shown: String = name.chars().take(64).collect();
        let Some(active) = self.active(name) else {
            let message = format!("There is no prompt `{shown}`.");
            let help =
                super::read::near(name, self.names(), "`ashlar prompt list` shows all prompts".to_owned());
            return Err(PromptError::new("prompt_not_found", message, help));
        };
        let flag = || active.flags.iter().find(|flag| applies(name, flag, who));
        let (version, why) = match pinned {
            Some(version) => (version, Why::Pinned),
            None => flag().map_or((active.version, Why::Active), |flag| (flag.version, Why::Flag)),
        };
        let Some(prompt) = self.get(name, version) else {
            let known: Vec<String> = self.versions(name).map(|v| v.to_string()).collect();
            let message = format!("The prompt `{shown}` has no version {version}.");
            let help = format!("versions are {}", known.join(", "));
            return Err(PromptError::new("prompt_version_not_found", message, help));
        };
        Ok(Chosen { prompt: prompt.clone(), why })
    }
}

fn applies(name: &str, flag: &Flag, who: &Who<'_>) -> bool {
    let among = |names: &[String], mine: &[&str]| {
        names.is_empty() || names.iter().any(|name| mine.contains(&name.as_str()))
    };
    among(&flag.tenants, &[who.tenant])
        && among(&flag.features, &[who.feature])
        && among(&flag.keys, who.keys)
        && (flag.percent >= 100.0 || share(name, flag, who) < flag.percent)
}

/// Where somebody is among all, from 0 to 100. It does not depend on the percentage, so whoever is in stays in when that grows.
fn share(name: &str, flag: &Flag, who: &Who<'_>) -> f64 {
    let first = match flag.sticky {
        Sticky::Session => who.session.or(who.user),
        Sticky::User => who.user.or(who.session),
    };
    let version = flag.version.to_le_bytes();
    let digest = ashlar_model::Digest::of(
        &[name.as_bytes(), b"\0", &version, first.unwrap_or(who.request).as_bytes()].concat(),
    );
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&digest.as_bytes()[..4]);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX) * 100.0
}
