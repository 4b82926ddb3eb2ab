//! A project directory with the facts about its content.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use ashlar_model::{Digest, Files, Finding, LocaleConfig, ProjectConfig};
use ashlar_project::{ContentOptions, Project, content};
use jiff::tz::TimeZone;

use super::{
    cache,
    cache::Cache,
    entries::{self, FileFacts, Row},
};
use crate::{GateError, definitions::Definitions, inputs::Inputs, judge};

/// Raised when the gates judge or report differently, so that what an earlier version found is not taken over.
const RULES: u32 = 8;

/// Files a worker takes at a time.
const CHUNK: usize = 64;

/// A project directory with the facts about its content.
pub(super) struct Loaded<'a> {
    pub(super) dir: &'a Path,
    pub(super) definitions: Definitions,
    pub(super) definition_files: Files,
    pub(super) options: ContentOptions,
    /// Findings about definition files and about the content folder itself.
    pub(super) findings: Vec<Finding>,
    pub(super) content_findings: Vec<Finding>,
    pub(super) files: Vec<content::ContentFile>,
    pub(super) facts: Vec<FileFacts>,
    pub(super) reused: usize,
    pub(super) context: Digest,
    /// The digest of everything that was listed: definition files by content, content files by what tells a change.
    pub(super) listed: Digest,
    pub(super) settled: bool,
    pub(super) cache: Cache,
}

impl<'a> Loaded<'a> {
    /// The day it is, in UTC.
    pub(super) fn today(&self) -> jiff::civil::Date {
        jiff::Timestamp::now().to_zoned(TimeZone::UTC).date()
    }

    /// Reads definitions and lists content; the content itself is not read yet.
    pub(super) fn list(dir: &'a Path, use_cache: bool) -> Result<Self, GateError> {
        // Taken before anything is listed: what changes later is not settled.
        let now_ns = jiff::Timestamp::now().as_nanosecond();
        let (files, findings) = Project::read(dir)?;
        let definitions = Definitions::load(&files);
        let options = content_options(&definitions);
        let mut context = Inputs::new("check");
        // What a report holds depends on the gates there are.
        context
            .json("gates", &judge::names().collect::<Vec<_>>())
            .json("rules", &RULES)
            .json("locales", &options.locales)
            .json("bodies", &options.body_fields);
        let context = context.finish();
        let (listed_files, content_findings) = content::list(dir);
        let mut listed = Inputs::new("listed");
        listed.digest("definitions", &definitions.digest).json("findings", &(&findings, &content_findings));
        for f in &listed_files {
            listed.add(&f.path, &f.len.to_le_bytes());
            listed.add("", &[f.mtime_ns.to_le_bytes(), f.ctime_ns.to_le_bytes()].concat());
            listed.add("", &f.inode.to_le_bytes());
        }
        let settled = listed_files.iter().all(|f| cache::settled(f, now_ns));
        let cache = if use_cache { Cache::open(dir, &context) } else { Cache::default() };
        Ok(Self {
            dir,
            definitions,
            definition_files: files,
            options,
            findings,
            content_findings,
            files: listed_files,
            facts: Vec::new(),
            reused: 0,
            context,
            listed: listed.finish(),
            settled,
            cache,
        })
    }

    /// Reads the content, what is unchanged from the cache.
    pub(super) fn read_content(&mut self) {
        let next = AtomicUsize::new(0);
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
        let this = &*self;
        let work = || {
            let mut out: Vec<(usize, bool, FileFacts)> = Vec::new();
            loop {
                let start = next.fetch_add(CHUNK, Ordering::Relaxed);
                let Some(chunk) = this.files.get(start..(start + CHUNK).min(this.files.len())) else {
                    return out;
                };
                if chunk.is_empty() {
                    return out;
                }
                for (i, file) in chunk.iter().enumerate() {
                    let known = this.cache.get(file).filter(|facts| facts.rows.iter().all(|r| this.holds(r)));
                    let reused = known.is_some();
                    let facts = known.unwrap_or_else(|| {
                        entries::read_file(this.dir, &file.path, &this.options, &this.definitions)
                    });
                    out.push((start + i, reused, facts));
                }
            }
        };
        let mut parts: Vec<(usize, bool, FileFacts)> = std::thread::scope(|scope| {
            let handles: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for handle in handles {
                match handle.join() {
                    Ok(part) => all.extend(part),
                    // A file that brought a worker down is read again here, where the panic is not hidden.
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all
        });
        parts.sort_unstable_by_key(|p| p.0);
        self.reused = parts.iter().filter(|p| p.1).map(|p| p.2.rows.len()).sum();
        self.facts = parts.into_iter().map(|p| p.2).collect();
    }

    /// Whether facts from the cache were taken with the contract that the entry follows now.
    fn holds(&self, row: &Row) -> bool {
        let contract = entries::contract_of(&self.definitions, &row.key, row.named.as_ref());
        contract.map(|c| c.digest) == row.contract
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.facts.iter().flat_map(|f| &f.rows)
    }
}

fn content_options(definitions: &Definitions) -> ContentOptions {
    let default_locale = match &definitions.config {
        Ok(config) => config.locales.default.clone(),
        Err(_) => ProjectConfig::named("").locales.default,
    };
    let mut body_fields = BTreeMap::new();
    for contract in definitions.contracts.iter().filter(|c| c.is_type()) {
        let type_name = &contract.name.name;
        if body_fields.contains_key(type_name) {
            continue;
        }
        let newest = definitions.newest(type_name).unwrap_or(contract);
        // The first Markdown property of the entry itself; those inside objects and arrays cannot take a body.
        let own = |path: &&String| !path.trim_start_matches('/').contains('/');
        if let Some(field) = newest.markdown_fields().iter().find(own) {
            body_fields.insert(type_name.clone(), field.trim_start_matches('/').to_owned());
        }
    }
    let locales = match &definitions.config {
        Ok(config) => config.locales.clone(),
        Err(_) => LocaleConfig::default(),
    };
    ContentOptions { default_locale, body_fields, locales }
}
