//! `assist.toml`: what models may write, how often, and what is checked of it.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{Files, Finding, TypeName, did_you_mean, position, read_toml_as};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use toml::Spanned;

/// The file's name.
pub const FILE: &str = "assist.toml";
/// The most tasks of a project.
pub const TASKS_MAX: usize = 100;
/// The most uses of a task per day.
pub const PER_DAY_MAX: u64 = 100_000;
/// Uses of a task per day when the file does not say.
pub const PER_DAY: u64 = 20;
/// The most rules for terms, and for approvals.
pub const RULES_MAX: usize = 200;
/// The most names in a list.
const NAMES_MAX: usize = 100;
/// The longest term or pattern, in bytes.
const TEXT_BYTES_MAX: usize = 200;
/// Memory of one compiled pattern, in bytes.
const PATTERN_MEMORY_MAX: usize = 1 << 20;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Writes a new entry from a brief.
    Draft,
    /// Writes a summary into the entry that it reads.
    Summarise,
    /// Chooses values of fields for the entry that it reads.
    Classify,
    /// Writes an entry in another language.
    Translate,
    /// Writes links into the entry that it reads.
    SuggestLinks,
    /// Says what happened. Writes nothing.
    SummariseAuditLog,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Draft,
        Self::Summarise,
        Self::Classify,
        Self::Translate,
        Self::SuggestLinks,
        Self::SummariseAuditLog,
    ];

    /// As the file and the command line name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Summarise => "summarise",
            Self::Classify => "classify",
            Self::Translate => "translate",
            Self::SuggestLinks => "suggest-links",
            Self::SummariseAuditLog => "summarise-audit-log",
        }
    }

    /// Whether it writes drafts.
    #[must_use]
    pub fn writes(self) -> bool {
        self != Self::SummariseAuditLog
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What it does.
    pub kind: Kind,
    /// The feature of `gateway.toml` that its calls belong to.
    pub feature: String,
    /// The prompt. Its output contract is what the task may answer.
    pub prompt: String,
    /// Content types that it may write.
    pub types: BTreeSet<TypeName>,
    /// Fields that it may write.
    pub fields: BTreeSet<String>,
    /// How often it may be used on a day (UTC), by all callers and nodes of the tenant together.
    pub per_day: u64,
    /// Names of the keys that may use it; every key with the right `assist` when empty.
    pub keys: BTreeSet<String>,
    /// Its line in the file.
    pub line: usize,
}

impl Task {
    /// Whether a key of this name may use it.
    #[must_use]
    pub fn is_for(&self, key: &str) -> bool {
        self.keys.is_empty() || self.keys.contains(key)
    }
}

/// How a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It refuses the candidate.
    #[default]
    Error,
    /// It is shown.
    Warning,
}

/// What is checked of entries that models wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Checks {
    /// How sentences without a source count.
    pub claims: Level,
    /// The least internal links of an entry.
    pub links_min: usize,
    /// The most internal links of an entry.
    pub links_max: usize,
    /// Whether a new page needs a page or entry that leads to it.
    pub linked: bool,
    /// The share of three-word runs (Jaccard) from which two entries are nearly the same.
    pub similarity: f64,
    /// The least words of a new entry.
    pub words_min: usize,
    /// The least share of three-word runs that no released entry of the type has.
    pub unique_min: f64,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            claims: Level::Error,
            links_min: 0,
            links_max: 100,
            linked: false,
            similarity: 0.8,
            words_min: 0,
            unique_min: 0.3,
        }
    }
}

/// How a term is written.
#[derive(Debug, Clone)]
pub struct Term {
    /// The spelling to use; empty when the others are forbidden altogether.
    pub spelling: String,
    /// Spellings that are not allowed, each as whole words.
    pub not: Vec<(String, Regex)>,
}

/// An approval that text of models needs besides those of sensitive fields.
#[derive(Debug, Clone)]
pub struct Need {
    /// The right, such as `pricing`.
    pub right: String,
    /// Texts that need it.
    pub pattern: Option<Regex>,
    /// Fields that need it, whatever they say.
    pub fields: BTreeSet<String>,
    /// Types that need it; all when empty.
    pub types: BTreeSet<TypeName>,
}

