//! Evidence of eval suites: how much of it is kept.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use ashlar_model::{Digest, TenantId};
use ashlar_store::sql::{Db, EvidenceRow};

fn row(id: u64, inputs: Digest, complete: bool) -> EvidenceRow {
    EvidenceRow {
        id,
        suite: "s".to_owned(),
        inputs,
        complete,
        object: inputs,
        asked: format!("c{id}"),
        verdict: "pass".to_owned(),
        cases: 1,
        passed: 1,
        producer: "a test".to_owned(),
        by: "ana".to_owned(),
        at: "2026-06-01T12:00:00Z".to_owned(),
    }
}

#[tokio::test]
async fn the_oldest_is_forgotten_unless_verdicts_need_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&format!("sqlite://{}", dir.path().join("state.db").display())).await.unwrap();
    let inputs: Vec<Digest> = (0..6_u8).map(|n| Digest::of(&[n])).collect();
    let served = BTreeSet::from([inputs[0]]);
    let mut tx = db.write(&TenantId::main()).await.unwrap();
    for (inputs, id) in inputs.iter().zip(1..) {
        tx.rows().put_eval_evidence(&row(id, *inputs, id != 5), 3, &served).await.unwrap();
    }
    let kept = tx.rows().eval_evidence(Some("s"), u64::MAX >> 1, 10).await.unwrap();
    let ids: Vec<u64> = kept.iter().map(|row| row.id).collect();
    assert_eq!(ids, [6, 5, 4, 1]);
    // Only complete evidence can be compared with.
    let known: BTreeSet<Digest> = tx.rows().eval_evidence_inputs("s").await.unwrap().into_iter().collect();
    assert_eq!(known, BTreeSet::from([inputs[0], inputs[3], inputs[5]]));
    // Once something else is served, it goes as well.
    tx.rows().put_eval_evidence(&row(7, Digest::of(b"7"), true), 3, &BTreeSet::new()).await.unwrap();
    let kept = tx.rows().eval_evidence(Some("s"), u64::MAX >> 1, 10).await.unwrap();
    assert_eq!(kept.iter().map(|row| row.id).collect::<Vec<_>>(), [7, 6, 5]);
    tx.commit().await.unwrap();
    db.close().await;
}
