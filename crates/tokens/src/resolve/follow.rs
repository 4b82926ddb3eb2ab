//! Follows the references of one token in one combination of contexts.

use std::collections::BTreeMap;

use ashlar_model::{Finding, nearest};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    Modifier, Type, Value,
    json::Json,
    resolve::{
        combination::{Combination, VARIANTS_MAX, restrict, variants},
        wrong::{HOPS_MAX, Notes, Wrong, circle},
    },
    source::{Def, Link, Ref, TokenSet, reference, references},
};

/// The most bytes, by estimate, that all values of a set take in all their combinations, with references followed.
pub const EXPANDED_BYTES_MAX: usize = 256 << 20;
/// The most steps along references that one value may take.
const STEPS_MAX: usize = 20_000;
/// The most names that are looked at for a name that is near, over all references to nothing.
const NEAR_MAX: usize = 200_000;

/// How much longer or shorter a name is that may be near.
const NEAR_BYTES: usize = 6;

/// About what one value takes.
const VALUE_BYTES: usize = 64;

pub(super) type Outcome = Option<(u32, Type)>;

pub(super) struct Work<'a> {
    set: &'a TokenSet,
    strides: &'a [u64],
    masks: &'a [u32],
    /// What each token is in its combinations, side by side; [`Self::starts`] says from where on.
    memo: Vec<Option<Outcome>>,
    /// Where the outcomes of a token begin, plus one; 0 until it is looked at.
    starts: Vec<u32>,
    pub(super) values: Vec<Value>,
    /// Values without references, by [`Link::Literal`]: the same in every combination.
    literals: Vec<Option<Outcome>>,
    stack: Vec<(u32, Combination)>,
    pub(super) findings: Vec<Finding>,
    reported: FxHashSet<(Box<str>, String)>,
    /// What is wrong in some combinations: the finding, the modifiers that matter, and the combinations.
    in_contexts: FxHashMap<(Box<str>, String), (usize, u32, Vec<Combination>)>,
    pub(super) notes: Notes,
    /// The tokens whose values are being followed, for messages.
    trail: Vec<u32>,
    /// The lists that are being read, with the token that each is in.
    open: Vec<(*const Json, String)>,
    /// Steps along references that the present value has taken.
    steps: usize,
    bytes_left: usize,
    near_left: usize,
}

impl<'a> Work<'a> {
    /// For a set with so many values without references.
    pub(super) fn new(set: &'a TokenSet, strides: &'a [u64], masks: &'a [u32], literals: usize) -> Self {
        Self {
            set,
            strides,
            masks,
            memo: Vec::with_capacity(set.tokens.len()),
            starts: vec![0; set.tokens.len()],
            values: Vec::with_capacity(literals),
            literals: vec![None; literals],
            stack: Vec::new(),
            findings: Vec::new(),
            reported: FxHashSet::default(),
            in_contexts: FxHashMap::default(),
            notes: Notes::default(),
            trail: Vec::new(),
            open: Vec::new(),
            steps: 0,
            bytes_left: EXPANDED_BYTES_MAX,
            near_left: NEAR_MAX,
        }
    }

