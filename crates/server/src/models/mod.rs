//! The models of a node: embedding models from directories, and endpoints that embed and rank. The operator names them in
//! `models.toml`; `retrieval.toml` uses the names. Nothing here belongs to a tenant.

mod calls;
mod endpoint;
mod offered;
mod providers;
mod reading;
mod settings;
mod standing;
mod tool_settings;
mod upstreams;

pub use ashlar_gateway::upstream::Providers;
pub use offered::{Checked, Offered};
pub use reading::SettingsError;
pub use settings::MODELS_FILE;
pub use standing::{ProviderStanding, Standings};
pub use upstreams::{providers, tool_servers};
