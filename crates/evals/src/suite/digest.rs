//! The identity of a suite.

use serde_json::json;

use super::types::Suite;

impl Suite {
    /// The digest of everything that decides about verdicts: cases with their expectations and weights, and samples. Thresholds and caps do not
    /// count: they change what passes, not what is measured.
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
            hasher.update(b"\n");
        }
        hasher.update(&self.samples.to_le_bytes());
        hex::encode(&hasher.finalize().as_bytes()[..16])
    }
}
