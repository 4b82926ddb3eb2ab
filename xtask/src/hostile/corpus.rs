//! What a hostile tenant sends: one generator per idea, each at four sizes, everything from a seed.

use std::fmt;

use crate::random::Random;

/// What is sent, and where it does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load {
    /// Files beside (or in place of) those of the base project: pushed, frozen, judged, shown as a preview, discarded.
    Definitions(Vec<(String, Vec<u8>)>),
    /// The fields of a page as JSON text: written as a draft, frozen, shown as a preview, deleted.
    Entry(Vec<u8>),
    /// A request to the management API.
    Api {
        /// The method.
        method: &'static str,
        /// The path below `/api/v1`.
        path: String,
        /// The body.
        body: Vec<u8>,
    },
    /// A read of what is served, with headers of its own.
    Read {
        /// Path and query.
        path: String,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// A GraphQL document as text, with variables as JSON text.
    Graphql {
        /// The document.
        document: String,
        /// The variables.
        variables: String,
    },
    /// Bytes on a connection of their own. `HOST` stands for the tenant's host name.
    Raw(Vec<u8>),
    /// An exported release of the hostile tenant with so many changes, imported.
    Tampered(usize),
    /// The command line in a directory with these files. `PROJECT` in an argument is a copy of the base project.
    Command {
        /// Paths and contents.
        files: Vec<(String, Vec<u8>)>,
        /// The arguments.
        args: Vec<&'static str>,
    },
}

impl Load {
    /// One definition file.
    pub fn file(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::Definitions(vec![(path.to_owned(), bytes.into())])
    }

    /// A page with this body.
    pub fn page(body: &str) -> Self {
        let fields = serde_json::json!({"slug": "hostile", "title": "hostile", "body": body});
        Self::Entry(fields.to_string().into_bytes())
    }

    /// A read without further headers.
    pub fn read(path: impl Into<String>) -> Self {
        Self::Read { path: path.into(), headers: Vec::new() }
    }

    /// How many bytes a person wrote.
    pub fn bytes(&self) -> usize {
        let files = |files: &[(String, Vec<u8>)]| files.iter().map(|(p, b)| p.len() + b.len()).sum();
        match self {
            Self::Definitions(all) | Self::Command { files: all, .. } => files(all),
            Self::Entry(body) | Self::Raw(body) | Self::Api { body, .. } => body.len(),
            Self::Read { path, headers } => {
                path.len() + headers.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>()
            }
            Self::Graphql { document, variables } => document.len() + variables.len(),
            Self::Tampered(_) => 0,
        }
    }
}

/// One idea.
pub struct Generator {
    /// The format it abuses.
    pub format: &'static str,
    /// What it does.
    pub name: &'static str,
    /// Small, about where bounds lie, beyond them, far beyond them.
    pub sizes: [usize; 4],
    /// Makes it.
    pub make: fn(&mut Random, usize) -> Load,
}

/// What costs most for what it weighs.
pub const WORST: [&str; 34] = [
    "templates/minus",
    "templates/attribute",
    "templates/elif",
    "templates/range-loops",
    "templates/indent",
    "templates/capture-doubling",
    "templates/macro-doubling",
    "templates/list-doubling-shown",
    "yaml/brackets",
    "yaml/laughs",
    "yaml/blocks",
    "yaml/anchors",
    "toml/dotted-key",
    "toml/tables",
    "json/arrays",
    "json/width",
    "markdown/quotes",
    "markdown/lists-in-quotes",
    "markdown/links",
    "contracts/any-of-doubling",
    "contracts/all-of-doubling",
    "contracts/pattern-repeats",
    "contracts/properties",
    "tokens/alias-shadow",
    "tokens/modifiers",
    "graphql/fragment-doubling",
    "graphql/overlapping",
    "images/svg-attributes",
    "css/rules",
    "redirects/chain",
    "requests/search-words",
    "requests/search-api",
    "requests/search-misspelt",
    "requests/answers",
];

/// The words for [`Generator::sizes`].
pub const SIZES: [&str; 4] = ["small", "limit", "beyond", "far"];

/// A generator with a size and a seed: always the same bytes.
#[derive(Clone, Copy)]
pub struct Case {
    /// Who makes it.
    pub generator: &'static Generator,
    /// How large.
    pub size: usize,
    /// Where its random choices start.
    pub seed: u64,
}

impl Case {
    /// The bytes.
    pub fn load(&self) -> Load {
        (self.generator.make)(&mut Random(self.seed), self.size)
    }

    /// Whether it is one of those that cost most for what they weigh.
    pub fn is_worst(&self) -> bool {
        let (format, name) = (self.generator.format, self.generator.name);
        WORST.iter().any(|w| w.split_once('/') == Some((format, name)))
    }

    /// Whether a filter (`templates`, `templates/minus`) wants it.
    pub fn is(&self, filter: &str) -> bool {
        self.to_string().starts_with(filter)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} size {} seed {}", self.generator.format, self.generator.name, self.size, self.seed)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
