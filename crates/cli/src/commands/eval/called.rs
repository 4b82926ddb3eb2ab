//! Cases asked of a server, through its gateway.

use ashlar_evals::{
    Reply, Subject, Unasked,
    completion::{self, Asking},
    suite::Case,
};

use super::door::Door;
use crate::error::CliError;

/// A server that is asked.
pub struct Called {
    door: Door,
    asking: Asking,
    setting: String,
}

impl Called {
    /// A server with a key that may call as a feature.
    pub fn new(
        to: (&str, &str),
        feature: &str,
        model: Option<&str>,
        prompt: Option<(String, Option<u32>)>,
        (variable, setting): (String, String),
    ) -> Result<Self, CliError> {
        let asking = Asking { model: model.unwrap_or("default").to_owned(), prompt, variable };
        Ok(Self { door: Door::new(to, feature)?, asking, setting })
    }
}

impl Subject for Called {
    async fn ask(&self, case: &Case, _: u32) -> Result<Reply, Unasked> {
        let answer = self.door.call(&self.asking.body(case)).await?;
        let facts = Reply {
            release: answer.header("ashlar-release"),
            prompt: answer.header("ashlar-prompt"),
            trace: answer.header("ashlar-trace"),
            cost: answer.cost(),
            latency_ms: answer.latency_ms,
            ..Reply::default()
        };
        match (answer.status, answer.failed()) {
            (200, _) => Ok(completion::reply(&answer.said, facts)),
            (_, Some(unasked)) => Err(unasked),
            // The model answered, and the gateway did not let the answer out.
            (_, None) => {
                let (code, message) = answer.error();
                Ok(Reply { refusal: Some(code), reason: message, ..facts })
            }
        }
    }

    fn setting(&self) -> &str {
        &self.setting
    }
}
