//! `.ashlar/check.cache`: what is known of every content file, so that an unchanged one is not read again.
//!
//! A file counts as unchanged when its path, size, inode, modification time and change time are those it was read with.
//! A file that changed shortly before it was read is not kept, because a second change within the resolution of the clock
//! would not show. A cache that does not hold (other version, other definitions, damaged) is ignored.

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use ashlar_model::{ContractName, Digest, EntryKey, Finding, Level};
use ashlar_project::content::ContentFile;
use rustc_hash::FxHashMap;

use super::{
    codec::{Reader, Writer},
    entries::{FileFacts, LinkUse, Ref, Row},
};

const MAGIC: &[u8] = b"ashlar check cache 3 ";
const FILE: &str = ".ashlar/check.cache";
/// A cache larger than this is not worth reading, in bytes.
const CACHE_BYTES_MAX: u64 = 2 << 30;
/// How long before it was read a file must have changed last to be kept, in nanoseconds: more than any clock's resolution.
const SETTLED_NS: i128 = 50_000_000;

/// What was kept of earlier checks.
#[derive(Default)]
pub(super) struct Cache {
    /// The digest of all inputs of the last check, and its report as JSON.
    pub(super) report: Option<(Digest, Vec<u8>)>,
    bytes: Vec<u8>,
    /// Path → where its facts stand in `bytes`.
    files: FxHashMap<String, (ContentFile, std::ops::Range<usize>)>,
}

/// Whether a file can be kept that was read at `now_ns`.
pub(super) fn settled(file: &ContentFile, now_ns: i128) -> bool {
    file.mtime_ns.max(file.ctime_ns) + SETTLED_NS < now_ns
}

impl Cache {
    /// Reads the cache of a project. Without a valid cache file the result is empty. The report is found without looking
    /// at the entries.
    pub(super) fn open(dir: &Path, context: &Digest) -> Self {
        let path = dir.join(FILE);
        let fits = fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= CACHE_BYTES_MAX);
        match fits.then(|| fs::read(path).ok()).flatten() {
            Some(bytes) => Self::decode(bytes, context).unwrap_or_default(),
            None => Self::default(),
        }
    }

    fn decode(bytes: Vec<u8>, context: &Digest) -> Option<Self> {
        let body_len = bytes.len().checked_sub(32)?;
        let (body, sum) = bytes.split_at(body_len);
        if Digest::of(body).as_bytes() != sum {
            return None;
        }
        let mut reader = Reader(body.strip_prefix(MAGIC)?.strip_prefix(version().as_bytes())?);
        if reader.digest()? != *context {
            return None;
        }
        let inputs = reader.digest()?;
        let report = reader.bytes()?.to_vec();
        let mut files = FxHashMap::default();
        let count = reader.count()?;
        files.reserve(count);
        for _ in 0..count {
            let file = read_file(&mut reader)?;
            let facts = reader.bytes()?;
            let start = facts.as_ptr() as usize - bytes.as_ptr() as usize;
            files.insert(file.path.clone(), (file, start..start + facts.len()));
        }
        if !reader.is_empty() {
            return None;
        }
        let report = (!report.is_empty()).then_some((inputs, report));
        Some(Self { report, bytes, files })
    }

    /// What is known of a file, when it is unchanged.
    pub(super) fn get(&self, file: &ContentFile) -> Option<FileFacts> {
        let (known, range) = self.files.get(&file.path)?;
        (known == file).then(|| read_facts(&mut Reader(self.bytes.get(range.clone())?))).flatten()
    }

    /// How many files are known.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }
}

fn version() -> String {
    format!("{} ", env!("CARGO_PKG_VERSION"))
}

/// Writes the cache: to a new file first, so that a reader never sees half of it. A cache that cannot be written is not
/// an error, the next check is only slower.
pub(super) fn write_cache<'a>(
    dir: &Path,
    context: &Digest,
    report: Option<(&Digest, &[u8])>,
    files: impl Iterator<Item = (&'a ContentFile, &'a FileFacts)>,
) {
    let mut out = Writer(Vec::new());
    out.0.extend(MAGIC);
    out.0.extend(version().as_bytes());
    out.digest(context);
    let none = Digest::from_bytes([0; 32]);
    out.digest(report.map_or(&none, |(d, _)| d));
    out.bytes(report.map_or(&[], |(_, r)| r));
    let mut body = Writer(Vec::new());
    let mut count = 0;
    for (file, facts) in files {
        write_file(&mut body, file);
        let mut one = Writer(Vec::new());
        write_facts(&mut one, facts);
        body.bytes(&one.0);
        count += 1;
    }
    out.number(count);
    out.0.extend(body.0);
    let sum = Digest::of(&out.0);
    out.digest(&sum);
    let folder = dir.join(".ashlar");
    let written = ashlar_store::private_dir(&folder).and_then(|()| {
        let temporary = folder.join(format!("check.cache.{}", std::process::id()));
        let result = ashlar_store::private_file(&temporary)
            .and_then(|()| fs::File::create(&temporary))
            .and_then(|mut f| f.write_all(&out.0))
            .and_then(|()| fs::rename(&temporary, dir.join(FILE)));
        if result.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        result
    });
    if let Err(error) = written {
        tracing::debug!(%error, "the check cache cannot be written");
    }
}

