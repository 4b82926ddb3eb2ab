use ashlar_contracts::Version;
use ashlar_model::{Digest, TypeName};
use jiff::civil::Date;

/// The deepest nesting of includes.
pub const INCLUDE_DEPTH_MAX: usize = 4;
/// The most views of a project.
pub const VIEWS_MAX: usize = 1000;

/// What the last part of a view's path is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupBy {
    /// The entry's id.
    Id,
    /// An indexed field.
    Field(String),
}

impl LookupBy {
    /// The field, unless it is the id.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Id => None,
            Self::Field(field) => Some(field),
        }
    }
}

/// Which members of an entry stand in the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Top-level fields, and `$id`, `$type`, `$locale` for what names the entry; `None` means all fields.
    pub fields: Option<Vec<String>>,
    /// References that are answered with what they refer to.
    pub include: Vec<Include>,
}

/// A reference field that is replaced by the entries it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The way to the field; arrays on it are entered.
    pub path: Vec<String>,
    /// What of the entries is shown.
    pub select: Selection,
}

/// One response shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The name: `pages`.
    pub name: String,
    /// The major version, from 1.
    pub major: u32,
    /// The whole version: `1.4.0`.
    pub version: Version,
    /// The content type it shows.
    pub source: TypeName,
    /// How an entry is found.
    pub lookup: LookupBy,
    /// The path before the parameter, with the slash: `/v1/pages/`.
    pub prefix: String,
    /// Whether the parameter may hold slashes.
    pub rest: bool,
    /// What is shown.
    pub select: Selection,
    /// The `Cache-Control` of its answers on the public channel.
    pub cache_control: String,
    /// Fields that are answered under another name: the way to the field, arrays on it entered, and its name in the
    /// answer. A member of that name that is there already stays.
    pub rename: Vec<(Vec<String>, String)>,
    /// Since when it should not be used by new clients.
    pub deprecated: Option<Date>,
    /// When it ends.
    pub sunset: Option<Date>,
    /// The view that takes its place: name and major version.
    pub replaced_by: Option<(String, u32)>,
    /// The digest of its file.
    pub digest: Digest,
    /// Header lines of all its answers, each ending in CR LF.
    pub(crate) head: Vec<u8>,
}

impl View {
    /// Its path with the parameter: `/v1/pages/{slug}`.
    pub fn path(&self) -> String {
        format!("{}{{{}}}", self.prefix, self.lookup.field().unwrap_or("id"))
    }

    /// Whether an answer is an entry's fields exactly as they are stored.
    pub fn is_whole_entry(&self) -> bool {
        self.select.fields.is_none() && self.select.include.is_empty() && self.rename.is_empty()
    }
}

/// All views of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Views {
    list: Vec<View>,
    /// Positions in `list`, longest prefix first.
    by_prefix: Vec<usize>,
}

impl Views {
    pub(super) fn new(list: Vec<View>) -> Self {
        let mut by_prefix: Vec<usize> = (0..list.len()).collect();
        by_prefix.sort_by_key(|at| std::cmp::Reverse(list[*at].prefix.len()));
        Self { list, by_prefix }
    }

    /// All views, by file name.
    pub fn iter(&self) -> impl Iterator<Item = &View> {
        self.list.iter()
    }

    /// The view with this name and major version.
    pub fn get(&self, name: &str, major: u32) -> Option<&View> {
        self.list.iter().find(|v| v.name == name && v.major == major)
    }

    /// The view that answers a path, its position, and the parameter as it appears in the path (percent-encoded).
    pub fn route<'p>(&self, path: &'p str) -> Option<(usize, &View, &'p str)> {
        self.by_prefix.iter().find_map(|at| {
            let view = &self.list[*at];
            let slug = path.strip_prefix(view.prefix.as_str())?;
            (!slug.is_empty() && (view.rest || !slug.contains('/'))).then_some((*at, view, slug))
        })
    }
}
