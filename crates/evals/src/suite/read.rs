//! From files to a suite, with everything that is wrong.

use std::ops::Range;

use ashlar_model::{Files, Finding, Level, Locale, did_you_mean, position, read_toml_as};
use toml::Spanned;

use super::{
    bounds::{FINDINGS_MAX, FOLDER, NAME_BYTES_MAX, SAMPLES_MAX},
    cases::read_cases,
    labels::read_labels,
    near::near_duplicates,
    raw::{Raw, RawBound},
    schedule::Schedule,
    types::{Caps, Case, Gate, JudgeRoute, Lines, Suite, Threshold},
};
use crate::figures::{Metric, Unit};

/// The names of the suites of a project, in order.
pub fn names(files: &Files) -> Vec<&str> {
    let of = |path: &'_ str| path.len() - ".toml".len();
    let found = files.under(FOLDER, ".toml").map(|(path, _)| &path[FOLDER.len() + 1..of(path)]);
    found.filter(|name| !name.contains('/')).collect()
}

impl Suite {
    /// Reads a suite of a project with its cases, and what is worth knowing about them.
    ///
    /// # Errors
    /// Everything that is wrong, each with file and line.
    pub fn read(files: &Files, name: &str) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let path = format!("{FOLDER}/{name}.toml");
        let Some(bytes) = files.get(&path) else {
            let message = format!("There is no suite `{}`.", name.chars().take(80).collect::<String>());
            let help = did_you_mean(name, names(files), format!("create {path} and {FOLDER}/{name}.jsonl"));
            return Err(vec![Finding::error("eval-suite", path, message).help(help)]);
        };
        let (suite, mut findings) = match Self::read_toml(name, bytes) {
            Ok(suite) => (Some(suite), Vec::new()),
            Err(findings) => (None, findings),
        };
        let path = format!("{FOLDER}/{name}.jsonl");
        let (cases, wrong) = match files.get(&path) {
            Some(bytes) => read_cases(&path, bytes),
            None => {
                let message = format!("The suite `{name}` has no cases.");
                let help = format!("create {path} with a case on each line");
                (Vec::new(), vec![Finding::error("eval-cases", path.clone(), message).help(help)])
            }
        };
        findings.extend(wrong);
        findings.extend(near_duplicates(&path, &cases));
        if let Some(suite) = &suite {
            findings.extend(suite.undecided(&path, &cases));
        }
        let path = format!("{FOLDER}/{name}.labels.jsonl");
        let (labels, wrong) = files.get(&path).map(|bytes| read_labels(&path, bytes)).unwrap_or_default();
        findings.extend(wrong);
        match suite {
            Some(suite) if findings.iter().all(|finding| finding.level == Level::Warning) => {
                let locale = suite.locale.clone();
                let cases = cases
                    .into_iter()
                    .map(|case| Case { locale: case.locale.or_else(|| locale.clone()), ..case })
                    .collect();
                Ok((Self { cases, labels, ..suite }, findings))
            }
            _ => Err(findings),
        }
    }

    /// Cases that could not fail: only a judge could decide about them, and the suite has none.
    #[must_use]
    pub fn undecided(&self, path: &str, cases: &[Case]) -> Vec<Finding> {
        let cases = cases.iter().filter(|case| self.judge.is_none() && case.expect.is_only_rubric());
        let finding = |case: &Case| {
            let place = format!("{path}:{} /expect/rubric", case.line);
            let message = "No judge decides by the rubric, so the case could not fail.";
            let help = "add another expectation, or a [judge] with a route to the suite";
            Finding::error("eval-case", place, message).help(help)
        };
        cases.take(FINDINGS_MAX).map(finding).collect()
    }

    /// Reads `NAME.toml`. The suite has no cases yet.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line.
    pub fn read_toml(name: &str, bytes: &[u8]) -> Result<Self, Vec<Finding>> {
        let file = format!("{FOLDER}/{name}.toml");
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let raw: Raw = read_toml_as(&file, "eval-suite", bytes).map_err(|finding| vec![finding])?;
        let mut reading = Reading { file: &file, bytes, findings: Vec::new() };
        let suite = reading.suite(name, raw);
        if reading.findings.is_empty() { Ok(suite) } else { Err(reading.findings) }
    }
}

struct Reading<'a> {
    file: &'a str,
    bytes: &'a [u8],
    findings: Vec<Finding>,
}

