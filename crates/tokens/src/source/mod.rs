pub(crate) mod extends;
pub(crate) mod resolver;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use ashlar_model::{Finding, Lines};
use rustc_hash::FxHashMap;

use crate::{
    Type,
    index::Index,
    json::{Json, Word},
};

/// The largest token file, in bytes.
pub const FILE_BYTES_MAX: usize = 32 << 20;
/// The most tokens of a set.
pub const TOKENS_MAX: usize = 200_000;
/// The most modifiers of a set, and the most contexts of a modifier.
pub const MODIFIERS_MAX: usize = 16;
/// The deepest group.
const DEPTH_MAX: usize = 64;
/// The longest name of a token with its groups, in bytes.
pub const NAME_BYTES_MAX: usize = 1_000;
/// The most definitions of all tokens together, and of one.
pub const DEFINITIONS_MAX: usize = 1_000_000;
const DEFINITIONS_OF_ONE_MAX: usize = 1_000;
/// What the format has for groups, beside tokens and groups.
const GROUP_PROPERTIES: [&str; 9] = [
    "$type",
    "$deprecated",
    "$extends",
    "$description",
    "$extensions",
    "$schema",
    "$defs",
    "$metadata",
    "$themes",
];
/// The maximum number of reported findings.
pub(crate) const FINDINGS_MAX: usize = 200;

/// One token file: its name for messages, and its text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Relative path with `/` separators.
    pub path: String,
    /// The text.
    pub text: String,
}

/// A choice that changes values, such as `theme` with the contexts `light` and `dark`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modifier {
    /// Its name.
    pub name: String,
    /// Its contexts, the default one first.
    pub contexts: Vec<String>,
    /// What it is for.
    pub description: String,
}

/// Tokens that apply always or in one context, in the order of the resolver document.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) file: u32,
    /// Where in the file the tokens stand, as a JSON pointer.
    pub(crate) base: String,
    pub(crate) when: Vec<(u16, u16)>,
    pub(crate) json: Json,
}

/// A group that inherits the tokens of another.
#[derive(Debug)]
pub(crate) struct Extends {
    pub(crate) group: String,
    pub(crate) target: String,
    pub(crate) layer: u32,
    pub(crate) when: Vec<(u16, u16)>,
}

/// That a token should not be used any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deprecation {
    /// Why, in the words of its owner; can be empty.
    pub reason: String,
    /// The token that takes its place.
    pub replaced_by: Option<String>,
    /// The day it goes, as `YYYY-MM-DD`.
    pub sunset: Option<String>,
}

/// One definition of a token; the last one that applies counts.
#[derive(Debug, Clone)]
pub(crate) struct Def {
    pub(crate) value: Json,
    pub(crate) ty: Option<Type>,
    pub(crate) layer: u32,
    /// The token it was inherited from by `$extends`.
    pub(crate) origin: Option<Box<str>>,
    pub(crate) when: Vec<(u16, u16)>,
    pub(crate) description: Option<Box<str>>,
    pub(crate) deprecated: Option<Box<Deprecation>>,
    pub(crate) link: Link,
    /// Whether the value has no reference in it.
    pub(crate) plain: bool,
    /// `$extensions`, and members that the format does not have.
    pub(crate) extras: Extras,
}

/// Members that nothing here reads, and that some outputs keep.
pub(crate) type Extras = Option<Box<[(Word, Json)]>>;

/// What the value of a definition refers to. Settled once all names are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Link {
    /// Nothing: the value is the same in every combination. The number is its place among such values.
    Literal(u32),
    /// It is another token, at this position.
    Alias(u32),
    /// Anything else: references in its parts, to parts of others, or to nothing.
    #[default]
    Other,
}

#[derive(Debug)]
pub(crate) struct TokenDefs {
    pub(crate) name: Box<str>,
    pub(crate) defs: Vec<Def>,
}

/// A reference inside a value: to a token, and to a part of its value.
pub(crate) struct Ref<'a> {
    pub(crate) token: std::borrow::Cow<'a, str>,
    pub(crate) part: Vec<String>,
}

