//! Random stories of promotions and rollbacks: prompts move alone, and a rollback brings back what was there before.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use ashlar_gateway::prompts::{Prompts, STATE_FILE, Who, promote, roll_back};
use ashlar_model::Files;
use proptest::prelude::*;

const NAMES: [&str; 3] = ["ask", "greet", "sum"];
const VERSIONS: u32 = 4;

#[derive(Debug, Clone)]
enum Op {
    Promote { name: usize, version: u32, percent: Option<u32> },
    RollBack { name: usize },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..NAMES.len(), 1..=VERSIONS, proptest::option::of(1..=100_u32))
            .prop_map(|(name, version, percent)| Op::Promote { name, version, percent }),
        1 => (0..NAMES.len()).prop_map(|name| Op::RollBack { name }),
    ]
}

/// The active version, and the rollout with its percentage.
type State = (u32, Option<(u32, u32)>);

fn state(files: &Files, name: &str) -> State {
    let (prompts, findings) = Prompts::parse(files);
    assert!(findings.is_empty(), "{findings:?}");
    let active = prompts.active(name).unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole percentages")]
    let flags: Vec<(u32, u32)> =
        active.flags.iter().map(|flag| (flag.version, flag.percent as u32)).collect();
    assert!(flags.len() <= 1);
    (active.version, flags.first().copied())
}

