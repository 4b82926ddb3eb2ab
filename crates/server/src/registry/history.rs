//! The versions of a tenant's tokens, as they follow from its releases, in bounded memory.
//!
//! Of each version it is kept what lists name. Its files and its tarball are made again from the release when they are asked
//! for and not at hand: the same tokens give the same bytes, and the digest says so.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ashlar_model::{Digest, Files, ReleaseId, TenantId};
use ashlar_tokens::{
    Config, Diff, Note, OutputFile, Package, Resolved, TokenSet, Version, build, changelog, diff, pack,
};
use serde_json::{Map, Value};

/// Versions of a tenant that can be had, the newest.
const KEPT_MAX: usize = 1_000;
/// Versions that the changelog of one tells of, the newest first.
const CHANGELOG_VERSIONS: usize = 50;
/// What one version adds to a changelog at most, in bytes.
const PART_BYTES_MAX: usize = 64 << 10;
/// Files and tarballs that are at hand, of all tenants, in bytes.
const MADE_BYTES_MAX: usize = 64 << 20;
/// Histories that are at hand, of all tenants, in bytes.
const HISTORY_BYTES_MAX: usize = 128 << 20;
/// What a version, and a token of the last one, take beside their texts, in bytes.
const VERSION_BYTES: usize = 4 << 10;
const TOKEN_BYTES: usize = 2 << 10;

/// What lists say of one version.
pub struct TokenRelease {
    pub release: ReleaseId,
    pub version: Version,
    pub created_at: String,
    /// The name of its package.
    pub name: String,
    /// The file name of its tarball.
    pub file_name: String,
    /// Its `package.json`.
    pub manifest: Map<String, Value>,
    /// The digest of its tarball, as npm checks it.
    pub integrity: String,
    /// The same as Yarn 1 checks it.
    pub shasum: String,
    /// Its files.
    pub files: Vec<&'static str>,
    /// What it is made of.
    inputs: BTreeMap<String, Digest>,
    /// The text of its changelog follows from these.
    number: usize,
}

/// The bytes of one version.
pub struct Made {
    pub files: Vec<OutputFile>,
    pub tarball: Vec<u8>,
}

impl Made {
    fn bytes(&self) -> usize {
        self.tarball.len() + self.files.iter().map(|f| f.text.len() + 100).sum::<usize>()
    }
}

/// A release with what its tokens are made of.
pub struct Incoming {
    pub release: ReleaseId,
    pub created_at: String,
    pub inputs: BTreeMap<String, Digest>,
}

/// Whether a definition file is one of tokens.
pub fn is_of_tokens(path: &str) -> bool {
    path.starts_with("tokens/") || path == "tokens.toml"
}

type Read<'a> = &'a dyn Fn(&Digest) -> Result<Vec<u8>, String>;

/// What is known of the versions of a tenant, from its first release up to one.
#[derive(Default, Clone)]
pub struct History {
    /// The newest release that is in it.
    upto: u32,
    /// The number of the version of every release that has tokens.
    of_release: BTreeMap<u32, usize>,
    /// Releases whose tokens cannot be read, with the reason.
    unreadable: BTreeMap<u32, String>,
    versions: VecDeque<Arc<TokenRelease>>,
    /// What each version adds to the changelog; the last belongs to the last version.
    parts: VecDeque<Arc<str>>,
    /// How many versions there were in all.
    made: usize,
}

/// A history with what the next version is compared with.
#[derive(Default)]
struct Work {
    history: History,
    last: Option<Last>,
}

/// The history of one tenant: as it is read, and as it is being extended, which takes long.
#[derive(Default)]
pub struct OfTenant {
    /// Held by the request that looks for new releases and takes them in.
    pub turn: tokio::sync::Mutex<()>,
    read: Mutex<Arc<History>>,
    work: Mutex<Work>,
}

struct Last {
    inputs: BTreeMap<String, Digest>,
    resolved: Resolved,
    notes: Vec<Note>,
    version: Version,
}