/// `{a.b}` and `{"$ref": "#/a/b/$value/…"}`; `None` for a literal.
pub(crate) fn reference(json: &Json) -> Option<Ref<'_>> {
    match json {
        Json::Text(text) => {
            let name = text.strip_prefix('{')?.strip_suffix('}')?;
            (!name.contains(['{', '}'])).then_some(Ref { token: name.trim().into(), part: Vec::new() })
        }
        Json::Object(_) => {
            let pointer = json.get("$ref")?.text()?.strip_prefix("#/")?;
            let mut steps: Vec<String> =
                pointer.split('/').map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
            let part = match steps.iter().position(|s| s == "$value") {
                Some(at) => {
                    let part = steps.split_off(at);
                    part[1..].to_vec()
                }
                None => Vec::new(),
            };
            Some(Ref { token: steps.join(".").into(), part })
        }
        _ => None,
    }
}

/// Every token that a value refers to.
pub(crate) fn references(json: &Json, found: &mut impl FnMut(&str)) {
    if let Some(to) = reference(json) {
        found(&to.token);
        return;
    }
    match json {
        Json::List(items) => items.iter().for_each(|i| references(i, found)),
        Json::Object(members) => members.iter().for_each(|(_, v)| references(v, found)),
        _ => {}
    }
}

/// All definitions of all tokens, with what was wrong in the files. References are not followed yet.
#[derive(Debug, Default)]
pub struct TokenSet {
    /// The name of the set, from its resolver document.
    pub name: String,
    pub(crate) files: Vec<SourceFile>,
    /// The modifiers, in the order of the resolver document.
    pub modifiers: Vec<Modifier>,
    pub(crate) tokens: Vec<TokenDefs>,
    by_name: Index,
    /// File and base pointer of each layer.
    pub(crate) layers: Vec<(u32, String)>,
    pub(crate) groups: FxHashMap<Box<str>, Type>,
    /// `$description` and `$extensions` of groups, the last ones that apply by default.
    group_extras: FxHashMap<Box<str>, BTreeMap<Word, Json>>,
    has_extras: bool,
    pub(crate) extends: Vec<Extends>,
    /// How many definitions there are, and whether it was reported that there are too many of them or of tokens.
    pub(crate) definitions: usize,
    pub(crate) reported_definitions: bool,
    pub(crate) reported_tokens: bool,
    /// For places: the lines of the file that was asked for last.
    lines: Mutex<(Option<u32>, Lines)>,
    pub(crate) findings: Vec<Finding>,
}

impl TokenSet {
    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(crate) fn position(&self, name: &str) -> Option<u32> {
        self.by_name.get(name, |at| &self.tokens[at as usize].name)
    }

    /// What accompanies the value of a token by default, and nothing here reads.
    pub(crate) fn extras(&self, token: &str) -> &[(Word, Json)] {
        let at = if self.has_extras { self.position(token) } else { None };
        let defs = at.map_or(&[][..], |at| &self.tokens[at as usize].defs);
        let default = defs.iter().rev().find(|d| d.when.iter().all(|(_, context)| *context == 0));
        default.and_then(|d| d.extras.as_deref()).unwrap_or_default()
    }

    /// The same for a group, by its path.
    pub(crate) fn group_extras(&self, group: &str) -> impl Iterator<Item = (&Word, &Json)> {
        self.group_extras.get(group).into_iter().flatten()
    }

    pub(crate) fn collect(
        name: String,
        files: Vec<SourceFile>,
        modifiers: Vec<Modifier>,
        layers: Vec<Layer>,
        findings: Vec<Finding>,
    ) -> Self {
        let mut set = Self { name, files, modifiers, findings, ..Self::default() };
        set.layers = layers.iter().map(|l| (l.file, l.base.clone())).collect();
        for (at, layer) in layers.into_iter().enumerate() {
            let group = Group { path: String::new(), depth: 0, ty: None, deprecated: None };
            set.group(at as u32, &layer.when, layer.json, &group);
        }
        set.extend();
        for token in &mut set.tokens {
            let inherited = token.defs.iter().find_map(|d| d.origin.as_ref().and(d.ty));
            for def in token.defs.iter_mut().filter(|d| d.ty.is_none()) {
                def.ty = inherited
                    .or_else(|| ancestors(&token.name).find_map(|group| set.groups.get(group).copied()));
            }
        }
        set
    }

