//! What consumers ask of a broker: does my contract hold on what is live, may I deploy?

use ashlar_contracts::consumers::Consumer;
use ashlar_model::{Files, Finding, Level};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{definitions::Definitions, gate::consumers};

/// A consumer's contract beside a set of definitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConsumerStatus {
    /// The consumer.
    pub consumer: String,
    /// The version of the client, when its contract says.
    pub version: Option<String>,
    /// Whom to talk to.
    pub owner: String,
    /// The file of its contract.
    pub file: String,
    /// The endpoints it reads.
    pub endpoints: Vec<String>,
    /// Whether everything it relies on is there: a client with this contract may be deployed.
    pub may_deploy: bool,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

/// Every consumer of `definitions` with whether its contract is kept. `offered` is a consumer contract that is not among them
/// yet, with its file name; it takes the place of one with the same name.
pub fn consumers_of(
    definitions: &Files,
    offered: Option<(&str, &[u8])>,
) -> (Vec<ConsumerStatus>, Vec<Finding>) {
    let mut files = definitions.clone();
    if let Some((name, bytes)) = offered {
        let mut alone = Files::new();
        let path = format!("consumers/{name}");
        if let Err(error) = alone.insert(&path, bytes.to_vec()) {
            return (Vec::new(), vec![Finding::error("consumer-form", path, error.to_string())]);
        }
        let (read, findings) = Consumer::read_all(&alone);
        let Some(consumer) = read.first() else { return (Vec::new(), findings) };
        let (known, _) = Consumer::read_all(&files);
        let others: Vec<String> =
            known.into_iter().filter(|c| c.name == consumer.name).map(|c| c.file).collect();
        let kept = files.iter().filter(|(p, _)| !others.iter().any(|o| o == p));
        let mut next = Files::new();
        for (path, bytes) in kept.chain(alone.iter()) {
            // Every one of them was accepted before.
            let _ = next.insert(path, bytes.to_vec());
        }
        files = next;
    }
    let definitions = Definitions::load(&files);
    let findings = consumers::findings(&definitions, None);
    let all = definitions.consumers.iter().map(|c| {
        let mine: Vec<Finding> =
            findings.iter().filter(|f| f.place.split([' ', ':']).next() == Some(&c.file)).cloned().collect();
        ConsumerStatus {
            consumer: c.name.clone(),
            version: c.version.clone(),
            owner: c.owner.clone(),
            file: c.file.clone(),
            endpoints: c.expects.iter().map(|e| e.endpoint.clone()).collect(),
            may_deploy: mine.iter().all(|f| f.level != Level::Error),
            findings: mine,
        }
    });
    (all.collect(), definitions.consumer_findings.clone())
}
