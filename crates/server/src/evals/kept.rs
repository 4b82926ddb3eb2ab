//! What came back for a case, as it is stored.

use ashlar_evals::{Reply, Unasked};
use serde::{Deserialize, Serialize};

/// The largest outcome that is stored, in bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What came back for a case.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// An answer or a refusal.
    Reply(Box<Reply>),
    /// Why there is none.
    Unasked(Unasked),
}

impl Kept {
    /// Why a case that ended every process that asked it has no reply, as it is stored.
    pub fn given_up() -> String {
        let unasked = Unasked {
            code: "given_up".to_owned(),
            message: "The server ended each time it asked this case.".to_owned(),
            again: false,
        };
        Self::Unasked(unasked).text()
    }

    /// As it is stored.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it is stored, and what is stored instead of what is too large.
    pub fn bounded(self) -> (Self, String) {
        let text = self.text();
        if text.len() <= KEPT_BYTES_MAX {
            return (self, text);
        }
        let message = format!("The answer with its sources has more than {KEPT_BYTES_MAX} bytes.");
        let large = Self::Unasked(Unasked { code: "too_large".to_owned(), message, again: false });
        let text = large.text();
        (large, text)
    }

    /// Reads what is stored. Damage is an error of the case.
    pub fn read(text: &str) -> Result<Reply, Unasked> {
        match serde_json::from_str(text) {
            Ok(Self::Reply(reply)) => Ok(*reply),
            Ok(Self::Unasked(unasked)) => Err(unasked),
            Err(error) => Err(Unasked {
                code: "damaged".to_owned(),
                message: format!("What came back is damaged: {error}."),
                again: false,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_as_they_were_and_bounded() {
        let reply = Reply { text: "It costs 5.".to_owned(), latency_ms: 1.5, ..Reply::default() };
        let (_, text) = Kept::Reply(Box::new(reply.clone())).bounded();
        assert_eq!(Kept::read(&text), Ok(reply));
        assert_eq!(Kept::read(&Kept::given_up()).unwrap_err().code, "given_up");
        assert_eq!(Kept::read("{}").unwrap_err().code, "damaged");
        let large = Reply { text: "x".repeat(KEPT_BYTES_MAX), ..Reply::default() };
        let (_, text) = Kept::Reply(Box::new(large)).bounded();
        assert_eq!(Kept::read(&text).unwrap_err().code, "too_large");
    }
}