    /// The place of a token or group for messages.
    pub(crate) fn place(&self, layer: u32, name: &str, part: &str) -> String {
        let Some((at, base)) = self.layers.get(layer as usize) else { return name.to_owned() };
        let Some(file) = self.files.get(*at as usize) else { return name.to_owned() };
        let mut pointer = base.clone();
        for step in name.split('.').filter(|s| !s.is_empty()) {
            pointer.push('/');
            pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        }
        pointer.push_str(part);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // Findings mostly follow one another in a file.
        if lines.0 != Some(*at) {
            *lines = (Some(*at), Lines::default());
        }
        format!("{}:{} {pointer}", file.path, lines.1.of(&file.text, &pointer))
    }

    pub(crate) fn place_of(&self, def: &Def, name: &str, part: &str) -> String {
        self.place(def.layer, def.origin.as_deref().unwrap_or(name), part)
    }

    pub(crate) fn tell(&mut self, finding: impl FnOnce(&Self) -> Finding) {
        if self.findings.len() < FINDINGS_MAX {
            let finding = finding(self);
            self.findings.push(finding);
        }
    }

    /// Reports an error at a part of a token or group.
    pub(crate) fn error(&mut self, code: &str, at: (u32, &str, &str), message: String, help: &str) {
        let (layer, name, part) = at;
        self.tell(|set| Finding::error(code, set.place(layer, name, part), message).help(help));
    }

    fn group(&mut self, layer: u32, when: &[(u16, u16)], json: Json, group: &Group) {
        let Json::Object(members) = json else {
            let message = format!("A group of tokens is an object; this is {}.", json.kind());
            let help =
                "write { \"$type\": …, \"$value\": … } for a token, or an object of tokens for a group";
            return self.error("token-form", (layer, &group.path, ""), message, help);
        };
        if group.depth > DEPTH_MAX {
            let message = format!("Groups may lie {DEPTH_MAX} deep.");
            return self.error("token-depth", (layer, &group.path, ""), message, "");
        }
        let mut here = self.words_of_group(layer, when, &members, group);
        if let Some(ty) = here.ty.filter(|_| !group.path.is_empty()) {
            self.groups.insert(group.path.as_str().into(), ty);
        }
        let by_default = when.iter().all(|(_, context)| *context == 0);
        for (name, value) in members {
            let is_root = &*name == "$root";
            if name.starts_with('$') && !is_root {
                self.property_of_group(layer, by_default, &group.path, name, value);
                continue;
            }
            let Some(path) = self.path_below(layer, &group.path, name) else { continue };
            if value.get("$value").is_some() || value.get("$ref").is_some() {
                self.token(layer, when, path, value, &here);
            } else if is_root {
                let message = "`$root` is a token, and this one has no `$value`.".to_owned();
                self.error("token-form", (layer, &path, ""), message, "give it a `$value`");
            } else {
                here.path = path;
                self.group(layer, when, value, &here);
                here.path.clone_from(&group.path);
            }
        }
    }

    /// What a group says of everything in it.
    fn words_of_group(
        &mut self,
        layer: u32,
        when: &[(u16, u16)],
        members: &[(Word, Json)],
        group: &Group,
    ) -> Group {
        let mut here = Group {
            path: group.path.clone(),
            depth: group.depth + 1,
            ty: group.ty,
            deprecated: group.deprecated.clone(),
        };
        for (name, value) in members {
            match &**name {
                "$type" => here.ty = self.type_of(layer, &group.path, value).or(group.ty),
                "$deprecated" => here.deprecated = deprecation(value, None),
                "$extends" => match extended(value) {
                    Some(target) => {
                        let (group, when) = (group.path.clone(), when.to_vec());
                        self.extends.push(Extends { group, target, layer, when });
                    }
                    None => {
                        let message = "`$extends` names no group.".to_owned();
                        let help = "write \"{a.group}\" or \"#/a/group\"";
                        self.error("token-extends", (layer, &group.path, "/$extends"), message, help);
                    }
                },
                _ => {}
            }
        }
        here
    }

