//! What is computed from a release and kept with it: a look-up tree, a search index.
//!
//! Each kind is a value that implements [`Derive`]. Its result is a tree, and a release names the root of the tree. The
//! tree says what its values name (the entry [`FORM`]), so a collection, an export and a verification follow it
//! even when this binary does not know its kind.

use std::{collections::BTreeMap, sync::Arc};

use ashlar_model::{Digest, Files};
use ashlar_store::{Batch, TenantObjects, Tree};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ReleaseError;

/// The entry of a derived tree that contains its [`Form`]. A tree without it has format 1 and names nothing.
pub const FORM: &[u8] = b"\0form";

/// What the values of a derived tree name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// Values are data.
    Nothing,
    /// Each value begins with the digest of an object, in 32 bytes. Collections, exports and verifications follow it.
    Objects,
}

/// How a derived tree is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// The version of its format, from 1. A tree of another version is not opened; it counts as missing.
    pub format: u32,
    /// What its values name.
    pub names: Names,
}

/// When a kind is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Built {
    /// When a candidate is made, outside transactions. Every release has it.
    WithCandidate,
    /// When a candidate is made, if [`Derive::build_quick`] does it; otherwise by a follower, as with [`Built::Later`].
    WhenQuick,
    /// By a follower, after the release was made ([`crate::Engine::derive`]). Ask [`open`] whether a release has it yet.
    Later,
}

/// A kind of derived tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Derived {
    /// The name of its root in manifests, channel pointers and previews.
    pub name: &'static str,
    /// How it is stored.
    pub form: Form,
    /// When it is built.
    pub built: Built,
    /// Whether an imported release keeps the tree it came with. Otherwise the tree is built again, and need not be trusted.
    pub imported: bool,
}

/// Builds one kind of derived tree. [`crate::Judge::derives`] lists all kinds.
pub trait Derive: Send + Sync {
    /// What it builds.
    fn about(&self) -> Derived;

    /// Builds the tree. Its objects go to `batch`; objects that values name are put there too. Entries whose keys begin
    /// with a zero byte belong to the tree itself. Runs on a thread that may block, outside transactions.
    ///
    /// # Errors
    /// When the release cannot be read.
    fn build(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Tree, ReleaseError>;

    /// Whether a tree that was built before is what would be built now, as far as that depends on something other than the release, such as a
    /// model of this node. A tree that is not is built again by [`crate::Engine::derive`]; until then it is used.
    ///
    /// # Errors
    /// When it cannot be read.
    fn is_current(
        &self,
        _objects: &TenantObjects,
        _tree: &Tree,
        _definitions: &Arc<Files>,
    ) -> Result<bool, ReleaseError> {
        Ok(true)
    }

    /// Builds the tree of a candidate when that is quick. `None` means later: then [`Derive::build`] is called after the release
    /// was made, and nothing may have been put into `batch`. Only kinds with [`Built::WhenQuick`] are asked. A release whose tree
    /// comes later does without it until then.
    ///
    /// # Errors
    /// When the release cannot be read.
    fn build_quick(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Option<Tree>, ReleaseError> {
        self.build(input, batch).map(Some)
    }
}

/// What a derived tree is built from.
#[derive(Clone, Copy)]
pub struct DeriveInput<'a> {
    /// The tenant's objects.
    pub objects: &'a TenantObjects,
    /// The definitions of the release.
    pub definitions: &'a Arc<Files>,
    /// Its entries.
    pub snapshot: &'a Tree,
    /// An earlier release to go on from. With its tree, building costs what differs between the two snapshots.
    pub earlier: Option<Earlier<'a>>,
    /// What was derived from the same release already, by name: kinds are built in the order of their list. The newest of these
    /// trees may not be stored yet.
    pub derived: &'a BTreeMap<String, Digest>,
    /// When the release is made.
    pub at: Timestamp,
}

/// An earlier release.
#[derive(Clone, Copy)]
pub struct Earlier<'a> {
    /// Its definitions.
    pub definitions: &'a Arc<Files>,
    /// Its entries.
    pub snapshot: &'a Tree,
    /// When it was released.
    pub released_at: Timestamp,
    /// What was derived from it, by name.
    pub derived: &'a BTreeMap<String, Digest>,
}

impl DeriveInput<'_> {
    /// The same kind of tree of the earlier release; `None` when it has none of this form.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn before(&self, kind: &Derived) -> Result<Option<Tree>, ReleaseError> {
        match &self.earlier {
            Some(earlier) => open(self.objects, earlier.derived, kind),
            None => Ok(None),
        }
    }
}

