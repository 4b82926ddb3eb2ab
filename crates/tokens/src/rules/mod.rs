use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{Finding, nearest};

use crate::{
    Color, Combination, Config, Contrast, Resolved, Token, TokenSet, Type, Value, apca,
    config::{Motion, Severity, meant},
    contrast_ratio, delta_e_2000,
};

/// The most pairs of colours that one rule compares, in all contexts.
const COMPARED_MAX: u64 = 5_000_000;

/// What the rules found, and figures.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Figures by name.
    pub metrics: BTreeMap<String, f64>,
}

/// Checks tokens against the rules of their project. `used` contains the custom properties (without dashes) that templates
/// and style sheets of the project name; `None` when there are none that could.
pub fn check(
    set: &TokenSet,
    resolved: &Resolved,
    config: &Config,
    used: Option<&BTreeSet<String>>,
) -> Checked {
    let mut checker = Checker { set, resolved, config, out: Checked::default() };
    checker.layers();
    checker.naming();
    checker.caps();
    checker.near();
    checker.contrast();
    checker.targets();
    checker.motion();
    checker.unused(used);
    checker.deprecated();
    checker.media();
    let out = &mut checker.out;
    out.metrics.insert("tokens".into(), resolved.tokens.len() as f64);
    let combinations: f64 = resolved.modifiers.iter().map(|m| m.contexts.len() as f64).product();
    out.metrics.insert("combinations".into(), combinations);
    checker.out
}

/// What was compared.
struct Tally {
    pairs: usize,
    /// The least contrast, as a share of what is asked for.
    least: f64,
    judged: u64,
}

/// A colour on another one, which may not be opaque.
struct Layers<'a> {
    foreground: &'a Token,
    background: &'a Token,
    over: Option<&'a Token>,
}

impl Layers<'_> {
    /// The modifiers that change any of them.
    fn mask(&self) -> u32 {
        self.foreground.modifiers | self.background.modifiers | self.over.map_or(0, |o| o.modifiers)
    }
}

/// A contrast that is too low.
struct Low {
    ratio: f64,
    front: Color,
    back: Color,
    combination: Combination,
}

struct Checker<'a> {
    set: &'a TokenSet,
    resolved: &'a Resolved,
    config: &'a Config,
    out: Checked,
}

impl<'a> Checker<'a> {
    fn error(&mut self, code: &str, token: &Token, message: String, help: impl Into<String>) {
        self.out.findings.push(Finding::error(code, self.set.place_of_token(token), message).help(help));
    }

    fn rule(&mut self, word: &str, message: String, help: &str) {
        self.out
            .findings
            .push(Finding::error("token-config", format!("tokens.toml {word}"), message).help(help));
    }

