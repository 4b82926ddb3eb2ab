//! How a query may go on.

use ashlar_model::Locale;
use ashlar_retrieval::access::Allowed;
use jiff::Timestamp;

use super::{find::Search, question::Question, results::Suggestions};
use crate::{error::Failure, release::ReleaseView, search::indexes};

impl ReleaseView {
    /// How the last word of a query may go on, with words of entries that the caller may find. Opens what it needs, so it is called where
    /// blocking is allowed.
    pub(super) fn suggestions(&self, question: &Question) -> Result<(Suggestions, Search), Failure> {
        let config = &self.definitions.retrieval;
        let reader = config.readers.reader(question.reader.as_deref());
        let at = question.now.unwrap_or_else(|| Timestamp::now().as_second());
        let allowed = Allowed::new(question.filter.clone(), reader, at);
        let here = indexes(&self.definitions.contracts, config);
        let chosen = self.chosen(question, reader, &here)?;
        let mut search = Search::of(&chosen, &here);
        let trees = self.search_trees()?;
        let mut of_shelves: Vec<std::vec::IntoIter<String>> = Vec::new();
        for (index, _) in &chosen {
            for (place, locale) in question.locales.iter().enumerate() {
                let name = (index.as_str(), locale.as_str());
                let Some(open) = self.caches.shelves.open(&self.objects, trees, name)? else { continue };
                search.passing |= open.timed;
                let skip = |key: &[u8]| self.is_left_out(question, place, key);
                let skip: Option<&dyn Fn(&[u8]) -> bool> =
                    if place > 0 || !question.types.is_empty() { Some(&skip) } else { None };
                let found = open.shelf.suggest(&question.text, &allowed, skip, question.limit);
                of_shelves.push(found.into_iter());
            }
        }
        // The best of each shelf, then the second of each, and so on: how often words occur does not compare between shelves.
        let mut suggestions: Vec<String> = Vec::new();
        while suggestions.len() < question.limit {
            let next: Vec<String> = of_shelves.iter_mut().filter_map(Iterator::next).collect();
            if next.is_empty() {
                break;
            }
            for suggestion in next {
                if suggestions.len() < question.limit && !suggestions.contains(&suggestion) {
                    suggestions.push(suggestion);
                }
            }
        }
        let suggestions = Suggestions {
            query: question.text.clone(),
            locale: question.locales.first().map(Locale::to_string).unwrap_or_default(),
            indexes: search.indexes.clone(),
            suggestions,
        };
        Ok((suggestions, search))
    }
}
