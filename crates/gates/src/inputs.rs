use ashlar_model::Digest;

/// The digest of everything a verdict depends on.
#[derive(Clone)]
pub(crate) struct Inputs(blake3::Hasher);

impl Inputs {
    /// Inputs of a gate. The number is raised when the gate itself judges differently.
    pub(crate) fn new(gate: &str) -> Self {
        let mut inputs = Self(blake3::Hasher::new());
        inputs.add("gate 1", gate.as_bytes());
        inputs
    }

    pub(crate) fn add(&mut self, label: &str, bytes: &[u8]) -> &mut Self {
        for part in [label.as_bytes(), bytes] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    pub(crate) fn digest(&mut self, label: &str, digest: &Digest) -> &mut Self {
        self.add(label, digest.as_bytes())
    }

    /// What serializes to JSON; a value that does not counts as absent.
    pub(crate) fn json<T: serde::Serialize>(&mut self, label: &str, value: &T) -> &mut Self {
        self.add(label, &serde_json::to_vec(value).unwrap_or_default())
    }

    pub(crate) fn finish(&self) -> Digest {
        Digest::from_bytes(*self.0.finalize().as_bytes())
    }
}
