//! Plain types of Ashlar: ids, locales, entries, digests, findings, project configuration.
//!
//! Invariant: this crate does no I/O. Everything here is a value that any room above may pass around.

mod bounds;
mod canonical;
mod config;
mod digest;
mod entry;
mod files;
mod finding;
mod ids;
mod lines;
mod markdown_bounds;
mod markup;
mod modified;
mod nearest;
mod network;
mod origin;
mod position;
mod read;
mod rights;
mod rules;

pub use bounds::{YAML_BYTES_MAX, YAML_FLOW_DEPTH_MAX, yaml_flow_depth};
pub use canonical::{CanonicalError, JSON_DEPTH_MAX, canonical_json, check_json};
pub use config::{
    ChannelConfig, Compatibility, ConfigError, FeedConfig, GateConfig, LocaleConfig, ProjectConfig,
    ServerConfig, SiteConfig, TenantConfig,
};
pub use digest::{Digest, DigestParseError};
pub use entry::{Entry, EntryChange, EntryChangeKind, EntryKey, EntryRecord, Fields, RecordError};
pub use files::{FILE_BYTES_MAX, FILES_BYTES_MAX, FILES_MAX, Files, FilesError};
pub use finding::{Finding, FindingGroup, GateReport, GateStatus, Groups, Level, Waiver, grouped};
pub use ids::{
    CandidateId, ChannelName, ContractName, EntryId, EvalRunId, IdError, Locale, ReleaseId, TenantId,
    TraceId, TypeName,
};
pub use lines::{Lines, line_of};
pub use markdown_bounds::{
    MARKDOWN_BYTES_MAX, MARKDOWN_CELLS_MAX, MARKDOWN_FOOTNOTES_MAX, MARKDOWN_NESTING_MAX, MARKDOWN_WORK_MAX,
    MarkdownTooMuch, check_markdown,
};
pub use markup::{Anchors, escaped, xml};
pub use modified::{MODIFIED, OTHERS, modified_value, read_modified};
pub use nearest::{did_you_mean, nearest, nearest_in_message, nearest_of};
pub use network::{Network, NetworkError};
pub use origin::{Origin, OriginError};
pub use position::{pointer_step, position, sentence};
pub use read::{VALUE_BYTES_MAX, read_json, read_toml, read_toml_as, read_yaml, read_yaml_as};
pub use rights::{Actor, Right};
pub use rules::{Rules, TypeRules};
