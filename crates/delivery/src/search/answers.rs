//! An answer with its citations, made from what a search found in one release.

use std::collections::BTreeMap;

use ashlar_model::{Digest, EntryId, Locale, TypeName};
use ashlar_retrieval::{
    answer::{MODEL, Outcome, Question},
    chunk::ChunkId,
    text::Analyzer,
};
use serde::Serialize;

use super::{
    asked::Asked,
    evidence::{Found, Passage},
    trace::Trace,
};
use crate::{error::Failure, release::ReleaseView};

/// The version of the rules that make answers. Raise it when the same passages give another answer.
pub const ENGINE: u32 = 1;
/// Passages that are searched for an answer: the best are looked at sentence by sentence, and the facts of the entries of all.
pub const RETRIEVED_MAX: usize = 24;

/// A quote with its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Citation {
    /// The content type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The id within the type.
    pub id: EntryId,
    /// The language.
    pub locale: Locale,
    /// The title of the entry.
    pub title: String,
    /// The path of its page.
    pub path: Option<String>,
    /// The fragment of its page at which the quote is.
    pub anchor: Option<String>,
    /// JSON pointer to the field.
    pub field: String,
    /// Where the quote begins, in bytes of the field's text, or of the JSON of a field that is no text.
    pub from: u32,
    /// Where it ends.
    pub to: u32,
    /// The bytes of the field.
    pub text: String,
    /// What a field says that is no text, such as a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The chunk it is from; absent for a field that is no text.
    pub chunk: Option<ChunkId>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// `no_question`, `nothing_found`, `not_covered`, `no_such_kind` or `weak_evidence`.
    pub code: &'static str,
    /// The reason, as a sentence.
    pub reason: String,
}

/// A passage that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retrieved {
    /// The content type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The id within the type.
    pub id: EntryId,
    /// The language.
    pub locale: Locale,
    /// JSON pointer to the field.
    pub field: String,
    /// The chunk.
    pub chunk: ChunkId,
    /// How well it was found. Scores of different questions do not compare.
    pub score: f32,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answered {
    /// The question.
    pub question: String,
    /// The answer; absent in a refusal.
    pub answer: Option<String>,
    /// What the answer quotes, in its order.
    pub citations: Vec<Citation>,
    /// How likely the first quote answers the question, from 0 to 1.
    pub confidence: f32,
    /// Why there is no answer.
    pub refusal: Option<Refused>,
    /// The release that answered.
    pub release: String,
    /// Everything that is needed to answer again: `ashlar replay TRACE`.
    pub trace: String,
    /// What was looked at, the best first.
    pub retrieved: Vec<Retrieved>,
}

impl Answered {
    /// The digest of what is compared when a question is answered again.
    fn digest(&self) -> String {
        let compared = (&self.answer, &self.citations, self.refusal.as_ref().map(|refused| refused.code));
        Digest::of(&serde_json::to_vec(&compared).unwrap_or_default()).to_string()
    }
}

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The reader whose rules apply; none for everybody.
    pub reader: Option<&'a str>,
    /// In seconds since 1970.
    pub at: i64,
}

/// How rare a term is among what a caller may find in a locale: nothing for a term that is not there.
pub(crate) type Rarity<'a> = dyn Fn(&Locale, &str) -> Option<f32> + 'a;

/// Answers a question from the passages that a search found in the same release, the best first.
pub(crate) fn answered(
    view: &ReleaseView,
    asked: &Asked,
    asker: Asker<'_>,
    passages: &[Passage],
    rarity: &Rarity<'_>,
) -> Result<Answered, Failure> {
    let passages = &passages[..passages.len().min(RETRIEVED_MAX)];
    let by_locale = Found::read(view, passages)?;
    let fallback = asked.locale.as_deref().unwrap_or_else(|| view.definitions.locales.all()[0].as_str());
    let mut best: Option<(Outcome, Option<&Found>)> = None;
    for found in &by_locale {
        let analyzer = Analyzer::for_locale(found.locale.as_str());
        let question = Question::read(&analyzer, &asked.question, &|term| rarity(&found.locale, term));
        let outcome = MODEL.answer(&analyzer, &question, &found.evidence());
        // An answer is better than a refusal, and then the surer one is.
        let better = best.as_ref().is_none_or(|(known, _)| {
            (outcome.refusal.is_none(), outcome.confidence) > (known.refusal.is_none(), known.confidence)
        });
        if better {
            best = Some((outcome, Some(found)));
        }
    }
    let (outcome, found) = best.unwrap_or_else(|| {
        let analyzer = Analyzer::for_locale(fallback);
        (MODEL.answer(&analyzer, &Question::read(&analyzer, &asked.question, &|_| None), &[]), None)
    });
    let mut out = Answered {
        question: asked.question.clone(),
        answer: None,
        citations: Vec::new(),
        confidence: (outcome.confidence * 1_000.0).round() / 1_000.0,
        refusal: outcome.refusal.map(|(refusal, reason)| Refused { code: refusal.code(), reason }),
        release: view.label().to_owned(),
        trace: String::new(),
        retrieved: passages.iter().map(retrieved).collect(),
    };
    if let Some(found) = found {
        cite(found, &outcome.quotes, &mut out);
    }
    let mut trace = Trace::new(view.label(), &asked.question, asker.at);
    trace.locale.clone_from(&asked.locale);
    trace.indexes.clone_from(&asked.indexes);
    trace.types.extend(asked.types.iter().map(ToString::to_string));
    trace.filters = BTreeMap::clone(&asked.filters);
    trace.reader = asker.reader.map(str::to_owned);
    trace.engine = ENGINE;
    trace.answer = out.digest();
    out.trace = trace.encode();
    Ok(out)
}

fn retrieved(passage: &Passage) -> Retrieved {
    Retrieved {
        type_name: passage.key.type_name.clone(),
        id: passage.key.id.clone(),
        locale: passage.key.locale.clone(),
        field: passage.field.clone(),
        chunk: passage.chunk,
        score: passage.score,
    }
}

fn cite(found: &Found, quotes: &[ashlar_retrieval::answer::Quote], out: &mut Answered) {
    let mut reads = Vec::new();
    for quote in quotes {
        let Some(source) = found.sources.get(quote.passage) else { continue };
        let Some(quoted) = found.quoted(source, &quote.range) else { continue };
        let entry = &found.entries[source.entry];
        out.citations.push(Citation {
            type_name: entry.key.type_name.clone(),
            id: entry.key.id.clone(),
            locale: entry.key.locale.clone(),
            title: entry.title.clone(),
            path: entry.path.clone(),
            anchor: source.anchor.clone(),
            field: source.field.clone(),
            from: quoted.from,
            to: quoted.to,
            text: quoted.text,
            statement: quoted.stated.then(|| quoted.reads.clone()),
            chunk: source.chunk,
        });
        reads.push(quoted.reads);
    }
    out.answer = (!reads.is_empty()).then(|| reads.join(" "));
}
