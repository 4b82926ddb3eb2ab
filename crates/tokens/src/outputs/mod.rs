//! What tokens are built into.

mod css;
mod json;
mod names;
mod native;
mod plan;
mod script;
mod sink;

use ashlar_model::Finding;

use crate::{Resolved, TokenSet};
pub use names::{attribute, css_name};
pub use plan::BuildOptions;
use plan::Plan;
use sink::Out;
pub use sink::Sink;

/// A form in which tokens are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Custom properties, with contexts as attributes and media queries: `tokens.css`.
    Css,
    /// Resolved values with their contexts, and the format itself without references: `tokens.json`, `tokens.dtcg.json`.
    Json,
    /// An ES module with types: `tokens.js`, `tokens.d.ts`.
    Ts,
    /// Variables and maps: `_tokens.scss`.
    Scss,
    /// SwiftUI: `Tokens.swift`.
    Swift,
    /// Jetpack Compose: `Tokens.kt`.
    Kotlin,
    /// A theme for Tailwind 4: `tailwind.css`.
    Tailwind,
}

impl Output {
    /// Every output with its word.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Css, "css"),
        (Self::Json, "json"),
        (Self::Ts, "ts"),
        (Self::Scss, "scss"),
        (Self::Swift, "swift"),
        (Self::Kotlin, "kotlin"),
        (Self::Tailwind, "tailwind"),
    ];

    /// The output with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(o, _)| *o)
    }
}

/// A file that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Its name.
    pub path: &'static str,
    /// Its text.
    pub text: String,
}

/// The most bytes of all outputs together, by estimate.
pub const OUTPUT_BYTES_MAX: u64 = 512 << 20;

/// Outputs that are ready to be written.
pub struct Build<'a> {
    plan: Plan<'a>,
    outputs: Vec<Output>,
    options: &'a BuildOptions,
}

impl<'a> Build<'a> {
    /// Plans the outputs. Names that would be the same in an output are findings, and the later one is left out. When the
    /// outputs would be too large, that is a finding, and none is written.
    pub fn new(
        resolved: &'a Resolved,
        set: &'a TokenSet,
        outputs: &[Output],
        options: &'a BuildOptions,
    ) -> (Self, Vec<Finding>) {
        let (plan, mut findings) = Plan::new(resolved, set, options);
        let mut outputs = outputs.to_vec();
        outputs.sort_unstable();
        outputs.dedup();
        let bytes = plan.bytes().saturating_mul(outputs.len() as u64);
        if bytes > OUTPUT_BYTES_MAX {
            let message = format!(
                "The outputs would have about {bytes} bytes, because every value is written in every combination of contexts; {OUTPUT_BYTES_MAX} are the most."
            );
            findings.push(
                Finding::error("token-output-size", set.name.clone(), message)
                    .help("build fewer outputs, or let fewer modifiers change the same tokens"),
            );
            outputs.clear();
        }
        (Self { plan, outputs, options }, findings)
    }

    /// Writes the outputs. Only a piece of them is in memory at a time.
    pub fn write(&self, sink: Sink<'_>) {
        let mut out = Out::new(sink);
        let plan = &self.plan;
        for output in &self.outputs {
            match output {
                Output::Css => css::css(plan, self.options, out.file("tokens.css")),
                Output::Json => {
                    let values = json::values(plan);
                    json::resolved(plan, &values, out.file("tokens.json"));
                    json::dtcg(plan, &values, out.file("tokens.dtcg.json"));
                }
                Output::Ts => {
                    script::module(plan, out.file("tokens.js"));
                    script::types(plan, out.file("tokens.d.ts"));
                }
                Output::Scss => script::scss(plan, out.file("_tokens.scss")),
                Output::Swift => out.file("Tokens.swift").push_str(&native::swift(plan)),
                Output::Kotlin => out.file("Tokens.kt").push_str(&native::kotlin(plan)),
                Output::Tailwind => out.file("tailwind.css").push_str(&css::tailwind(plan)),
            }
        }
        out.pass();
    }
}

/// Builds the outputs as whole texts; see [`Build`].
pub fn build(
    resolved: &Resolved,
    set: &TokenSet,
    outputs: &[Output],
    options: &BuildOptions,
) -> (Vec<OutputFile>, Vec<Finding>) {
    let (built, findings) = Build::new(resolved, set, outputs, options);
    let mut files: Vec<OutputFile> = Vec::new();
    built.write(&mut |path, piece| match files.last_mut().filter(|f| f.path == path) {
        Some(file) => file.text.push_str(piece),
        None => files.push(OutputFile { path, text: piece.to_owned() }),
    });
    (files, findings)
}
