//! Parts of schemas that have an address of their own, and which dynamic references each can come to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use crate::refs::{Documents, Place, normalize, target, walk};

/// Schemas with an `$id` inside one contract, and inside all of them.
const EMBEDDED_MAX: usize = 200;
const EMBEDDED_ALL_MAX: usize = 2_000;
/// Different names of dynamic references in a project.
const DYNAMIC_NAMES_MAX: usize = 100;

/// Something wrong at a place: the file, the JSON pointer, what, and how to fix it.
pub(crate) type Wrong = (String, String, String, &'static str);

/// Whether a place is at `prefix` or inside it.
pub(super) fn under(pointer: &str, prefix: &str) -> bool {
    pointer.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A part of a file with an address of its own: the file itself, or a schema with `$id`.
pub(super) struct Resource {
    pub(super) file: String,
    pub(super) pointer: String,
    base: Option<Url>,
    /// The resource around it.
    parent: Option<usize>,
    anchors: BTreeMap<String, String>,
    pub(super) dynamic: BTreeMap<String, String>,
    /// Names of dynamic references in it and in everything that it leads to.
    pub(super) uses: Names,
    /// Those of them that it has an anchor for.
    offers: Names,
}

/// Names of dynamic references: a bit for each number in [`Index::names`].
pub(super) type Names = u128;
const _: () = assert!(DYNAMIC_NAMES_MAX <= Names::BITS as usize);

/// Where a reference leads: the resource that is entered, and the place. `None` when the file is not there.
pub(super) type Leads = Result<Option<(usize, Place)>, (String, &'static str)>;

/// The number of a dynamic anchor's name → the outermost resource on the way that has it.
pub(super) type Scope = BTreeMap<u32, usize>;

#[derive(Default)]
pub(super) struct Index {
    pub(super) all: Vec<Resource>,
    by_url: BTreeMap<String, Vec<usize>>,
    pub(super) by_file: BTreeMap<String, usize>,
    /// By file and pointer.
    by_place: BTreeMap<String, BTreeMap<String, usize>>,
    /// Names of dynamic references with their numbers.
    pub(super) names: BTreeMap<String, u32>,
}

/// Reads the resources of all files.
struct Reader<'w> {
    index: Index,
    /// Schemas with an `$id` inside others, so far.
    embedded: usize,
    wrong: &'w mut Vec<Wrong>,
}

impl Reader<'_> {
    fn file(&mut self, file: &str, schema: &Value) {
        let mut open: Vec<usize> = Vec::new();
        let mut embedded = 0;
        walk(schema, &mut String::new(), &mut |pointer, s| {
            while open.last().is_some_and(|r| !under(pointer, &self.index.all[*r].pointer)) {
                open.pop();
            }
            let parent = open.last().copied();
            let mut id = s.get("$id").and_then(Value::as_str);
            if parent.is_some() && id.is_some() {
                embedded += 1;
                self.embedded += 1;
            }
            if id.is_some() && (embedded > EMBEDDED_MAX || self.embedded > EMBEDDED_ALL_MAX) {
                if embedded <= EMBEDDED_MAX + 1 {
                    let message = format!(
                        "there are more than {EMBEDDED_MAX} schemas with an `$id` in this file, or {EMBEDDED_ALL_MAX} in all"
                    );
                    self.wrong_id(
                        file,
                        pointer,
                        message,
                        "name places with JSON pointers such as `#/$defs/name`",
                    );
                }
                id = id.filter(|_| parent.is_none());
            }
            if parent.is_none() || id.is_some() {
                open.push(self.resource(file, pointer, id, parent));
            }
            let Some(own) = open.last().and_then(|r| self.index.all.get_mut(*r)) else { return };
            if let Some(name) = s.get("$anchor").and_then(Value::as_str) {
                own.anchors.insert(name.to_owned(), pointer.to_owned());
            }
            if let Some(name) = s.get("$dynamicAnchor").and_then(Value::as_str) {
                own.dynamic.insert(name.to_owned(), pointer.to_owned());
            }
        });
    }

    /// Adds what begins at a place: a file, or a schema with an `$id`.
    fn resource(&mut self, file: &str, pointer: &str, id: Option<&str>, parent: Option<usize>) -> usize {
        let around = parent.and_then(|p| self.index.all[p].base.clone());
        let around = around.or_else(|| Url::parse(&format!("contract:///{file}")).ok());
        let id = id.map(|id| id.strip_suffix('#').unwrap_or(id));
        let base = match id {
            Some(id) if id.contains('#') => {
                self.wrong_id(file, pointer, format!("`{id}` has a fragment"), "name a place with `$anchor`");
                around
            }
            Some(id) => around.as_ref().and_then(|a| a.join(id).ok()).or_else(|| Url::parse(id).ok()),
            None => around,
        };
        let at = self.index.all.len();
        if let Some(base) = base.as_ref().filter(|_| id.is_some()) {
            let same = self.index.by_url.entry(base.to_string()).or_default();
            same.push(at);
            // Versions of a contract may share theirs; then each means itself.
            if same.iter().any(|r| self.index.all.get(*r).is_some_and(|r| r.file == file)) {
                let message = format!("`{base}` is the `$id` of two schemas of this file");
                self.wrong_id(file, pointer, message, "give each schema an `$id` of its own");
            }
        }
        if parent.is_none() {
            self.index.by_file.insert(file.to_owned(), at);
        }
        self.index.all.push(Resource {
            file: file.to_owned(),
            pointer: pointer.to_owned(),
            base,
            parent,
            anchors: BTreeMap::new(),
            dynamic: BTreeMap::new(),
            uses: 0,
            offers: 0,
        });
        self.index.by_place.entry(file.to_owned()).or_default().insert(pointer.to_owned(), at);
        at
    }

    fn wrong_id(&mut self, file: &str, pointer: &str, message: String, help: &'static str) {
        self.wrong.push((file.to_owned(), format!("{pointer}/$id"), message, help));
    }
}

/// Dynamic references, while it is found out where they can lead.
#[derive(Default)]
struct Uses {
    /// From one resource to another.
    edges: BTreeSet<(usize, usize)>,
    /// A resource and the number of a name that it refers to.
    found: BTreeSet<(usize, u32)>,
    names: BTreeMap<String, u32>,
}

impl Index {
    /// The resources of all files, and which dynamic references each of them can come to.
    pub(super) fn of(documents: &Documents, wrong: &mut Vec<Wrong>) -> Self {
        let mut reader = Reader { index: Self::default(), embedded: 0, wrong };
        documents.iter().for_each(|(file, schema)| reader.file(file, schema));
        let Reader { mut index, wrong, .. } = reader;
        let uses = index.references(documents, wrong);
        if !uses.found.is_empty() {
            index.spread(uses);
        }
        index
    }

    /// The resource that begins at a place.
    pub(super) fn at(&self, file: &str, pointer: &str) -> Option<usize> {
        self.by_place.get(file)?.get(pointer).copied()
    }

    /// The innermost resource of a place.
    fn of_place(&self, file: &str, pointer: &str) -> Option<usize> {
        let places = self.by_place.get(file)?;
        let mut around = std::iter::successors(Some(pointer), |p| p.rsplit_once('/').map(|(outer, _)| outer));
        around.find_map(|place| places.get(place).copied())
    }

    /// The resource that a reference names, and its fragment.
    fn named(&self, from: usize, text: &str) -> Option<(usize, String)> {
        let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
        let fragment = target("", &format!("#{fragment}")).pointer;
        if address.is_empty() {
            return Some((from, fragment));
        }
        let joined = self.all[from]
            .base
            .as_ref()
            .and_then(|b| b.join(address).ok())
            .or_else(|| Url::parse(address).ok());
        if let Some(found) = joined.and_then(|url| self.by_url.get(url.as_str())) {
            let own = found.iter().find(|r| self.all[**r].file == self.all[from].file);
            return own.or(found.first()).map(|r| (*r, fragment));
        }
        // Contracts name each other by their files, whatever their `$id`s are.
        let file = target("", &normalize(address).ok()?).file;
        self.by_file.get(&file).map(|r| (*r, fragment))
    }

    /// Where a reference leads: the resource that is entered, and the place.
    pub(super) fn leads(&self, from: usize, text: &str) -> Leads {
        let pointers = "refer to a file of contracts/ or to `#/$defs/…`";
        let Some((to, fragment)) = self.named(from, text) else {
            // A file that is not there is found by those who look for it.
            return normalize(text).map(|_| None).map_err(|why| (why, pointers));
        };
        let r = &self.all[to];
        let pointer = match fragment.strip_prefix('/') {
            _ if fragment.is_empty() => r.pointer.clone(),
            Some(_) => format!("{}{fragment}", r.pointer),
            None => match r.anchors.get(&fragment).or_else(|| r.dynamic.get(&fragment)) {
                Some(pointer) => pointer.clone(),
                None => {
                    return Err((
                        format!("`{text}` names an anchor that is not there"),
                        "name an `$anchor` of the schema, or write a JSON pointer such as `#/$defs/name`",
                    ));
                }
            },
        };
        // What is entered is where the pointer ends.
        let to = self.of_place(&r.file, &pointer).unwrap_or(to);
        Ok(Some((to, Place { file: r.file.clone(), pointer })))
    }

    /// The name of a dynamic reference that may mean another place; `None` when it is a reference like others.
    pub(super) fn dynamic_name(&self, from: usize, text: &str) -> Option<String> {
        let (to, fragment) = self.named(from, text)?;
        self.all[to].dynamic.contains_key(&fragment).then_some(fragment)
    }

    /// All references, from resource to resource.
    fn references(&self, documents: &Documents, wrong: &mut Vec<Wrong>) -> Uses {
        let mut out = Uses::default();
        for (file, schema) in documents {
            walk(schema, &mut String::new(), &mut |pointer, s| {
                if s.get("$ref").is_none() && s.get("$dynamicRef").is_none() {
                    return;
                }
                let Some(own) = self.of_place(file, pointer) else { return };
                for word in ["$ref", "$dynamicRef"] {
                    let Some(text) = s.get(word).and_then(Value::as_str) else { continue };
                    if let Ok(Some((to, _))) = self.leads(own, text) {
                        out.edges.insert((own, to));
                    }
                    let Some(name) = self.dynamic_name(own, text).filter(|_| word == "$dynamicRef") else {
                        continue;
                    };
                    let next = out.names.len();
                    if next < DYNAMIC_NAMES_MAX || out.names.contains_key(&name) {
                        out.found.insert((own, *out.names.entry(name).or_insert(next as u32)));
                        continue;
                    }
                    let message =
                        format!("there are more than {DYNAMIC_NAMES_MAX} names of dynamic references");
                    let help = "use `$ref` where a schema is always the same";
                    wrong.push((file.clone(), format!("{pointer}/{word}"), message, help));
                }
            });
        }
        out
    }

    /// Notes for each resource the names that it and everything it leads to refer to.
    fn spread(&mut self, Uses { mut edges, found, names }: Uses) {
        for r in &mut self.all {
            let numbers = r.dynamic.keys().filter_map(|name| names.get(name));
            r.offers = numbers.fold(0, |set, number| set | 1 << number);
        }
        edges.extend(self.all.iter().enumerate().filter_map(|(at, r)| Some((r.parent?, at))));
        // A dynamic reference leads to its name, and the name to all that have an anchor for it: written out for each pair
        // of them, these would be far too many.
        let resources = self.all.len();
        let mut uses: Vec<Names> = vec![0; resources + names.len()];
        for (at, number) in found {
            uses[at] |= 1 << number;
            edges.insert((at, resources + number as usize));
        }
        for (at, r) in self.all.iter().enumerate() {
            let numbers = (0..names.len()).filter(|number| r.offers & (1 << number) != 0);
            edges.extend(numbers.map(|number| (resources + number, at)));
        }
        let mut back: Vec<Vec<usize>> = vec![Vec::new(); uses.len()];
        edges.into_iter().for_each(|(from, to)| back[to].push(from));
        let mut waiting: Vec<usize> = (0..uses.len()).filter(|at| uses[*at] != 0).collect();
        while let Some(at) = waiting.pop() {
            for from in &back[at] {
                let grown = uses[*from] | uses[at];
                if grown != uses[*from] {
                    uses[*from] = grown;
                    waiting.push(*from);
                }
            }
        }
        for (r, uses) in self.all.iter_mut().zip(uses) {
            r.uses = uses;
        }
        self.names = names;
    }

    /// The scope after a resource is entered, as far as it matters in there.
    pub(super) fn enter(&self, scope: &Scope, to: usize) -> Scope {
        let r = &self.all[to];
        let mut out: Scope =
            scope.iter().filter(|(n, _)| r.uses & (1 << **n) != 0).map(|(n, at)| (*n, *at)).collect();
        // Everything around an entered resource in its file was not entered.
        let mut own = r.offers & r.uses;
        while own != 0 {
            out.entry(own.trailing_zeros()).or_insert(to);
            own &= own - 1;
        }
        out
    }
}
