//! No files of a crate import each other in a circle.
//!
//! A file depends on another when a path in it leads there: a `use`, or a path such as `crate::store::open` in its code, also
//! inside macros. Paths are followed through re-exports to the file that defines the name. What does not count:
//!
//! - `mod name;`, and a re-export (`pub use`) of a name that the file itself does not use;
//! - tests: items and modules under `#[cfg(test)]`;
//! - names in strings, attributes and documentation, methods, and other crates.
//!
//! A name is used when it begins a path, or stands alone and is a type, a constant, or a function that is called.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::modules::{Crate, Module};

/// How far re-exports of re-exports are followed.
const HOPS_MAX: usize = 6;

/// What a name in a module is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Module(usize),
    /// An item, in this file.
    Item(usize),
}

impl Crate {
    fn name(&self, module: usize, name: &str, hops: usize) -> Option<Found> {
        let at = &self.modules[module];
        if let Some(child) = at.children.get(name) {
            return Some(Found::Module(*child));
        }
        if at.items.contains(name) {
            return Some(Found::Item(at.file));
        }
        if hops == 0 {
            return None;
        }
        let named = at.imports.iter().find(|i| !i.is_glob && i.alias == name);
        if let Some(found) = named.and_then(|i| self.path(module, &i.path, hops - 1)) {
            return Some(found);
        }
        at.imports.iter().filter(|i| i.is_glob).find_map(|i| match self.path(module, &i.path, hops - 1)? {
            Found::Module(globbed) if globbed != module => self.name(globbed, name, hops - 1),
            _ => None,
        })
    }

    /// What a path in a module leads to; `None` for another crate and for local names.
    fn path(&self, module: usize, path: &[String], hops: usize) -> Option<Found> {
        let mut rest = path.iter();
        let first = rest.next()?;
        let mut at = match first.as_str() {
            "crate" => Found::Module(0),
            "self" => Found::Module(module),
            "super" => Found::Module(self.modules[module].parent),
            name => self.name(module, name, hops)?,
        };
        for name in rest {
            let Found::Module(here) = at else { break };
            at = match name.as_str() {
                "super" => Found::Module(self.modules[here].parent),
                "self" => at,
                // What a macro defines is not known by name.
                name => self.name(here, name, hops).unwrap_or(Found::Item(self.modules[here].file)),
            };
        }
        Some(at)
    }

    /// The files that a module needs, each with a line that says so.
    fn needs(&self, module: &Module, id: usize) -> Vec<(usize, usize)> {
        let mut out = Vec::new();
        let mut add = |found: Option<Found>, line: usize| {
            if let Some(Found::Item(file)) = found {
                out.push((file, line));
            }
        };
        for (path, line) in &module.paths {
            match self.path(id, path, HOPS_MAX) {
                Some(Found::Module(to)) => add(Some(Found::Item(self.modules[to].file)), *line),
                found => add(found, *line),
            }
        }
        for import in module.imports.iter().filter(|i| !i.is_glob) {
            let is_used = !import.is_public || module.words.contains_key(&import.alias);
            // A module that is imported counts where a path goes through it.
            add(self.path(id, &import.path, HOPS_MAX).filter(|_| is_used), import.line);
        }
        let is_local = |word: &String| {
            module.items.contains(word)
                || module.children.contains_key(word)
                || module.imports.iter().any(|i| !i.is_glob && i.alias == *word)
        };
        if module.imports.iter().any(|i| i.is_glob) {
            for (word, line) in module.words.iter().filter(|(word, _)| !is_local(word)) {
                add(self.name(id, word, HOPS_MAX), *line);
            }
        }
        out
    }

    /// For each file, the files it needs, each with the first line that says so.
    fn graph(&self) -> Vec<BTreeMap<usize, usize>> {
        let mut graph = vec![BTreeMap::new(); self.files.len()];
        for (id, module) in self.modules.iter().enumerate() {
            for (to, line) in self.needs(module, id) {
                if to != module.file {
                    let first: &mut usize = graph[module.file].entry(to).or_insert(line);
                    *first = line.min(*first);
                }
            }
        }
        graph
    }
}

/// The shortest way from a file back to itself.
fn circle(graph: &[BTreeMap<usize, usize>], start: usize) -> Option<Vec<usize>> {
    let mut from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(at) = next.pop_front() {
        for to in graph[at].keys() {
            if *to == start {
                let mut way = vec![at];
                while let Some(before) = from.get(&way[way.len() - 1]) {
                    way.push(*before);
                }
                way.reverse();
                return Some(way);
            }
            if !from.contains_key(to) && *to != start {
                from.insert(*to, at);
                next.push_back(*to);
            }
        }
    }
    None
}

