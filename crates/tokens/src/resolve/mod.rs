mod combination;
mod follow;
mod read;
mod wrong;

use std::sync::OnceLock;

use ashlar_model::{Finding, Level};
use rustc_hash::FxHashSet;

use crate::{
    Type, Value,
    index::Index,
    json::Json,
    source::{
        Def, Deprecation, FINDINGS_MAX, Link, Modifier, Ref, TokenDefs, TokenSet, reference, references,
    },
};

pub use combination::{Combination, VARIANTS_MAX};
use combination::{combinations, restrict, variants};
pub use follow::EXPANDED_BYTES_MAX;
use follow::Work;
pub use wrong::HOPS_MAX;

/// The most values that all tokens of a set have in all their combinations.
pub const VALUES_MAX: u64 = 4_000_000;
/// The most comparisons of one combination with another, over all tokens of a set: what building them takes.
const PAIRS_MAX: u64 = 200_000_000;
/// A set of tokens without references: what every token is, in every combination of contexts.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The name of the set.
    pub name: String,
    /// The modifiers, whose contexts are the digits of a combination.
    pub modifiers: Vec<Modifier>,
    /// The tokens, in the order of their files.
    pub tokens: Vec<Token>,
    /// Every value that is in a token, once per definition.
    pub values: Vec<Value>,
    /// Made when the first name is looked up: building needs none.
    by_name: OnceLock<Index>,
    strides: Vec<u64>,
}

/// A token with its values.
#[derive(Debug)]
pub struct Token {
    /// Its path, with `.` between names.
    pub name: Box<str>,
    /// Its type.
    pub ty: Type,
    /// What it is for.
    pub description: Option<Box<str>>,
    /// Set when it should not be used any more.
    pub deprecated: Option<Box<Deprecation>>,
    /// The modifiers that change its value: a bit for each.
    pub modifiers: u32,
    /// Its value by combination, in the digits of its own modifiers; the default first. A combination in which it is not
    /// defined is missing.
    pub variants: Vec<(Combination, u32)>,
    /// The token it is an alias of in the default contexts.
    pub alias_of: Option<u32>,
    /// Whether a literal is anywhere in its definitions, be it in one part of one.
    pub has_literal: bool,
    /// Every token it refers to, in any context.
    pub uses: Vec<u32>,
    /// Where it is defined, for messages: the layer, and the name when it was inherited from another.
    place: (u32, Option<Box<str>>),
}

impl Token {
    /// The layer it is defined in, and its name there: a lower layer is greater.
    pub(crate) fn place(&self) -> (u32, &str) {
        (self.place.0, self.place.1.as_deref().unwrap_or(&self.name))
    }
}

impl Resolved {
    /// The token with this name.
    pub fn get(&self, name: &str) -> Option<&Token> {
        self.position(name).map(|at| &self.tokens[at as usize])
    }

    /// The position of the token with this name.
    pub fn position(&self, name: &str) -> Option<u32> {
        let at = |at: u32| &*self.tokens[at as usize].name;
        let index = self.by_name.get_or_init(|| {
            let mut index = Index::with_capacity(self.tokens.len());
            for (position, token) in self.tokens.iter().enumerate() {
                index.insert(&token.name, position as u32, at);
            }
            index
        });
        index.get(name, at)
    }

    /// The value of a token in a combination; `None` when it is not defined there.
    pub fn value(&self, token: &Token, combination: Combination) -> Option<&Value> {
        let own = self.restrict(combination, token.modifiers);
        let at = token.variants.iter().find(|(c, _)| *c == own)?.1;
        Some(&self.values[at as usize])
    }

    /// The value in the default contexts, or else in the first in which it is defined.
    pub fn default_value(&self, token: &Token) -> Option<&Value> {
        token.variants.first().map(|(_, at)| &self.values[*at as usize])
    }

    /// The context of a modifier in a combination, by position.
    pub fn digit(&self, combination: Combination, modifier: usize) -> usize {
        (combination / self.strides[modifier]) as usize % self.modifiers[modifier].contexts.len()
    }

    /// A combination from contexts by name; a modifier that is not named has its default.
    pub fn combination<'a>(
        &self,
        contexts: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Option<Combination> {
        let mut combination = 0;
        for (modifier, context) in contexts {
            let at = self.modifiers.iter().position(|m| m.name == modifier)?;
            let digit = self.modifiers[at].contexts.iter().position(|c| c == context)?;
            combination += digit as u64 * self.strides[at];
        }
        Some(combination)
    }

