//! `POST /v1/answers`.

use std::sync::Arc;

use ashlar_model::{Digest, Locale, nearest_of};
use ashlar_retrieval::{
    access::Allowed,
    answer::{MODEL, Outcome, Question as Covered},
    search::Mode,
    text::Analyzer,
};
use bytes::Bytes;

use super::{
    answered::Answered,
    asked::{Asked, Asker},
    evidence::Found,
};
use crate::{
    cache::{Sources, of_sources},
    error::Failure,
    http::{Out, Problem, RequestParts, Written, cut, query},
    read::{
        content::{Content, Head, content, wanted},
        search::{Question, Search, filter_problem},
    },
    release::ReleaseView,
    search::{OpenShelf, Trace},
};

/// Where questions are answered.
pub const ANSWERS: &str = "/v1/answers";
/// Passages that are searched for an answer: the best are looked at sentence by sentence, and the facts of the entries of all.
const RETRIEVED_MAX: usize = 24;
/// An answer depends on who asks and when.
const CACHE_CONTROL_NEVER: &str = "no-store";

/// What somebody gets who does not post.
pub(crate) fn only_posted(parts: &RequestParts<'_>) -> Problem {
    let detail = format!("{} cannot be used here", cut(parts.method));
    Problem::new(405, "method-not-allowed", "Method not allowed", detail)
        .help("send POST with {\"question\": \"…\"}; `GET /v1/search?q=` searches")
}

/// Answers the question in a body.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    body: &[u8],
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let (mut asked, trace) = Asked::of_body(body)?;
    out.pace.heavy()?;
    let asker = match &trace {
        Some(trace) => {
            replayable(view, parts, trace)?;
            Asker::of(trace)
        }
        None => Asker::now(parts.reader),
    };
    if asked.locale.is_none() {
        let (wanted, _) = wanted(view, parts)?;
        asked.locale = wanted.as_slice().first().map(Locale::to_string);
    }
    let (answered, search) = view.answered(&asked, asker)?;
    // Maps and strings become JSON whatever they contain.
    let body = Bytes::from(serde_json::to_vec(&answered).unwrap_or_default());
    let surrogate = of_sources(&Sources { lists: search.types, ..Sources::default() });
    let locale = asked.locale.unwrap_or_default();
    let head =
        Head { cache_control: CACHE_CONTROL_NEVER, ..Head::new(&locale, Digest::of(&body), &surrogate) };
    content(view, parts, &head, &Content::Kept(&body), out)
}

/// A trace names a reader and a time, and who replays it sees what that reader saw. So it needs `at`, which needs the scope `preview`.
fn replayable(view: &ReleaseView, parts: &RequestParts<'_>, trace: &Trace) -> Result<(), Failure> {
    let at = parts.query.and_then(|query| query::get(query, "at"));
    if at.as_deref() == Some(trace.release.as_str()) && view.label() == trace.release {
        return Ok(());
    }
    let detail = format!("a trace is replayed from its own release, `{}`", cut(&trace.release));
    let help =
        format!("ask for /v1/answers?at={} with a key that has the scope `preview`", cut(&trace.release));
    Err(Problem::new(400, "invalid-input", "Invalid input", detail).help(help).into())
}

impl ReleaseView {
    /// Answers a question from this release and from nothing else. Blocks.
    ///
    /// # Errors
    /// When what is asked for does not exist, or the release cannot be read.
    pub fn ask(&self, asked: &Asked, asker: Asker<'_>) -> Result<Answered, Problem> {
        asked.bounded().and_then(|()| self.answered(asked, asker)).map(|(answered, _)| answered).map_err(
            |failure| match failure {
                Failure::Problem(problem) => *problem,
                Failure::Broken(error) => Problem::new(503, "unreadable", "Cannot be read", error.public())
                    .help("`ashlar release verify` shows what is damaged"),
                Failure::Heavy => crate::http::busy(),
            },
        )
    }