impl Reading<'_> {
    fn wrong(&mut self, span: &Range<usize>, message: String, help: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            let place = format!("{}:{}", self.file, position(self.bytes, span.start).0);
            self.findings.push(Finding::error("eval-suite", place, message).help(help));
        }
    }

    /// A name that is not empty, and not long.
    fn name(&mut self, what: &str, value: Spanned<String>) -> String {
        let span = value.span();
        let value = value.into_inner();
        if value.trim().is_empty() || value.len() > NAME_BYTES_MAX || value.chars().any(char::is_control) {
            let help = format!("write a name of 1 to {NAME_BYTES_MAX} bytes");
            self.wrong(&span, format!("`{what} = \"{}\"` is not possible.", shown(&value)), help);
        }
        value
    }

    fn whole(&mut self, what: &str, value: &Spanned<i64>, most: u64) -> u64 {
        let found = u64::try_from(*value.get_ref()).ok().filter(|n| (1..=most).contains(n));
        found.unwrap_or_else(|| {
            let message = format!("`{what} = {}` is not possible.", value.get_ref());
            self.wrong(&value.span(), message, format!("write a number from 1 to {most}"));
            1
        })
    }

    fn metric(&mut self, span: &Range<usize>, name: &str) -> Option<Metric> {
        match name.parse() {
            Ok(metric) => Some(metric),
            Err(help) => {
                self.wrong(span, format!("There is no metric `{}`.", shown(name)), help);
                None
            }
        }
    }

    fn threshold(&mut self, span: &Range<usize>, metric: Metric, bound: &RawBound) -> Threshold {
        let (min, max) = (bound.min.map(super::raw::Number::get), bound.max.map(super::raw::Number::get));
        let name = metric.name();
        if min.is_none() && max.is_none() {
            self.wrong(span, format!("`{name}` has no bound."), "write { min = 0.9 } or { max = 0 }");
        }
        for bound in [min, max].into_iter().flatten() {
            let most = if metric.unit() == Unit::Share { 1.0 } else { f64::MAX };
            if !(0.0..=most).contains(&bound) {
                let help = match metric.unit() {
                    Unit::Share => "write a number from 0 to 1",
                    _ => "write a number that is not negative",
                };
                self.wrong(span, format!("`{name}` cannot be {bound}."), help);
            }
        }
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let message =
                format!("Nothing can be at least {min} and at most {max}: `{name}` would always be broken.");
            self.wrong(span, message, "exchange the two, or remove one");
        }
        Threshold { metric, min, max }
    }

    /// The line of a value; 1 without one.
    fn line<T>(&self, value: Option<&Spanned<T>>) -> usize {
        value.map_or(1, |value| position(self.bytes, value.span().start).0)
    }

    fn suite(&mut self, name: &str, raw: Raw) -> Suite {
        let lines = Lines {
            feature: self.line(Some(&raw.feature)),
            prompt: self.line(raw.prompt.as_ref()),
            route: self.line(raw.route.as_ref()),
            judge: self.line(raw.judge.as_ref().map(|judge| &judge.route)),
            thresholds: self.line(raw.thresholds.keys().min_by_key(|name| name.span().start)),
        };
        let gate = Gate {
            definitions: raw.gate.definitions.unwrap_or(Gate::default().definitions),
            content: raw.gate.content.unwrap_or(Gate::default().content),
        };
        let locale_span = raw.locale.as_ref().map_or(0..0, Spanned::span);
        let mut optional = |what: &str, value: Option<Spanned<String>>| value.map(|v| self.name(what, v));
        let prompt = optional("prompt", raw.prompt);
        let variable = optional("variable", raw.variable);
        let route = optional("route", raw.route);
        let locale = optional("locale", raw.locale);
        if let Some(locale) = locale.as_ref().filter(|locale| Locale::new(locale.as_str()).is_err()) {
            let message = format!("`locale = \"{}\"` is not possible.", shown(locale));
            self.wrong(&locale_span, message, "write a locale such as en or de-AT");
        }
        let metrics: Vec<Metric> =
            raw.metrics.iter().filter_map(|metric| self.metric(&metric.span(), metric.get_ref())).collect();
        let mut thresholds = Vec::new();
        for (metric, bound) in &raw.thresholds {
            if let Some(found) = self.metric(&metric.span(), metric.get_ref()) {
                thresholds.push(self.threshold(&bound.span(), found, bound.get_ref()));
            }
        }
        let cost = raw.caps.cost.and_then(|cost| match cost.get_ref().parse() {
            Ok(money) => Some(money),
            Err(_) => {
                let message = format!("`cost = \"{}\"` is not possible.", shown(cost.get_ref()));
                self.wrong(&cost.span(), message, "write a decimal number in quotes, such as \"1.50\"");
                None
            }
        });
        let schedule = raw.schedule.and_then(|schedule| {
            let found = Schedule::NAMES.into_iter().find(|(name, _)| name == schedule.get_ref());
            if found.is_none() {
                let message = format!("`schedule = \"{}\"` is not possible.", shown(schedule.get_ref()));
                self.wrong(&schedule.span(), message, "write \"weekly\", \"daily\" or \"off\"");
            }
            found.map(|(_, schedule)| schedule)
        });
        let seconds = raw.caps.seconds.map(|seconds| self.whole("seconds", &seconds, 86_400));
        let feature = self.name("feature", raw.feature);
        let judge = raw.judge.map(|judge| JudgeRoute {
            route: self.name("route", judge.route),
            feature: judge.feature.map_or_else(|| feature.clone(), |name| self.name("feature", name)),
        });
        let samples = raw.samples.map_or(1, |samples| self.whole("samples", &samples, SAMPLES_MAX.into()));
        Suite {
            name: name.to_owned(),
            description: raw.description,
            owner: self.name("owner", raw.owner),
            feature,
            prompt,
            variable: variable.unwrap_or_else(|| "question".to_owned()),
            route,
            locale,
            metrics,
            thresholds,
            samples: u32::try_from(samples).unwrap_or(1),
            schedule,
            caps: Caps { cost, seconds },
            gate,
            lines,
            judge,
            labels: Vec::new(),
            cases: Vec::new(),
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
