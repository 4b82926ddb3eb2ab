//! Budgets of model calls over several nodes with one database.

use std::sync::Arc;

use ashlar_gateway::{
    config::Gateway,
    policy::{Asking, Code},
    price::Tokens,
};
use ashlar_model::TenantId;
use ashlar_store::sql::BudgetKey;

use super::Node;
use crate::app::policies::Policies;

const LIMIT: u64 = 400_000;

fn gateway() -> Arc<Gateway> {
    let text = format!("[features.a]\nbudget = {{ tokens_day = {LIMIT} }}\n");
    Arc::new(Gateway::read(text.as_bytes()).unwrap())
}

fn asking() -> Asking<'static> {
    let now = "2026-11-22T10:00:00Z".parse().unwrap();
    Asking {
        key: "k",
        feature: "a",
        user: "",
        route: "extractive",
        now,
        tokens_in: 500,
        tokens_out_max: 1_500,
    }
}

#[tokio::test]
async fn three_nodes_never_spend_more_than_the_budget_also_when_one_dies() {
    let node = Node::new().await;
    let tenant = TenantId::main();
    let nodes: Vec<Arc<Policies>> =
        (0..3).map(|_| Arc::new(Policies::new(Some(node.engine.clone())))).collect();
    let gateway = gateway();
    let mut calls = Vec::new();
    for n in 0..600_usize {
        let (policies, gateway, tenant) = (nodes[n % 3].clone(), gateway.clone(), tenant.clone());
        calls.push(tokio::spawn(async move {
            let of = policies.of(&tenant).await.unwrap();
            let mut permit = match of.policy.admit(&gateway, &asking()).await {
                Ok(permit) => permit,
                Err(refusal) => {
                    assert_eq!(refusal.code, Code::BudgetExceeded, "{refusal}");
                    return 0;
                }
            };
            permit.sending("ashlar", "extractive");
            if n % 50 == 2 {
                // The third node dies with these calls: what they reserved may have been spent.
                std::mem::forget(permit);
                return 2_000;
            }
            permit.settle(Tokens { input: 500, output: 1_000, ..Tokens::default() }).tokens.total()
        }));
    }
    let mut spent = 0;
    for call in calls {
        spent += call.await.unwrap();
    }
    assert!(spent <= LIMIT && spent > LIMIT / 2, "{spent}");
    for policies in &nodes[..2] {
        for (_, of) in policies.all() {
            of.policy.close().await;
        }
    }
    let row = BudgetKey {
        scope: "feature/a".to_owned(),
        period: "2026-11-22".to_owned(),
        unit: "tokens".to_owned(),
    };
    let used = node.engine.exchange_budgets(&tenant, &[], &[row], &|_, _| 0).await.unwrap()[0];
    assert!((spent..=LIMIT).contains(&used), "{spent} {used}");
    // All nodes hash users alike, so that their budgets are the same.
    let secret = nodes[0].of(&tenant).await.unwrap().secret;
    assert_eq!(nodes[2].of(&tenant).await.unwrap().secret, secret);
}
