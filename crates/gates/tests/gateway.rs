//! The gate `gateway`: what gateway.toml says is checked against prices, contracts and indexes.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ashlar_gates::{CheckOptions, check_project};
use ashlar_model::GateStatus;

const GUIDE: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"docs","kind":"type","index":"product","title_field":"title"},
 "properties":{"title":{"type":"string"}},"required":["title"],"additionalProperties":false}"#;
const ROUTES: &str = "[routes.fast]\ntargets = [{ provider = 'openai', model = 'small' }]\n";
const PRICE: &str =
    "[[prices]]\nmodel = 'openai/small'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '1'\noutput = '2'\n";

/// The status of the gate and what it says, for a project with this gateway.toml.
fn judged(gateway: Option<&str>) -> (GateStatus, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("contracts")).unwrap();
    std::fs::write(dir.path().join("ashlar.toml"), "name = 'x'\n").unwrap();
    std::fs::write(dir.path().join("contracts/guide.v1.json"), GUIDE).unwrap();
    if let Some(text) = gateway {
        std::fs::write(dir.path().join("gateway.toml"), text).unwrap();
    }
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let report = check_project(dir.path(), &CheckOptions { against: None, cache: false, now }).unwrap();
    let gate = report.gates.into_iter().find(|gate| gate.gate == "gateway").unwrap();
    let reported =
        gate.findings.iter().map(|f| format!("{} {}: {} ({})", f.code, f.place, f.message, f.help));
    (gate.status, reported.collect())
}

#[test]
fn a_project_without_the_file_and_one_with_a_right_one_pass() {
    assert_eq!(judged(None), (GateStatus::Pass, Vec::new()));
    let full = format!(
        "{ROUTES}{PRICE}[features.support]\nroutes = ['fast', 'extractive']\nindexes = ['product']\nbudget = {{ day = '5' }}\n"
    );
    assert_eq!(judged(Some(&full)), (GateStatus::Pass, Vec::new()));
}

#[test]
fn a_model_needs_a_price_where_money_is_limited() {
    let missing = "gateway-price-missing gateway.toml:2: `openai/small` has no price. (add [[prices]] with model = \"openai/small\" and from = \"2026-06-01\")";
    assert_eq!(judged(Some(ROUTES)), (GateStatus::Pass, vec![missing.to_owned()]));
    for limited in [
        "[budget]\nmonth = '5'\n",
        "[features.a]\nroutes = ['fast']\nper_user = { budget = { day = '1' } }\n",
    ] {
        let (status, findings) = judged(Some(&format!("{ROUTES}{limited}")));
        assert_eq!((status, findings), (GateStatus::Fail, vec![missing.to_owned()]), "{limited}");
    }
    let elsewhere =
        format!("{ROUTES}[features.a]\nroutes = ['extractive']\nper_user = {{ budget = {{ day = '1' }} }}\n");
    assert_eq!(judged(Some(&elsewhere)).0, GateStatus::Pass);
    let later = format!("{ROUTES}{}[budget]\nmonth = '5'\n", PRICE.replace("2026-01-01", "2026-07-01"));
    let (status, findings) = judged(Some(&later));
    assert!(findings[0].contains("valid from 2026-07-01 on"), "{findings:#?}");
    assert_eq!((status, findings.len()), (GateStatus::Fail, 1));
}

#[test]
fn what_does_not_exist_is_reported_with_its_place() {
    let typo = PRICE.replace("openai/small", "openai/smal");
    let (status, findings) = judged(Some(&format!("{ROUTES}{PRICE}{typo}")));
    assert_eq!((status, findings.len()), (GateStatus::Pass, 1), "{findings:#?}");
    assert_eq!(
        findings[0],
        "gateway-price-unused gateway.toml:9: No route uses `openai/smal`, which has a price. (did you mean `openai/small`?)"
    );
    let (status, findings) = judged(Some("[features.a]\nindexes = ['products']\n"));
    assert_eq!(
        (status, findings),
        (
            GateStatus::Fail,
            vec!["gateway-index-unknown gateway.toml:1: The feature `a` names the index `products`, which does not exist. (did you mean `product`?)".to_owned()]
        )
    );
    let (status, findings) = judged(Some("[features.a]\nrutes = []\n"));
    assert_eq!((status, findings.len()), (GateStatus::Fail, 1));
    assert!(findings[0].starts_with("toml-malformed gateway.toml:2:1:"), "{findings:#?}");
}
