//! The files of a new project.

use ashlar_model::{Files, FilesError};

/// A small project that passes `ashlar check`: one contract, one view, one page, and comments that say what goes where.
///
/// # Errors
/// Never for a name of reasonable length.
pub fn files(name: &str) -> Result<Files, FilesError> {
    let quoted = serde_json::Value::from(name).to_string();
    let mut files = Files::new();
    for (path, text) in [
        ("ashlar.toml", include_str!("init/ashlar.toml")),
        ("contracts/page.v1.json", include_str!("init/page.v1.json")),
        ("views/pages.v1.toml", include_str!("init/pages.v1.toml")),
        ("governance.toml", include_str!("init/governance.toml")),
        ("content/page/home.en.json", include_str!("init/home.en.json")),
        ("README.md", include_str!("init/README.md")),
        (".gitignore", "/.ashlar/\n"),
    ] {
        let text = text.replace("\"{{name}}\"", &quoted).replace("{{name}}", name);
        files.insert(path, text.into_bytes())?;
    }
    Ok(files)
}
