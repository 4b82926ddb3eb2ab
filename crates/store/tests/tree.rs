//! The laws of the Merkle search tree, against a `BTreeMap`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeMap, ops::Bound};

use ashlar_model::TenantId;
use ashlar_store::{Objects, TenantObjects, Tree, TreeChange};
use proptest::{collection::vec, prelude::*};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Edit = (Vec<u8>, Option<Vec<u8>>);

struct Store {
    objects: TenantObjects,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Store {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path(), None).unwrap().tenant(&TenantId::main());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { objects, runtime, _dir: dir }
    }

    /// Applies and stores; also says how many new objects that took.
    fn apply(&self, tree: &Tree, edits: &[Edit]) -> (Tree, usize) {
        let mut batch = self.objects.batch();
        let tree = tree.apply(edits, &mut batch).unwrap();
        let new = batch.len();
        self.runtime.block_on(self.objects.commit(batch)).unwrap();
        (tree, new)
    }

    fn reopened(&self, tree: &Tree) -> Tree {
        let fresh = Objects::open(self._dir.path(), None).unwrap().tenant(&TenantId::main());
        Tree::open(&fresh, &tree.root()).unwrap()
    }
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0_u32..2000).prop_map(|n| format!("page\0entry-{n:05}\0en").into_bytes()),
        vec(any::<u8>(), 0..6),
    ]
}

fn edits(max: usize) -> impl Strategy<Value = BTreeMap<Vec<u8>, Option<Vec<u8>>>> {
    prop::collection::btree_map(key(), prop::option::weighted(0.7, vec(any::<u8>(), 0..12)), 0..max)
}

fn listed(tree: &Tree) -> Model {
    tree.prefix(b"").map(|e| e.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap()).collect()
}

fn apply_model(model: &mut Model, edits: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
    for (key, value) in edits {
        match value {
            Some(value) => drop(model.insert(key.clone(), value.clone())),
            None => drop(model.remove(key)),
        }
    }
}

fn puts(model: &Model) -> Vec<Edit> {
    model.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect()
}