    /// A property of a group that is neither a token nor a group.
    fn property_of_group(&mut self, layer: u32, by_default: bool, group: &str, name: Word, value: Json) {
        if by_default && matches!(&*name, "$description" | "$extensions") {
            self.group_extras.entry(group.into()).or_default().insert(name, value);
        } else if !GROUP_PROPERTIES.contains(&&*name) {
            self.tell(|set| {
                Finding::warning(
                    "token-property",
                    set.place(layer, group, &format!("/{name}")),
                    format!("The format has no property `{name}` for a group; it is left out."),
                )
                .help("put what is yours under `$extensions`")
            });
        }
    }

    /// The path of what has this name in a group; `None` when it cannot have it.
    fn path_below(&mut self, layer: u32, group: &str, name: Word) -> Option<String> {
        if name.is_empty() || name.contains(['.', '{', '}']) {
            let part = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            let message =
                format!("`{name}` cannot be a name: names are not empty and hold no `.`, `{{` or `}}`.");
            let help = "rename it; groups are written as nested objects";
            self.error("token-name", (layer, group, &part), message, help);
            return None;
        }
        if group.len() + 1 + name.len() > NAME_BYTES_MAX {
            let message = format!("A name with its groups has more than {NAME_BYTES_MAX} bytes.");
            self.error("token-name", (layer, group, ""), message, "use shorter names");
            return None;
        }
        if group.is_empty() {
            return Some(name.into_string());
        }
        let mut path = String::with_capacity(group.len() + 1 + name.len());
        path.extend([group, ".", &name]);
        Some(path)
    }

    fn type_of(&mut self, layer: u32, path: &str, value: &Json) -> Option<Type> {
        let ty = value.text().and_then(Type::parse);
        if ty.is_none() {
            let shown = value.text().map_or_else(|| value.kind().to_owned(), |t| format!("`{t}`"));
            self.tell(|set| {
                Finding::error(
                    "token-type",
                    set.place(layer, path, "/$type"),
                    format!("There is no token type {shown}."),
                )
                .help(format!("one of: {}", Type::ALL.map(|(_, word)| word).join(", ")))
            });
        }
        ty
    }

    fn token(&mut self, layer: u32, when: &[(u16, u16)], name: String, json: Json, group: &Group) {
        let Json::Object(members) = json else { return };
        let mut def = Def {
            value: Json::Null,
            ty: None,
            layer,
            origin: None,
            when: when.to_vec(),
            description: None,
            deprecated: group.deprecated.clone(),
            link: Link::default(),
            plain: true,
            extras: None,
        };
        let (mut valued, mut referred) = (false, false);
        let mut own = None;
        let (mut extras, mut inner) = (Vec::new(), Vec::new());
        let extension = members
            .iter()
            .find(|(n, _)| &**n == "$extensions")
            .and_then(|(_, v)| v.get("dev.ashlar"))
            .cloned();
        for (member, value) in members {
            match &*member {
                "$value" => {
                    valued = true;
                    def.value = value;
                }
                "$ref" => {
                    referred = true;
                    if !valued {
                        def.value = Json::Object([(Word::Known("$ref"), value)].into());
                    }
                }
                "$type" => {
                    own = self.type_of(layer, &name, &value);
                    if own.is_none() {
                        return;
                    }
                }
                "$description" => def.description = value.text().map(Into::into),
                "$deprecated" => def.deprecated = deprecation(&value, extension.as_ref()),
                "$extensions" => extras.push((member, value)),
                other if other.starts_with('$') || !matches!(value, Json::Object(_)) => {
                    self.unknown_property(layer, &name, other);
                    extras.push((member, value));
                }
                _ => inner.push((member, value)),
            }
        }
        if !inner.is_empty() {
            let within = Group {
                path: name.clone(),
                depth: group.depth + 1,
                ty: own.or(group.ty),
                deprecated: group.deprecated.clone(),
            };
            self.group_in_token(layer, when, inner, &within);
        }
        if !extras.is_empty() {
            self.has_extras = true;
            def.extras = Some(extras.into_boxed_slice());
        }
        if valued && referred {
            let message = "A token has either `$value` or `$ref`.".to_owned();
            return self.error("token-form", (layer, &name, ""), message, "remove one of them");
        }
        def.ty = own.or(group.ty);
        references(&def.value, &mut |_| def.plain = false);
        self.define(name, def, false);
    }