/// What is known of a version at one moment: enough to make its bytes, away from any lock.
pub struct Recipe {
    of: Arc<TokenRelease>,
    parts: Vec<Arc<str>>,
}

fn project(inputs: &BTreeMap<String, Digest>, read: Read<'_>) -> Result<Files, String> {
    let mut files = Files::new();
    for (path, digest) in inputs {
        files.insert(path, read(digest)?).map_err(|e| e.to_string())?;
    }
    Ok(files)
}

fn cut(mut part: String) -> Arc<str> {
    if part.len() > PART_BYTES_MAX {
        let end = part.floor_char_boundary(PART_BYTES_MAX);
        part.truncate(part[..end].rfind('\n').map_or(end, |at| at + 1));
        part.push_str("- And more.\n\n");
    }
    part.into()
}

/// `CHANGELOG.md`: parts come oldest first.
fn log<'p>(parts: impl DoubleEndedIterator<Item = &'p Arc<str>>) -> String {
    let newest_first: Vec<&str> = parts.rev().take(CHANGELOG_VERSIONS).map(AsRef::as_ref).collect();
    format!("# Changelog\n\n{}", newest_first.concat())
}

impl History {
    /// The newest release that is in it.
    pub fn upto(&self) -> u32 {
        self.upto
    }

    /// The version of a release.
    pub fn version_of(&self, release: u32) -> Option<Version> {
        self.at(*self.of_release.get(&release)?).map(|v| v.version)
    }

    /// Why the tokens of a release cannot be read.
    pub fn unreadable(&self, release: u32) -> Option<&str> {
        self.unreadable.get(&release).map(String::as_str)
    }

    /// Versions that can be had, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<TokenRelease>> {
        self.versions.iter()
    }

    fn at(&self, number: usize) -> Option<&Arc<TokenRelease>> {
        self.versions.get(number.checked_sub(self.made - self.versions.len())?)
    }

    /// How to make the bytes of a version.
    pub fn recipe(&self, of: &Arc<TokenRelease>) -> Recipe {
        let first = self.made - self.parts.len();
        let upto = (of.number + 1).saturating_sub(first).min(self.parts.len());
        let from = upto.saturating_sub(CHANGELOG_VERSIONS);
        Recipe { of: of.clone(), parts: self.parts.range(from..upto).cloned().collect() }
    }
}

impl OfTenant {
    /// The history as it is now.
    pub fn seen(&self) -> Arc<History> {
        lock(&self.read).clone()
    }

    /// Takes the next releases in, oldest first; those that are in it already are passed over. What was taken in before an
    /// error stays. It reads files and waits for others who do the same, so it is nothing for threads that serve.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn extend(&self, releases: Vec<Incoming>, read: Read<'_>) -> Result<(), String> {
        let mut work = lock(&self.work);
        let extended = work.extend(releases, read);
        *lock(&self.read) = Arc::new(work.history.clone());
        extended
    }
}

impl Work {
    fn bytes(&self) -> usize {
        let history = &self.history;
        let parts: usize = history.parts.iter().map(|p| p.len()).sum();
        let last = self.last.as_ref().map_or(0, |l| l.resolved.tokens.len() * TOKEN_BYTES);
        parts + history.versions.len() * VERSION_BYTES + history.of_release.len() * 32 + last
    }

    fn extend(&mut self, releases: Vec<Incoming>, read: Read<'_>) -> Result<(), String> {
        for release in releases {
            let number = release.release.0;
            if number > self.history.upto {
                self.add(release, read)?;
                self.history.upto = number;
            }
        }
        Ok(())
    }

