//! Which languages a request is answered in.

use ashlar_model::{Locale, LocaleConfig};

use crate::http::quality;

/// The most ranges of an `Accept-Language` header that are looked at.
const RANGES_MAX: usize = 16;

/// The locales of a project with what is tried after each, by position.
#[derive(Debug)]
pub(crate) struct Locales {
    all: Vec<Locale>,
    chains: Vec<Vec<Locale>>,
}

/// The locales to try for one request, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// The chain of one locale.
    Chain(&'a [Locale]),
    /// Several that the client accepts, and then the fallbacks.
    Several(Vec<Locale>),
}

impl Wanted<'_> {
    pub(crate) fn as_slice(&self) -> &[Locale] {
        match self {
            Self::Chain(chain) => chain,
            Self::Several(list) => list,
        }
    }
}

impl Locales {
    pub(crate) fn new(config: &LocaleConfig) -> Self {
        let all = config.all();
        let chains = all.iter().map(|l| config.chain(l)).collect();
        Self { all, chains }
    }

    /// All locales, the default first.
    pub(crate) fn all(&self) -> &[Locale] {
        &self.all
    }

    /// The chain of a locale that a request names; `None` when the project does not have it.
    pub(crate) fn named(&self, text: &str) -> Option<Wanted<'_>> {
        self.chain(text).map(Wanted::Chain)
    }

    /// As [`Locales::named`], without more.
    pub(crate) fn chain(&self, text: &str) -> Option<&[Locale]> {
        let at = self.all.iter().position(|l| l.as_str().eq_ignore_ascii_case(text))?;
        Some(&self.chains[at])
    }

    /// The chain of the default locale.
    pub(crate) fn default_chain(&self) -> Wanted<'_> {
        Wanted::Chain(&self.chains[0])
    }

    /// What an `Accept-Language` header asks for (RFC 4647 look-up: `de-CH` is met by `de`); the default when nothing
    /// fits.
    pub(crate) fn accepted(&self, header: &str) -> Wanted<'_> {
        let mut ranges: Vec<(&str, u16)> = header
            .split(',')
            .take(RANGES_MAX)
            .filter_map(|part| {
                let mut pieces = part.split(';');
                let range = pieces.next()?.trim();
                let quality = pieces.find_map(|p| p.trim().strip_prefix("q=")).map_or(1000, quality);
                (!range.is_empty() && quality > 0).then_some((range, quality))
            })
            .collect();
        ranges.sort_by_key(|(_, q)| std::cmp::Reverse(*q));
        let mut found: Vec<usize> = Vec::new();
        for (range, _) in ranges {
            if range == "*" {
                break;
            }
            if let Some(at) = self.lookup(range)
                && !found.contains(&at)
            {
                found.push(at);
            }
        }
        match found.as_slice() {
            [] => self.default_chain(),
            [one] => Wanted::Chain(&self.chains[*one]),
            [first, ..] => {
                let mut list: Vec<Locale> = found.iter().map(|at| self.all[*at].clone()).collect();
                for next in self.chains[*first].iter().chain(&self.chains[0]) {
                    if !list.contains(next) {
                        list.push(next.clone());
                    }
                }
                Wanted::Several(list)
            }
        }
    }

    fn lookup(&self, range: &str) -> Option<usize> {
        let mut tag = range;
        loop {
            if let Some(at) = self.all.iter().position(|l| l.as_str().eq_ignore_ascii_case(tag)) {
                return Some(at);
            }
            match tag.rsplit_once('-') {
                Some((shorter, _)) => tag = shorter,
                None => break,
            }
        }
        // Nothing as general as the range itself: any region of the language is better than another language.
        self.all.iter().position(|l| {
            let language = l.as_str().split('-').next().unwrap_or_default();
            language.eq_ignore_ascii_case(tag) && !range.contains('-')
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiates() {
        let config: LocaleConfig = toml::from_str(
            "default = 'en'\nsupported = ['en', 'de', 'de-AT', 'fr', 'pt-BR']\n[fallback]\nde-AT = ['de', 'en']\nfr = []",
        )
        .unwrap();
        let locales = Locales::new(&config);
        let check = |header: &str, expect: &str| {
            let wanted = locales.accepted(header);
            let got: Vec<&str> = wanted.as_slice().iter().map(Locale::as_str).collect();
            assert_eq!(got.join(" "), expect, "{header}");
        };
        check("", "en");
        check("*", "en");
        check("de", "de en");
        check("DE-ch", "de en");
        check("de-AT", "de-AT de en");
        check("fr", "fr");
        check("pt", "pt-BR en");
        check("pt-PT", "en");
        check("xx, yy;q=0.5", "en");
        check("en;q=0.2, fr;q=0.9, de;q=0", "fr en");
        check("fr, de;q=0.5", "fr de en");
        check("de;q=2, fr;q=abc", "en");
        check(&"de,".repeat(10_000), "de en");
        assert_eq!(locales.named("DE-at").unwrap().as_slice().len(), 3);
        assert!(locales.named("it").is_none());
    }
}
