//! The engine against a small model of it: random stories, and after each step both must say and be the same.
//!
//! The stories are the same in every run. `ASHLAR_MODEL_SEED=n` tells others and `ASHLAR_MODEL_CASES=n` tells more.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../common/mod.rs"]
mod common;
mod drive;
mod ops;
mod world;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use ashlar_model::TenantId;
use ashlar_release::Location;
use drive::Rig;
use ops::Op;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// What stories must contain, or they say little.
const SEEN: [&str; 19] = [
    "Put stale-write",
    "Put not-found",
    "Create changeset-exists",
    "Add draft-in-other-changeset",
    "Schedule done",
    "Schedule changeset-published",
    "Cancel done",
    "Cancel not-scheduled",
    "Approve done",
    "Approve own-change",
    "Waive done",
    "Promote done",
    "Promote gates-failed",
    "Promote superseded",
    "Promote candidate-closed",
    "Promote already-promoted",
    "Rollback done",
    "Migrate migration-refused",
    "Revert done",
];

fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

async fn tell(rig: &mut Rig, story: &[Op], seen: &Mutex<BTreeMap<String, usize>>) -> Result<(), String> {
    for (index, op) in story.iter().enumerate() {
        let outcome = rig.step(op).await.map_err(|why| format!("step {index}, {op:?}: {why}"))?;
        let name = format!("{op:?}");
        let name = name.split([' ', '{']).next().unwrap_or_default();
        let said = format!("{name} {}", outcome.err().unwrap_or("done"));
        *seen.lock().unwrap_or_else(PoisonError::into_inner).entry(said).or_default() += 1;
    }
    rig.finish().await
}

fn run(cases: u32, mut place: impl FnMut(u32) -> (Location, TenantId, Option<tempfile::TempDir>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let seed = number("ASHLAR_MODEL_SEED", 1).to_le_bytes().repeat(8);
    let config = Config {
        cases: number("ASHLAR_MODEL_CASES", cases),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let seen = Mutex::default();
    let place = Mutex::new((0, &mut place));
    let reported = runner.run(&ops::story(60), |story| {
        let (location, tenant, _dir) = {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            place.0 += 1;
            let number = place.0;
            (place.1)(number)
        };
        runtime.block_on(async {
            let mut rig = Rig::new(location, tenant).await;
            tell(&mut rig, &story, &seen).await.map_err(TestCaseError::fail)
        })
    });
    match reported {
        Ok(()) => {}
        Err(TestError::Fail(why, story)) => {
            let lines: Vec<String> = story.iter().map(|op| format!("{op:?}")).collect();
            panic!("{why}\nthe shortest story that shows it:\n{}", lines.join("\n"));
        }
        Err(other) => panic!("{other}"),
    }
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    if std::env::var_os("ASHLAR_MODEL_SEED").is_none() && cases >= 50 {
        let missing: Vec<_> = SEEN.iter().filter(|s| !seen.contains_key(**s)).collect();
        assert!(missing.is_empty(), "the stories never came to {missing:?}; they came to {seen:#?}");
    }
}

#[test]
fn the_engine_does_what_the_model_says_on_sqlite() {
    run(50, |_| {
        // Nothing here is about power cuts: in memory, where the system has such a directory.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        (Rig::embedded(dir.path()), TenantId::main(), Some(dir))
    });
}

/// One database and one directory, and a tenant for each story: what one does must not show in another.
#[test]
fn the_engine_does_what_the_model_says_on_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let Some(location) = common::postgres("model", dir.path()) else { return };
    run(8, |n| (location.clone(), TenantId::new(&format!("t{n}")).unwrap(), None));
}

/// After a rollback, whoever wrote it since what is served again does not approve it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_does_not_make_authors_approvers() {
    let put = |who, t, legal| Op::Put {
        key: 0,
        who,
        major: None,
        fields: ops::Written { t, s: None, bad: false, legal },
        expected: ops::Expected::Any,
    };
    let (freeze, promote) = (Op::Freeze { changeset: None }, Op::Promote { candidate: 0, staging: false });
    let approve = |who| Op::Approve { candidate: 0, who };
    let mut story = vec![put("bob", 0, None), freeze.clone(), promote.clone()];
    for t in [1, 2] {
        story.extend([put("alice", t, Some(1)), freeze.clone(), approve("boss"), promote.clone()]);
    }
    story.extend([Op::Rollback { release: 2, staging: false }, freeze, approve("alice"), approve("boss")]);
    let (dir, seen) = (tempfile::tempdir().unwrap(), Mutex::default());
    let mut rig = Rig::new(Rig::embedded(dir.path()), TenantId::main()).await;
    tell(&mut rig, &story, &seen).await.unwrap();
    assert!(seen.into_inner().unwrap().contains_key("Approve own-change"));
}