    /// Leaves only some of the tokens. References to others are forgotten; values are not, because they stand alone.
    pub fn retain(&mut self, mut keep: impl FnMut(&Token) -> bool) {
        let mut moved: Vec<Option<u32>> = Vec::with_capacity(self.tokens.len());
        let mut left = 0;
        for token in &self.tokens {
            let kept = keep(token);
            moved.push(kept.then_some(left));
            left += u32::from(kept);
        }
        let mut at = 0;
        self.tokens.retain(|_| {
            at += 1;
            moved[at - 1].is_some()
        });
        for token in &mut self.tokens {
            token.uses = token.uses.iter().filter_map(|u| moved[*u as usize]).collect();
            token.alias_of = token.alias_of.and_then(|a| moved[a as usize]);
        }
        self.by_name = OnceLock::new();
    }

    /// The contexts of a combination that are not the default, as `theme=dark, density=compact`; `default` for none.
    pub fn shown(&self, combination: Combination) -> String {
        let parts: Vec<String> = self.contexts(combination).map(|(m, c)| format!("{m}={c}")).collect();
        if parts.is_empty() { "default".to_owned() } else { parts.join(", ") }
    }

    /// Modifier and context for each that is not the default.
    pub fn contexts(&self, combination: Combination) -> impl Iterator<Item = (&str, &str)> {
        self.modifiers.iter().enumerate().filter_map(move |(at, m)| {
            let digit = self.digit(combination, at);
            (digit > 0).then(|| (m.name.as_str(), m.contexts[digit].as_str()))
        })
    }

    /// How many combinations the modifiers in `mask` have.
    pub(crate) fn variants(&self, mask: u32) -> u64 {
        variants(&self.modifiers, mask)
    }

    /// Every combination of the modifiers in `mask`, the default first.
    pub fn combinations(&self, mask: u32) -> Vec<Combination> {
        combinations(&self.modifiers, &self.strides, mask)
    }

    /// A combination in which modifiers outside `mask` have their default.
    pub fn restrict(&self, combination: Combination, mask: u32) -> Combination {
        restrict(&self.modifiers, &self.strides, combination, mask)
    }
}

/// A list of positions for each position, in one piece of memory.
struct Lists {
    all: Vec<u32>,
    /// Where each list ends.
    ends: Vec<u32>,
}

impl Lists {
    fn of<T>(items: impl ExactSizeIterator<Item = T>, mut list: impl FnMut(T, &mut Vec<u32>)) -> Self {
        let mut lists = Self { all: Vec::new(), ends: Vec::with_capacity(items.len()) };
        let mut one = Vec::new();
        for item in items {
            one.clear();
            list(item, &mut one);
            lists.all.extend_from_slice(&one);
            lists.ends.push(lists.all.len() as u32);
        }
        lists
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, at: usize) -> &[u32] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.all[start as usize..self.ends[at] as usize]
    }

    /// For each position those in whose lists it is.
    fn turned(&self) -> Self {
        // First how many, then where each list begins; filling it moves its beginning to its end.
        let mut ends = vec![0; self.len()];
        self.all.iter().for_each(|to| ends[*to as usize] += 1);
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        let mut all = vec![0; self.all.len()];
        for from in 0..self.len() {
            for to in self.get(from) {
                let end = &mut ends[*to as usize];
                all[*end as usize] = from as u32;
                *end += 1;
            }
        }
        Self { all, ends }
    }
}

/// A token whose type depends on the contexts: its position, where the type is another, and both types.
type Retyped = (usize, Combination, Type, Type);

/// The tokens that were followed.
#[derive(Default)]
struct Followed {
    tokens: Vec<Token>,
    /// Where each token of the set is among them.
    positions: Vec<Option<u32>>,
    retyped: Vec<Retyped>,
}

/// What each digit of a combination is worth.
fn strides(modifiers: &[Modifier]) -> Vec<u64> {
    // 16 modifiers of 16 contexts are 2^64; what does not fit cannot be used together anyway.
    let worth = |stride: &mut u64, modifier: &Modifier| {
        let next = stride.saturating_mul(modifier.contexts.len() as u64);
        Some(std::mem::replace(stride, next))
    };
    modifiers.iter().scan(1, worth).collect()
}

