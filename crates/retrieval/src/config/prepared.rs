//! What of the rules is made ready once for each locale.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use super::Config;
use crate::{synonyms::Synonyms, text::Analyzer};

/// The most locales that are kept.
const LOCALES_MAX: usize = 100;

/// Synonyms and pins as terms.
#[derive(Debug)]
pub(super) struct InLocale {
    pub synonyms: Arc<Synonyms>,
    /// The terms of a query → the numbers of its pins.
    pins: HashMap<Vec<String>, Vec<usize>>,
}

impl InLocale {
    fn new(config: &Config, locale: &str, analyzer: &Analyzer) -> Self {
        let language = locale.split(['-', '_']).next().unwrap_or_default();
        let names: BTreeSet<&str> = [locale, language].into();
        let groups = names.into_iter().filter_map(|name| config.synonyms.get(name)).flatten();
        let mut pins: HashMap<Vec<String>, Vec<usize>> = HashMap::new();
        for (number, pin) in config.pins.iter().enumerate() {
            let terms = analyzer.list(&pin.query);
            if !terms.is_empty() && pin.locale.as_deref().is_none_or(|own| own == locale || own == language) {
                pins.entry(terms).or_default().push(number);
            }
        }
        Self { synonyms: Arc::new(Synonyms::new(analyzer, groups)), pins }
    }

    pub fn pins_of(&self, terms: &[String]) -> Vec<usize> {
        self.pins.get(terms).cloned().unwrap_or_default()
    }
}

/// What was made ready, by locale.
#[derive(Debug, Default)]
pub(super) struct Locales(Mutex<BTreeMap<String, Arc<InLocale>>>);

impl Clone for Locales {
    /// A copy of the rules may be changed, so it begins with nothing.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Locales {
    pub fn get(&self, config: &Config, locale: &str, analyzer: &Analyzer) -> Arc<InLocale> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(locale) {
            return found.clone();
        }
        if known.len() == LOCALES_MAX {
            known.clear();
        }
        let made = Arc::new(InLocale::new(config, locale, analyzer));
        known.insert(locale.to_owned(), made.clone());
        made
    }
}
