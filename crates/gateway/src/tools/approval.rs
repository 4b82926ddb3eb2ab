//! Requests for approval: signed, so that nobody changes what a person is asked about.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest request, in bytes.
pub const TOKEN_BYTES_MAX: usize = 64 << 10;
/// What requests begin with.
const PREFIX: &str = "ashlar-approval.";
/// What the key of signatures is derived for.
const CONTEXT: &str = "ashlar 2026-11 approvals of tool calls";
/// Bytes of an id.
const ID_BYTES: usize = 16;
/// For how long a request can be approved and used, in seconds.
const LIFE_SECONDS: i64 = 3_600;

/// A call of a tool that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// Its id.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// The feature that called.
    pub feature: String,
    /// The public part of the key that called.
    pub key: String,
    /// A hash of the end user; empty when the call named none.
    pub user: String,
    /// The release that declared the tool.
    pub release: String,
    /// The tool.
    pub tool: String,
    /// Its arguments, all of them.
    pub arguments: Value,
    /// When it expires, in seconds since 1970.
    pub expires: i64,
}

/// Why a request cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was not made here, or was changed.
    #[error("the approval request is not one of this tenant, or it was changed; send it as it was received")]
    Forged,
    /// It is too old.
    #[error("the approval request has expired; repeat the call to get a new one")]
    Expired,
}

impl Pending {
    /// Completes a request with an id and the time until which it is valid. `None` when the system has no randomness.
    #[must_use]
    pub fn fresh(mut self, now: i64) -> Option<Self> {
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut id).ok()?;
        (self.id, self.expires) = (hex::encode(id), now.saturating_add(LIFE_SECONDS));
        Some(self)
    }

    /// The request as text, signed.
    #[must_use]
    pub fn sign(&self, secret: &[u8; 32]) -> String {
        let body = serde_json::to_vec(self).unwrap_or_default();
        format!("{PREFIX}{}.{}", hex::encode(&body), mac(secret, &body).to_hex())
    }

    /// Reads a request and checks its signature and its time.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(secret: &[u8; 32], text: &str, now: i64) -> Result<Self, TokenError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Forged);
        }
        let (body, signed) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.')).ok_or(TokenError::Forged)?;
        let body = hex::decode(body).map_err(|_| TokenError::Forged)?;
        let signed = blake3::Hash::from_hex(signed).map_err(|_| TokenError::Forged)?;
        // Hashes compare in constant time.
        if mac(secret, &body) != signed {
            return Err(TokenError::Forged);
        }
        let read: Self = serde_json::from_slice(&body).map_err(|_| TokenError::Forged)?;
        if read.expires <= now {
            return Err(TokenError::Expired);
        }
        Ok(read)
    }
}

fn mac(secret: &[u8; 32], body: &[u8]) -> blake3::Hash {
    blake3::keyed_hash(&blake3::derive_key(CONTEXT, secret), body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pending() -> Pending {
        let text = |text: &str| text.to_owned();
        let made = Pending {
            id: String::new(),
            tenant: text("main"),
            feature: text("support"),
            key: text("k"),
            user: String::new(),
            release: text("r1"),
            tool: text("refund"),
            arguments: json!({"order": "A-1", "cents": 500}),
            expires: 0,
        };
        made.fresh(1_000).unwrap()
    }

    #[test]
    fn a_request_is_read_as_it_was_signed_and_in_no_other_way() {
        let (secret, asked) = ([7; 32], pending());
        let text = asked.sign(&secret);
        assert_eq!(Pending::open(&secret, &text, 1_001), Ok(asked.clone()));
        assert_eq!(Pending::open(&secret, &text, 1_000 + LIFE_SECONDS), Err(TokenError::Expired));
        assert_eq!(Pending::open(&[8; 32], &text, 1_001), Err(TokenError::Forged));
        let changed = Pending { arguments: json!({"order": "A-1", "cents": 50_000}), ..asked };
        let (_, signed) = text.rsplit_once('.').unwrap();
        let forged = format!("{PREFIX}{}.{signed}", hex::encode(serde_json::to_vec(&changed).unwrap()));
        for text in
            [forged.as_str(), "", "ashlar-approval.", "ashlar-approval.00.00", &text[..text.len() - 1]]
        {
            assert_eq!(Pending::open(&secret, text, 1_001), Err(TokenError::Forged), "{text}");
        }
    }
}