/// Opens a derived tree among the roots that a manifest or a channel pointer names. `None` when it is not ready: it was not
/// built yet, or in another format.
///
/// # Errors
/// When its root cannot be read.
pub fn open(
    objects: &TenantObjects,
    roots: &BTreeMap<String, Digest>,
    kind: &Derived,
) -> Result<Option<Tree>, ReleaseError> {
    let Some(root) = roots.get(kind.name) else { return Ok(None) };
    let tree = Tree::open(objects, root)?;
    Ok((form_of(&tree)? == kind.form).then_some(tree))
}

/// How a tree says it is stored.
pub(crate) fn form_of(tree: &Tree) -> Result<Form, ReleaseError> {
    match tree.get_ref(FORM)? {
        None => Ok(Form { format: 1, names: Names::Nothing }),
        Some(text) => serde_json::from_slice(text).map_err(|e| ReleaseError::Corrupt {
            what: format!("derived tree {}", tree.root().short()),
            why: format!("its form cannot be read: {e}"),
        }),
    }
}

/// The object that an entry of a tree with [`Names::Objects`] names.
pub(crate) fn named(key: &[u8], value: &[u8]) -> Result<Option<Digest>, &'static str> {
    match value.first_chunk::<32>() {
        _ if key == FORM => Ok(None),
        Some(bytes) => Ok(Some(Digest::from_bytes(*bytes))),
        None => Err("a value names no object"),
    }
}

/// Hands out every object that the values of a tree name.
pub(crate) fn each_named(
    tree: &Tree,
    each: &mut dyn FnMut(Digest) -> Result<(), ReleaseError>,
) -> Result<(), ReleaseError> {
    if form_of(tree)?.names == Names::Nothing {
        return Ok(());
    }
    for item in tree.prefix(b"") {
        let (key, value) = item?;
        let damaged = |why: &str| ReleaseError::Corrupt {
            what: format!("derived tree {}", tree.root().short()),
            why: why.to_owned(),
        };
        if let Some(digest) = named(&key, &value).map_err(damaged)? {
            each(digest)?;
        }
    }
    Ok(())
}

/// The tree with its form. A judge does this with trees of [`crate::Judge::judge`]; trees of [`Derive::build`] get it anyway.
///
/// # Errors
/// When the tree cannot be read.
pub fn formed(kind: &Derived, tree: Tree, batch: &mut Batch) -> Result<Tree, ReleaseError> {
    if form_of(&tree)? == kind.form {
        return Ok(tree);
    }
    let form = serde_json::to_vec(&kind.form).map_err(|e| ReleaseError::Task(e.to_string()))?;
    Ok(tree.apply(&[(FORM.to_vec(), Some(form))], batch)?)
}

/// Builds one tree and gives it its form.
fn build(
    kind: &dyn Derive,
    input: &DeriveInput<'_>,
    batch: &mut Batch,
) -> Result<(String, Digest), ReleaseError> {
    let (about, tree) = (kind.about(), kind.build(input, batch)?);
    Ok((about.name.to_owned(), formed(&about, tree, batch)?.root()))
}

/// Builds every kind that comes with a candidate and is not among `derived` yet. Those that are not quick are left out.
pub(crate) fn build_missing<'k>(
    kinds: impl Iterator<Item = &'k dyn Derive>,
    input: &DeriveInput<'_>,
    derived: &mut BTreeMap<String, Digest>,
    batch: &mut Batch,
) -> Result<(), ReleaseError> {
    for kind in kinds {
        let about = kind.about();
        if derived.contains_key(about.name) {
            continue;
        }
        let before = derived.clone();
        let input = DeriveInput { derived: &before, ..*input };
        match about.built {
            Built::WithCandidate => derived.extend([build(kind, &input, batch)?]),
            Built::WhenQuick => {
                if let Some(tree) = kind.build_quick(&input, batch)? {
                    derived.insert(about.name.to_owned(), formed(&about, tree, batch)?.root());
                }
            }
            Built::Later => {}
        }
    }
    Ok(())
}

/// Builds kinds of a release that was made before, in their order. What was built before one that fails is not lost; the rest is
/// tried again.
pub(crate) fn build_later<'k>(
    kinds: impl Iterator<Item = &'k dyn Derive>,
    input: &DeriveInput<'_>,
    batch: &mut Batch,
) -> Result<BTreeMap<String, Digest>, ReleaseError> {
    let (mut derived, mut built) = (input.derived.clone(), BTreeMap::new());
    for kind in kinds {
        match build(kind, &DeriveInput { derived: &derived, ..*input }, batch) {
            Ok((name, root)) => {
                derived.insert(name.clone(), root);
                built.insert(name, root);
            }
            Err(error) if built.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(kind = kind.about().name, %error, "a derived tree is built later");
                break;
            }
        }
    }
    Ok(built)
}
