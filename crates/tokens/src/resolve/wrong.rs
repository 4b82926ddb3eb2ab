//! What is wrong with values and references, and what is only noted.

use std::collections::BTreeMap;

use ashlar_model::Finding;

use super::combination::Combination;
use crate::source::{Def, TokenSet};

/// The most references that lead from one to the next.
pub const HOPS_MAX: usize = 100;

/// What is wrong with a value, and in which part of it.
pub(super) struct Wrong {
    pub(super) code: &'static str,
    pub(super) part: String,
    pub(super) message: String,
    pub(super) help: String,
    /// The combination in which it is wrong, in the digits of the modifiers that matter for it; `None` when it is wrong
    /// whatever the contexts are.
    pub(super) context: Option<(Combination, u32)>,
}

impl Wrong {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, part: String::new(), message: message.into(), help: String::new(), context: None }
    }

    /// Says in which combination of the modifiers in `mask` it is wrong; the message ends without a full stop then.
    pub(super) fn with(mut self, combination: Combination, mask: u32) -> Self {
        self.context = Some((combination, mask));
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    pub(super) fn inside(mut self, step: &str) -> Self {
        self.part = format!("/{step}{}", self.part);
        self
    }
}

/// What works and is not of the format: reported once per file and kind, with how often.
#[derive(Default)]
pub(super) struct Notes(BTreeMap<(&'static str, u32), (usize, String)>);

impl Notes {
    pub(super) fn add(&mut self, code: &'static str, def: &Def, shown: impl FnOnce() -> String) {
        let note = self.0.entry((code, def.layer)).or_insert_with(|| (0, shown()));
        note.0 += 1;
    }

    pub(super) fn findings(self, set: &TokenSet) -> Vec<Finding> {
        let tell = |((code, layer), (count, shown)): ((&'static str, u32), (usize, String))| {
            let file = set.layers.get(layer as usize).and_then(|(f, _)| set.files.get(*f as usize));
            let place = file.map_or_else(String::new, |f| f.path.clone());
            let times = if count == 1 { "one value".to_owned() } else { format!("{count} values") };
            let (message, help) = match code {
                "token-old-style" => (
                    format!("{times} in the older style, such as {shown}."),
                    "write objects, such as { \"value\": 16, \"unit\": \"px\" }, or colours with `colorSpace` and `components`",
                ),
                "token-part" => (
                    format!("{times} with a part that the format does not have, such as {shown}."),
                    "it stays in tokens.json and tokens.dtcg.json; other outputs leave it out",
                ),
                "token-unit" => (
                    format!("{times} with a unit that the format does not have, such as {shown}."),
                    "use px or rem; CSS gets the unit as it is, and rules cannot judge a length that depends on the window or the font",
                ),
                "token-range" => (
                    format!("{times} outside the range of the colour space, such as {shown}."),
                    "check the components",
                ),
                _ => (
                    format!("{times} of a type that the format does not have, such as {shown}."),
                    "other tools may leave these out",
                ),
            };
            Finding::warning(code, place, message).help(help)
        };
        self.0.into_iter().map(tell).collect()
    }
}

/// References that lead back to where they began, or that do not end.
pub(super) fn circle(names: &[&str]) -> Wrong {
    const SHOWN: usize = 12;
    let wrong = match (names.first(), names.last()) {
        (Some(first), Some(last)) if first == last => {
            let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(" → ");
            let rest = if names.len() > SHOWN { " → …" } else { "" };
            Wrong::new("token-cycle", format!("The references run in a circle: {shown}{rest}."))
        }
        _ => Wrong::new("token-cycle", format!("More than {HOPS_MAX} references lead from one to the next.")),
    };
    wrong.help("give one of them a value of its own")
}
