//! From the file to rules, with everything that is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    str::FromStr,
    time::Duration,
};

use ashlar_model::{Files, Finding, did_you_mean, position, read_toml_as};
use toml::Spanned;

use super::{
    Allowed, BUILT_IN, Budget, EXTRACTIVE, FALLBACKS_MAX, FEATURES_MAX, FILE, Feature, Gateway, Kind, Limits,
    NAMES_MAX, PER_MINUTE_MAX, PRICES_MAX, RECORD_DAYS, RECORD_DAYS_MAX, RETRIES_MAX, ROUTES_MAX, Redact,
    Route, TARGETS_MAX, TIMEOUT_SECONDS_MAX, TOKENS_MAX, Target, Timeouts, WEIGHT_MAX,
    raw::{Named, Number, Raw, RawBudget, RawFeature, RawKinds, RawLimits, RawPrice, RawRedact, RawRoute},
};
use crate::{
    config::DEFAULT_FEATURE,
    price::{Money, MoneyError, Price, Prices, Rate},
    tools::{ROUNDS, ROUNDS_MAX, TOOLS_MAX, Tool},
};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The longest name of a model, in bytes.
const MODEL_BYTES_MAX: usize = 200;
/// The most findings that are reported.
const FINDINGS_MAX: usize = 100;

impl Gateway {
    /// Reads `gateway.toml`; without the file, the built-in model is the only one.
    ///
    /// # Errors
    /// Everything that is wrong, with its line.
    pub fn parse(files: &Files) -> Result<Self, Vec<Finding>> {
        let Some(bytes) = files.get(FILE) else { return Ok(Self::default()) };
        Self::read(bytes)
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// Everything that is wrong, with its line.
    pub fn read(bytes: &[u8]) -> Result<Self, Vec<Finding>> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let raw: Raw = read_toml_as(FILE, "gateway-config", bytes).map_err(|finding| vec![finding])?;
        let mut reading = Reading { bytes, findings: Vec::new() };
        let gateway = reading.gateway(raw);
        if reading.findings.is_empty() { Ok(gateway) } else { Err(reading.findings) }
    }
}

pub(super) struct Reading<'a> {
    bytes: &'a [u8],
    findings: Vec<Finding>,
}

