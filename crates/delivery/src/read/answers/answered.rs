//! An answer with its citations, made from what a search found in one release.

use ashlar_model::{Digest, EntryId, Locale, TypeName};
use ashlar_retrieval::answer::{Outcome, Quote};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    asked::{Asked, Asker},
    evidence::Found,
};
use crate::{read::search::Passage, search::Trace};

/// The version of the rules that make answers. Raise it when the same passages give another answer.
const ENGINE: u32 = 2;

/// A quote with its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The chunk it is from; absent for a field that is no text.
    pub chunk: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Refusal")]
pub struct Refused {
    /// `no_question`, `nothing_found`, `not_covered`, `no_such_kind` or `weak_evidence`.
    pub code: String,
    /// The reason, as a sentence.
    pub reason: String,
}

/// A passage that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    pub chunk: String,
    /// How well it was found. Scores of different questions do not compare.
    pub score: f32,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Answer")]
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
    /// An answer with its citations and its trace, or a refusal. `asked` also says who asks, and when.
    pub(super) fn new(
        release: &str,
        (asked, asker): (&Asked, Asker<'_>),
        (outcome, found): (Outcome, Option<&Found<'_>>),
        passages: &[Passage],
    ) -> Self {
        let mut out = Self {
            question: asked.question.clone(),
            answer: None,
            citations: Vec::new(),
            confidence: (outcome.confidence * 1_000.0).round() / 1_000.0,
            refusal: outcome
                .refusal
                .map(|(refusal, reason)| Refused { code: refusal.code().to_owned(), reason }),
            release: release.to_owned(),
            trace: String::new(),
            retrieved: passages.iter().map(retrieved).collect(),
        };
        if let Some(found) = found {
            out.cite(found, &outcome.quotes);
        }
        let mut trace = Trace::new(release, &asked.question, asker.at);
        trace.locale.clone_from(&asked.locale);
        trace.indexes.clone_from(&asked.indexes);
        trace.types.extend(asked.types.iter().map(ToString::to_string));
        trace.filters.clone_from(&asked.filters);
        trace.reader = asker.reader.map(str::to_owned);
        trace.words = asker.words;
        trace.engine = ENGINE;
        trace.answer = out.digest();
        out.trace = trace.encode();
        out
    }

    /// The digest of what is compared when a question is answered again.
    #[must_use]
    pub fn digest(&self) -> String {
        let compared = (&self.answer, &self.citations, self.refusal.as_ref().map(|refused| &refused.code));
        Digest::of(&serde_json::to_vec(&compared).unwrap_or_default()).to_string()
    }

    fn cite(&mut self, found: &Found<'_>, quotes: &[Quote]) {
        let mut reads = Vec::new();
        for quote in quotes {
            let Some(source) = found.sources.get(quote.passage) else { continue };
            let Some(quoted) = found.quoted(source, &quote.range) else { continue };
            let entry = &found.entries[source.entry];
            self.citations.push(Citation {
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
                chunk: source.chunk.clone(),
            });
            reads.push(quoted.reads);
        }
        self.answer = (!reads.is_empty()).then(|| reads.join(" "));
    }
}

fn retrieved(passage: &Passage) -> Retrieved {
    Retrieved {
        type_name: passage.entry.type_name.clone(),
        id: passage.entry.id.clone(),
        locale: passage.entry.locale.clone(),
        field: passage.field.clone(),
        chunk: passage.chunk.clone(),
        score: passage.score,
    }
}
