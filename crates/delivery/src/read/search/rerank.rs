//! Ranking the best hits again.

use ashlar_retrieval::{config::Rerank, search::Mode};

use super::{
    find::{Passage, Search},
    question::Question,
};
use crate::{error::Failure, release::ReleaseView};

impl ReleaseView {
    /// Searches, and ranks the best hits again if `retrieval.toml` says so. Also says whether that was done; `None` when it is not wanted.
    pub(super) fn ranked(&self, question: &Question) -> Result<(Search, Option<bool>), Failure> {
        let config = &self.definitions.retrieval;
        let Some(rerank) = config.rerank.as_ref().filter(|_| question.mode != Mode::Bm25) else {
            return Ok((self.search(question, true)?, None));
        };
        if question.offset >= rerank.top {
            // What is behind the best keeps its place.
            return Ok((self.search(question, true)?, Some(true)));
        }
        let end = question.offset + question.limit;
        let wide = Question { offset: 0, limit: end.max(rerank.top), ..question.clone() };
        let mut search = self.search(&wide, true)?;
        let done = self.reorder(question, rerank, &mut search.passages);
        search.passing |= !done;
        search.more |= search.passages.len() > end;
        search.passages.truncate(end);
        search.passages.drain(..question.offset.min(search.passages.len()));
        Ok((search, Some(done)))
    }

    /// Puts the best hits in the order that the model gives them. What it may not read keeps its place, and so do pins. Whether the
    /// model answered.
    fn reorder(&self, question: &Question, rerank: &Rerank, passages: &mut [Passage]) -> bool {
        let config = &self.definitions.retrieval;
        let public = |index: &str| config.may_use(config.readers.public(), index);
        let may_read = |p: &Passage| !p.pinned && (rerank.restricted || (p.public && public(&p.index)));
        let places: Vec<usize> =
            (0..passages.len().min(rerank.top)).filter(|place| may_read(&passages[*place])).collect();
        if places.len() < 2 {
            return true;
        }
        let texts: Vec<String> = places
            .iter()
            .map(|place| format!("{}\n{}", passages[*place].title, passages[*place].text))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let scores = match self.caches.models.rerank(&rerank.model, &question.text, &texts) {
            Ok(scores) if scores.len() == places.len() => scores,
            Ok(_) => return false,
            Err(error) => {
                tracing::debug!(%error, "hits keep their order");
                return false;
            }
        };
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        // Scores say the order, so they stay with the places.
        let ranks: Vec<f32> = places.iter().map(|place| passages[*place].score).collect();
        let mut moved: Vec<Passage> = order.iter().map(|from| passages[places[*from]].clone()).collect();
        for ((place, score), mut passage) in places.iter().zip(ranks).zip(moved.drain(..)) {
            passage.score = score;
            passages[*place] = passage;
        }
        true
    }
}
