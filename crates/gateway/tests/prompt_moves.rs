//! Random stories of promotions and rollbacks: prompts move alone, and a rollback brings back what was there before.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use ashlar_gateway::prompts::{Prompts, STATE_FILE, promote, roll_back};
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
