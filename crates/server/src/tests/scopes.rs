//! Every row of the table refuses whoever lacks its scope.

use ashlar_model::{Actor, Right, ServerConfig};

use super::Node;
use crate::endpoints::{Operation, Scope, rows};

/// Rights that a key can have.
fn rights() -> Vec<Right> {
    let approve = Right::Approve("pricing".to_owned());
    vec![
        Right::Read,
        Right::Preview,
        Right::Write,
        Right::Define,
        Right::Release,
        Right::Waive,
        Right::Review,
        Right::Admin,
        approve,
    ]
}

/// A call of the row, with something well formed for each parameter that names nothing.
fn target(row: &'static Operation) -> String {
    let parameters = row.parameters().map(|name| match name {
        "candidate" => "c999",
        "release" => "r999",
        "other" => "r998",
        "migration" | "delivery" => "999",
        _ => "nothing",
    });
    row.at(parameters).target
}

#[tokio::test]
async fn every_row_needs_its_scope_and_no_other() {
    let unlimited =
        ServerConfig { requests_per_second_max: 0, failed_keys_per_second_max: 0, ..ServerConfig::default() };
    let node = Node::with(unlimited).await;
    let (mut checked, mut wrong) = (0, Vec::new());
    for row in rows::ALL {
        let Scope::Needs(needed) = &row.scope else { continue };
        let others = rights().into_iter().filter(|r| !Actor::new("k", [r.clone()]).may(needed));
        let without = node.key("main", others).await;
        let with = node.key("main", [needed.clone()]).await;
        let (method, target) = (row.method.name(), target(row));
        let call = |key| node.call(method, &target, key, &[], "{}");

        let refused = call(None).await;
        assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthorized"), "{}", row.id);
        assert!(refused.header("www-authenticate").starts_with("Bearer"), "{}", row.id);
        let refused = call(Some("ash_unknown_key")).await;
        assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthorized"), "{}", row.id);
        let refused = call(Some(&without)).await;
        assert_eq!((refused.status, refused.problem().as_str()), (403, "forbidden"), "{}", row.id);
        let said = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(&needed.to_string()), "{}: {said}", row.id);
        let let_in = call(Some(&with)).await;
        let said = let_in.json()["detail"].as_str().unwrap_or_default().to_owned();
        if [401, 403, 405].contains(&let_in.status) || said.contains("no such endpoint") {
            wrong.push(format!("{}: {} {said}", row.id, let_in.status));
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "refused with the scope that the table names: {wrong:#?}");
    assert!(checked > 50, "{checked} rows need a scope");
}

#[tokio::test]
async fn rows_for_everybody_need_no_key() {
    let node = Node::new().await;
    for row in rows::ALL.iter().filter(|row| matches!(row.scope, Scope::Open | Scope::Reads)) {
        // A preview link has its key in its address.
        if row.path.starts_with("/preview/") || row.id == rows::WHO_AM_I.id {
            continue;
        }
        let got = node
            .call(row.method.name(), &target(row), None, &[("content-type", "application/json")], "{}")
            .await;
        assert!(![401, 403, 405].contains(&got.status), "{}: {}", row.id, got.status);
    }
}

#[tokio::test]
async fn an_approval_needs_a_key_and_its_own_right() {
    let node = Node::new().await;
    let row = &rows::APPROVE_CANDIDATE;
    assert_eq!(row.scope, Scope::Approval);
    let target = target(row);
    assert_eq!(node.call("POST", &target, None, &[], "{}").await.status, 401);
    let admin = node.key("main", [Right::Admin, Right::Approve("legal".to_owned())]).await;
    let got =
        node.call("POST", &target, Some(&admin), &[], r#"{"approval":"pricing","right":"pricing"}"#).await;
    assert!((400..500).contains(&got.status), "{}", got.status);
    got.problem();
}