    pub(crate) fn answered(&self, asked: &Asked, asker: Asker<'_>) -> Result<(Answered, Search), Failure> {
        let mut question = self.question(asked, asker)?;
        let mut search = self.search(&question, false)?;
        if search.unembedded {
            if asker.replays {
                let detail = "the model that this answer was searched with cannot be asked now".to_owned();
                return Err(Problem::new(503, "model-unavailable", "Model unavailable", detail)
                    .help("try again in a moment; `ashlar doctor` on the server checks its models")
                    .into());
            }
            // The trace says that words alone were searched, so the answer can be made again.
            question.mode = Mode::Bm25;
            search = self.search(&question, false)?;
        }
        let found = Found::read(self, &search.passages)?;
        let shelves = self.shelves(&question, &search)?;
        let reader = self.definitions.retrieval.readers.reader(asker.reader);
        let allowed = Allowed::new(question.filter.clone(), reader, asker.at);
        let rarities: Vec<_> =
            shelves.iter().map(|(locale, open)| (locale, open.shelf.rarities(&allowed, None))).collect();
        // What one index has is not rare because another has none of it.
        let rare = |locale: &Locale, term: &str| {
            let here = rarities.iter().filter(|(of, _)| *of == locale);
            here.filter_map(|(_, rarity)| rarity(term)).min_by(f32::total_cmp)
        };
        let mut best: Option<(Outcome, &Found<'_>)> = None;
        for found in &found {
            let analyzer = Analyzer::for_locale(found.locale.as_str());
            let covered = Covered::read(&analyzer, &asked.question, &|term| rare(&found.locale, term));
            let outcome = MODEL.answer(&analyzer, &covered, &found.evidence());
            // An answer is better than a refusal, and of two the surer one.
            let better = best.as_ref().is_none_or(|(known, _)| {
                (outcome.refusal.is_none(), outcome.confidence) > (known.refusal.is_none(), known.confidence)
            });
            if better {
                best = Some((outcome, found));
            }
        }
        let nothing = || {
            let locale = question.locales.first().map(Locale::as_str).unwrap_or_default();
            let analyzer = Analyzer::for_locale(locale);
            MODEL.answer(&analyzer, &Covered::read(&analyzer, &asked.question, &|_| None), &[])
        };
        let (outcome, found) =
            best.map_or_else(|| (nothing(), None), |(outcome, found)| (outcome, Some(found)));
        self.caches.searched.asked(outcome.refusal.is_none());
        Ok((
            Answered::new(
                self.label(),
                (asked, Asker { words: question.mode == Mode::Bm25, ..asker }),
                (outcome, found),
                &search.passages,
            ),
            search,
        ))
    }

    /// What is searched for an answer.
    pub(super) fn question(&self, asked: &Asked, asker: Asker<'_>) -> Result<Question, Failure> {
        let locales = &self.definitions.locales;
        let chain = match &asked.locale {
            Some(named) => locales.named(named).ok_or_else(|| {
                let all: Vec<&str> = locales.all().iter().map(Locale::as_str).collect();
                let known = format!("this project has {}", all.join(", "));
                let detail = format!("there is no locale `{}`", cut(named));
                Failure::from(Problem::new(400, "unknown-locale", "Unknown locale", detail).help(nearest_of(
                    named,
                    all.iter().copied(),
                    &known,
                )))
            })?,
            None => locales.default_chain(),
        };
        let mut question = Question::new(&asked.question, chain.as_slice().to_vec());
        question.indexes.clone_from(&asked.indexes);
        question.types = asked.types.iter().cloned().collect();
        question.limit = RETRIEVED_MAX;
        question.reader = asker.reader.map(str::to_owned);
        question.people = false;
        question.now = Some(asker.at);
        // Without vectors the hybrid search is another one than with them, and a release may get them later.
        let words = asker.words || self.search.as_ref().is_none_or(|trees| trees.meaning.is_none());
        question.mode = if words { Mode::Bm25 } else { Mode::Hybrid };
        let attributes = &self.definitions.retrieval.attributes.values;
        for (name, values) in &asked.filters {
            for value in values {
                let added = match name.as_str() {
                    "version" => question.filter.version(value),
                    name if attributes.contains_key(name) => question.filter.add(name, value),
                    name => {
                        let known: Vec<&str> =
                            attributes.keys().map(String::as_str).chain(["version"]).collect();
                        let all = format!("answers can be filtered by {}", known.join(", "));
                        let detail = format!("`{}` is not an attribute to filter by", cut(name));
                        return Err(Problem::new(400, "unknown-filter", "Unknown filter", detail)
                            .help(nearest_of(name, known.iter().copied(), &all))
                            .into());
                    }
                };
                added.map_err(|error| filter_problem(&error))?;
            }
        }
        question.checked()
    }

    /// The shelves that were searched, which are open.
    fn shelves(
        &self,
        question: &Question,
        search: &Search,
    ) -> Result<Vec<(Locale, Arc<OpenShelf>)>, Failure> {
        let Some(trees) = &self.search else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for index in &search.indexes {
            for locale in &question.locales {
                let name = (index.as_str(), locale.as_str());
                if let Some(open) = self.caches.shelves.open(&self.objects, trees, name)? {
                    out.push((locale.clone(), open));
                }
            }
        }
        Ok(out)
    }
}