/// What `assist.toml` says.
#[derive(Debug, Clone, Default)]
pub struct Assist {
    /// Name → task.
    pub tasks: BTreeMap<String, Task>,
    /// What is checked.
    pub checks: Checks,
    /// Spellings.
    pub terms: Vec<Term>,
    /// Further approvals.
    pub needs: Vec<Need>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    tasks: BTreeMap<Spanned<String>, RawTask>,
    checks: RawChecks,
    terms: Vec<Spanned<RawTerm>>,
    needs: Vec<Spanned<RawNeed>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTask {
    kind: Option<Kind>,
    feature: String,
    prompt: String,
    #[serde(default)]
    types: BTreeSet<TypeName>,
    #[serde(default)]
    fields: BTreeSet<String>,
    per_day: Option<u64>,
    #[serde(default)]
    keys: BTreeSet<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawChecks {
    claims: Level,
    links_min: Option<usize>,
    links_max: Option<usize>,
    linked: bool,
    similarity: Option<Spanned<f64>>,
    words_min: Option<usize>,
    unique_min: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTerm {
    #[serde(default, rename = "use")]
    spelling: String,
    not: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNeed {
    right: String,
    pattern: Option<String>,
    #[serde(default)]
    fields: BTreeSet<String>,
    #[serde(default)]
    types: BTreeSet<TypeName>,
}

struct Reading<'a> {
    bytes: &'a [u8],
    findings: Vec<Finding>,
}

impl Assist {
    /// Reads the file of a project; a project without it has no tasks.
    ///
    /// # Errors
    /// Everything that is wrong, with its line.
    pub fn parse(files: &Files) -> Result<Self, Vec<Finding>> {
        let Some(bytes) = files.get(FILE) else { return Ok(Self::default()) };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let raw: Raw = read_toml_as(FILE, "assist-config", bytes).map_err(|finding| vec![finding])?;
        let mut reading = Reading { bytes, findings: Vec::new() };
        let assist = reading.assist(raw);
        if reading.findings.is_empty() { Ok(assist) } else { Err(reading.findings) }
    }
}

impl Reading<'_> {
    fn wrong(&mut self, at: usize, message: String, help: impl Into<String>) {
        let place = format!("{FILE}:{}", position(self.bytes, at).0);
        self.findings.push(Finding::error("assist-config", place, message).help(help));
    }

    fn assist(&mut self, raw: Raw) -> Assist {
        if raw.tasks.len() > TASKS_MAX {
            self.wrong(
                0,
                format!("There are {} tasks; at most {TASKS_MAX} are possible.", raw.tasks.len()),
                "remove some",
            );
        }
        let mut assist = Assist::default();
        for (name, task) in raw.tasks {
            let at = name.span().start;
            if let Some(task) = self.task(at, name.get_ref(), task) {
                assist.tasks.insert(name.into_inner(), task);
            }
        }
        assist.checks = self.checks(raw.checks);
        for (count, what) in [(raw.terms.len(), "rules for terms"), (raw.needs.len(), "needs")] {
            if count > RULES_MAX {
                self.wrong(
                    0,
                    format!("There are {count} {what}; at most {RULES_MAX} are possible."),
                    "remove some",
                );
                return assist;
            }
        }
        assist.terms = raw.terms.into_iter().filter_map(|term| self.term(term)).collect();
        assist.needs = raw.needs.into_iter().filter_map(|need| self.need(need)).collect();
        assist
    }

    fn task(&mut self, at: usize, name: &str, raw: RawTask) -> Option<Task> {
        let good = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !good {
            let shown: String = name.chars().take(80).collect();
            self.wrong(
                at,
                format!("`{shown}` cannot be the name of a task."),
                "use lower-case letters, digits and hyphens",
            );
            return None;
        }
        let Some(kind) = raw.kind.or_else(|| Kind::ALL.into_iter().find(|kind| kind.name() == name)) else {
            let names = Kind::ALL.map(Kind::name);
            let help = did_you_mean(name, names, format!("add `kind`: {}", names.join(", ")));
            self.wrong(at, format!("The task `{name}` has no `kind`."), help);
            return None;
        };
        if kind.writes() && (raw.types.is_empty() || raw.fields.is_empty()) {
            let help = "list the content types in `types`, and the fields in `fields`";
            self.wrong(at, format!("The task `{name}` may write nothing."), help);
        }
        let names_something = !raw.types.is_empty() || !raw.fields.is_empty();
        if names_something && !kind.writes() {
            let message = format!("The task `{name}` writes nothing, so it cannot have `types` or `fields`.");
            self.wrong(at, message, "remove them");
        }
        if raw.types.len() > NAMES_MAX || raw.fields.len() > NAMES_MAX {
            self.wrong(
                at,
                format!("The task `{name}` names more than {NAMES_MAX} types or fields."),
                "remove some",
            );
        }
        let per_day = raw.per_day.unwrap_or(PER_DAY);
        if per_day > PER_DAY_MAX {
            self.wrong(at, format!("`per_day` of the task `{name}` is more than {PER_DAY_MAX}."), "lower it");
        }
        let line = position(self.bytes, at).0;
        Some(Task {
            kind,
            feature: raw.feature,
            prompt: raw.prompt,
            types: raw.types,
            fields: raw.fields,
            per_day,
            keys: raw.keys,
            line,
        })
    }

    fn checks(&mut self, raw: RawChecks) -> Checks {
        let usual = Checks::default();
        let mut share = |name: &str, value: Option<Spanned<f64>>, usual: f64| match value {
            None => usual,
            Some(value) if (0.0..=1.0).contains(value.get_ref()) => value.into_inner(),
            Some(value) => {
                self.wrong(
                    value.span().start,
                    format!("`{name}` is not a share."),
                    "write a number from 0 to 1",
                );
                usual
            }
        };
        Checks {
            similarity: share("similarity", raw.similarity, usual.similarity),
            unique_min: share("unique_min", raw.unique_min, usual.unique_min),
            claims: raw.claims,
            links_min: raw.links_min.unwrap_or(usual.links_min),
            links_max: raw.links_max.unwrap_or(usual.links_max),
            linked: raw.linked,
            words_min: raw.words_min.unwrap_or(usual.words_min),
        }
    }

    fn pattern(&mut self, at: usize, pattern: &str) -> Option<Regex> {
        let built = (pattern.len() <= TEXT_BYTES_MAX).then(|| {
            RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY_MAX).build().map_err(|e| e.to_string())
        });
        match built {
            Some(Ok(pattern)) => Some(pattern),
            Some(Err(why)) => {
                let why: String = why.lines().last().unwrap_or_default().chars().take(200).collect();
                self.wrong(
                    at,
                    format!("The pattern cannot be used: {why}."),
                    "correct the regular expression",
                );
                None
            }
            None => {
                self.wrong(at, format!("A pattern has more than {TEXT_BYTES_MAX} bytes."), "shorten it");
                None
            }
        }
    }

    fn term(&mut self, raw: Spanned<RawTerm>) -> Option<Term> {
        let at = raw.span().start;
        let RawTerm { spelling, not } = raw.into_inner();
        if not.is_empty()
            || not.len() > NAMES_MAX
            || not.contains(&spelling)
            || not.iter().any(String::is_empty)
        {
            let help = "list at least one other spelling: not = [\"…\"]";
            self.wrong(at, "A rule for a term forbids nothing, or its own spelling.".to_owned(), help);
            return None;
        }
        let whole =
            |text: &str| format!(r"(?:^|[^\p{{L}}\p{{N}}])({})(?:$|[^\p{{L}}\p{{N}}])", regex::escape(text));
        let not = not.into_iter().map(|text| {
            let pattern = self.pattern_of_term(at, &whole(&text))?;
            Some((text, pattern))
        });
        Some(Term { spelling, not: not.collect::<Option<Vec<_>>>()? })
    }

    fn pattern_of_term(&mut self, at: usize, pattern: &str) -> Option<Regex> {
        if pattern.len() > 2 * TEXT_BYTES_MAX {
            self.wrong(at, format!("A term has more than {TEXT_BYTES_MAX} bytes."), "shorten it");
            return None;
        }
        Regex::new(pattern).ok()
    }

    fn need(&mut self, raw: Spanned<RawNeed>) -> Option<Need> {
        let at = raw.span().start;
        let RawNeed { right, pattern, fields, types } = raw.into_inner();
        if right.is_empty() || right.len() > TEXT_BYTES_MAX || right.contains(char::is_whitespace) {
            self.wrong(
                at,
                "`right` is not the name of a right.".to_owned(),
                "write a name such as pricing, legal or claim",
            );
            return None;
        }
        if pattern.is_none() && fields.is_empty() {
            self.wrong(
                at,
                "A need names neither a pattern nor fields.".to_owned(),
                "add `pattern` or `fields`",
            );
            return None;
        }
        let pattern = match pattern {
            Some(pattern) => Some(self.pattern(at, &pattern)?),
            None => None,
        };
        Some(Need { right, pattern, fields, types })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Assist, Vec<String>> {
        let mut files = Files::new();
        files.insert(FILE, text.as_bytes().to_vec()).unwrap();
        Assist::parse(&files)
            .map_err(|all| all.into_iter().map(|f| format!("{} {}", f.place, f.message)).collect())
    }

    #[test]
    fn a_file_is_read_or_says_what_is_wrong_where() {
        let read = parse(
            "[tasks.draft]\nfeature = \"assist\"\nprompt = \"draft-faq\"\ntypes = [\"faq-item\"]\nfields = [\"answer\"]\n\
             [checks]\nsimilarity = 0.7\n[[terms]]\nuse = \"Quayside\"\nnot = [\"QuaySide\"]\n\
             [[needs]]\nright = \"pricing\"\npattern = '\\d+ EUR'\n",
        )
        .unwrap();
        assert_eq!((read.tasks["draft"].kind, read.tasks["draft"].per_day), (Kind::Draft, PER_DAY));
        assert!((read.checks.similarity - 0.7).abs() < f64::EPSILON);
        let wrong = |text| parse(text).unwrap_err();
        assert_eq!(
            wrong("[tasks.drafts]\nfeature = \"a\"\nprompt = \"b\"\n"),
            ["assist.toml:1 The task `drafts` has no `kind`."]
        );
        assert_eq!(
            wrong("[tasks.draft]\nfeature = \"a\"\nprompt = \"b\"\n"),
            ["assist.toml:1 The task `draft` may write nothing."]
        );
        assert_eq!(wrong("[checks]\nunique_min = 3.0\n"), ["assist.toml:2 `unique_min` is not a share."]);
        assert!(
            wrong("[[needs]]\nright = \"legal\"\npattern = '('\n")[0].contains("The pattern cannot be used")
        );
    }
}