    /// Takes the next release in. Tokens that cannot be read make no version: a gate let them pass with a waiver.
    fn add(&mut self, release: Incoming, read: Read<'_>) -> Result<(), String> {
        let history = &mut self.history;
        let Incoming { release, created_at, inputs } = release;
        if inputs.is_empty() {
            return Ok(());
        }
        if self.last.as_ref().is_some_and(|l| l.inputs == inputs) {
            history.of_release.insert(release.0, history.made - 1);
            return Ok(());
        }
        let project = project(&inputs, read)?;
        let Some(set) = TokenSet::of_project(&project) else { return Ok(()) };
        let config = match Config::of_project(&project) {
            Ok(config) => config,
            Err(finding) => {
                // Defaults in its place would publish other names and another package.
                tracing::error!(%release, place = finding.place, why = finding.message, "tokens of a release cannot be read");
                history.unreadable.insert(release.0, format!("{}: {}", finding.place, finding.message));
                return Ok(());
            }
        };
        let notes: Vec<Note> = project
            .iter()
            .filter(|(path, _)| path.starts_with("tokens/changes/"))
            .filter_map(|(path, bytes)| Note::parse(path, &String::from_utf8_lossy(bytes)).ok())
            .collect();
        let (resolved, set, _) = set.resolve();
        let (version, difference, fresh) = match &self.last {
            None => {
                (Version::parse(&config.version).unwrap_or(Version(1, 0, 0)), Diff::default(), notes.clone())
            }
            Some(last) => {
                let difference = diff(&last.resolved, &resolved, &config.tolerance);
                let fresh: Vec<Note> = notes.iter().filter(|n| !last.notes.contains(n)).cloned().collect();
                let said = fresh.iter().map(|n| n.bump).max().unwrap_or_default();
                // Files that differ and say nothing new (a comment, the order of names) are a patch.
                let bump = difference.verdict.max(said).max(ashlar_tokens::Bump::Patch);
                (last.version.bumped(bump), difference, fresh)
            }
        };
        let part = cut(changelog(version, &fresh, &difference));
        let text = log(history.parts.iter().chain([&part]));
        let (built, _) = build(&resolved, &set, &config.outputs(), &config.options(&resolved));
        let package = pack(&config, version, &built, &text).map_err(|e| e.to_string())?;
        let listed = TokenRelease {
            release,
            version,
            created_at,
            file_name: package.file_name(),
            integrity: package.integrity(),
            shasum: package.shasum(),
            files: built.iter().map(|f| f.path).collect(),
            name: package.name,
            manifest: package.manifest,
            inputs: inputs.clone(),
            number: history.made,
        };
        history.of_release.insert(release.0, history.made);
        history.made += 1;
        history.versions.push_back(Arc::new(listed));
        history.parts.push_back(part);
        self.last = Some(Last { inputs, resolved, notes, version });
        if history.versions.len() > KEPT_MAX {
            history.versions.pop_front();
            let first = history.made - history.versions.len();
            history.of_release.retain(|_, number| *number >= first);
        }
        if history.parts.len() > KEPT_MAX + CHANGELOG_VERSIONS {
            history.parts.pop_front();
        }
        Ok(())
    }
}

impl Recipe {
    /// Makes the files and the tarball of a version.
    ///
    /// # Errors
    /// When what it is made of cannot be read, or gives other bytes than it did.
    pub fn make(&self, read: Read<'_>) -> Result<Made, String> {
        let of = &self.of;
        let project = project(&of.inputs, read)?;
        let set = TokenSet::of_project(&project).ok_or("there are no tokens")?;
        let config = Config::of_project(&project).map_err(|f| format!("{}: {}", f.place, f.message))?;
        let (resolved, set, _) = set.resolve();
        let (files, _) = build(&resolved, &set, &config.outputs(), &config.options(&resolved));
        let package: Package =
            pack(&config, of.version, &files, &log(self.parts.iter())).map_err(|e| e.to_string())?;
        if package.integrity() != of.integrity {
            return Err(format!("{}@{} cannot be rebuilt identically", of.name, of.version));
        }
        Ok(Made { files, tarball: package.tarball })
    }
}

