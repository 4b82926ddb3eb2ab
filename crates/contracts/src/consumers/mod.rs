//! Consumer contracts: what one client relies on, endpoint by endpoint, and whether a response shape keeps it.
//!
//! An expectation is written as a JSON Schema, so that the prover of compatibility answers it: does every body of this
//! shape have the field, with this type?

mod expectation;
mod kind;
mod pact;
mod path;
mod shape;
mod yaml;

use ashlar_model::{Files, Finding};

pub use expectation::{Consumer, Expectation, VersionRange};
pub use kind::{FieldType, Pattern};
pub use path::FieldPath;
pub use shape::{Broken, EXPECTATION_STEPS_MAX, Shape, Steps};

/// The most consumer contracts of a project.
const CONSUMERS_MAX: usize = 1_000;

impl Consumer {
    /// Reads `consumers/*.yaml`, `*.yml` and Pact files (`*.json`). A file that cannot be used is a finding.
    pub fn read_all(files: &Files) -> (Vec<Self>, Vec<Finding>) {
        let (mut all, mut findings) = (Vec::<Self>::new(), Vec::new());
        let listed = files.iter().filter(|(path, _)| path.starts_with("consumers/"));
        for (path, bytes) in listed {
            let read = match path.rsplit_once('.').map(|(_, ending)| ending) {
                Some("yaml" | "yml") => yaml::read_yaml(path, bytes),
                Some("json") => pact::read_pact(path, bytes).map(|(consumer, found)| {
                    findings.extend(found);
                    consumer
                }),
                _ => continue,
            };
            match read {
                Ok(consumer) if all.iter().any(|c| c.name == consumer.name) => {
                    let message = format!("there is another contract of the consumer `{}`", consumer.name);
                    findings.push(
                        Finding::error("consumer-duplicate", path, message).help("put both into one file"),
                    );
                }
                Ok(_) if all.len() >= CONSUMERS_MAX => {
                    let message = format!("a project has at most {CONSUMERS_MAX} consumer contracts");
                    findings.push(Finding::error("consumer-too-many", path, message));
                    break;
                }
                Ok(consumer) => all.push(consumer),
                Err(finding) => findings.push(*finding),
            }
        }
        (all, findings)
    }
}