    /// Takes what a part of a value needs.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Wrong> {
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => {
                self.bytes_left = 0;
                Err(Wrong::new(
                    "token-expansion",
                    format!("The values of this set take more than {EXPANDED_BYTES_MAX} bytes when all references are followed."),
                )
                .help("refer to composite values less often, or split the set"))
            }
        }
    }

    /// Enters a list that may refer to other lists.
    pub(super) fn open(&mut self, list: &Json, from: &Json) -> Result<(), Wrong> {
        let name = reference(from).map_or_else(String::new, |r| r.token.into_owned());
        let known = self.open.iter().position(|(known, _)| std::ptr::eq(*known, list));
        if known.is_none() && self.open.len() < HOPS_MAX {
            self.open.push((list, name));
            return Ok(());
        }
        let names = self.open[known.unwrap_or(0)..].iter().map(|(_, name)| name.as_str());
        let names: Vec<&str> = names.chain([name.as_str()]).filter(|n| !n.is_empty()).collect();
        Err(circle(&names))
    }

    pub(super) fn close(&mut self) {
        self.open.pop();
    }

    pub(super) fn active(&self, token: u32, combination: Combination) -> Option<&'a Def> {
        let applies = |def: &&Def| {
            def.when.iter().all(|(m, c)| {
                let count = self.set.modifiers[*m as usize].contexts.len() as u64;
                (combination / self.strides[*m as usize]) % count == u64::from(*c)
            })
        };
        self.set.tokens[token as usize].defs.iter().rev().find(applies)
    }

    fn tell(&mut self, name: &str, def: &Def, wrong: Wrong) {
        if let Some((combination, mask)) = wrong.context {
            let combination = restrict(&self.set.modifiers, self.strides, combination, mask);
            let key = (name.into(), wrong.message.clone());
            if let Some((_, _, others)) = self.in_contexts.get_mut(&key) {
                if !others.contains(&combination) {
                    others.push(combination);
                }
                return;
            }
            self.in_contexts.insert(key, (self.findings.len(), mask, vec![combination]));
        } else if wrong.code == "token-cycle" {
            // A circle is reported once, wherever one enters it.
            let names = wrong.message.rsplit_once(": ").map_or("", |(_, names)| names.trim_end_matches('.'));
            let mut members: Vec<&str> = names.split(" → ").collect();
            members.sort_unstable();
            members.dedup();
            if !names.is_empty() && !self.reported.insert((members.join(" ").into(), "circle".to_owned())) {
                return;
            }
        } else if !self.reported.insert((name.into(), wrong.message.clone())) {
            // A value that is wrong is wrong in every context.
            return;
        }
        if self.findings.len() < crate::source::FINDINGS_MAX {
            let part = format!("/$value{}", wrong.part);
            let place = self.set.place_of(def, name, &part);
            self.findings.push(Finding::error(wrong.code, place, wrong.message).help(wrong.help));
        }
    }

    /// Says of what is wrong in some combinations only, which those are.
    pub(super) fn name_contexts(&mut self) {
        const SHOWN: usize = 4;
        for (finding, mask, combinations) in std::mem::take(&mut self.in_contexts).into_values() {
            let all = variants(&self.set.modifiers, mask) == combinations.len() as u64;
            let shown: Vec<String> = combinations.iter().take(SHOWN).map(|c| self.shown(*c, mask)).collect();
            let Some(finding) = self.findings.get_mut(finding) else { continue };
            if !all {
                finding.message.push_str(" with ");
                finding.message.push_str(&shown.join("; "));
                if combinations.len() > SHOWN {
                    finding.message.push_str(&format!(" and {} more", combinations.len() - SHOWN));
                }
            }
            finding.message.push('.');
        }
    }

    /// The contexts of some modifiers in a combination, the default ones too.
    pub(super) fn shown(&self, combination: Combination, mask: u32) -> String {
        let of = |(at, m): (usize, &Modifier)| {
            let digit = combination / self.strides[at] % m.contexts.len() as u64;
            format!("{}={}", m.name, m.contexts[digit as usize])
        };
        let wanted = self.set.modifiers.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
        wanted.map(of).collect::<Vec<_>>().join(", ")
    }

    /// That a token has no definition in a combination, and is referred to there.
    fn undefined(&self, target: u32, combination: Combination) -> Wrong {
        let name = &self.set.tokens[target as usize].name;
        let wrong = Wrong::new("token-alias", format!("`{{{name}}}` is not defined"));
        wrong
            .with(combination, self.own_modifiers(target))
            .help(format!("define `{name}` in these contexts too, or give it a value outside of modifiers"))
    }

    fn own_of(&self, name: &str) -> u32 {
        self.set.position(name).map_or(0, |token| self.own_modifiers(token))
    }

    /// The modifiers in whose contexts a token is defined.
    fn own_modifiers(&self, token: u32) -> u32 {
        let defs = &self.set.tokens[token as usize].defs;
        defs.iter().flat_map(|d| &d.when).fold(0, |mask, (m, _)| mask | 1 << m)
    }

    /// A combination in the digits of the modifiers that change a token, and where the outcome for it is kept.
    fn kept(&mut self, token: u32, combination: Combination) -> Option<(Combination, usize)> {
        let mask = self.masks[token as usize];
        let start = match self.starts[token as usize] {
            0 => {
                let start = self.memo.len();
                let count = variants(&self.set.modifiers, mask);
                // A token with more is refused before, and so are those that refer to it.
                if count > VARIANTS_MAX {
                    return None;
                }
                self.memo.resize(start + count as usize, None);
                self.starts[token as usize] = start as u32 + 1;
                start
            }
            start => start as usize - 1,
        };
        if combination == 0 || mask == 0 {
            return Some((0, start));
        }
        let (mut own, mut at, mut count) = (0, 0, 1);
        for (m, modifier) in self.set.modifiers.iter().enumerate().filter(|(m, _)| mask & (1 << m) != 0) {
            let contexts = modifier.contexts.len() as u64;
            let digit = combination / self.strides[m] % contexts;
            own += digit * self.strides[m];
            at += digit * count;
            count *= contexts;
        }
        Some((own, start + at as usize))
    }

    pub(super) fn token(&mut self, token: u32, combination: Combination) -> Outcome {
        let (combination, kept) = self.kept(token, combination)?;
        if let Some(known) = self.memo[kept] {
            return known;
        }
        let def = self.active(token, combination)?;
        if let Link::Literal(at) = def.link
            && let Some(known) = self.literals[at as usize]
        {
            return known;
        }
        let name = &self.set.tokens[token as usize].name;
        if let Some(from) = self.stack.iter().position(|s| *s == (token, combination)) {
            let mut path: Vec<&str> =
                self.stack[from..].iter().map(|(t, _)| &*self.set.tokens[*t as usize].name).collect();
            // Reported once, at the token that comes first in the files.
            let (first, at) = self.stack[from..].iter().copied().min().unwrap_or((token, combination));
            path.push(name);
            let message = format!("The references run in a circle: {}.", path.join(" → "));
            let members: BTreeMap<&str, ()> = path.iter().map(|p| (*p, ())).collect();
            let key = members.keys().copied().collect::<Vec<_>>().join(" ");
            if self.reported.insert((key.into(), "circle".to_owned())) {
                // The definition that counts in these contexts: the others need not be part of the circle.
                if let Some(def) = self.active(first, at) {
                    let place = self.set.place_of(def, &self.set.tokens[first as usize].name, "/$value");
                    self.findings.push(
                        Finding::error("token-cycle", place, message)
                            .help("give one of them a value of its own"),
                    );
                }
            }
            return None;
        }
        if self.stack.len() > HOPS_MAX {
            self.tell(
                name,
                def,
                Wrong::new(
                    "token-alias",
                    format!("More than {HOPS_MAX} references lead from one to the next."),
                )
                .help("shorten the chain"),
            );
            return None;
        }
        self.stack.push((token, combination));
        let outcome = self.value_of(name, def, combination);
        self.stack.pop();
        match def.link {
            Link::Literal(at) => self.literals[at as usize] = Some(outcome),
            _ => self.memo[kept] = Some(outcome),
        }
        outcome
    }

    fn value_of(&mut self, name: &str, def: &'a Def, combination: Combination) -> Outcome {
        if let Link::Alias(target) = def.link {
            let Some((value, ty)) = self.token(target, combination) else {
                // What is wrong with the token itself is reported there.
                if self.active(target, combination).is_none() {
                    let wrong = self.undefined(target, combination);
                    self.tell(name, def, wrong);
                }
                return None;
            };
            let mask = self.masks[target as usize] | self.own_of(name);
            let target = &self.set.tokens[target as usize].name;
            let Some(own) = def.ty.filter(|own| *own != ty) else { return Some((value, ty)) };
            if own.is_standard() && ty.is_standard() {
                let wrong = Wrong::new(
                    "token-alias-type",
                    format!("`{name}` is a {own} and refers to `{target}`, which is a {ty}"),
                )
                .with(combination, mask)
                .help("refer to a token of the same type, or change `$type`");
                self.tell(name, def, wrong);
                return None;
            }
            // What is not of the format is read as what it stands for.
        } else if let Link::Other = def.link
            && let Some(Ref { token: target, part }) = reference(&def.value)
            && part.is_empty()
        {
            let mut wrong = self.dangling(&target);
            wrong.message.truncate(wrong.message.trim_end_matches('.').len());
            let wrong = wrong.with(combination, self.own_of(name));
            self.tell(name, def, wrong);
            return None;
        }
        let Some(ty) = def.ty else {
            let wrong = Wrong::new(
                "token-type",
                format!("`{name}` has no type: neither it nor a group it lies in says `$type`."),
            )
            .help(format!("add a `$type`: {}", Type::ALL.map(|(_, w)| w).join(", ")));
            self.tell(name, def, wrong);
            return None;
        };
        self.steps = 0;
        let open = std::mem::replace(&mut self.open, vec![(&def.value, name.to_owned())]);
        let value = self.spend(VALUE_BYTES).and_then(|()| self.read(def, ty, &def.value, combination));
        self.open = open;
        match value {
            Ok(value) => {
                self.values.push(value);
                Some((self.values.len() as u32 - 1, ty))
            }
            Err(wrong) => {
                // What follows from a token that is wrong itself is reported there.
                let follows = !matches!(wrong.code, "token-cycle" | "token-expansion")
                    && self.refers_to_wrong(&def.value, combination);
                if !follows {
                    self.tell(name, def, wrong);
                }
                None
            }
        }
    }

    /// Whether a value refers to a token that is defined in a combination and has no value there.
    fn refers_to_wrong(&mut self, value: &Json, combination: Combination) -> bool {
        let mut used = Vec::new();
        references(value, &mut |name| used.extend(self.set.position(name)));
        used.truncate(HOPS_MAX);
        used.into_iter()
            .any(|used| self.active(used, combination).is_some() && self.token(used, combination).is_none())
    }

    fn dangling(&mut self, target: &str) -> Wrong {
        let Some(left) = self.near_left.checked_sub(self.set.tokens.len()) else {
            return Wrong::new("token-alias", format!("`{{{target}}}` leads to no token."))
                .help("correct the reference, or define the token");
        };
        self.near_left = left;
        let names = || self.set.tokens.iter().map(|t| &*t.name);
        if names().any(|name| name.strip_prefix(target).is_some_and(|r| r.starts_with('.'))) {
            return Wrong::new("token-alias", format!("`{{{target}}}` is a group, not a token."))
                .help(format!("refer to a token in it, such as `{{{target}.$root}}` if it has one"));
        }
        let wrong = Wrong::new("token-alias", format!("`{{{target}}}` leads to no token."));
        match nearest(target, names().filter(|name| name.len().abs_diff(target.len()) <= NEAR_BYTES)) {
            Some(name) => wrong.help(format!("did you mean `{{{name}}}`?")),
            None => wrong.help("correct the reference, or define the token"),
        }
    }

    /// Follows references until there is a literal. Parts inside it can still be references.
    pub(super) fn literal(&mut self, json: &'a Json, combination: Combination) -> Result<&'a Json, Wrong> {
        let start = self.trail.len();
        let found = self.follow(json, combination);
        self.trail.truncate(start);
        found
    }

    fn follow(&mut self, json: &'a Json, combination: Combination) -> Result<&'a Json, Wrong> {
        let mut here = json;
        loop {
            let Some(Ref { token, part }) = reference(here) else {
                if let Json::Object(members) = here
                    && let Some((_, to)) = members.iter().find(|(n, _)| &**n == "$ref")
                {
                    let shown = to.text().unwrap_or("$ref");
                    return Err(Wrong::new(
                        "token-alias",
                        format!("`{shown}` is not a reference inside the tokens."),
                    )
                    .help("write \"#/path/to/token/$value\""));
                }
                return Ok(here);
            };
            let Some(at) = self.set.position(&token) else { return Err(self.dangling(&token)) };
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(Wrong::new(
                    "token-expansion",
                    format!("One value takes more than {STEPS_MAX} references to be read."),
                )
                .help("refer to composite values less often"));
            }
            if self.trail.len() >= HOPS_MAX {
                let from = self.trail.iter().rposition(|t| *t == at).unwrap_or(0);
                let names: Vec<&str> = self.trail[from..]
                    .iter()
                    .chain([&at])
                    .map(|t| &*self.set.tokens[*t as usize].name)
                    .collect();
                return Err(circle(&names));
            }
            self.trail.push(at);
            let Some(target) = self.active(at, combination) else {
                return Err(self.undefined(at, combination));
            };
            let mut value = &target.value;
            for step in &part {
                value = self.literal(value, combination)?;
                value = value.at(std::iter::once(step.as_str())).ok_or_else(|| {
                    Wrong::new(
                        "token-alias",
                        format!("The value of `{token}` has no part `{}`.", part.join("/")),
                    )
                    .help("correct the JSON pointer")
                })?;
            }
            here = value;
        }
    }
}
