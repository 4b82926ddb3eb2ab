//! Passages for prompts: what a search finds, with the facts of the same entries.

use super::{
    asked::{Asked, Asker},
    evidence::Found,
};
use crate::{
    error::Failure,
    http::{Problem, busy},
    release::ReleaseView,
};
use ashlar_model::EntryKey;
use ashlar_retrieval::search::Mode;

/// Something that a prompt may be grounded in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grounds {
    /// The chunk; for the facts of an entry its type and id.
    pub id: String,
    /// The title of its entry, with headings.
    pub title: String,
    /// The path of its page.
    pub path: Option<String>,
    /// The fragment of its page.
    pub anchor: Option<String>,
    /// What it says.
    pub text: String,
    /// The entry that says it.
    pub entry: EntryKey,
}

impl ReleaseView {
    /// The best passages that the asker may read, at most so many, the best first. What the fields of their entries state, such as
    /// prices, follows the first passage of each entry. Blocks.
    ///
    /// # Errors
    /// When what is asked for does not exist, or the release cannot be read.
    pub fn grounds(&self, asked: &Asked, asker: Asker<'_>, most: usize) -> Result<Vec<Grounds>, Problem> {
        self.found(asked, asker, most).map_err(|failure| match failure {
            Failure::Problem(problem) => *problem,
            Failure::Broken(error) => Problem::new(503, "unreadable", "Cannot be read", error.public())
                .help("`ashlar release verify` shows what is damaged"),
            Failure::Heavy => busy(),
        })
    }

    fn found(&self, asked: &Asked, asker: Asker<'_>, most: usize) -> Result<Vec<Grounds>, Failure> {
        asked.bounded()?;
        let mut question = self.question(asked, asker)?;
        question.limit = question.limit.min(most.max(1));
        let mut search = self.search(&question, false)?;
        if search.unembedded {
            question.mode = Mode::Bm25;
            search = self.search(&question, false)?;
        }
        let mut out: Vec<Grounds> = Vec::new();
        for found in &Found::read(self, &search.passages)? {
            let mut stated = vec![String::new(); found.entries.len()];
            for source in found.sources.iter().filter(|source| source.chunk.is_none()) {
                let (_, says) = found.said(source);
                stated[source.entry].push_str(&says);
                stated[source.entry].push('\n');
            }
            for source in &found.sources {
                let Some(chunk) = &source.chunk else { continue };
                let entry = &found.entries[source.entry];
                let (title, mut text) = found.said(source);
                let facts = std::mem::take(&mut stated[source.entry]);
                if !facts.is_empty() {
                    text.push('\n');
                    text.push_str(facts.trim_end());
                }
                out.push(Grounds {
                    id: chunk.clone(),
                    title: title.to_owned(),
                    path: entry.path.clone(),
                    anchor: source.anchor.clone(),
                    text,
                    entry: entry.key.clone(),
                });
            }
        }
        out.truncate(most);
        Ok(out)
    }
}
