//! What can happen to an installation, and how such stories are made.

use proptest::{collection::vec, option, prelude::*, sample::select};

/// Entries of the model: three ids in two locales.
pub const KEYS: usize = 6;
/// Changesets of the model.
pub const CHANGESETS: [&str; 4] = ["autumn", "brand", "campus", "deals"];

/// The version a writer says to have read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Any,
    Right,
    Wrong,
}

/// One thing that happens. Candidates, releases and migrations are counted back from the newest.
#[derive(Debug, Clone)]
pub enum Op {
    Put { key: usize, who: &'static str, major: Option<u32>, fields: Written, expected: Expected },
    Delete { key: usize, who: &'static str },
    Unpublish { key: usize, who: &'static str, out: bool },
    Create { changeset: &'static str },
    Add { changeset: &'static str, keys: Vec<usize> },
    Remove { changeset: &'static str, key: usize },
    Schedule { changeset: &'static str, after: i64, lasts: Option<i64> },
    Cancel { changeset: &'static str },
    Push { note: u8 },
    Freeze { changeset: Option<&'static str> },
    Discard { candidate: usize },
    Rejudge { candidate: usize },
    Approve { candidate: usize, who: &'static str },
    Waive { candidate: usize, gate: &'static str },
    Promote { candidate: usize, staging: bool },
    Rollback { release: usize, staging: bool },
    Migrate { mapping: usize },
    Revert { migration: usize },
    Collect,
    Tick,
    Pass { seconds: i64 },
    Reopen,
}

/// The fields of a write.
#[derive(Debug, Clone)]
pub struct Written {
    pub t: u8,
    pub s: Option<u8>,
    pub bad: bool,
    pub legal: Option<u8>,
}

fn written() -> impl Strategy<Value = Written> {
    (0..3_u8, option::weighted(0.4, 0..2_u8), prop::bool::weighted(0.08), option::weighted(0.2, 0..2_u8))
        .prop_map(|(t, s, bad, legal)| Written { t, s, bad, legal })
}

fn writer() -> impl Strategy<Value = &'static str> {
    select(vec!["alice", "bob"])
}

fn changeset() -> impl Strategy<Value = &'static str> {
    // The first ones more often, so that things happen to the same one.
    select(vec![
        CHANGESETS[0],
        CHANGESETS[0],
        CHANGESETS[0],
        CHANGESETS[1],
        CHANGESETS[1],
        CHANGESETS[2],
        CHANGESETS[3],
    ])
}

fn back() -> impl Strategy<Value = usize> {
    select(vec![0_usize, 0, 0, 0, 1, 1, 2, 3, 5])
}

fn op() -> impl Strategy<Value = Op> {
    let expected =
        select(vec![Expected::Any, Expected::Any, Expected::Any, Expected::Right, Expected::Wrong]);
    let major = option::weighted(0.3, 1..=2_u32);
    prop_oneof![
        16 => (0..KEYS, writer(), major, written(), expected)
            .prop_map(|(key, who, major, fields, expected)| Op::Put { key, who, major, fields, expected }),
        2 => (0..KEYS, writer()).prop_map(|(key, who)| Op::Delete { key, who }),
        3 => (0..KEYS, writer(), any::<bool>()).prop_map(|(key, who, out)| Op::Unpublish { key, who, out }),
        3 => changeset().prop_map(|changeset| Op::Create { changeset }),
        4 => (changeset(), vec(0..KEYS, 1..3)).prop_map(|(changeset, keys)| Op::Add { changeset, keys }),
        1 => (changeset(), 0..KEYS).prop_map(|(changeset, key)| Op::Remove { changeset, key }),
        3 => (changeset(), 1..4_i64, option::of(-1..4_i64)).prop_map(|(changeset, after, lasts)| {
            Op::Schedule { changeset, after: after * 300, lasts: lasts.map(|l| l * 600) }
        }),
        1 => changeset().prop_map(|changeset| Op::Cancel { changeset }),
        1 => (0..3_u8).prop_map(|note| Op::Push { note }),
        10 => option::weighted(0.4, changeset()).prop_map(|changeset| Op::Freeze { changeset }),
        1 => back().prop_map(|candidate| Op::Discard { candidate }),
        1 => back().prop_map(|candidate| Op::Rejudge { candidate }),
        4 => (back(), select(vec!["alice", "bob", "boss", "boss"]))
            .prop_map(|(candidate, who)| Op::Approve { candidate, who }),
        2 => (back(), select(vec!["content", "content", "approvals", "nonsense"]))
            .prop_map(|(candidate, gate)| Op::Waive { candidate, gate }),
        12 => (back(), prop::bool::weighted(0.2))
            .prop_map(|(candidate, staging)| Op::Promote { candidate, staging }),
        4 => (select(vec![0_usize, 1, 1, 1, 2, 3]), prop::bool::weighted(0.2))
            .prop_map(|(release, staging)| Op::Rollback { release, staging }),
        2 => (0..3_usize).prop_map(|mapping| Op::Migrate { mapping }),
        1 => (0..2_usize).prop_map(|migration| Op::Revert { migration }),
        1 => Just(Op::Collect),
        6 => Just(Op::Tick),
        4 => (1..4_i64).prop_map(|n| Op::Pass { seconds: n * 300 }),
        1 => Just(Op::Reopen),
    ]
}

/// What every story begins with: a release, a draft that waits, and two changesets with one draft each.
fn prelude() -> Vec<Op> {
    let put = |key, t| Op::Put {
        key,
        who: "alice",
        major: Some(1),
        fields: Written { t, s: Some(0), bad: false, legal: None },
        expected: Expected::Any,
    };
    let mut story: Vec<Op> = (0..4).map(|key| put(key, 0)).collect();
    story.extend([
        Op::Freeze { changeset: None },
        Op::Promote { candidate: 0, staging: false },
        put(0, 1),
        put(1, 1),
        put(2, 1),
    ]);
    for (key, changeset) in CHANGESETS.iter().enumerate().take(2) {
        story.extend([Op::Create { changeset }, Op::Add { changeset, keys: vec![key] }]);
    }
    story
}

/// A story of `length` steps at most, after the prelude.
pub fn story(length: usize) -> impl Strategy<Value = Vec<Op>> {
    vec(op(), length / 2..=length).prop_map(|story| [prelude(), story].concat())
}
