//! The providers of models, ready to be called.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use ashlar_gateway::upstream::{Client, Key, MakeClient, Provider, Providers};

use super::{reading::SettingsError, settings::Settings};
use crate::{outward, tools::ToolServers};

/// How long connecting to a tool server may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The providers of a file; none without a file.
///
/// # Errors
/// When the file cannot be used.
pub fn providers(path: Option<&Path>) -> Result<Providers, SettingsError> {
    let settings = path.map(Settings::read).transpose()?.unwrap_or_default();
    let made: BTreeMap<String, Arc<Provider>> = settings
        .providers
        .into_iter()
        .map(|(name, of)| {
            let private = of.private;
            let make: MakeClient = Arc::new(move |connect| Client::new(connect, outward::resolver(private)));
            let mut provider = Provider::new(&name, of.kind, &of.url, Key::new(of.key), make);
            provider.tenants = of.tenants;
            provider.api_version = of.api_version;
            provider.probe_every = of.probe_every;
            if let Some(why) = provider.key.missing() {
                tracing::warn!(provider = name, why, "a provider has no key");
            }
            (name, Arc::new(provider))
        })
        .collect();
    Ok(Providers(Arc::new(made)))
}

/// The tool servers of a file; none without a file.
///
/// # Errors
/// When the file cannot be used.
pub fn tool_servers(path: Option<&Path>) -> Result<ToolServers, SettingsError> {
    let settings = path.map(Settings::read).transpose()?.unwrap_or_default();
    let mut made = ToolServers::default();
    for (name, of) in settings.tool_servers {
        let client = outward::patient(of.private, CONNECT_MAX)
            .map_err(|error| SettingsError::Client(outward::chain(&error)))?;
        let key = Key::new(of.key);
        if let Some(why) = key.missing() {
            tracing::warn!(server = name, why, "a tool server has no key");
        }
        made.add(&name, (of.url, of.tenants), key, client);
    }
    Ok(made)
}