/// Circles among the files of a crate: every file that is in one is named once, in a shortest circle.
pub fn check(files: &Crate, allowed: &dyn Fn(&str) -> bool, wrong: &mut Vec<String>) {
    let mut graph = files.graph();
    for (file, needs) in graph.iter_mut().enumerate() {
        if allowed(&files.files[file]) {
            needs.clear();
        }
    }
    let mut circles: Vec<Vec<usize>> = (0..graph.len()).filter_map(|file| circle(&graph, file)).collect();
    circles.sort_by_key(Vec::len);
    let mut named: BTreeSet<usize> = BTreeSet::new();
    for circle in circles {
        if circle.iter().all(|file| named.contains(file)) {
            continue;
        }
        named.extend(&circle);
        let mut text = String::new();
        for (at, file) in circle.iter().enumerate() {
            let to = circle[(at + 1) % circle.len()];
            text.push_str(&format!("{}:{} → ", files.files[*file], graph[*file][&to]));
        }
        wrong.push(format!("files import in a circle: {text}{}", files.files[circle[0]]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let read = |path: &str| files.iter().find(|(p, _)| *p == path).map(|(_, text)| (*text).to_owned());
        let mut wrong = Vec::new();
        check(&Crate::read("src/lib.rs", &read), &|_| false, &mut wrong);
        wrong
    }

    fn of(a: &str, b: &str) -> Vec<String> {
        let lib = "mod a;\nmod b;\npub use a::{A, run};\npub use b::*;\n";
        found(&[("src/lib.rs", lib), ("src/a.rs", a), ("src/b.rs", b)])
    }

    #[test]
    fn a_circle_is_named_with_its_lines() {
        let wrong = of("use crate::b::B;\npub struct A(B);\n", "pub struct B;\n\nfn f(a: crate::a::A) {}\n");
        assert_eq!(wrong, ["files import in a circle: src/a.rs:1 → src/b.rs:3 → src/a.rs"]);
        // Through a re-export, a glob, a macro, a group and an alias.
        for (a, b) in [
            ("use crate::B;\npub struct A(B);", "use super::A;\npub struct B(A);"),
            ("use super::*;\npub struct A(B);", "use super::*;\npub struct B(A);"),
            (
                "pub struct A;\nfn f() { log!(\"\", crate::b::g()); }",
                "use crate::{a::{self as x, A}};\npub fn g() {}",
            ),
            (
                "use super::b as y;\npub struct A;\nfn f() { y::g(); }",
                "pub fn g() { super::run(); }\nuse crate::A;",
            ),
        ] {
            assert_eq!(of(a, b).len(), 1, "{a}\n{b}: {:?}", of(a, b));
        }
    }

    #[test]
    fn what_does_not_count_is_no_circle() {
        for (a, b) in [
            ("pub struct A;", "use crate::A;\npub struct B(A);"),
            // Tests, strings, documentation and attributes.
            (
                "#[cfg(test)]\nmod tests { use crate::b::B; }\npub struct A;",
                "use crate::A;\npub struct B(A);",
            ),
            (
                "/// [`crate::b::B`]\n#[with(crate::b::B)]\npub struct A(\"crate::b::B\");",
                "use crate::A;\npub struct B;",
            ),
            ("#[cfg(test)]\nuse crate::b::B;\npub struct A;", "use crate::A;\npub struct B;"),
            // A local name that is also a name in the other file; another crate.
            ("use super::*;\npub struct A;\nfn h(g: u8) { g.b(); }", "use crate::A;\npub fn g() {}"),
            ("use other::b::B;\npub struct A(B);", "use crate::A;\npub struct B;"),
        ] {
            assert_eq!(of(a, b), Vec::<String>::new(), "{a}\n{b}");
        }
    }

    #[test]
    fn a_parent_that_only_re_exports_is_not_in_a_circle() {
        let child = ("src/p/c.rs", "use super::P;\npub struct C(P);\npub fn d() {}\n");
        let of =
            |parent: &str| found(&[("src/lib.rs", "mod p;\npub use p::C;"), ("src/p.rs", parent), child]);
        assert!(of("mod c;\npub use c::{C, d};\npub struct P { d: u8 }").is_empty());
        assert!(of("mod c;\npub use self::c::*;\npub struct P;\n#[d(1)]\nfn f(d: P) { d.d() }").is_empty());
        assert_eq!(of("mod c;\npub use c::C;\npub struct P(Box<C>);").len(), 1);
        assert_eq!(of("mod c;\npub struct P;\nfn f() { c::d() }").len(), 1);
        assert_eq!(of("mod c;\npub use c::*;\npub struct P;\nfn f() { d() }").len(), 1);
    }
}
