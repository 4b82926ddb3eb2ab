//! What consumers rely on, compared with response shapes.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ashlar_contracts::{
    ContractSet,
    consumers::{Consumer, Shape, Steps},
};
use ashlar_model::Files;
use serde_json::json;

#[test]
fn the_shapes_of_a_project_share_their_steps() {
    let mut files = Files::new();
    let text = "consumer: web\nexpects:\n  - endpoint: /v1/pages/{slug}\n    must_include: [title]\n";
    files.insert("consumers/web.yaml", text.into()).unwrap();
    let (consumers, findings) = Consumer::read_all(&files);
    assert_eq!(findings, []);
    let expectation = &consumers[0].expects[0];
    let schema = json!({"type": "object", "properties": {"title": {"type": "string"}}});
    let shape = |steps: &Steps| Shape::new(&ContractSet::default(), schema.clone(), steps);
    let certain = |shape: &Shape| expectation.against_shape(shape)[0].certain;
    let enough = Steps::new(1_000_000);
    assert!(certain(&shape(&enough)) && certain(&shape(&enough)));
    // Nobody knows the answer when others have taken all steps.
    let few = Steps::new(1);
    assert!(!certain(&shape(&few)) && !certain(&shape(&few)));
}