fn begun() -> Files {
    let mut files = Files::new();
    for name in NAMES {
        for version in 1..=VERSIONS {
            let text = "---\nowner: a\nchangelog: b\noutput: none\n---\n## system\nHello.\n";
            files.insert(&format!("prompts/{name}/v{version}.md"), text.as_bytes().to_vec()).unwrap();
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn prompts_move_alone(ops in proptest::collection::vec(op(), 1..14)) {
        let mut served = begun();
        let mut earlier: Vec<Files> = Vec::new();
        // For each prompt, every state that it had, the newest last.
        let mut model: BTreeMap<usize, Vec<State>> = (0..NAMES.len()).map(|n| (n, vec![(VERSIONS, None)])).collect();
        for op in ops {
            let (name, moved) = match &op {
                Op::Promote { name, version, percent } => {
                    (*name, promote(&served, &served, NAMES[*name], *version, percent.map(f64::from)))
                }
                Op::RollBack { name } => (*name, roll_back(&served, &earlier, &served, NAMES[*name])),
            };
            let history = model.get_mut(&name).unwrap();
            let now = *history.last().unwrap();
            let expected = match &op {
                Op::Promote { version, percent, .. } => match percent.filter(|percent| *percent < 100) {
                    Some(_) if *version == now.0 => None,
                    Some(percent) => Some((now.0, Some((*version, percent)))),
                    None => Some((*version, None)),
                },
                Op::RollBack { .. } => history.iter().rev().find(|state| **state != now).copied(),
            };
            let expected = expected.filter(|next| *next != now);
            prop_assert_eq!(expected.is_some(), moved.is_ok(), "{:?}: {:?}", op, moved);
            if let (Some(next), Ok(moved)) = (expected, moved) {
                prop_assert_eq!(moved.served.keys().collect::<Vec<_>>(), [STATE_FILE]);
                prop_assert_eq!(&moved.served, &moved.working);
                earlier.insert(0, served.clone());
                for (path, bytes) in moved.served {
                    served.insert(&path, bytes).unwrap();
                }
                history.push(next);
            }
            for (name, history) in &model {
                prop_assert_eq!(state(&served, NAMES[*name]), *history.last().unwrap());
            }
        }
    }
}

/// Somebody who calls.
#[derive(Debug, Clone)]
struct Someone {
    tenant: usize,
    key: usize,
    user: Option<u32>,
    session: Option<u32>,
}

fn someone() -> impl Strategy<Value = Someone> {
    let (user, session) = (proptest::option::of(0..50_u32), proptest::option::of(0..50_u32));
    (0..2_usize, 0..2_usize, user, session).prop_map(|(tenant, key, user, session)| Someone {
        tenant,
        key,
        user,
        session,
    })
}

/// The version that somebody gets. `request` is what only this call has.
fn got(files: &Files, name: &str, someone: &Someone, request: &str) -> u32 {
    got_of(&Prompts::parse(files).0, name, someone, request)
}

fn got_of(prompts: &Prompts, name: &str, someone: &Someone, request: &str) -> u32 {
    let (user, session) = (someone.user.map(|u| format!("u{u}")), someone.session.map(|s| format!("s{s}")));
    let who = Who {
        tenant: ["main", "shop"][someone.tenant],
        feature: "support",
        keys: &[["web", "app"][someone.key]],
        user: user.as_deref(),
        session: session.as_deref(),
        request,
    };
    prompts.choose(name, None, &who).unwrap().prompt.version
}

/// `prompts.toml` with one flag for `ask`.
fn flagged(percent: u32, sticky: &str, only: &str) -> Files {
    let mut files = begun();
    let text = format!(
        "[prompts.ask]\nactive = 1\n\n[[prompts.ask.flags]]\nversion = 2\npercent = {percent}\nsticky = \"{sticky}\"\n{only}"
    );
    files.insert(STATE_FILE, text.into_bytes()).unwrap();
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn flags_are_sticky_and_only_grow(
        all in proptest::collection::vec(someone(), 1..20),
        sticky in prop_oneof![Just("session"), Just("user")],
        only in prop_oneof![Just(""), Just("tenants = [\"shop\"]\n"), Just("keys = [\"app\"]\n")],
        (less, more) in (1..100_u32, 1..=100_u32),
    ) {
        let (less, more) = (less.min(more), less.max(more));
        let (small, large) = (flagged(less, sticky, only), flagged(more, sticky, only));
        for someone in &all {
            let first = got(&small, "ask", someone, "r1");
            if someone.user.is_some() || someone.session.is_some() {
                // Every call of a session or user gets the same, also when what it is not drawn by differs.
                prop_assert_eq!(first, got(&small, "ask", someone, "r2"));
                let mut other = someone.clone();
                if sticky == "session" && someone.session.is_some() {
                    other.user = Some(77);
                } else if sticky == "user" && someone.user.is_some() {
                    other.session = Some(77);
                }
                prop_assert_eq!(first, got(&small, "ask", &other, "r3"));
            }
            // Whoever is in stays in when the share grows.
            prop_assert!(first == 1 || got(&large, "ask", someone, "r1") == 2);
            let outside = (only.starts_with("tenants") && someone.tenant == 0) || (only.starts_with("keys") && someone.key == 0);
            prop_assert!(!outside || got(&large, "ask", someone, "r1") == 1, "a flag of others applies");
            prop_assert_eq!(got(&large, "greet", someone, "r1"), VERSIONS, "another prompt is as it was");
        }
        // A rollback brings everybody back to what they had.
        let base = begun();
        let moved = promote(&base, &base, "ask", 2, Some(f64::from(less))).unwrap();
        let mut served = base.clone();
        for (path, bytes) in moved.served {
            served.insert(&path, bytes).unwrap();
        }
        let back = roll_back(&served, std::slice::from_ref(&base), &served, "ask").unwrap();
        for (path, bytes) in back.served {
            served.insert(&path, bytes).unwrap();
        }
        for someone in &all {
            for name in NAMES {
                prop_assert_eq!(got(&served, name, someone, "r1"), got(&base, name, someone, "r1"));
            }
        }
    }
}

#[test]
fn a_share_is_about_as_large_as_it_says() {
    let files = flagged(10, "session", "");
    let all = (0..3_000).map(|session| Someone { tenant: 0, key: 0, user: None, session: Some(session) });
    let (prompts, findings) = Prompts::parse(&files);
    assert!(findings.is_empty(), "{findings:?}");
    let share = all.filter(|someone| got_of(&prompts, "ask", someone, "r") == 2).count();
    assert!((200..400).contains(&share), "{share} of 3000 get what is for 10 %");
}
