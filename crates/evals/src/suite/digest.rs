//! The identity of a suite.

use serde_json::json;

use super::types::Suite;
use crate::metric::INJECTION_TAG;

impl Suite {
    /// The digest of everything that decides about verdicts and figures: cases with their expectations and weights, whether they attack, and samples.
    /// Thresholds and caps do not count: they change what passes, not what is measured.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for case in &self.cases {
            let expect = &case.expect;
            let part = json!([
                case.id,
                case.input,
                case.locale,
                case.context,
                case.weight,
                case.critical,
                expect.facts,
                expect.not,
                expect.cites,
                expect.answer,
                expect.json,
                expect.matches,
                expect.not_matches,
                expect.rubric,
            ]);
            hasher.update(part.to_string().as_bytes());
            // The tag says to which cases the figure of attacks applies; other tags only group.
            if case.tags.iter().any(|tag| tag == INJECTION_TAG) {
                hasher.update(INJECTION_TAG.as_bytes());
            }
            hasher.update(b"\n");
        }
        hasher.update(&self.samples.to_le_bytes());
        hex::encode(&hasher.finalize().as_bytes()[..16])
    }
}
