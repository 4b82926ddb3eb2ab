use std::collections::{HashMap, HashSet};

use ashlar_model::{Locale, LocaleConfig};
use ashlar_project::{Redirects, normal_path};

use ashlar_site::Site as Pages;

use crate::{GateError, Site};

/// How a path finds what it leads to.
pub(crate) struct LinkRules<'a> {
    locales: &'a LocaleConfig,
    ignored: &'a [String],
    redirects: &'a Redirects,
    chains: HashMap<&'a str, Vec<Locale>>,
    /// Pages that show no entry: lists, the search page.
    pages: HashSet<String>,
}

impl<'a> LinkRules<'a> {
    pub(crate) fn new(locales: &'a LocaleConfig, ignored: &'a [String], redirects: &'a Redirects) -> Self {
        let all = locales.supported.iter().chain([&locales.default]);
        let chains = all.map(|l| (l.as_str(), locales.chain(l))).collect();
        Self { locales, ignored, redirects, chains, pages: HashSet::new() }
    }

    /// With the pages of a site that show no entry.
    pub(crate) fn with_site(mut self, site: Option<&Pages>) -> Self {
        let routes = site.into_iter().flat_map(|s| {
            s.file.lists.iter().map(|l| &l.route).chain(s.file.search.as_ref().map(|s| &s.route))
        });
        let all = self.locales.all();
        self.pages =
            routes.flat_map(|r| all.iter().map(move |l| r.replace("{locale}", l.as_str()))).collect();
        self
    }

    /// Whether a link to `path` from a page in `locale` leads somewhere: to a route of the locale or of its fallbacks,
    /// to a redirect, or below an ignored prefix. A first segment that is a locale of the project stands for it.
    pub(crate) fn leads(&self, site: &dyn Site, locale: &Locale, path: &str) -> Result<bool, GateError> {
        let redirected = |path: &str| self.redirects.get(path).is_some_and(|r| !r.is_gone());
        if self.is_ignored(path) || redirected(path) || self.pages.contains(normal_path(path)) {
            return Ok(true);
        }
        if self.has_route(site, locale, path)? {
            return Ok(true);
        }
        match self.split_locale(path) {
            Some((named, rest)) => Ok(redirected(rest)
                || self.has_route(site, &named, rest)?
                || self.falls_back(site, &named, rest)?),
            None => Ok(false),
        }
    }

    /// The route that answers `path` for a page in `locale`, apart from redirects, lists and ignored prefixes.
    pub(crate) fn answered_by(
        &self,
        site: &dyn Site,
        locale: &Locale,
        path: &str,
    ) -> Result<Option<String>, GateError> {
        if self.has_route(site, locale, path)? {
            return Ok(Some(normal_path(path).to_owned()));
        }
        let Some((named, rest)) = self.split_locale(path) else { return Ok(None) };
        if self.has_route(site, &named, rest)? {
            return Ok(Some(normal_path(rest).to_owned()));
        }
        for l in self.chains.get(named.as_str()).map_or(&[][..], Vec::as_slice) {
            let route = format!("/{l}{rest}");
            if site.has_route(l, normal_path(&route))? {
                return Ok(Some(normal_path(&route).to_owned()));
            }
        }
        Ok(None)
    }

    /// Whether a link only breaks because a route of the base disappeared without a redirect, which the gate `routes` tells.
    pub(crate) fn vanished_with(
        &self,
        base: &dyn Site,
        locale: &Locale,
        path: &str,
    ) -> Result<bool, GateError> {
        let route = self.answered_by(base, locale, path)?;
        Ok(route.is_some_and(|route| self.redirects.get(&route).is_none()))
    }

    /// Whether `/de/docs` is answered by the page that `de` falls back to, whose own route is `/en/docs`.
    fn falls_back(&self, site: &dyn Site, named: &Locale, rest: &str) -> Result<bool, GateError> {
        for l in self.chains.get(named.as_str()).map_or(&[][..], Vec::as_slice) {
            if site.has_route(l, normal_path(&format!("/{l}{rest}")))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a route of `locale` or of its fallbacks answers `path`.
    pub(crate) fn has_route(&self, site: &dyn Site, locale: &Locale, path: &str) -> Result<bool, GateError> {
        let path = normal_path(path);
        let own = [locale.clone()];
        for l in self.chains.get(locale.as_str()).map_or(&own[..], Vec::as_slice) {
            if site.has_route(l, path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `/de/docs` → `de` and `/docs`, when `de` is a locale of the project.
    pub(crate) fn split_locale<'p>(&self, path: &'p str) -> Option<(Locale, &'p str)> {
        let rest = path.strip_prefix('/')?;
        let (first, rest) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, "/"),
        };
        let locale = Locale::new(first).ok().filter(|l| self.locales.supports(l))?;
        Some((locale, rest))
    }

    /// Every path under which a route of `locale` may have been linked to.
    pub(crate) fn spellings(&self, route: &str) -> Vec<String> {
        let rest = if route == "/" { "" } else { route };
        let mut out = vec![route.to_owned()];
        out.extend(self.locales.all().iter().map(|l| format!("/{l}{rest}")));
        if let Some((_, rest)) = self.split_locale(route) {
            out.extend(self.locales.all().iter().map(|l| format!("/{l}{rest}")));
        }
        out
    }

    fn is_ignored(&self, path: &str) -> bool {
        self.ignored.iter().any(|prefix| match prefix.trim_end_matches('/') {
            // `/` is a prefix of every path.
            "" => true,
            prefix => path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        })
    }
}
