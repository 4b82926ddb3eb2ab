//! Cases asked of the built-in model in this process.

use std::sync::Arc;

use ashlar_delivery::{Answered, Asked, Asker, Citation, Grounds, Problem, ReleaseView};
use ashlar_evals::{Reply, Retrieved, Subject, Unasked, completion::Quote, suite::Case};
use ashlar_gateway::config::EXTRACTIVE;
use tokio::time::Instant;

/// A release that is asked.
pub struct Quoted {
    pub view: Arc<ReleaseView>,
    /// The indexes that the prompt names, else those that the feature allows; empty when the release chooses.
    pub indexes: Vec<String>,
    /// Whether passages are found by words alone.
    pub words: bool,
    /// How many passages count as retrieved.
    pub chunks: usize,
    /// The prompt with its version; empty without one.
    pub prompt: String,
    /// The variable that is the question.
    pub variable: String,
    pub setting: String,
}

/// The question of a case: what the built-in model answers.
pub fn question(case: &Case, variable: &str) -> String {
    case.variable(variable).unwrap_or_else(|| case.question())
}

fn unasked(problem: &Problem) -> Unasked {
    let help = if problem.help.is_empty() { String::new() } else { format!("; {}", problem.help) };
    Unasked {
        code: problem.code.replace('-', "_"),
        message: format!("{}{help}", problem.detail),
        again: problem.status >= 500,
    }
}

impl Subject for Quoted {
    async fn ask(&self, case: &Case, _: u32) -> Result<Reply, Unasked> {
        let view = self.view.clone();
        let asked = Asked {
            question: question(case, &self.variable),
            locale: case.locale.clone(),
            indexes: self.indexes.clone(),
            ..Asked::default()
        };
        let wanted = asked.clone();
        let chunks = self.chunks;
        let asker = Asker { words: self.words, ..Asker::now(None) };
        let made = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let answered = view.ask(&asked, asker)?;
            let latency_ms = began.elapsed().as_secs_f64() * 1e3;
            let grounds = view.grounds(&wanted, asker, chunks)?;
            Ok::<_, Problem>((answered, grounds, latency_ms))
        });
        let made = made.await.map_err(|error| Unasked {
            code: "internal".to_owned(),
            message: error.to_string(),
            again: false,
        })?;
        let (answered, grounds, latency_ms) = made.map_err(|problem| unasked(&problem))?;
        Ok(Reply { latency_ms, prompt: self.prompt.clone(), ..reply(answered, grounds) })
    }

    fn setting(&self) -> &str {
        &self.setting
    }
}

fn reply(answered: Answered, grounds: Vec<Grounds>) -> Reply {
    let entry_of = |chunk: &str| {
        let found = answered.retrieved.iter().find(|retrieved| retrieved.chunk == chunk);
        found.map(|retrieved| format!("{}/{}", retrieved.type_name, retrieved.id)).unwrap_or_default()
    };
    let mut sources: Vec<Retrieved> = grounds
        .into_iter()
        .map(|found| Retrieved {
            entry: entry_of(&found.id),
            id: found.id,
            title: found.title,
            path: found.path.unwrap_or_default(),
            text: found.text,
        })
        .collect();
    let cited = answered.citations.iter().map(|citation| quote(citation).number(&mut sources)).collect();
    let (refusal, reason) = match answered.refusal {
        Some(refused) => (Some(refused.code), refused.reason),
        None => (None, String::new()),
    };
    Reply {
        text: answered.answer.unwrap_or_default(),
        sources,
        cited,
        refusal,
        reason,
        model: EXTRACTIVE.to_owned(),
        release: answered.release,
        trace: answered.trace,
        ..Reply::default()
    }
}

/// A citation as replies have it.
fn quote(citation: &Citation) -> Quote {
    Quote {
        type_name: citation.type_name.to_string(),
        id: citation.id.to_string(),
        title: citation.title.clone(),
        path: citation.path.clone(),
        text: citation.text.clone(),
        statement: citation.statement.clone(),
        chunk: citation.chunk.clone(),
    }
}
