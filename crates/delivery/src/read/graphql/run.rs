//! Runs a plan on a release. Entries are read as the bytes they are stored in: what is selected is copied, everything
//! else is passed over, and no value is built.

use std::{borrow::Cow, collections::BTreeMap};

use ashlar_model::{EntryId, EntryKey, EntryRecord, Locale, TypeName};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    given::{Given, bad, plain},
    searching,
};
use crate::{
    cache::{Key, Looked, Sources},
    error::Failure,
    graphql::{
        plan::{Arguments, Below, Conditions, Plan, Selected, Show},
        schema::{Root, Schema},
        slot::{Kind, Slot},
    },
    http::{CACHE_CONTROL, Pace, Problem, RequestParts, cut},
    read::{
        compose::{BODY_BYTES_MAX, ENTRIES_MAX},
        entry::listed,
        list,
        members::{pick, text},
        search::cache_control,
    },
    release::ReleaseView,
};

/// The most entries that are written into one answer; one that is referred to often counts each time.
const WRITTEN_MAX: usize = 20_000;
/// Members of an object that are found without memory of their own.
const FEW: usize = 16;
/// An answer depends on who asks and when.
const NEVER: &str = "no-store";
/// Reported errors.
const ERRORS_MAX: usize = 50;

/// What came of a run.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) body: Vec<u8>,
    pub(crate) sources: Sources,
    /// The locale that a field asked for first.
    pub(crate) locale: Option<Locale>,
    /// Whether something went wrong; then the answer is for nobody else.
    pub(crate) failed: bool,
    /// How long the answer may be kept, when it contains a search or an answer to a question.
    pub(crate) searched: Option<&'static str>,
}

struct Loaded<'r> {
    /// Where its key is in what was read.
    read: usize,
    /// Where id and locale start in the key.
    id_at: usize,
    locale_at: usize,
    /// Its object type, when its contract is there.
    object: Option<&'r str>,
    bytes: Bytes,
}

enum Step<'p> {
    Key(&'p str),
    At(usize),
}

/// Locales to try, and what was found in them: the same id is another entry in another language.
struct Chain<'r> {
    locales: &'r [Locale],
    /// Type and id with a NUL byte between → position in `loaded`.
    known: FxHashMap<Key, Option<usize>>,
}

impl<'r> Chain<'r> {
    fn new(locales: &'r [Locale]) -> Self {
        Self { locales, known: FxHashMap::default() }
    }
}

struct Run<'r> {
    view: &'r ReleaseView,
    pace: &'r Pace,
    schema: &'r Schema,
    variables: &'r Map<String, Value>,
    /// Who asks.
    parts: &'r RequestParts<'r>,
    /// The chains of locales that fields ask for, that of the request first.
    chains: Vec<Chain<'r>>,
    /// The chain of the field that is answered.
    chain: usize,
    loaded: Vec<Loaded<'r>>,
    /// The key that is looked for.
    key: Vec<u8>,
    written: usize,
    path: Vec<Step<'r>>,
    errors: Vec<Value>,
    outcome: Outcome,
}