    /// Every token that one of the names means; a name that matches none is reported.
    fn named(&mut self, rule: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a Token> {
        let mut found = Vec::new();
        for pattern in names {
            let before = found.len();
            match self.resolved.get(pattern) {
                Some(token) => found.push(token),
                None => found.extend(self.resolved.tokens.iter().filter(|t| meant(pattern, &t.name))),
            }
            if found.len() == before {
                self.rule(
                    rule,
                    format!("`{pattern}` names no token."),
                    "correct the name, or write `group.*` for all of a group",
                );
            }
        }
        found
    }

    fn layers(&mut self) {
        let resolved = self.resolved;
        let layers = &self.config.layers;
        for token in &resolved.tokens {
            let uses = || token.uses.iter().map(|u| &resolved.tokens[*u as usize]);
            if Config::is_in(&layers.base, token) {
                if let Some(used) = uses().next() {
                    let message = format!(
                        "`{}` is a base token and refers to `{}`: base tokens are raw values.",
                        token.name, used.name
                    );
                    self.error(
                        "token-layer",
                        token,
                        message,
                        format!("give it a value, or move it to `{}`", layers.semantic),
                    );
                }
            } else if Config::is_in(&layers.semantic, token) {
                if token.has_literal {
                    let message =
                        format!("`{}` has a raw value: semantic tokens only refer to others.", token.name);
                    self.error(
                        "token-raw",
                        token,
                        message,
                        format!("define the value under `{}` and refer to it", layers.base),
                    );
                }
                if let Some(used) = uses().find(|u| Config::is_in(&layers.component, u)) {
                    let message =
                        format!("`{}` refers to `{}`, a token of one component.", token.name, used.name);
                    self.error(
                        "token-layer",
                        token,
                        message,
                        "refer to a base token or another semantic one",
                    );
                }
            } else if Config::is_in(&layers.component, token) && token.has_literal {
                let message =
                    format!("`{}` has a raw value: tokens of components refer to semantic ones.", token.name);
                self.error(
                    "token-raw",
                    token,
                    message,
                    format!("refer to a token under `{}`", layers.semantic),
                );
            }
        }
    }

    fn naming(&mut self) {
        let Some(pattern) = &self.config.naming else { return };
        let Ok(regex) = regex::Regex::new(pattern) else { return };
        for token in &self.resolved.tokens {
            let Some(step) = token.name.split('.').find(|s| *s != "$root" && !regex.is_match(s)) else {
                continue;
            };
            let message =
                format!("`{step}` in `{}` does not follow the naming rule `{pattern}`.", token.name);
            self.error("token-naming", token, message, "rename it");
        }
    }

    fn caps(&mut self) {
        let resolved = self.resolved;
        for (what, cap) in &self.config.caps {
            let ty = Type::parse(what);
            let counted: Vec<&Token> = resolved
                .tokens
                .iter()
                .filter(|t| match ty {
                    Some(ty) => t.ty == ty && Config::is_in(&self.config.layers.base, t),
                    None => meant(&format!("{what}.*"), &t.name),
                })
                .collect();
            if ty.is_none() && counted.is_empty() {
                self.rule(
                    "[caps]",
                    format!("`{what}` is neither a type nor a group of tokens."),
                    "correct the name",
                );
            }
            if counted.len() > *cap
                && let Some(last) = counted.last()
            {
                let what = if ty.is_some() {
                    format!("base tokens of type {what}")
                } else {
                    format!("tokens in `{what}`")
                };
                let message = format!(
                    "There are {} {what}; the cap is {cap}. `{}` is the last of them.",
                    counted.len(),
                    last.name
                );
                self.error(
                    "token-cap",
                    last,
                    message,
                    "use one that exists, or agree on a new cap in tokens.toml",
                );
            }
        }
    }

    /// Base colours that are almost the same. Colours are ordered by lightness: CIEDE2000 weighs a difference in lightness
    /// with at least 1/1.75, so that only neighbours have to be compared.
    fn near(&mut self) {
        let limit = self.config.near.delta_e;
        if limit <= 0.0 {
            return;
        }
        let mut colors: Vec<([f64; 3], f64, &Token)> = self
            .resolved
            .tokens
            .iter()
            .filter(|t| Config::is_in(&self.config.layers.base, t))
            .filter_map(|t| match self.resolved.default_value(t)? {
                Value::Color(c) => Some((c.lab(), c.alpha, t)),
                _ => None,
            })
            .collect();
        colors.sort_by(|a, b| a.0[0].total_cmp(&b.0[0]));
        let (mut left, mut reported) = (COMPARED_MAX, 0);
        for (at, (lab, alpha, token)) in colors.iter().enumerate() {
            for (other_lab, other_alpha, other) in
                colors[at + 1..].iter().take_while(|c| c.0[0] - lab[0] < limit * 1.75)
            {
                if left == 0 || reported >= crate::source::FINDINGS_MAX {
                    let message =
                        "The base colours are too many, or too much alike, to be compared all.".to_owned();
                    return self.error(
                        "token-near-duplicate",
                        token,
                        message,
                        "put fewer colours into the base layer, or set `near.delta_e = 0` in tokens.toml",
                    );
                }
                left -= 1;
                let excepted = self.config.near.except.iter().any(|[a, b]| {
                    (a.as_str(), b.as_str()) == (&*token.name, &*other.name)
                        || (b.as_str(), a.as_str()) == (&*token.name, &*other.name)
                });
                let difference = delta_e_2000(*lab, *other_lab);
                if excepted || difference >= limit || (alpha - other_alpha).abs() > 0.01 {
                    continue;
                }
                reported += 1;
                // Reported at the one that stands further down: it is probably the newer one.
                let (first, second) =
                    if token.place() <= other.place() { (token, other) } else { (other, token) };
                let message = format!(
                    "`{}` is almost the same colour as `{}`: ΔE2000 is {difference:.2}, and at least {limit} is asked for.",
                    second.name, first.name
                );
                self.error(
                    "token-near-duplicate",
                    second,
                    message,
                    format!("use `{}`, or add the pair to `near.except` in tokens.toml", first.name),
                );
            }
        }
    }

    fn color(&self, token: &Token, combination: u64) -> Option<&'a Color> {
        match self.resolved.value(token, combination)? {
            Value::Color(color) => Some(color),
            _ => None,
        }
    }