fn numbered(n: u32) -> Model {
    (0..n).map(|i| (format!("page\0entry-{i:07}\0en").into_bytes(), i.to_le_bytes().to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_same_content_has_the_same_root_however_it_came_about(steps in vec(edits(400), 1..6)) {
        let store = Store::new();
        let (mut tree, mut model) = (Tree::empty(), Model::new());
        for step in &steps {
            let list: Vec<Edit> = step.clone().into_iter().collect();
            let before = (tree.clone(), model.clone());
            tree = store.apply(&tree, &list).0;
            apply_model(&mut model, step);

            prop_assert_eq!(tree.len(), model.len() as u64);
            prop_assert_eq!(&listed(&store.reopened(&tree)), &model);
            let at_once = store.apply(&Tree::empty(), &puts(&model)).0;
            prop_assert_eq!(at_once.root(), tree.root());
            prop_assert_eq!(tree.verify(&mut |_, _| Ok(())).unwrap().entries, model.len() as u64);

            let expected: Vec<_> = before.1.keys().chain(model.keys()).collect::<std::collections::BTreeSet<_>>()
                .into_iter().filter(|k| before.1.get(*k) != model.get(*k)).cloned().collect();
            let forth: Vec<TreeChange> = before.0.diff(&tree).map(Result::unwrap).collect();
            prop_assert_eq!(forth.iter().map(|c| c.key.to_vec()).collect::<Vec<_>>(), expected);
            for change in &forth {
                prop_assert_eq!(change.old.as_deref(), before.1.get(&change.key[..]).map(Vec::as_slice));
                prop_assert_eq!(change.new.as_deref(), model.get(&change.key[..]).map(Vec::as_slice));
            }
            let back: Vec<TreeChange> = tree.diff(&before.0).map(Result::unwrap).collect();
            prop_assert_eq!(back.len(), forth.len());
        }
        let gone: Vec<Edit> = model.keys().map(|k| (k.clone(), None)).collect();
        prop_assert_eq!(store.apply(&tree, &gone).0.root(), Tree::empty().root());
    }

    #[test]
    fn ranges_counts_and_look_ups_are_those_of_a_map(
        content in edits(1500), a in key(), b in key(), ends in any::<(u8, u8)>(), turns in vec(any::<bool>(), 0..40),
    ) {
        let store = Store::new();
        let mut model = Model::new();
        apply_model(&mut model, &content);
        let tree = store.reopened(&store.apply(&Tree::empty(), &puts(&model)).0);
        let bound = |kind: u8, key: &Vec<u8>| match kind % 3 {
            0 => Bound::Unbounded,
            1 => Bound::Included(key.clone()),
            _ => Bound::Excluded(key.clone()),
        };
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        for key in [&low, &high] {
            let found = tree.get(key).unwrap();
            prop_assert_eq!(found.as_deref(), model.get(key).map(Vec::as_slice));
        }
        let (from, to) = (bound(ends.0, &low), bound(ends.1, &high));
        prop_assume!(low != high || !matches!((&from, &to), (Bound::Excluded(_), Bound::Excluded(_))));
        let expected: Vec<_> = model.range((from.clone(), to.clone())).map(|(k, _)| k.clone()).collect();
        fn by_ref(b: &Bound<Vec<u8>>) -> Bound<&[u8]> {
            b.as_ref().map(Vec::as_slice)
        }
        let keys = |r: Result<(bytes::Bytes, bytes::Bytes), _>| r.map(|e: (bytes::Bytes, bytes::Bytes)| e.0.to_vec());
        let forth: Result<Vec<_>, ashlar_store::StoreError> = tree.range(by_ref(&from), by_ref(&to)).map(keys).collect();
        prop_assert_eq!(&forth.unwrap(), &expected);
        let back: Result<Vec<_>, ashlar_store::StoreError> = tree.range(by_ref(&from), by_ref(&to)).rev().map(keys).collect();
        prop_assert_eq!(back.unwrap().into_iter().rev().collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(tree.count_range(by_ref(&from), by_ref(&to)).unwrap(), expected.len() as u64);

        let (mut range, mut left) = (tree.range(by_ref(&from), by_ref(&to)), std::collections::VecDeque::from(expected));
        for front in turns {
            let (got, want) = match front {
                true => (range.next(), left.pop_front()),
                false => (range.next_back(), left.pop_back()),
            };
            prop_assert_eq!(got.map(|r| keys(r).unwrap()), want);
        }
    }
}

#[test]
fn one_change_in_100_000_rewrites_one_path() {
    let store = Store::new();
    let model = numbered(100_000);
    let (tree, _) = store.apply(&Tree::empty(), &puts(&model));
    for i in [0, 1, 77_777, 99_999] {
        let key = format!("page\0entry-{i:07}\0en").into_bytes();
        for edit in [(key.clone(), Some(b"new".to_vec())), (key, None)] {
            let (changed, new) = store.apply(&tree, &[edit]);
            assert!(new <= 8, "{new} new nodes");
            assert_eq!(tree.diff(&changed).count(), 1);
        }
    }
    let (grown, new) = store.apply(&tree, &[(b"zzz".to_vec(), Some(b"1".to_vec()))]);
    assert!(new <= 8, "{new} new nodes");
    assert_eq!(grown.len(), 100_001);
}

#[test]
fn an_edit_that_changes_nothing_changes_nothing() {
    let store = Store::new();
    let model = numbered(1000);
    let (tree, _) = store.apply(&Tree::empty(), &puts(&model));
    let (same, new) = store.apply(&tree, &puts(&model));
    assert_eq!((same.root(), new), (tree.root(), 0));
    let (same, new) = store.apply(&tree, &[(b"not there".to_vec(), None)]);
    assert_eq!((same.root(), new), (tree.root(), 0));
}

#[test]
fn unsorted_edits_are_refused() {
    let store = Store::new();
    let mut batch = store.objects.batch();
    let edits = vec![(b"b".to_vec(), Some(vec![])), (b"a".to_vec(), Some(vec![]))];
    assert!(Tree::empty().apply(&edits, &mut batch).is_err());
}

#[test]
fn a_tree_made_in_several_steps_is_readable_before_it_is_stored() {
    let store = Store::new();
    let mut batch = store.objects.batch();
    let all = puts(&numbered(30_000));
    let mut tree = Tree::empty();
    for part in all.chunks(10_000) {
        tree = tree.apply(part, &mut batch).unwrap();
    }
    assert_eq!(listed(&tree).len(), 30_000);
    let opened = Tree::open(&store.objects, &tree.root()).unwrap();
    assert_eq!(opened.get(&all[123].0).unwrap().unwrap(), all[123].1.clone().unwrap());
}

#[test]
fn nodes_that_were_touched_can_be_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::open(dir.path(), None).unwrap().tenant(&TenantId::main());
    let mut batch = objects.batch();
    let key = |n: u32| format!("key {n:08}").into_bytes();
    let edits: Vec<_> = (0..50_000).map(|n| (key(n), Some(vec![7; 40]))).collect();
    let root = Tree::empty().apply(&edits, &mut batch).unwrap().root();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(objects.commit(batch))
        .unwrap();
    let tree = Tree::open(&objects, &root).unwrap();
    assert_eq!(tree.prefix(b"key").count(), 50_000);
    let fresh = tree.anew().unwrap();
    let full = ashlar_store::tree_bytes();
    drop(tree);
    assert!(full - ashlar_store::tree_bytes() > 2_000_000, "{full} {}", ashlar_store::tree_bytes());
    assert_eq!(fresh.get(&key(41_999)).unwrap().as_deref(), Some(&[7; 40][..]));
}

/// Entries with a prefix, among others.
fn among(store: &Store, prefix: &str, count: u32, others: &[(&str, u32)]) -> Tree {
    let of = |name: &str, n: u32| -> Vec<Edit> {
        (0..n).map(|i| (format!("{name}\0{i:06}").into_bytes(), Some(i.to_le_bytes().to_vec()))).collect()
    };
    let mut edits = of(prefix, count);
    others.iter().for_each(|(name, n)| edits.extend(of(name, *n)));
    edits.sort();
    store.apply(&Tree::empty(), &edits).0
}

#[test]
fn the_digest_of_a_part_depends_on_the_part_alone() {
    let store = Store::new();
    // From one leaf to three levels, with neighbours that fall into the same nodes.
    for count in [0, 1, 2, 60, 500, 40_000] {
        let alone = among(&store, "page", count, &[]).prefix_digest(b"page\0").unwrap();
        for others in [
            &[("aa", 3), ("zz", 2)][..],
            &[("page-x", 40_000)],
            &[("a", 33_000), ("page!", 1), ("pagf", 700)],
        ] {
            let tree = among(&store, "page", count, others);
            assert_eq!(store.reopened(&tree).prefix_digest(b"page\0").unwrap(), alone, "{count} {others:?}");
        }
        let more = among(&store, "page", count + 1, &[]).prefix_digest(b"page\0").unwrap();
        assert_ne!(more, alone, "{count}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn equal_parts_have_equal_digests_and_others_do_not(
        one in edits(600), other in edits(600), part in 0_u8..4,
    ) {
        let store = Store::new();
        let prefix: &[u8] = [&b""[..], b"page\0", b"page\0entry-0001", b"\x01"][usize::from(part)];
        let (a, _) = store.apply(&Tree::empty(), &one.clone().into_iter().collect::<Vec<_>>());
        // The part of the first tree, with the rest of the second.
        let mixed: Vec<Edit> = {
            let mut edits: BTreeMap<_, _> = other.into_iter().filter(|(k, _)| !k.starts_with(prefix)).collect();
            edits.extend(one.iter().filter(|(k, _)| k.starts_with(prefix)).map(|(k, v)| (k.clone(), v.clone())));
            edits.into_iter().collect()
        };
        let (b, _) = store.apply(&Tree::empty(), &mixed);
        prop_assert_eq!(a.prefix_digest(prefix).unwrap(), b.prefix_digest(prefix).unwrap());
        // Any change of the part shows.
        let changed = a.prefix(prefix).next().transpose().unwrap();
        if let Some((key, value)) = changed {
            let (c, _) = store.apply(&a, &[(key.to_vec(), Some([&value[..], b"!"].concat()))]);
            prop_assert_ne!(a.prefix_digest(prefix).unwrap(), c.prefix_digest(prefix).unwrap());
            let (d, _) = store.apply(&a, &[(key.to_vec(), None)]);
            prop_assert_ne!(a.prefix_digest(prefix).unwrap(), d.prefix_digest(prefix).unwrap());
        }
    }
}