/// Follows one token in its combinations; `None` when it has a value in none of them.
fn follow_one(
    work: &mut Work<'_>,
    at: usize,
    defs: &TokenDefs,
    mask: u32,
    combinations: &[Combination],
    retyped: &mut Vec<Retyped>,
) -> Option<Token> {
    let mut variants = Vec::with_capacity(combinations.len());
    let mut ty = None;
    for &combination in combinations {
        if let Some((value, found)) = work.token(at as u32, combination) {
            variants.push((combination, value));
            let first = *ty.get_or_insert(found);
            if first != found && retyped.last().is_none_or(|(last, ..)| *last != at) {
                retyped.push((at, combination, first, found));
            }
        }
    }
    let ty = ty?;
    let last = |f: &dyn Fn(&Def) -> bool| defs.defs.iter().rev().find(|d| f(d));
    let shown = last(&|d| d.when.is_empty()).unwrap_or(&defs.defs[0]);
    Some(Token {
        name: defs.name.clone(),
        ty,
        description: last(&|d| d.description.is_some()).and_then(|d| d.description.clone()),
        deprecated: last(&|d| d.deprecated.is_some()).and_then(|d| d.deprecated.clone()),
        modifiers: mask,
        variants,
        alias_of: work.active(at as u32, 0).and_then(|d| match d.link {
            Link::Alias(to) => Some(to),
            _ => None,
        }),
        has_literal: defs.defs.iter().any(|d| !matches!(d.link, Link::Alias(_)) && has_literal(&d.value)),
        uses: Vec::new(),
        place: (shown.layer, shown.origin.clone()),
    })
}

impl TokenSet {
    /// Follows every reference, in every combination of contexts that matters. What was wrong with the files and with
    /// the values comes with it; a token that cannot be resolved is left out.
    pub fn resolve(mut self) -> (Resolved, TokenSet, Vec<Finding>) {
        let strides = strides(&self.modifiers);
        let literals = self.link();
        let uses = Lists::of(self.tokens.iter(), |t, found| self.uses(&t.defs, found));
        let masks = self.masks(&uses);
        let mut work = Work::new(&self, &strides, &masks, literals);
        let mut followed = Followed { positions: vec![None; self.tokens.len()], ..Followed::default() };
        match self.too_many_values(&masks) {
            Some(finding) => work.findings.push(finding),
            None => self.follow_all(&mut work, &masks, &strides, &mut followed),
        }
        work.name_contexts();
        let Followed { mut tokens, positions, retyped } = followed;
        self.report_retyped(&mut work, &uses, &masks, &retyped);
        let Work { values, mut findings, notes, .. } = work;
        for (at, position) in positions.iter().enumerate().filter_map(|(at, p)| Some((at, (*p)?))) {
            let token = &mut tokens[position as usize];
            token.uses = uses.get(at).iter().filter_map(|u| positions[*u as usize]).collect();
            token.alias_of = token.alias_of.and_then(|a| positions[a as usize]);
        }
        findings.extend(notes.findings(&self));
        let mut all = std::mem::take(&mut self.findings);
        all.append(&mut findings);
        all.sort_by_key(|f| std::cmp::Reverse(f.level));
        let errors = all.iter().filter(|f| f.level == Level::Error).count();
        if errors > FINDINGS_MAX {
            let left = errors - FINDINGS_MAX;
            all.drain(FINDINGS_MAX..errors);
            all.push(Finding::error("token-more", "tokens", format!("And {left} errors more.")));
        }
        let (name, modifiers) = (self.name.clone(), self.modifiers.clone());
        let resolved = Resolved { name, modifiers, tokens, values, strides, ..Resolved::default() };
        (resolved, self, all)
    }

    /// The finding of a set whose tokens have too many values together, although each alone has few enough.
    fn too_many_values(&self, masks: &[u32]) -> Option<Finding> {
        let counts = || masks.iter().map(|mask| variants(&self.modifiers, *mask));
        let all = counts().fold(0, u64::saturating_add);
        if all <= VALUES_MAX || counts().any(|count| count > VARIANTS_MAX) {
            return None;
        }
        let message = format!(
            "The {} tokens have {all} values in all combinations of contexts; {VALUES_MAX} are the most.",
            self.tokens.len()
        );
        let place = self.files.first().map_or_else(|| self.name.clone(), |f| f.path.clone());
        Some(
            Finding::error("token-contexts", place, message)
                .help("let fewer modifiers change the same tokens, or split the set"),
        )
    }