    fn contrast(&mut self) {
        let mut tally = Tally { pairs: 0, least: f64::INFINITY, judged: 0 };
        for rule in &self.config.contrast {
            let over =
                rule.over.as_deref().map(|name| self.named("[[contrast]] over", std::iter::once(name)));
            let over = over.and_then(|o| o.first().copied());
            let foregrounds = self.named("[[contrast]] foreground", rule.foreground.iter());
            let backgrounds = self.named("[[contrast]] background", rule.background.iter());
            for foreground in &foregrounds {
                for background in &backgrounds {
                    let layers = Layers { foreground, background, over };
                    tally.judged = tally.judged.saturating_add(self.resolved.variants(layers.mask()));
                    if tally.judged > COMPARED_MAX {
                        let message = format!(
                            "`{}` on `{}` cannot be judged: the pairs and contexts of these rules are more than {COMPARED_MAX} together.",
                            foreground.name, background.name
                        );
                        return self.rule(
                            "[[contrast]]",
                            message,
                            "name fewer tokens, or tokens that fewer modifiers change",
                        );
                    }
                    let low = self.low_contrasts(rule, &layers, &mut tally);
                    self.report_contrast(rule, &layers, low);
                }
            }
        }
        self.out.metrics.insert("contrast_pairs".into(), tally.pairs as f64);
        if tally.least.is_finite() {
            let margin = (tally.least * 1000.0).round() / 1000.0;
            self.out.metrics.insert("contrast_least_margin".into(), margin);
        }
    }

    /// Where a contrast is too low.
    fn low_contrasts(&mut self, rule: &Contrast, layers: &Layers<'_>, tally: &mut Tally) -> Vec<Low> {
        let Layers { foreground, background, over } = layers;
        let mut low = Vec::new();
        for combination in self.resolved.combinations(layers.mask()) {
            let (Some(front), Some(back)) =
                (self.color(foreground, combination), self.color(background, combination))
            else {
                let message = format!(
                    "`{}` on `{}` cannot be judged with {}: both have to be colours there.",
                    foreground.name,
                    background.name,
                    self.resolved.shown(combination)
                );
                self.rule("[[contrast]]", message, "name colours");
                break;
            };
            let back = match over.and_then(|o| self.color(o, combination)) {
                Some(backdrop) => back.over(backdrop),
                None if back.alpha < 1.0 => {
                    let message =
                        format!("`{}` is not opaque, and nothing says what lies behind it.", background.name);
                    self.rule("[[contrast]]", message, "add `over = \"…\"`");
                    break;
                }
                None => *back,
            };
            let front = front.over(&back);
            let ratio = contrast_ratio(&front, &back);
            tally.pairs += 1;
            tally.least = tally.least.min(ratio / rule.ratio);
            if ratio < rule.ratio {
                low.push(Low { ratio, front, back, combination });
            }
        }
        low
    }