impl Reading<'_> {
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        position(self.bytes, span.start).0
    }

    pub(super) fn wrong(&mut self, span: &Range<usize>, message: String, help: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            let place = format!("{FILE}:{}", self.line(span));
            self.findings.push(Finding::error("gateway-config", place, message).help(help));
        }
    }

    pub(super) fn bounded(&mut self, span: &Range<usize>, count: usize, max: usize, what: &str) -> bool {
        if count > max {
            self.wrong(span, format!("There are {count} {what}; at most {max} are possible."), "remove some");
        }
        count <= max
    }

    pub(super) fn name(&mut self, span: &Range<usize>, what: &str, name: &str) {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fits) {
            let help = format!("use at most {NAME_BYTES_MAX} lower-case letters, digits, `-` and `_`");
            self.wrong(span, format!("`{}` cannot be the name of {what}.", shown(name)), help);
        }
    }

    fn model(&mut self, span: &Range<usize>, name: &str) {
        if name.is_empty() || name.len() > MODEL_BYTES_MAX || name.chars().any(|c| c.is_control()) {
            let help = format!("write the name that the provider uses, at most {MODEL_BYTES_MAX} bytes");
            self.wrong(span, format!("`{}` cannot be the name of a model.", shown(name)), help);
        }
    }

    /// A whole number within bounds; a small one when it is not.
    pub(super) fn whole(&mut self, name: &str, value: &Spanned<i64>, least: u64, most: u64) -> u64 {
        let found = u64::try_from(*value.get_ref()).ok().filter(|n| (least..=most).contains(n));
        found.unwrap_or_else(|| {
            let message = format!("`{name} = {}` is not possible.", value.get_ref());
            self.wrong(&value.span(), message, format!("write a number from {least} to {most}"));
            // Above 0, so that nothing else is wrong because of it.
            least.max(1)
        })
    }

    fn amount<T: FromStr<Err = MoneyError> + Default>(&mut self, name: &str, value: &Spanned<String>) -> T {
        value.get_ref().parse().unwrap_or_else(|error: MoneyError| {
            let message = format!("`{name} = \"{}\"` is not possible: {error}.", shown(value.get_ref()));
            self.wrong(&value.span(), message, "write a decimal number in quotes, such as \"0.15\"");
            T::default()
        })
    }

    fn gateway(&mut self, raw: Raw) -> Gateway {
        let counts = [
            (raw.routes.len(), ROUTES_MAX, "routes"),
            (raw.prices.len(), PRICES_MAX, "prices"),
            (raw.features.len(), FEATURES_MAX, "features"),
            (raw.tools.len(), TOOLS_MAX, "tools"),
        ];
        if counts.into_iter().filter(|(count, max, what)| !self.bounded(&(0..0), *count, *max, what)).count()
            > 0
        {
            return Gateway::default();
        }
        let budget = self.budget(&raw.budget);
        let record_days =
            raw.records.keep_days.as_ref().map_or(RECORD_DAYS, |days| {
                self.whole("keep_days", days, 1, u64::from(RECORD_DAYS_MAX)) as u32
            });
        let prices = self.prices(raw.prices);
        let routes = self.routes(raw.routes);
        let tools = self.tools(raw.tools);
        let mut features = BTreeMap::new();
        for (name, feature) in raw.features {
            self.name(&name.span(), "a feature", name.get_ref());
            let line = self.line(&name.span());
            let feature = self.feature(line, &feature, &routes, &tools);
            features.insert(name.into_inner(), feature);
        }
        if features.is_empty() {
            features.insert(DEFAULT_FEATURE.to_owned(), Feature::open(1));
        }
        Gateway { routes, prices, features, tools, budget, record_days }
    }

    fn routes(&mut self, raw: Named<RawRoute>) -> BTreeMap<String, Route> {
        let names: BTreeSet<String> =
            raw.keys().map(|name| name.get_ref().clone()).chain([EXTRACTIVE.to_owned()]).collect();
        let mut routes = BTreeMap::from([(EXTRACTIVE.to_owned(), Route::extractive())]);
        for (name, route) in raw {
            let span = name.span();
            self.name(&span, "a route", name.get_ref());
            if name.get_ref() == EXTRACTIVE {
                let message = format!("The route `{EXTRACTIVE}` is built in and cannot be declared.");
                self.wrong(&span, message, "choose another name");
                continue;
            }
            let route = self.route(&span, name.get_ref(), route, &names);
            routes.insert(name.into_inner(), route);
        }
        routes
    }

    fn route(&mut self, span: &Range<usize>, name: &str, raw: RawRoute, names: &BTreeSet<String>) -> Route {
        let line = self.line(span);
        if raw.targets.is_empty() {
            let help = "add targets = [{ provider = \"NAME\", model = \"NAME\" }]";
            self.wrong(span, format!("The route `{}` has no targets.", shown(name)), help);
        }
        self.bounded(span, raw.targets.len(), TARGETS_MAX, "targets");
        self.bounded(span, raw.fallbacks.len(), FALLBACKS_MAX, "fallbacks");
        let mut targets = Vec::new();
        for target in raw.targets.into_iter().take(TARGETS_MAX) {
            let (at, target) = (target.span(), target.into_inner());
            self.name(&target.provider.span(), "a provider", target.provider.get_ref());
            self.model(&target.model.span(), target.model.get_ref());
            if target.provider.get_ref() == BUILT_IN && target.model.get_ref() != EXTRACTIVE {
                let message =
                    format!("The provider `{BUILT_IN}` has no model `{}`.", shown(target.model.get_ref()));
                self.wrong(&target.model.span(), message, format!("write model = \"{EXTRACTIVE}\""));
            }
            let weight = target.weight.as_ref();
            let weight =
                weight.map_or(1, |weight| self.whole("weight", weight, 0, u64::from(WEIGHT_MAX)) as u32);
            let (provider, model) = (target.provider.into_inner(), target.model.into_inner());
            targets.push(Target { provider, model, weight, line: self.line(&at) });
        }
        if !targets.is_empty() && targets.iter().all(|target| target.weight == 0) {
            let message = format!("All targets of the route `{}` have the weight 0.", shown(name));
            self.wrong(span, message, "give one of them a weight above 0");
        }
        let mut fallbacks = Vec::new();
        for fallback in raw.fallbacks.into_iter().take(FALLBACKS_MAX) {
            self.known_route(&fallback.span(), fallback.get_ref(), names.iter().map(String::as_str));
            if fallback.get_ref() == name {
                let message = format!("The route `{}` is its own fallback.", shown(name));
                self.wrong(&fallback.span(), message, "remove it, or use `retries`");
            }
            fallbacks.push(fallback.into_inner());
        }
        let retries = raw.retries.as_ref();
        let usual = Timeouts::default();
        let timeout = Timeouts {
            connect: self.seconds("connect", raw.timeout.connect.as_ref(), usual.connect),
            first_token: self.seconds("first_token", raw.timeout.first_token.as_ref(), usual.first_token),
            total: self.seconds("total", raw.timeout.total.as_ref(), usual.total),
        };
        if timeout.total < timeout.connect {
            let message = format!("The time limits of the route `{}` contradict each other.", shown(name));
            self.wrong(span, message, "give `total` at least the time of `connect`");
        }
        let hedge = self.hedge(raw.hedge.as_ref(), name, (targets.len(), timeout.first_token));
        Route {
            targets,
            fallbacks,
            retries: retries.map_or(1, |n| self.whole("retries", n, 0, u64::from(RETRIES_MAX)) as u32),
            context: raw.context.as_ref().map(|n| self.whole("context", n, 1, TOKENS_MAX)),
            timeout,
            hedge,
            line,
        }
    }

    /// After how long the next target is asked as well.
    fn hedge(
        &mut self,
        value: Option<&Spanned<Number>>,
        route: &str,
        (targets, first_token): (usize, Duration),
    ) -> Option<Duration> {
        let value = value?;
        let hedge = self.seconds("hedge", Some(value), Duration::ZERO);
        if targets == 1 {
            let message = format!("The route `{}` has `hedge` and no second target.", shown(route));
            self.wrong(&value.span(), message, "add another target, or remove `hedge`");
        } else if hedge >= first_token {
            let message = format!("`hedge` of the route `{}` is as long as `first_token`.", shown(route));
            self.wrong(&value.span(), message, "write less time than `timeout.first_token`");
        }
        Some(hedge)
    }

    fn known_route<'n>(
        &mut self,
        span: &Range<usize>,
        name: &str,
        mut known: impl Iterator<Item = &'n str> + Clone,
    ) {
        if !known.clone().any(|known| known == name) {
            let help = did_you_mean(name, known.by_ref(), format!("add [routes.{}]", shown(name)));
            self.wrong(span, format!("The route `{}` is not declared.", shown(name)), help);
        }
    }

    fn seconds(&mut self, name: &str, value: Option<&Spanned<Number>>, usual: Duration) -> Duration {
        let Some(value) = value else { return usual };
        let seconds = value.get_ref().value();
        if (0.001..=TIMEOUT_SECONDS_MAX).contains(&seconds) {
            return Duration::from_secs_f64(seconds);
        }
        let help = format!("write seconds, from 0.001 to {TIMEOUT_SECONDS_MAX}");
        self.wrong(&value.span(), format!("`{name} = {seconds}` is not a time limit."), help);
        usual
    }

    fn prices(&mut self, raw: Vec<Spanned<RawPrice>>) -> Prices {
        let currency =
            raw.first().map(|price| price.get_ref().currency.get_ref().clone()).unwrap_or_default();
        let mut prices = Prices::new(currency.clone());
        for price in raw {
            let (span, raw) = (price.span(), price.into_inner());
            let line = self.line(&span);
            let named = raw.model.get_ref();
            match named.split_once('/') {
                Some((BUILT_IN, _)) => {
                    let message = format!("Models of `{BUILT_IN}` cost nothing.");
                    self.wrong(&raw.model.span(), message, "remove the price");
                }
                Some((provider, model)) => {
                    self.name(&raw.model.span(), "a provider", provider);
                    self.model(&raw.model.span(), model);
                }
                None => {
                    let message = format!("`model = \"{}\"` names no provider.", shown(named));
                    self.wrong(&raw.model.span(), message, "write it like \"openai/gpt-4o-mini\"");
                }
            }
            self.currency(&raw.currency, &currency);
            let from = raw.from.get_ref().text();
            let Some(from) = from.parse().ok().filter(|_| from.len() == 10) else {
                let message = format!("`from = {}` is not a day.", shown(&from));
                self.wrong(&raw.from.span(), message, "write a date such as 2026-01-01");
                continue;
            };
            let input: Rate = self.amount("input", &raw.input);
            let cached_input = raw.cached_input.as_ref().map_or(input, |at| self.amount("cached_input", at));
            let cache_write = raw.cache_write.as_ref().map_or(input, |at| self.amount("cache_write", at));
            let output = self.amount("output", &raw.output);
            let price = Price { from, input, cached_input, cache_write, output, line };
            if !prices.add(raw.model.get_ref(), price) {
                let message = format!("`{}` has two prices from {from} on.", shown(raw.model.get_ref()));
                self.wrong(&raw.from.span(), message, "remove one of them, or change its day");
            }
        }
        prices
    }

    fn currency(&mut self, own: &Spanned<String>, first: &str) {
        let code = own.get_ref();
        if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
            let message = format!("`currency = \"{}\"` is not the code of a currency.", shown(code));
            self.wrong(&own.span(), message, "write three capital letters, such as \"USD\"");
        } else if code != first {
            let message = format!("Prices are in `{}` and in `{code}`.", shown(first));
            self.wrong(&own.span(), message, format!("write all prices in {}", shown(first)));
        }
    }

    pub(super) fn names(&mut self, what: &str, raw: &[Spanned<String>]) -> Vec<String> {
        if let Some(first) = raw.first() {
            self.bounded(&first.span(), raw.len(), NAMES_MAX, "names in one list");
        }
        let mut names: Vec<String> = Vec::new();
        for name in raw.iter().take(NAMES_MAX) {
            self.name(&name.span(), what, name.get_ref());
            if names.contains(name.get_ref()) {
                let message = format!("`{}` is listed twice.", shown(name.get_ref()));
                self.wrong(&name.span(), message, "remove one of the two");
            }
            names.push(name.get_ref().clone());
        }
        names
    }

    fn feature(
        &mut self,
        line: usize,
        raw: &RawFeature,
        routes: &BTreeMap<String, Route>,
        known_tools: &BTreeMap<String, Tool>,
    ) -> Feature {
        for tool in raw.tools.iter().filter(|tool| !known_tools.contains_key(tool.get_ref())) {
            let name = shown(tool.get_ref());
            let help = did_you_mean(
                tool.get_ref(),
                known_tools.keys().map(String::as_str),
                format!("add [tools.{name}], or remove the name; tools that the client runs are not listed"),
            );
            self.wrong(&tool.span(), format!("The tool `{name}` is not declared."), help);
        }
        for route in raw.routes.iter().flatten() {
            self.known_route(&route.span(), route.get_ref(), routes.keys().map(String::as_str));
        }
        let mut allowed = |what, list: Option<&Vec<Spanned<String>>>| {
            list.map_or(Allowed::All, |list| Allowed::Only(self.names(what, list)))
        };
        let routes = allowed("a route", raw.routes.as_ref());
        let prompts = allowed("a prompt", raw.prompts.as_ref());
        let indexes = allowed("an index", raw.indexes.as_ref());
        let tools = allowed("a tool", Some(&raw.tools));
        if routes == Allowed::Only(Vec::new())
            && let Some(name) = raw.routes.as_ref()
        {
            debug_assert!(name.is_empty());
            let place = format!("{FILE}:{line}");
            let help =
                format!("add a route, such as routes = [\"{EXTRACTIVE}\"], or remove the line to allow all");
            let finding = Finding::error("gateway-config", place, "A feature has an empty list of routes.");
            self.findings.push(finding.help(help));
        }
        Feature {
            routes,
            prompts,
            indexes,
            tools,
            tool_rounds: raw
                .tool_rounds
                .as_ref()
                .map_or(ROUNDS, |n| self.whole("tool_rounds", n, 1, u64::from(ROUNDS_MAX)) as u32),
            limits: Limits {
                requests_per_minute: self.per_minute("requests_per_minute", raw.requests_per_minute.as_ref()),
                tokens_per_minute: self.per_minute("tokens_per_minute", raw.tokens_per_minute.as_ref()),
                budget: self.budget(&raw.budget),
            },
            per_key: self.limits(&raw.per_key),
            per_user: self.limits(&raw.per_user),
            redact: self.redact(&raw.redact),
            text_days: raw
                .text
                .keep_days
                .as_ref()
                .map_or(0, |days| self.whole("keep_days", days, 0, u64::from(RECORD_DAYS_MAX)) as u32),
            cache: self.cache(&raw.cache),
            filter: self.filter(&raw.filter),
            review: self.review(raw, known_tools),
            line,
        }
    }

    fn limits(&mut self, raw: &RawLimits) -> Limits {
        Limits {
            requests_per_minute: self.per_minute("requests_per_minute", raw.requests_per_minute.as_ref()),
            tokens_per_minute: self.per_minute("tokens_per_minute", raw.tokens_per_minute.as_ref()),
            budget: self.budget(&raw.budget),
        }
    }

    fn per_minute(&mut self, name: &str, value: Option<&Spanned<i64>>) -> Option<u64> {
        value.map(|value| self.whole(name, value, 1, PER_MINUTE_MAX))
    }

    fn budget(&mut self, raw: &RawBudget) -> Budget {
        let usual = Budget::default();
        let soft = raw.soft.as_ref().map_or(usual.soft, |soft| {
            let share = soft.get_ref().value();
            if !(0.0..=1.0).contains(&share) {
                let message = format!("`soft = {share}` is not a share.");
                self.wrong(&soft.span(), message, "write a number from 0 to 1, such as 0.8");
            }
            share.clamp(0.0, 1.0)
        });
        let budget = Budget {
            day: raw.day.as_ref().map(|day| self.amount::<Money>("day", day)),
            month: raw.month.as_ref().map(|month| self.amount::<Money>("month", month)),
            tokens_day: raw.tokens_day.as_ref().map(|n| self.whole("tokens_day", n, 0, TOKENS_MAX)),
            tokens_month: raw.tokens_month.as_ref().map(|n| self.whole("tokens_month", n, 0, TOKENS_MAX)),
            soft,
        };
        if let Some(soft) = raw.soft.as_ref().filter(|_| !budget.limits()) {
            let help = "add day, month, tokens_day or tokens_month";
            self.wrong(&soft.span(), "A budget has `soft` and no limit.".to_owned(), help);
        }
        budget
    }

    fn redact(&mut self, raw: &RawRedact) -> Redact {
        let usual = Redact::default();
        Redact {
            sending: raw.sending.as_ref().map_or(usual.sending, |kinds| self.kinds(kinds)),
            logging: raw.logging.as_ref().map_or(usual.logging, |kinds| self.kinds(kinds)),
        }
    }

    fn kinds(&mut self, raw: &Spanned<RawKinds>) -> BTreeSet<Kind> {
        let (names, listed) = match raw.get_ref() {
            RawKinds::Word(word) if word == "all" => return Kind::ALL.into(),
            RawKinds::Word(word) if word == "none" => return BTreeSet::new(),
            RawKinds::Word(word) => (std::slice::from_ref(word), false),
            RawKinds::List(names) => (names.as_slice(), true),
        };
        let mut kinds = BTreeSet::new();
        for name in names.iter().take(NAMES_MAX) {
            match Kind::named(name) {
                Some(kind) if listed => drop(kinds.insert(kind)),
                Some(_) => {
                    let message = format!("`{name}` is not a list.");
                    self.wrong(&raw.span(), message, format!("write [\"{name}\"]"));
                }
                None => {
                    let known = Kind::ALL.map(Kind::name);
                    let words = ["all", "none"].into_iter().filter(|_| !listed);
                    let help = format!("write \"all\", \"none\" or a list of {}", known.join(", "));
                    let help = did_you_mean(name, known.into_iter().chain(words), help);
                    let message = format!("`{}` is not a kind of text to redact.", shown(name));
                    self.wrong(&raw.span(), message, help);
                }
            }
        }
        kinds
    }
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