    /// Follows each token in its combinations.
    fn follow_all(&self, work: &mut Work<'_>, masks: &[u32], strides: &[u64], out: &mut Followed) {
        let mut pairs_left = PAIRS_MAX;
        // Tokens that the same modifiers change mostly stand together.
        let (mut mask, mut own) = (0, combinations(&self.modifiers, strides, 0));
        for (at, defs) in self.tokens.iter().enumerate() {
            let count = variants(&self.modifiers, masks[at]);
            let left = pairs_left.checked_sub(count.saturating_mul(count));
            let (Some(left), true) = (left, count <= VARIANTS_MAX) else {
                let alone = count > VARIANTS_MAX;
                let (message, help) = match alone {
                    true => (
                        format!(
                            "`{}` depends on {count} combinations of contexts; {VARIANTS_MAX} are the most.",
                            defs.name
                        ),
                        "",
                    ),
                    false => (
                        format!(
                            "The tokens from `{}` on depend on too many combinations of contexts: {count} for this one.",
                            defs.name
                        ),
                        "let fewer modifiers change the same tokens",
                    ),
                };
                let place = self.place_of(&defs.defs[0], &defs.name, "");
                work.findings.push(Finding::error("token-contexts", place, message).help(help));
                if alone {
                    continue;
                }
                break;
            };
            pairs_left = left;
            if masks[at] != mask {
                mask = masks[at];
                own = combinations(&self.modifiers, strides, mask);
            }
            if let Some(token) = follow_one(work, at, defs, mask, &own, &mut out.retyped) {
                out.positions[at] = Some(out.tokens.len() as u32);
                out.tokens.push(token);
            }
        }
    }

    /// Reports tokens whose type depends on the contexts.
    fn report_retyped(&self, work: &mut Work<'_>, uses: &Lists, masks: &[u32], retyped: &[Retyped]) {
        let changed: FxHashSet<usize> = retyped.iter().map(|(at, ..)| *at).collect();
        // Reported where it starts: at a token that refers to no other one whose type changes.
        let starts = |at: &usize| !uses.get(*at).iter().any(|used| changed.contains(&(*used as usize)));
        for (at, combination, from, to) in retyped.iter().filter(|(at, ..)| starts(at)).take(FINDINGS_MAX) {
            let token = &self.tokens[*at];
            let shown = work.shown(*combination, masks[*at]);
            let message = format!("`{}` is a {from}, and a {to} with {shown}.", token.name);
            if let Some(def) = work.active(*at as u32, *combination) {
                let place = self.place_of(def, &token.name, "");
                work.findings.push(
                    Finding::error("token-alias-type", place, message)
                        .help("give it a value of the same type in every context"),
                );
            }
        }
    }

    /// The line and pointer where a token is.
    pub fn place_of_token(&self, token: &Token) -> String {
        let (layer, name) = token.place();
        self.place(layer, name, "")
    }

    fn uses(&self, defs: &[Def], found: &mut Vec<u32>) {
        for def in defs {
            match def.link {
                Link::Literal(_) => {}
                Link::Alias(to) => found.push(to),
                Link::Other => references(&def.value, &mut |name| found.extend(self.position(name))),
            }
        }
        found.sort_unstable();
        found.dedup();
    }

    /// Settles what each definition refers to; returns how many values refer to nothing.
    fn link(&mut self) -> usize {
        let mut literals = 0;
        let mut found = Vec::with_capacity(self.tokens.len());
        for def in self.tokens.iter().flat_map(|t| &t.defs) {
            let alias = |r: Ref<'_>| self.position(&r.token).filter(|_| r.part.is_empty());
            found.push(match def.plain {
                true => {
                    literals += 1;
                    Link::Literal(literals - 1)
                }
                false => reference(&def.value).and_then(alias).map_or(Link::Other, Link::Alias),
            });
        }
        for (def, link) in self.tokens.iter_mut().flat_map(|t| &mut t.defs).zip(found) {
            def.link = link;
        }
        literals as usize
    }

    /// The modifiers that can change each token: its own, and those of what it refers to.
    fn masks(&self, uses: &Lists) -> Vec<u32> {
        let own = |at: usize| {
            self.tokens[at].defs.iter().flat_map(|d| &d.when).fold(0_u32, |mask, (m, _)| mask | 1 << m)
        };
        let mut masks: Vec<u32> = (0..uses.len()).map(own).collect();
        if self.modifiers.is_empty() {
            return masks;
        }
        // A change goes on to those that use the token; each mask grows at most once for every modifier.
        let users = uses.turned();
        let mut waiting: Vec<u32> = (0..uses.len() as u32).filter(|at| masks[*at as usize] != 0).collect();
        while let Some(at) = waiting.pop() {
            for user in users.get(at as usize) {
                let grown = masks[*user as usize] | masks[at as usize];
                if grown != masks[*user as usize] {
                    masks[*user as usize] = grown;
                    waiting.push(*user);
                }
            }
        }
        masks
    }
}

fn has_literal(json: &Json) -> bool {
    match json {
        _ if reference(json).is_some() => false,
        Json::List(items) => items.iter().any(has_literal),
        Json::Object(members) => members.iter().any(|(_, v)| has_literal(v)),
        _ => true,
    }
}
