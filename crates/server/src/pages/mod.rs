//! Pages for people and operators.

pub mod catalogue;
pub mod home;
pub mod operators;
pub mod preview;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
