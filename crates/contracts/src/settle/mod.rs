//! Writes every reference of the contracts as a file and a JSON pointer. Behind this nobody knows of `$id`, anchors and
//! dynamic references: all that they can mean is decided here, because every schema is at hand.
//!
//! A `$dynamicRef` means another place depending on the schemas that led to it. Where that makes a difference, the schema
//! is copied into the `$defs` of the contract, once for each meaning.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use url::Url;

use crate::refs::{Documents, Place, normalize, target, walk};

/// The most copies that the dynamic references of one contract need.
const COPIES_MAX: usize = 100;
/// Schemas with an `$id` inside one contract, and inside all of them.
const EMBEDDED_MAX: usize = 200;
const EMBEDDED_ALL_MAX: usize = 2_000;
/// Different names of dynamic references in a project.
const DYNAMIC_NAMES_MAX: usize = 100;
/// The most bytes of all copies of a project.
const COPIED_BYTES_MAX: usize = 8 << 20;

/// Words that were removed, or mean one place alone, when a schema is rewritten.
const SETTLED: [&str; 5] = ["$ref", "$dynamicRef", "$id", "$anchor", "$dynamicAnchor"];

/// Something wrong at a place: the file, the JSON pointer, what, and how to fix it.
pub(crate) type Wrong = (String, String, String, &'static str);

/// A part of a file with an address of its own: the file itself, or a schema with `$id`.
struct Resource {
    file: String,
    pointer: String,
    base: Option<Url>,
    /// The resource around it.
    parent: Option<usize>,
    anchors: BTreeMap<String, String>,
    dynamic: BTreeMap<String, String>,
    /// Names of dynamic references in it and in everything that it leads to.
    uses: Names,
    /// Those of them that it has an anchor for.
    offers: Names,
}

/// Names of dynamic references: a bit for each number in [`Index::names`].
type Names = u128;
const _: () = assert!(DYNAMIC_NAMES_MAX <= Names::BITS as usize);

/// The number of a dynamic anchor's name → the outermost resource on the way that has it.
type Scope = BTreeMap<u32, usize>;

struct Index {
    all: Vec<Resource>,
    by_url: BTreeMap<String, Vec<usize>>,
    by_file: BTreeMap<String, usize>,
    /// By file and pointer.
    by_place: BTreeMap<String, BTreeMap<String, usize>>,
    /// Names of dynamic references with their numbers.
    names: BTreeMap<String, u32>,
}

fn encoded(pointer: &str) -> String {
    pointer
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'$' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn under(pointer: &str, prefix: &str) -> bool {
    pointer.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Index {
    fn read(documents: &Documents, wrong: &mut Vec<Wrong>) -> Self {
        let mut out = Self {
            all: Vec::new(),
            by_url: BTreeMap::new(),
            by_file: BTreeMap::new(),
            by_place: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        let mut embedded_all = 0;
        for (file, schema) in documents {
            let mut open: Vec<usize> = Vec::new();
            let mut embedded = 0;
            walk(schema, &mut String::new(), &mut |pointer, s| {
                while open.last().is_some_and(|r| !under(pointer, &out.all[*r].pointer)) {
                    open.pop();
                }
                let parent = open.last().copied();
                let id = s.get("$id").and_then(Value::as_str);
                if parent.is_some() && id.is_some() {
                    embedded += 1;
                    embedded_all += 1;
                }
                let too_many = embedded > EMBEDDED_MAX || embedded_all > EMBEDDED_ALL_MAX;
                if too_many && id.is_some() && embedded <= EMBEDDED_MAX + 1 {
                    wrong.push((
                        file.clone(),
                        format!("{pointer}/$id"),
                        format!(
                            "there are more than {EMBEDDED_MAX} schemas with an `$id` in this file, or {EMBEDDED_ALL_MAX} in all"
                        ),
                        "name places with JSON pointers such as `#/$defs/name`",
                    ));
                }
                if parent.is_none() || (id.is_some() && !too_many) {
                    let around = parent.and_then(|p| out.all[p].base.clone());
                    let around = around.or_else(|| Url::parse(&format!("contract:///{file}")).ok());
                    let named = id.map(|id| id.strip_suffix('#').unwrap_or(id));
                    let base = match named {
                        Some(id) if id.contains('#') => {
                            wrong.push((
                                file.clone(),
                                format!("{pointer}/$id"),
                                format!("`{id}` has a fragment"),
                                "name a place with `$anchor`",
                            ));
                            around
                        }
                        Some(id) => {
                            around.as_ref().and_then(|a| a.join(id).ok()).or_else(|| Url::parse(id).ok())
                        }
                        None => around,
                    };
                    let at = out.all.len();
                    if let Some(base) = base.as_ref().filter(|_| named.is_some()) {
                        let same = out.by_url.entry(base.to_string()).or_default();
                        // Versions of a contract may share theirs; then each means itself.
                        if same.iter().any(|r| out.all[*r].file == *file) {
                            wrong.push((
                                file.clone(),
                                format!("{pointer}/$id"),
                                format!("`{base}` is the `$id` of two schemas of this file"),
                                "give each schema an `$id` of its own",
                            ));
                        }
                        same.push(at);
                    }
                    if parent.is_none() {
                        out.by_file.insert(file.clone(), at);
                    }
                    out.all.push(Resource {
                        file: file.clone(),
                        pointer: pointer.to_owned(),
                        base,
                        parent,
                        anchors: BTreeMap::new(),
                        dynamic: BTreeMap::new(),
                        uses: 0,
                        offers: 0,
                    });
                    out.by_place.entry(file.clone()).or_default().insert(pointer.to_owned(), at);
                    open.push(at);
                }
                let Some(own) = open.last().and_then(|r| out.all.get_mut(*r)) else { return };
                if let Some(name) = s.get("$anchor").and_then(Value::as_str) {
                    own.anchors.insert(name.to_owned(), pointer.to_owned());
                }
                if let Some(name) = s.get("$dynamicAnchor").and_then(Value::as_str) {
                    own.dynamic.insert(name.to_owned(), pointer.to_owned());
                }
            });
        }
        out
    }

    /// The resource that begins at a place.
    fn at(&self, file: &str, pointer: &str) -> Option<usize> {
        self.by_place.get(file)?.get(pointer).copied()
    }

    /// The innermost resource of a place.
    fn of(&self, file: &str, pointer: &str) -> Option<usize> {
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
    fn leads(&self, from: usize, text: &str) -> Result<Option<(usize, Place)>, (String, &'static str)> {
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
        let to = self.of(&r.file, &pointer).unwrap_or(to);
        Ok(Some((to, Place { file: r.file.clone(), pointer })))
    }

    /// The name of a dynamic reference that may mean another place; `None` when it is a reference like others.
    fn dynamic_name(&self, from: usize, text: &str) -> Option<String> {
        let (to, fragment) = self.named(from, text)?;
        self.all[to].dynamic.contains_key(&fragment).then_some(fragment)
    }

    /// Finds for each resource which dynamic references it can come to.
    fn find_uses(&mut self, documents: &Documents, wrong: &mut Vec<Wrong>) {
        let mut edges: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut found: BTreeSet<(usize, u32)> = BTreeSet::new();
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        for (file, schema) in documents {
            walk(schema, &mut String::new(), &mut |pointer, s| {
                if s.get("$ref").is_none() && s.get("$dynamicRef").is_none() {
                    return;
                }
                let Some(own) = self.of(file, pointer) else { return };
                for word in ["$ref", "$dynamicRef"] {
                    let Some(text) = s.get(word).and_then(Value::as_str) else { continue };
                    if let Ok(Some((to, _))) = self.leads(own, text) {
                        edges.insert((own, to));
                    }
                    if word == "$dynamicRef"
                        && let Some(name) = self.dynamic_name(own, text)
                    {
                        let next = names.len();
                        if next >= DYNAMIC_NAMES_MAX && !names.contains_key(&name) {
                            wrong.push((
                                file.clone(),
                                format!("{pointer}/{word}"),
                                format!(
                                    "there are more than {DYNAMIC_NAMES_MAX} names of dynamic references"
                                ),
                                "use `$ref` where a schema is always the same",
                            ));
                        } else {
                            found.insert((own, *names.entry(name).or_insert(next as u32)));
                        }
                    }
                }
            });
        }
        if found.is_empty() {
            return;
        }
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
    fn enter(&self, scope: &Scope, to: usize) -> Scope {
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

/// One contract, as it is rewritten.
struct Writer<'i> {
    index: &'i Index,
    file: &'i str,
    /// A resource in a scope → the JSON pointer in this file where it is.
    placed: BTreeMap<(usize, Scope), String>,
    waiting: Vec<(usize, Scope, String)>,
    copies: usize,
    /// Bytes that may still be copied, for all contracts.
    bytes_left: &'i mut usize,
    wrong: Vec<Wrong>,
}

impl Writer<'_> {
    /// How a place is written that is reached in a scope.
    fn written(&mut self, scope: &Scope, to: usize, place: &Place) -> String {
        let r = &self.index.all[to];
        if r.uses == 0 {
            let file = if place.file == self.file { "" } else { place.file.as_str() };
            let text = format!("{file}#{}", encoded(&place.pointer));
            return if place.pointer.is_empty() && !file.is_empty() { file.to_owned() } else { text };
        }
        let entered = self.index.enter(scope, to);
        let below = place.pointer.get(r.pointer.len()..).unwrap_or_default();
        let key = (to, entered);
        if let Some(at) = self.placed.get(&key) {
            return format!("#{}{}", encoded(at), encoded(below));
        }
        self.copies += 1;
        let at = format!("/$defs/dynamic-{}", self.copies);
        if self.copies <= COPIES_MAX {
            self.placed.insert(key.clone(), at.clone());
            self.waiting.push((key.0, key.1, at.clone()));
        }
        format!("#{}{}", encoded(&at), encoded(below))
    }

    /// Writes the references of a resource, which is at `at` of this file, in a scope.
    fn write(&mut self, schema: &Value, resource: usize, scope: &Scope, at: &str) -> Value {
        let index = self.index;
        let start = index.all[resource].pointer.as_str();
        let mut out = schema.clone();
        let mut edits: Vec<(String, Map<String, Value>)> = Vec::new();
        let mut open = vec![(resource, scope.clone())];
        self.placed.entry((resource, scope.clone())).or_insert_with(|| at.to_owned());
        let mut pointer = start.to_owned();
        walk(schema, &mut pointer, &mut |pointer, s| {
            let Value::Object(map) = s else { return };
            while open.len() > 1 && open.last().is_some_and(|(r, _)| !under(pointer, &index.all[*r].pointer))
            {
                open.pop();
            }
            let inner = index.at(&index.all[resource].file, pointer);
            if let (Some(inner), Some((around, scope))) = (inner, open.last())
                && inner != *around
            {
                let entered = index.enter(scope, inner);
                let here = format!("{at}{}", &pointer[start.len()..]);
                self.placed.entry((inner, entered.clone())).or_insert(here);
                open.push((inner, entered));
            }
            let Some((own, scope)) = open.last().cloned() else { return };
            if !SETTLED.iter().any(|word| map.contains_key(*word)) {
                return;
            }
            let mut next = map.clone();
            for word in ["$ref", "$dynamicRef"] {
                let Some(text) = map.get(word).and_then(Value::as_str) else { continue };
                let led = match (word == "$dynamicRef").then(|| index.dynamic_name(own, text)).flatten() {
                    Some(name) => {
                        let around = index.names.get(&name).and_then(|number| scope.get(number));
                        match around.and_then(|to| Some((*to, index.all[*to].dynamic.get(&name)?))) {
                            Some((to, pointer)) => Ok(Some((
                                to,
                                Place { file: index.all[to].file.clone(), pointer: pointer.clone() },
                            ))),
                            None => index.leads(own, text),
                        }
                    }
                    None => index.leads(own, text),
                };
                let written = match led {
                    Ok(Some((to, place))) => {
                        let written = self.written(&scope, to, &place);
                        // What was written as we would have is left as it was.
                        match normalize(text) {
                            Ok(plain) if target(self.file, &plain) == target(self.file, &written) => plain,
                            _ => written,
                        }
                    }
                    Ok(None) => normalize(text).unwrap_or_else(|_| text.to_owned()),
                    Err((why, help)) => {
                        self.wrong.push((self.file.to_owned(), format!("{pointer}/{word}"), why, help));
                        continue;
                    }
                };
                next.remove(word);
                if next.contains_key("$ref") {
                    let all = next.entry("allOf").or_insert_with(|| json!([]));
                    if let Value::Array(all) = all {
                        all.push(json!({ "$ref": written }));
                    }
                } else {
                    next.insert("$ref".to_owned(), Value::String(written));
                }
            }
            edits.push((pointer[start.len()..].to_owned(), next));
        });
        // From the innermost: an edit has the members of its place as they were.
        for (pointer, next) in edits.into_iter().rev() {
            let Some(Value::Object(place)) = out.pointer_mut(&pointer) else { continue };
            SETTLED.iter().for_each(|word| drop(place.remove(*word)));
            if let Some(to) = next.get("$ref") {
                place.insert("$ref".to_owned(), to.clone());
            }
            // A dynamic reference that stands beside a reference was added behind the others.
            let known = place.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
            let more = next.get("allOf").and_then(Value::as_array).into_iter().flatten().skip(known);
            let more: Vec<Value> = more.cloned().collect();
            if !more.is_empty()
                && let Value::Array(all) = place.entry("allOf").or_insert_with(|| json!([]))
            {
                all.extend(more);
            }
        }
        out
    }
}

/// Writes every reference of all files in one way, and removes what would change where they lead.
pub(crate) fn settle(documents: &mut Documents) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut index = Index::read(documents, &mut wrong);
    index.find_uses(documents, &mut wrong);
    let mut settled = Documents::new();
    let mut bytes_left = COPIED_BYTES_MAX;
    for (file, schema) in &*documents {
        let Some(root) = index.by_file.get(file).copied() else { continue };
        let mut writer = Writer {
            index: &index,
            file,
            placed: BTreeMap::new(),
            waiting: Vec::new(),
            copies: 0,
            bytes_left: &mut bytes_left,
            wrong: Vec::new(),
        };
        let scope = index.enter(&Scope::new(), root);
        let mut out = writer.write(schema, root, &scope, "");
        let mut copies = Map::new();
        while let Some((resource, scope, at)) = writer.waiting.pop() {
            let r = &index.all[resource];
            let Some(original) = documents.get(&r.file).and_then(|d| d.pointer(&r.pointer)) else { continue };
            match writer.bytes_left.checked_sub(original.to_string().len()) {
                Some(left) => *writer.bytes_left = left,
                None => {
                    writer.copies = COPIES_MAX + 1;
                    break;
                }
            }
            let copy = writer.write(original, resource, &scope, &at);
            copies.insert(at.trim_start_matches("/$defs/").to_owned(), copy);
        }
        if writer.copies > COPIES_MAX {
            let message = format!(
                "its dynamic references mean more than {COPIES_MAX} different schemas, or too large ones"
            );
            writer.wrong.push((
                file.clone(),
                String::new(),
                message,
                "use `$ref` where a schema is always the same",
            ));
            // What leads to copies that were not made is not told again.
            out = json!({});
        } else if !copies.is_empty()
            && let Value::Object(map) = &mut out
            && let Value::Object(defs) = map.entry("$defs").or_insert_with(|| json!({}))
        {
            defs.extend(copies);
        }
        wrong.append(&mut writer.wrong);
        settled.insert(file.clone(), out);
    }
    *documents = settled;
    wrong
}
