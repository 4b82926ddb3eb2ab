//! What one client relies on.

use ashlar_model::{Digest, Locale};

use super::{kind::FieldType, path::FieldPath};

/// The most expectations of one consumer, and members of one list.
pub(super) const EXPECTATIONS_MAX: usize = 500;
pub(super) const PATHS_MAX: usize = 1_000;
/// The largest consumer contract, in bytes.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// Whether a consumer contract for this provider is for the content of a project.
pub(super) fn is_provided_here(provider: &str) -> bool {
    provider.eq_ignore_ascii_case("content-api")
}

/// What one client relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name: `marketing-web`.
    pub name: String,
    /// The version of the client, when it says.
    pub version: Option<String>,
    /// Whom to talk to; empty when nobody is named.
    pub owner: String,
    /// What it relies on.
    pub expects: Vec<Expectation>,
    /// The file it is in.
    pub file: String,
    /// The digest of the file.
    pub digest: Digest,
}

/// What a client relies on at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The path: `/v1/pages/{slug}`, or that of one example: `/v1/pages/home`.
    pub endpoint: String,
    /// Fields that are always there.
    pub must_include: Vec<FieldPath>,
    /// Fields that have a type wherever they are there.
    pub types: Vec<(FieldPath, FieldType)>,
    /// The version of the endpoint: `1.x`, `1.4`, `2`.
    pub version: Option<VersionRange>,
    /// The locales it reads; all of the project when none is named.
    pub locales: Vec<Locale>,
    /// Values of the path's parameter that must be answered.
    pub examples: Vec<String>,
    /// Its place in the file, from 0.
    pub index: usize,
}

/// A range of versions: a major, or a major and a minor that is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// The major version.
    pub major: u32,
    /// The least minor version.
    pub minor: u32,
}

impl VersionRange {
    /// Reads `1.x`, `1`, `1.4`, `1.4.x`, `^1.4.2`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().trim_start_matches(['^', 'v']).split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = match parts.next() {
            None | Some("x" | "X" | "*") => 0,
            Some(minor) => minor.parse().ok()?,
        };
        Some(Self { major, minor })
    }
}
