//! Groups that extend others: what they inherit is copied.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::source::{DEFINITIONS_MAX, Def, Extends, NAME_BYTES_MAX, TokenSet, ancestors};

/// The most groups with `$extends`, and the most that extend one another.
pub const EXTENDS_MAX: usize = 2_000;
const EXTENDS_DEPTH_MAX: usize = 64;

/// The tokens inside each group that is extended, in the order of the set.
type Within = FxHashMap<Box<str>, Vec<u32>>;

fn enter(within: &mut Within, name: &str, at: usize) {
    for group in ancestors(name) {
        if let Some(tokens) = within.get_mut(group) {
            tokens.push(at as u32);
        }
    }
}

impl TokenSet {
    /// Copies what groups inherit, so that nothing behind this knows of `$extends`.
    pub(crate) fn extend(&mut self) {
        let mut extends = std::mem::take(&mut self.extends);
        if extends.len() > EXTENDS_MAX {
            let message = format!("More than {EXTENDS_MAX} groups extend others.");
            self.wrong_extends(
                &extends[EXTENDS_MAX],
                message,
                "extend a group once, and refer to its tokens",
            );
            extends.truncate(EXTENDS_MAX);
        }
        let mut done = vec![false; extends.len()];
        let mut within: Within = extends.iter().map(|e| (e.target.as_str().into(), Vec::new())).collect();
        for (at, token) in self.tokens.iter().enumerate().filter(|_| !extends.is_empty()) {
            enter(&mut within, &token.name, at);
        }
        for at in 0..extends.len() {
            let mut path = FxHashSet::default();
            self.extend_one(&extends, &mut done, at, &mut path, &mut within);
        }
    }

    fn extend_one(
        &mut self,
        all: &[Extends],
        done: &mut [bool],
        at: usize,
        path: &mut FxHashSet<usize>,
        within: &mut Within,
    ) {
        // A set that is too large is refused, so that what else it inherits does not matter.
        if done[at] || self.reported_definitions || self.reported_tokens {
            return;
        }
        let Extends { group, target, .. } = &all[at];
        let inside = |inner: &str, outer: &str| {
            inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
        };
        if !path.insert(at) || inside(target, group) || inside(group, target) {
            done[at] = true;
            let message = format!("`{group}` extends `{target}`, which leads back to itself.");
            return self.wrong_extends(&all[at], message, "break the circle");
        }
        if path.len() > EXTENDS_DEPTH_MAX {
            done[at] = true;
            let message = format!("More than {EXTENDS_DEPTH_MAX} groups extend one another.");
            return self.wrong_extends(&all[at], message, "extend the last of them directly");
        }
        // What the target inherits itself comes first, and so does what is inherited inside it.
        for (other, e) in all.iter().enumerate() {
            if other != at && (inside(&e.group, target) || inside(target, &e.group)) {
                self.extend_one(all, done, other, path, within);
            }
        }
        path.remove(&at);
        if done[at] {
            return;
        }
        done[at] = true;
        let inherited = self.inherited(&all[at], within);
        if inherited.is_empty() && !self.groups.contains_key(target.as_str()) {
            let message = format!("`{group}` extends `{target}`, and there is no such group.");
            self.wrong_extends(&all[at], message, "name a group that contains tokens");
        }
        if let Some(ty) = self.groups.get(target.as_str()).copied() {
            self.groups.entry(group.as_str().into()).or_insert(ty);
        }
        for (name, defs) in inherited {
            let new = self.tokens.len();
            for def in defs.into_iter().rev() {
                self.define(name.clone(), def, true);
            }
            if self.tokens.len() > new {
                enter(within, &name, new);
            }
        }
    }

    /// Copies of the tokens of the target, with their names in the group.
    fn inherited(&self, extends: &Extends, within: &Within) -> Vec<(String, Vec<Def>)> {
        let Extends { group, target, when, .. } = extends;
        let room = DEFINITIONS_MAX.saturating_sub(self.definitions);
        let mut copied = 0;
        within
            .get(target.as_str())
            .into_iter()
            .flatten()
            .map(|at| &self.tokens[*at as usize])
            .filter_map(|t| Some((t.name.get(target.len() + 1..)?, t)))
            .filter(|(rest, _)| group.len() + 1 + rest.len() <= NAME_BYTES_MAX)
            .take_while(|(_, token)| {
                // One more than there is room for says that there are too many.
                let left = copied <= room;
                copied += token.defs.len();
                left
            })
            .map(|(rest, token)| (format!("{group}.{rest}"), token))
            .map(|(name, token)| {
                let copy = |def: &Def| {
                    let mut def = def.clone();
                    def.origin.get_or_insert_with(|| token.name.clone());
                    def.when.extend(when.iter().copied());
                    def
                };
                (name, token.defs.iter().map(copy).collect())
            })
            .collect()
    }

    fn wrong_extends(&mut self, extends: &Extends, message: String, help: &str) {
        self.error("token-extends", (extends.layer, &extends.group, "/$extends"), message, help);
    }
}
