//! The judge of a run: a route of a server.

use ashlar_evals::{
    Unasked,
    judge::{Judge, Said},
    suite::{JudgeRoute, Message},
};
use serde_json::json;

use super::door::{Door, text};
use crate::error::CliError;

/// A route that judges.
pub struct JudgeCalled {
    door: Door,
    route: String,
}

impl JudgeCalled {
    pub fn new(to: (&str, &str), judge: &JudgeRoute) -> Result<Self, CliError> {
        Ok(Self { door: Door::new(to, &judge.feature)?, route: judge.route.clone() })
    }
}

impl Judge for JudgeCalled {
    async fn ask(&self, messages: &[Message]) -> Result<Said, Unasked> {
        let body = json!({
            "model": self.route,
            "messages": messages,
            "temperature": 0,
            "user": "eval-judge",
            "ashlar": {"cache": false},
        });
        let answer = self.door.call(&body).await?;
        match answer.failed() {
            Some(unasked) => Err(unasked),
            // An answer that the gateway did not let out has no text, and so no verdict.
            None => {
                Ok(Said { text: text(&answer.said["choices"][0]["message"]["content"]), cost: answer.cost() })
            }
        }
    }
}
