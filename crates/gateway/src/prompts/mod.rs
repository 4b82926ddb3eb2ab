//! Prompts: `prompts/NAME/vN.md`, `prompts.toml`, and what they render to.
//!
//! A version of a prompt never changes. `prompts.toml` says which version answers; without it the highest does. Text that others wrote
//! is rendered between marks that it cannot forge.

mod active;
mod choose;
mod front;
mod lint;
mod marks;
mod moves;
mod prompt;
mod read;
mod render;
mod tags;
mod template;

pub use self::{
    active::{Active, Flag, STATE_FILE},
    choose::{Chosen, Who, Why},
    marks::{MARKED, as_data},
    moves::{Moved, promote, roll_back},
    prompt::{
        Grounding, Params, Prompt, PromptError, PromptName, Prompts, Role, Rule, Variable, VariableType,
    },
    render::{CITE, Message, Rendered},
    template::RENDERED_BYTES_MAX,
};

/// The folder of prompts.
pub const FOLDER: &str = "prompts";
/// The folder of partials in it.
pub const PARTIALS: &str = "_partials";
/// The most prompts of a project.
pub const PROMPTS_MAX: usize = 500;
/// The most versions of a prompt.
pub const VERSIONS_MAX: usize = 1_000;
/// The most bytes of a version or a partial.
pub const FILE_BYTES_MAX: usize = 256 << 10;
/// The most variables of a prompt.
pub const VARIABLES_MAX: usize = 100;
/// The most messages of a prompt.
pub const MESSAGES_MAX: usize = 50;
/// The longest value of a text variable, in characters, when the prompt does not say.
pub const LENGTH_DEFAULT: usize = 8_000;
/// The longest value that a prompt can allow, in characters.
pub const LENGTH_MAX: usize = 200_000;
/// The most items of a list variable.
pub const ITEMS_MAX: usize = 1_000;
/// The most chunks that a prompt retrieves.
pub const CHUNKS_MAX: usize = 50;

#[cfg(test)]
mod tests;