/// Runs an operation with variables that fit it.
pub(crate) fn run(
    view: &ReleaseView,
    schema: &Schema,
    plan: &Plan,
    locales: &[Locale],
    (variables, parts): (&Map<String, Value>, &RequestParts<'_>),
    pace: &Pace,
) -> Result<Outcome, Failure> {
    let mut run = Run {
        view,
        pace,
        schema,
        variables,
        parts,
        chains: vec![Chain::new(locales)],
        chain: 0,
        loaded: Vec::new(),
        key: Vec::new(),
        written: 0,
        path: Vec::new(),
        errors: Vec::new(),
        outcome: Outcome::default(),
    };
    let mut data = Vec::with_capacity(4 << 10);
    if !run.query(&mut data, &plan.fields)? {
        data.clear();
        data.extend_from_slice(b"null");
    }
    let mut out = run.outcome;
    out.body.reserve(data.len() + 16);
    if run.errors.is_empty() {
        out.body.extend_from_slice(b"{\"data\":");
    } else {
        out.failed = true;
        out.body.extend_from_slice(format!("{{\"errors\":{},\"data\":", Value::Array(run.errors)).as_bytes());
    }
    out.body.extend_from_slice(&data);
    out.body.push(b'}');
    Ok(out)
}

fn holds(when: &[Conditions], variables: &Map<String, Value>) -> bool {
    when.iter().any(|all| all.iter().all(|(name, wanted)| variables.get(name) == Some(&Value::Bool(*wanted))))
}

impl<'r> Run<'r> {
    fn error(&mut self, code: &str, message: impl Into<String>) {
        if self.errors.len() >= ERRORS_MAX {
            return;
        }
        let path: Vec<Value> = self
            .path
            .iter()
            .map(|step| match step {
                Step::Key(key) => json!(key),
                Step::At(n) => json!(n),
            })
            .collect();
        self.errors.push(json!({"message": message.into(), "path": path, "extensions": {"code": code}}));
    }

    /// Writes null where that is allowed; `false` when it may not, and an error is reported.
    fn null(&mut self, out: &mut Vec<u8>, slot: &Slot, why: &str) -> bool {
        if slot.required {
            self.error("not-there", format!("a value that is always there {why}"));
            return false;
        }
        out.extend_from_slice(b"null");
        true
    }

    fn query(&mut self, out: &mut Vec<u8>, selected: &'r Selected) -> Result<bool, Failure> {
        out.push(b'{');
        let mut first = true;
        for field in &selected.fields {
            if !holds(&field.when, self.variables) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(&field.written);
            // What a field before this one left behind, however it ended, is not for this one.
            self.chain = 0;
            self.path.clear();
            self.path.push(Step::Key(&field.key));
            let mark = out.len();
            let fine = match &field.show {
                Show::Root(root, arguments) => match self.root(out, root, arguments, &field.below) {
                    // What is wrong with an argument is an error of the field.
                    Err(Failure::Problem(problem)) if problem.status < 500 => {
                        self.error(problem.code, format!("{}; {}", problem.detail, problem.help));
                        out.truncate(mark);
                        !matches!(root, Root::List { .. }) && {
                            out.extend_from_slice(b"null");
                            true
                        }
                    }
                    other => other?,
                },
                _ => {
                    out.extend_from_slice(b"\"Query\"");
                    true
                }
            };
            if !fine {
                return Ok(false);
            }
        }
        out.push(b'}');
        Ok(true)
    }

    /// Makes a chain of locales that of the field that is answered.
    fn follow(&mut self, locales: &'r [Locale]) {
        let at = self.chains.iter().position(|c| c.locales == locales);
        self.chain = at.unwrap_or_else(|| {
            self.chains.push(Chain::new(locales));
            self.chains.len() - 1
        });
    }

    /// The locale that a field asks for becomes that of the field.
    fn locale(&mut self, given: &Given<'_>) -> Result<(), Failure> {
        let Some(locale) = given.value("locale") else { return Ok(()) };
        let named = locale.as_str().unwrap_or_default();
        let locales = &self.view.definitions.locales;
        let Some(wanted) = locales.chain(named) else {
            let detail = format!("there is no locale `{}`", cut(named));
            return Err(bad(detail, format!("this project has {}", listed(locales.all()))));
        };
        if self.outcome.locale.is_none() {
            self.outcome.locale = wanted.first().cloned();
        }
        self.follow(wanted);
        Ok(())
    }

    fn root(
        &mut self,
        out: &mut Vec<u8>,
        root: &'r Root,
        arguments: &'r Arguments,
        below: &'r Below,
    ) -> Result<bool, Failure> {
        let given = Given { arguments, variables: self.variables };
        self.locale(&given)?;
        match root {
            Root::One { source, by } => {
                let mark = out.len();
                match self.found(source, by, &given)? {
                    Some(loaded) if self.entry(out, loaded, below)? => {}
                    _ => {
                        out.truncate(mark);
                        out.extend_from_slice(b"null");
                    }
                }
                Ok(true)
            }
            Root::List { source, fields } => {
                let locales = self.chains[self.chain].locales;
                let pairs = given.list(fields)?.into_iter().map(|(n, v)| (Cow::Owned(n), Cow::Owned(v)));
                let page = list::select(self.view, source, locales, pairs, self.pace)?;
                self.outcome.sources.lists.insert(source.clone());
                self.page(out, &page, below)
            }
            Root::Search | Root::Answer => self.searched(out, root, &given, below),
        }
    }

    /// Searches or answers a question, and writes what is selected of that.
    fn searched(
        &mut self,
        out: &mut Vec<u8>,
        root: &Root,
        given: &Given<'_>,
        below: &'r Below,
    ) -> Result<bool, Failure> {
        self.pace.heavy()?;
        let locales = self.chains[self.chain].locales;
        let (raw, kept) = if *root == Root::Search {
            let (raw, search) = searching::results(self.view, given, locales, self.parts)?;
            let kept = cache_control(&search);
            self.outcome.sources.lists.extend(search.types);
            (raw, kept)
        } else {
            let (raw, search) = searching::answer(self.view, given, locales, self.parts.reader)?;
            self.outcome.sources.lists.extend(search.types);
            (raw, NEVER)
        };
        // What may be kept for the shortest time decides.
        let before = self.outcome.searched.unwrap_or(kept);
        self.outcome.searched = Some(if before == CACHE_CONTROL || kept == NEVER { kept } else { before });
        let Some(selected) = below.values().next() else { return Ok(false) };
        let mark = out.len();
        if !self.object(out, &raw, selected, None)? {
            out.truncate(mark);
            out.extend_from_slice(b"null");
        }
        Ok(true)
    }

    /// The entry that the arguments of a field name.
    fn found(
        &mut self,
        source: &TypeName,
        by: &BTreeMap<String, Option<String>>,
        given: &Given<'_>,
    ) -> Result<Option<usize>, Failure> {
        let asked = by.iter().find_map(|(argument, field)| Some((field, given.value(argument)?)));
        let Some((field, value)) = asked else {
            let detail = "no value says which entry is meant".to_owned();
            return Err(bad(detail, "give the variable of the look-up a value"));
        };
        let value = plain(&value);
        let id = match field {
            None => EntryId::new(&value).ok(),
            Some(field) => {
                let locales = self.chains[self.chain].locales;
                let found = self.view.id_with(source, field, &value, locales)?;
                self.outcome.sources.looked.push(Looked {
                    source: source.clone(),
                    field: field.clone(),
                    value,
                    locales: locales.to_vec(),
                    found: found.clone(),
                });
                found
            }
        };
        match id {
            Some(id) => self.load(source, id.as_str()),
            None => Ok(None),
        }
    }

    fn page(&mut self, out: &mut Vec<u8>, page: &list::Selected, below: &'r Below) -> Result<bool, Failure> {
        let Some(selected) = below.values().next() else { return Ok(false) };
        out.push(b'{');
        let mut first = true;
        for field in &selected.fields {
            if !holds(&field.when, self.variables) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(&field.written);
            self.path.push(Step::Key(&field.key));
            match &field.show {
                Show::Items => {
                    out.push(b'[');
                    for (n, (key, record)) in page.items.iter().enumerate() {
                        if n > 0 {
                            out.push(b',');
                        }
                        self.path.push(Step::At(n));
                        let loaded = self.listed(key, record)?;
                        if !self.entry(out, loaded, &field.below)? {
                            return Ok(false);
                        }
                        self.path.pop();
                    }
                    out.push(b']');
                }
                Show::NextCursor => match &page.next_cursor {
                    Some(cursor) => out.extend_from_slice(json!(cursor).to_string().as_bytes()),
                    None => out.extend_from_slice(b"null"),
                },
                _ => {
                    out.push(b'"');
                    out.extend_from_slice(selected.type_name.as_bytes());
                    out.push(b'"');
                }
            }
            self.path.pop();
        }
        out.push(b'}');
        Ok(true)
    }

    /// An entry in the first wanted locale that has it; each is read once.
    fn load(&mut self, type_name: &TypeName, id: &str) -> Result<Option<usize>, Failure> {
        self.key.clear();
        self.key.extend_from_slice(type_name.as_str().as_bytes());
        self.key.push(0);
        self.key.extend_from_slice(id.as_bytes());
        if let Some(known) = self.chains[self.chain].known.get(self.key.as_slice()) {
            return Ok(*known);
        }
        if !EntryId::is_valid(id) {
            return Ok(None);
        }
        let name: Key = self.key.as_slice().into();
        let mut found = None;
        for n in 0..self.chains[self.chain].locales.len() {
            self.key.truncate(name.len());
            self.key.push(0);
            self.key.extend_from_slice(self.chains[self.chain].locales[n].as_str().as_bytes());
            self.pace.look_up(1)?;
            let record = self.view.record_at(&self.key)?;
            self.outcome.sources.read.push((self.key.as_slice().into(), record));
            if let Some(record) = record {
                found = Some(self.add(type_name, name.len(), &record)?);
                break;
            }
        }
        self.chains[self.chain].known.insert(name, found);
        Ok(found)
    }

    /// An entry that a list found.
    fn listed(&mut self, key: &EntryKey, record: &EntryRecord) -> Result<usize, Failure> {
        let bytes = key.to_bytes();
        let name_len = bytes.len() - key.locale.as_str().len() - 1;
        let name: Key = bytes[..name_len].into();
        if let Some(Some(known)) = self.chains[self.chain].known.get(&name) {
            return Ok(*known);
        }
        self.outcome.sources.read.push((bytes.into(), Some(*record)));
        let at = self.add(&key.type_name, name_len, record)?;
        self.chains[self.chain].known.insert(name, Some(at));
        Ok(at)
    }

    /// Loads what was read last.
    fn add(&mut self, type_name: &TypeName, name_len: usize, record: &EntryRecord) -> Result<usize, Failure> {
        if self.outcome.sources.read.len() > ENTRIES_MAX * self.chains[self.chain].locales.len().max(1) {
            return Err(too_large());
        }
        self.pace.copy(record.len as usize)?;
        let of_type = self.schema.entries.get(type_name).and_then(|m| m.get(&record.major));
        self.loaded.push(Loaded {
            read: self.outcome.sources.read.len() - 1,
            id_at: type_name.as_str().len() + 1,
            locale_at: name_len + 1,
            object: of_type.map(String::as_str),
            bytes: self.view.caches.entry(&self.view.objects, &record.digest)?,
        });
        Ok(self.loaded.len() - 1)
    }

    fn entry(&mut self, out: &mut Vec<u8>, loaded: usize, below: &'r Below) -> Result<bool, Failure> {
        self.written += 1;
        if self.written > WRITTEN_MAX || out.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        let Loaded { object, bytes, .. } = &self.loaded[loaded];
        let Some(selected) = object.and_then(|t| below.get(t)) else {
            self.error("unknown-contract", "an entry follows a contract that is not there");
            return Ok(false);
        };
        let bytes = bytes.clone();
        self.pace.pick(bytes.len())?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => self.object(out, text, selected, Some(loaded)),
            Err(_) => {
                self.error("unreadable", "an entry is not text");
                Ok(false)
            }
        }
    }

    fn object(
        &mut self,
        out: &mut Vec<u8>,
        raw: &str,
        selected: &'r Selected,
        entry: Option<usize>,
    ) -> Result<bool, Failure> {
        // Most objects show few members; they need no memory of their own.
        let (mut few, mut many) = ([None; FEW], Vec::new());
        let found: &mut [Option<&RawValue>] = match selected.members.len() {
            n if n <= FEW => &mut few[..n],
            n => {
                many.resize(n, None);
                &mut many
            }
        };
        if pick(raw, &selected.members, found).is_none() {
            self.error("not-an-object", "the stored value is no object");
            return Ok(false);
        }
        out.push(b'{');
        let mut first = true;
        for field in &selected.fields {
            if !holds(&field.when, self.variables) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(&field.written);
            let of_key = |from: fn(&Loaded<'_>, &[u8]) -> std::ops::Range<usize>| {
                let loaded = &self.loaded[entry?];
                let key = &self.outcome.sources.read.get(loaded.read)?.0;
                key.get(from(loaded, key))
            };
            let plain = match &field.show {
                Show::Id => of_key(|l, _| l.id_at..l.locale_at - 1),
                Show::Type => of_key(|l, _| 0..l.id_at - 1),
                Show::Locale => of_key(|l, key| l.locale_at..key.len()),
                Show::Member(slot) => {
                    let value = found.get(field.member).copied().flatten().map(RawValue::get);
                    self.path.push(Step::Key(&field.key));
                    let fine = self.complete(out, slot, value, &field.below)?;
                    self.path.pop();
                    if !fine {
                        return Ok(false);
                    }
                    continue;
                }
                _ => Some(selected.type_name.as_bytes()),
            };
            // Names, ids and locales need no escapes.
            out.push(b'"');
            out.extend_from_slice(plain.unwrap_or_default());
            out.push(b'"');
        }
        out.push(b'}');
        Ok(true)
    }

    /// Writes the value of a place; `false` when null has to stand further up.
    fn complete(
        &mut self,
        out: &mut Vec<u8>,
        slot: &Slot,
        raw: Option<&str>,
        below: &'r Below,
    ) -> Result<bool, Failure> {
        let Some(raw) = raw.filter(|r| *r != "null") else { return Ok(self.null(out, slot, "is absent")) };
        let first = raw.as_bytes().first().copied().unwrap_or_default();
        let mark = out.len();
        let fits = match &slot.kind {
            Kind::Text => first == b'"',
            Kind::Bool => matches!(raw, "true" | "false"),
            Kind::Float => first == b'-' || first.is_ascii_digit(),
            Kind::Int => raw.parse::<i32>().is_ok(),
            Kind::Json => true,
            Kind::Object(name) => {
                let Some(selected) = below.get(name) else {
                    return Ok(self.null(out, slot, "is not selected"));
                };
                if first == b'{' && self.object(out, raw, selected, None)? {
                    return Ok(true);
                }
                false
            }
            Kind::Union { tag, types, .. } => {
                let mut value = [None];
                let read = pick(raw, std::slice::from_ref(tag), &mut value).and(value[0]);
                let value = read.and_then(|v| text(v.get()));
                let selected = value.and_then(|v| types.get(v.as_ref())).and_then(|t| below.get(t));
                match selected {
                    Some(selected) => {
                        if self.object(out, raw, selected, None)? {
                            return Ok(true);
                        }
                        false
                    }
                    None => false,
                }
            }
            Kind::Reference(types) => {
                return match self.referred(raw, types)? {
                    Some(loaded) if self.entry(out, loaded, below)? => Ok(true),
                    _ => {
                        out.truncate(mark);
                        Ok(self.null(out, slot, "leads nowhere"))
                    }
                };
            }
            Kind::List(item) => {
                if first == b'[' && self.list(out, item, raw, below)? {
                    return Ok(true);
                }
                false
            }
        };
        if fits {
            out.extend_from_slice(raw.as_bytes());
            return Ok(true);
        }
        out.truncate(mark);
        Ok(self.null(out, slot, "does not have its type"))
    }

    fn list(&mut self, out: &mut Vec<u8>, item: &Slot, raw: &str, below: &'r Below) -> Result<bool, Failure> {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw) else { return Ok(false) };
        out.push(b'[');
        let start = out.len();
        for (n, value) in items.into_iter().enumerate() {
            let mark = out.len();
            if mark > start {
                out.push(b',');
            }
            self.path.push(Step::At(n));
            let fine = match &item.kind {
                Kind::Reference(types) => match self.referred(value.get(), types)? {
                    Some(loaded) => self.entry(out, loaded, below)?,
                    // What is not there is left out.
                    None => {
                        out.truncate(mark);
                        true
                    }
                },
                _ => self.complete(
                    out,
                    &Slot { required: true, kind: item.kind.clone() },
                    Some(value.get()),
                    below,
                )?,
            };
            self.path.pop();
            if !fine {
                return Ok(false);
            }
        }
        out.push(b']');
        Ok(true)
    }

    fn referred(&mut self, raw: &str, types: &[TypeName]) -> Result<Option<usize>, Failure> {
        let Some(text) = text(raw) else { return Ok(None) };
        match ashlar_contracts::split_ref(&text, types) {
            Some((type_name, id)) => self.load(type_name, id),
            None => Ok(None),
        }
    }
}

fn too_large() -> Failure {
    Problem::new(
        500,
        "answer-too-large",
        "Answer too large",
        format!("the operation reads more than {ENTRIES_MAX} entries or {BODY_BYTES_MAX} bytes"),
    )
    .help("ask for fewer items, or follow fewer references")
    .into()
}