fn write_file(out: &mut Writer, file: &ContentFile) {
    out.text(&file.path);
    out.number(file.len);
    out.signed(file.mtime_ns);
    out.signed(file.ctime_ns);
    out.number(file.inode);
}

fn read_file(r: &mut Reader<'_>) -> Option<ContentFile> {
    Some(ContentFile {
        path: r.text()?.to_owned(),
        len: r.number()?,
        mtime_ns: r.signed()?,
        ctime_ns: r.signed()?,
        inode: r.number()?,
    })
}

fn write_findings(out: &mut Writer, findings: &[Finding]) {
    out.number(findings.len() as u64);
    for f in findings {
        out.number(u64::from(f.level == Level::Error));
        for text in [&f.code, &f.place, &f.message, &f.help, &f.target] {
            out.text(text);
        }
    }
}

fn read_findings(r: &mut Reader<'_>) -> Option<Vec<Finding>> {
    let count = r.count()?;
    (0..count)
        .map(|_| {
            let level = if r.number()? == 1 { Level::Error } else { Level::Warning };
            Some(Finding {
                level,
                code: r.text()?.to_owned(),
                place: r.text()?.to_owned(),
                message: r.text()?.to_owned(),
                help: r.text()?.to_owned(),
                target: r.text()?.to_owned(),
            })
        })
        .collect()
}

fn write_facts(out: &mut Writer, facts: &FileFacts) {
    write_findings(out, &facts.findings);
    out.number(facts.rows.len() as u64);
    for row in &facts.rows {
        out.bytes(&row.key.to_bytes());
        out.option(row.named.as_ref().map(ToString::to_string).as_deref());
        out.number(u64::from(row.contract.is_some()));
        if let Some(contract) = &row.contract {
            out.digest(contract);
        }
        out.text(&row.source);
        out.digest(&row.digest);
        write_findings(out, &row.findings);
        out.number(row.refs.len() as u64);
        for r in &row.refs {
            out.text(&r.pointer);
            out.text(r.type_name.as_str());
            out.text(r.id.as_str());
        }
        out.option(row.route.as_deref());
        out.number(row.links.len() as u64);
        for l in &row.links {
            out.text(&l.pointer);
            out.number(l.line as u64);
            out.text(&l.target);
        }
        out.number(row.sensitive.len() as u64);
        for ((field, right), digest) in &row.sensitive {
            out.text(field);
            out.text(right);
            out.digest(digest);
        }
        out.number(row.shared.len() as u64);
        for (field, digest) in &row.shared {
            out.text(field);
            out.digest(digest);
        }
    }
}

fn read_facts(r: &mut Reader<'_>) -> Option<FileFacts> {
    let findings = read_findings(r)?;
    let count = r.count()?;
    let rows = (0..count).map(|_| read_row(r)).collect::<Option<Vec<_>>>()?;
    r.is_empty().then_some(FileFacts { findings, rows })
}

fn read_row(r: &mut Reader<'_>) -> Option<Row> {
    let key = EntryKey::from_bytes(r.bytes()?).ok()?;
    let named: Option<ContractName> = match r.option()? {
        Some(name) => Some(name.parse().ok()?),
        None => None,
    };
    let contract = if r.number()? == 1 { Some(r.digest()?) } else { None };
    let source = r.text()?.to_owned();
    let digest = r.digest()?;
    let findings = read_findings(r)?;
    let count = r.count()?;
    let refs = (0..count)
        .map(|_| {
            Some(Ref {
                pointer: r.text()?.to_owned(),
                type_name: r.text()?.parse().ok()?,
                id: r.text()?.parse().ok()?,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let route = r.option()?.map(str::to_owned);
    let count = r.count()?;
    let links = (0..count)
        .map(|_| {
            Some(LinkUse {
                pointer: r.text()?.to_owned(),
                line: usize::try_from(r.number()?).ok()?,
                target: r.text()?.to_owned(),
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let count = r.count()?;
    let sensitive = (0..count)
        .map(|_| Some(((r.text()?.to_owned(), r.text()?.to_owned()), r.digest()?)))
        .collect::<Option<BTreeMap<_, _>>>()?;
    let count = r.count()?;
    let shared =
        (0..count).map(|_| Some((r.text()?.to_owned(), r.digest()?))).collect::<Option<BTreeMap<_, _>>>()?;
    Some(Row { key, named, contract, source, digest, findings, refs, route, links, sensitive, shared })
}