    fn report_contrast(&mut self, rule: &Contrast, layers: &Layers<'_>, mut low: Vec<Low>) {
        low.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
        let Some((Low { ratio, front, back, combination }, more)) = low.split_first() else { return };
        let also: Vec<String> = more.iter().take(3).map(|l| self.resolved.shown(l.combination)).collect();
        let also = match also.is_empty() {
            true => String::new(),
            false => format!(" It is also too low with {}.", also.join("; ")),
        };
        let message = format!(
            "`{}` on `{}` has a contrast of {ratio:.2} with {} ({} on {}); {} is asked for (APCA Lc {:.0}).{also}",
            layers.foreground.name,
            layers.background.name,
            self.resolved.shown(*combination),
            front.hex(),
            back.hex(),
            rule.ratio,
            apca(front, back)
        );
        let help = "make one of them darker or lighter in these contexts";
        self.error("token-contrast", layers.foreground, message, help);
    }

    fn targets(&mut self) {
        for rule in &self.config.target {
            for token in self.named("[[target]]", rule.tokens.iter()) {
                let small = token.variants.iter().find_map(|(combination, value)| {
                    match &self.resolved.values[*value as usize] {
                        Value::Dimension(d) => {
                            d.px().filter(|px| *px < rule.min).map(|px| (*combination, px))
                        }
                        _ => Some((*combination, f64::NAN)),
                    }
                });
                if let Some((combination, px)) = small {
                    let with = self.resolved.shown(combination);
                    let message = if px.is_nan() {
                        format!("`{}` is a target size and not a dimension.", token.name)
                    } else {
                        format!(
                            "`{}` is {px} px with {with}; a target has at least {} px.",
                            token.name, rule.min
                        )
                    };
                    self.error(
                        "token-target",
                        token,
                        message,
                        "WCAG 2.2 asks for 24 px (2.5.8), and 44 px at level AAA (2.5.5)",
                    );
                }
            }
        }
    }

    fn motion(&mut self) {
        for rule in &self.config.motion {
            let Motion { tokens, context, max_ms } = rule;
            let asked = context.split_once('=').and_then(|(m, c)| self.resolved.combination([(m, c)]));
            let Some(asked) = asked.filter(|a| *a != 0) else {
                self.rule(
                    "[[motion]]",
                    format!("`{context}` is no context other than a default one."),
                    "write modifier=context, such as \"motion=reduced\"",
                );
                continue;
            };
            for token in self.named("[[motion]]", tokens.iter()) {
                let long = self.resolved.combinations(token.modifiers).into_iter().find_map(|combination| {
                    // Every combination that holds the asked context.
                    let holds = self.resolved.restrict(combination, token.modifiers) == combination
                        && self
                            .resolved
                            .contexts(asked)
                            .all(|one| self.resolved.contexts(combination).any(|c| c == one));
                    let value = if holds { self.resolved.value(token, combination)? } else { return None };
                    let ms = match value {
                        Value::Duration(ms) => *ms,
                        Value::Transition(t) => t.duration + t.delay,
                        _ => return Some(f64::NAN),
                    };
                    (ms > *max_ms).then_some(ms)
                });
                let follows = self.resolved.contexts(asked).all(|(m, _)| {
                    self.resolved
                        .modifiers
                        .iter()
                        .position(|x| x.name == m)
                        .is_some_and(|at| token.modifiers & (1 << at) != 0)
                });
                let message = match long {
                    Some(ms) if ms.is_nan() => {
                        format!("`{}` is neither a duration nor a transition.", token.name)
                    }
                    Some(ms) => {
                        format!("`{}` lasts {ms} ms with {context}; {max_ms} ms are the most.", token.name)
                    }
                    None if !follows => {
                        let still = match self.resolved.default_value(token) {
                            Some(Value::Duration(ms)) => *ms <= *max_ms,
                            _ => false,
                        };
                        if still {
                            continue;
                        }
                        format!("`{}` has no value of its own for {context}.", token.name)
                    }
                    None => continue,
                };
                self.error(
                    "token-motion",
                    token,
                    message,
                    format!("give it a short value in the context {context}"),
                );
            }
        }
    }

