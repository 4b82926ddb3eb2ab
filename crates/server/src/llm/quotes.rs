//! The built-in model: quotes from the release that the caller reads.

use std::{sync::Arc, time::Duration};

use ashlar_delivery::{Answered, Asked, Asker, Citation, Problem, ReleaseView};
use ashlar_gateway::{
    call::{Answer, BuiltIn, Cited, Question, Wanted},
    ground::Source,
    wire::{Fault, FaultKind},
};
use ashlar_isolate::Workers;
use async_trait::async_trait;
use serde_json::json;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A release that is quoted.
pub struct Quotes {
    pub view: Arc<ReleaseView>,
    /// The reader of `retrieval.toml` that the key names.
    pub reader: Option<Arc<str>>,
    pub workers: Workers,
}

fn fault(problem: &Problem) -> Fault {
    let kind = match problem.status {
        400..=499 => FaultKind::Invalid,
        _ => FaultKind::Overloaded,
    };
    let help = if problem.help.is_empty() { String::new() } else { format!("; {}", problem.help) };
    Fault::new(kind, problem.code.replace('-', "_"), format!("{}{help}", problem.detail))
}

/// Why a call that had to wait for a turn is refused.
pub fn busy() -> Fault {
    let fault =
        Fault::new(FaultKind::Overloaded, "busy", "the server has too much to do; try again in a moment");
    fault.after(Duration::from_secs(1))
}

/// Where a reader finds what is quoted.
fn place(base: &str, citation: &Citation) -> String {
    match &citation.path {
        Some(path) => {
            let anchor = citation.anchor.as_ref().map(|anchor| format!("#{anchor}")).unwrap_or_default();
            format!("{base}{path}{anchor}")
        }
        None => {
            format!("{base}/v1/entries/{}/{}?locale={}", citation.type_name, citation.id, citation.locale)
        }
    }
}

fn answer(base: &str, answered: Answered) -> Answer {
    let cited = answered.citations.iter().map(|citation| Cited {
        words: citation.statement.clone().unwrap_or_else(|| citation.text.clone()),
        title: citation.title.clone(),
        url: place(base, citation),
    });
    Answer {
        cited: cited.collect(),
        more: json!({
            "release": answered.release, "trace": answered.trace, "confidence": (f64::from(answered.confidence) * 1000.0).round() / 1000.0,
            "citations": answered.citations, "refusal": answered.refusal,
        }),
        refusal: answered.refusal.map(|refused| (refused.code, refused.reason)),
        text: answered.answer,
    }
}

#[async_trait]
impl BuiltIn for Quotes {
    async fn answer(&self, question: Question) -> Result<Answer, Fault> {
        let (view, reader) = (self.view.clone(), self.reader.clone());
        let asked = Asked {
            question: question.text,
            locale: question.locale,
            indexes: question.indexes,
            ..Asked::default()
        };
        let made = self.workers.run(view.tenant(), {
            let view = view.clone();
            move || view.ask(&asked, Asker::now(reader.as_deref()))
        });
        let made = tokio::time::timeout(ANSWER_MAX, made).await.map_err(|_| busy())?.map_err(|_| busy())?;
        let base = view.definitions().config.site.base().unwrap_or_default().to_owned();
        made.map(|answered| answer(&base, answered)).map_err(|problem| fault(&problem))
    }

    fn audience(&self) -> String {
        json!([self.view.label(), self.reader.as_deref()]).to_string()
    }

    async fn sources(&self, wanted: Wanted) -> Result<Vec<Source>, Fault> {
        let (view, reader) = (self.view.clone(), self.reader.clone());
        let Wanted { query, indexes, chunks, locale } = wanted;
        let asked = Asked { question: query, locale, indexes, ..Asked::default() };
        let made = self.workers.run(view.tenant(), {
            let view = view.clone();
            move || view.grounds(&asked, Asker::now(reader.as_deref()), chunks)
        });
        let made = tokio::time::timeout(ANSWER_MAX, made).await.map_err(|_| busy())?.map_err(|_| busy())?;
        let base = view.definitions().config.site.base().unwrap_or_default().to_owned();
        let found = made.map_err(|problem| fault(&problem))?.into_iter().map(|found| {
            let anchor = found.anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default();
            let path = found.path.map(|path| format!("{base}{path}{anchor}")).unwrap_or_default();
            let (type_name, entry) = (found.entry.type_name.to_string(), found.entry.id.to_string());
            Source { id: found.id, type_name, entry, title: found.title, path, text: found.text }
        });
        Ok(found.collect())
    }
}