/// Histories by tenant, and the bytes of versions that were asked for last.
#[derive(Default)]
pub struct TokenVersions {
    histories: Mutex<HashMap<TenantId, Arc<OfTenant>>>,
    /// With their digests and sizes, the one that was used last at the end.
    made: Mutex<VecDeque<(String, Arc<Made>, usize)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TokenVersions {
    /// The history of a tenant.
    pub fn of(&self, tenant: &TenantId) -> Arc<OfTenant> {
        lock(&self.histories).entry(tenant.clone()).or_default().clone()
    }

    /// Forgets histories of other tenants when all together take too much; they follow from the releases again.
    pub fn sweep(&self, used: &TenantId) {
        let mut histories = lock(&self.histories);
        let sizes: Vec<(TenantId, usize)> = histories
            .iter()
            // One that is being extended is in use.
            .filter_map(|(t, h)| Some((t.clone(), h.work.try_lock().ok()?.bytes())))
            .collect();
        let mut total: usize = sizes.iter().map(|(_, bytes)| bytes).sum();
        for (tenant, bytes) in sizes.into_iter().filter(|(t, _)| t != used) {
            if total <= HISTORY_BYTES_MAX {
                break;
            }
            histories.remove(&tenant);
            total -= bytes;
        }
    }

    /// The bytes of a version, when they are at hand.
    pub fn at_hand(&self, version: &TokenRelease) -> Option<Arc<Made>> {
        let mut made = lock(&self.made);
        let at = made.iter().position(|(integrity, ..)| *integrity == version.integrity)?;
        let found = made.remove(at)?;
        made.push_back(found.clone());
        Some(found.1)
    }

    /// Keeps the bytes of a version for those who ask next.
    pub fn keep(&self, version: &TokenRelease, made: &Arc<Made>) {
        let mut all = lock(&self.made);
        all.retain(|(integrity, ..)| *integrity != version.integrity);
        all.push_back((version.integrity.clone(), made.clone(), made.bytes()));
        while all.len() > 1 && all.iter().map(|(.., bytes)| bytes).sum::<usize>() > MADE_BYTES_MAX {
            all.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_made_again_as_they_were_and_old_ones_leave() {
        let mut objects: HashMap<Digest, Vec<u8>> = HashMap::new();
        let mut release = |number: u32, value: u32| {
            let text =
                format!(r#"{{"a": {{"$type": "dimension", "$value": {{"value": {value}, "unit": "px"}}}}}}"#);
            let digest = Digest::of(text.as_bytes());
            objects.insert(digest, text.into_bytes());
            Incoming {
                release: ReleaseId(number),
                created_at: String::new(),
                inputs: BTreeMap::from([("tokens/a.tokens.json".to_owned(), digest)]),
            }
        };
        let releases: Vec<Incoming> = (1..=120).map(|n| release(n, n)).collect();
        let again = release(2, 7);
        let read = |digest: &Digest| objects.get(digest).cloned().ok_or_else(|| "gone".to_owned());
        let tenant = OfTenant::default();
        tenant.extend(releases, &read).unwrap();
        // Releases that are in it already change nothing.
        tenant.extend(vec![again], &read).unwrap();
        let history = tenant.seen();
        assert_eq!((history.upto(), history.versions().count()), (120, 120));
        for version in history.versions().step_by(17) {
            let made = history.recipe(version).make(&read).unwrap();
            assert_eq!(made.files.iter().map(|f| f.path).collect::<Vec<_>>(), version.files);
        }
        // What an error interrupts goes on where it stopped.
        let lost = |_: &Digest| Err("the disk is away".to_owned());
        let more = || {
            (121..=122)
                .map(|n| Incoming {
                    release: ReleaseId(n),
                    created_at: String::new(),
                    inputs: BTreeMap::from([("tokens/a.tokens.json".to_owned(), Digest::of(b"x"))]),
                })
                .collect::<Vec<_>>()
        };
        assert!(tenant.extend(more(), &lost).is_err());
        assert_eq!(tenant.seen().upto(), 120);
        // Bytes at hand are bounded.
        let versions = TokenVersions::default();
        let all: Vec<_> = history.versions().cloned().collect();
        for version in &all {
            versions.keep(version, &Arc::new(Made { files: Vec::new(), tarball: vec![0; 8 << 20] }));
        }
        assert_eq!(lock(&versions.made).len(), 8);
        assert!(versions.at_hand(&all[119]).is_some() && versions.at_hand(&all[0]).is_none());
    }
}