    fn unused(&mut self, used: Option<&BTreeSet<String>>) {
        let level = self.config.unused;
        if level == Severity::Off {
            return;
        }
        let mut referred = vec![false; self.resolved.tokens.len()];
        for token in &self.resolved.tokens {
            for other in &token.uses {
                referred[*other as usize] = true;
            }
        }
        let named = |token: &Token| {
            let name = crate::css_name(&self.config.prefix, &token.name);
            used.is_some_and(|used| {
                used.iter().any(|u| *u == name || u.strip_prefix(&name).is_some_and(|r| r.starts_with('-')))
            })
        };
        let unused: Vec<&Token> = self
            .resolved
            .tokens
            .iter()
            .zip(&referred)
            .filter(|(t, referred)| !**referred && Config::is_in(&self.config.layers.base, t) && !named(t))
            .map(|(t, _)| t)
            .collect();
        self.out.metrics.insert("unused".into(), unused.len() as f64);
        for token in unused {
            let place = self.set.place_of_token(token);
            let message = format!("Nothing uses `{}`.", token.name);
            let finding = match level {
                Severity::Error => Finding::error("token-unused", place, message),
                _ => Finding::warning("token-unused", place, message),
            };
            self.out.findings.push(finding.help("refer to it from a semantic token, or remove it"));
        }
    }

    /// A media query for a context that does not exist would choose nothing, without a word.
    fn media(&mut self) {
        for key in self.config.media.iter().flatten().map(|(key, _)| key) {
            let known = key.split_once('=').and_then(|(m, c)| self.resolved.combination([(m, c)]));
            if known.is_none() {
                let modifiers = self.resolved.modifiers.iter();
                let contexts: Vec<String> = modifiers
                    .flat_map(|m| m.contexts.iter().map(move |c| format!("{}={c}", m.name)))
                    .collect();
                let near = nearest(key, contexts.iter().map(String::as_str));
                let help = match near.or(contexts.first().map(String::as_str)) {
                    Some(near) => format!("write modifier=context, such as \"{near}\""),
                    None => "remove it: this set has no modifiers".to_owned(),
                };
                self.rule("[media]", format!("`{key}` is no context of this set."), &help);
            }
        }
    }

    fn deprecated(&mut self) {
        for token in &self.resolved.tokens {
            if token.deprecated.is_none()
                && let Some(used) = token
                    .uses
                    .iter()
                    .map(|u| &self.resolved.tokens[*u as usize])
                    .find(|u| u.deprecated.is_some())
            {
                let instead = used.deprecated.as_ref().and_then(|d| d.replaced_by.clone());
                let help = instead.map_or_else(
                    || "refer to what takes its place".to_owned(),
                    |i| format!("refer to `{i}`"),
                );
                let message = format!("`{}` refers to `{}`, which is deprecated.", token.name, used.name);
                let finding = Finding::warning("token-deprecated", self.set.place_of_token(token), message);
                self.out.findings.push(finding.help(help));
            }
            let Some(instead) = token.deprecated.as_ref().and_then(|d| d.replaced_by.as_ref()) else {
                continue;
            };
            if self.resolved.get(instead).is_none() {
                let message = format!("`{}` is replaced by `{instead}`, which is no token.", token.name);
                self.error("token-deprecated", token, message, "correct `replaced_by`");
            }
        }
    }
}