    fn unknown_property(&mut self, layer: u32, token: &str, property: &str) {
        self.tell(|set| {
            let part = property.replace('~', "~0").replace('/', "~1");
            Finding::warning(
                "token-property",
                set.place(layer, token, &format!("/{part}")),
                format!("The format has no property `{property}` for a token; it changes nothing."),
            )
            .help(
                "put what is yours under `$extensions`; tokens.json and tokens.dtcg.json keep it either way",
            )
        });
    }

    /// Members of a token that belong into a group.
    fn group_in_token(
        &mut self,
        layer: u32,
        when: &[(u16, u16)],
        members: Vec<(Word, Json)>,
        within: &Group,
    ) {
        let first = members.first().map_or("", |(member, _)| member);
        let message =
            format!("This is a token, because it has a value, but it contains `{first}` like a group.");
        let help = "move the value to `$root`, or the others to a group of their own";
        self.error("token-form", (layer, &within.path, ""), message, help);
        // Both are read on, so that what refers to them is not wrong as well.
        self.group(layer, when, Json::Object(members.into()), within);
    }

    pub(crate) fn define(&mut self, name: String, def: Def, first: bool) {
        let at = match self.position(&name) {
            Some(at) => at as usize,
            None => {
                if self.tokens.len() >= TOKENS_MAX {
                    if !self.reported_tokens {
                        self.reported_tokens = true;
                        self.tell(|_| {
                            Finding::error(
                                "token-too-many",
                                "tokens",
                                format!("A set may have {TOKENS_MAX} tokens."),
                            )
                        });
                    }
                    return;
                }
                let at = self.tokens.len();
                let tokens = &self.tokens;
                self.by_name.insert(&name, at as u32, |at| &tokens[at as usize].name);
                self.tokens.push(TokenDefs { name: name.into_boxed_str(), defs: Vec::with_capacity(1) });
                at
            }
        };
        let defs = &mut self.tokens[at].defs;
        if self.definitions >= DEFINITIONS_MAX || defs.len() >= DEFINITIONS_OF_ONE_MAX {
            if !self.reported_definitions {
                self.reported_definitions = true;
                let name = self.tokens[at].name.clone();
                self.tell(|_| {
                    Finding::error(
                        "token-too-many",
                        name,
                        format!(
                            "A set may have {DEFINITIONS_MAX} definitions of tokens, and {DEFINITIONS_OF_ONE_MAX} of one; groups that extend others define all of theirs again."
                        ),
                    )
                    .help("extend smaller groups, or less often")
                });
            }
            return;
        }
        self.definitions += 1;
        if first { defs.insert(0, def) } else { defs.push(def) }
    }
}

/// The group that `$extends` names.
fn extended(value: &Json) -> Option<String> {
    match value {
        Json::Text(text) => match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            Some(name) => Some(name.to_owned()),
            None => text.strip_prefix("#/").map(|t| t.replace('/', ".")),
        },
        Json::Object(_) => reference(value).map(|r| r.token.into_owned()),
        _ => None,
    }
}

struct Group {
    path: String,
    depth: usize,
    ty: Option<Type>,
    deprecated: Option<Box<Deprecation>>,
}

/// The groups a token lies in, the nearest first.
pub(crate) fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(name.rsplit_once('.').map(|(g, _)| g), |g| g.rsplit_once('.').map(|(g, _)| g))
}

fn deprecation(json: &Json, extension: Option<&Json>) -> Option<Box<Deprecation>> {
    let reason = match json {
        Json::Bool(true) => String::new(),
        Json::Text(text) => text.to_string(),
        _ => return None,
    };
    let text = |name: &str| extension?.get(name)?.text();
    let replaced_by = text("replaced_by").map(|t| t.trim_matches(['{', '}']).to_owned());
    Some(Box::new(Deprecation { reason, replaced_by, sunset: text("sunset").map(str::to_owned) }))
}
