use std::io::Write;

use base64::Engine;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha512};

use crate::{Bump, Config, Diff, OutputFile, Version};

/// An npm package: a tarball that is the same byte for byte whenever it is made of the same files.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// `package.json` as an object; the registry shows it.
    pub manifest: Map<String, Json>,
    /// The gzipped tarball.
    pub tarball: Vec<u8>,
}

impl Package {
    /// The subresource integrity that npm checks: `sha512-…`.
    pub fn integrity(&self) -> String {
        format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(Sha512::digest(&self.tarball)))
    }

    /// The SHA-1 that Yarn 1 checks, in hex.
    pub fn shasum(&self) -> String {
        use sha1::Digest;
        sha1::Sha1::digest(&self.tarball).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The file name of the tarball, such as `tokens-1.2.0.tgz`.
    pub fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name.rsplit('/').next().unwrap_or_default(), self.version)
    }
}

/// What a path of the package leads to. Programs take the first condition that they know, so that `default` comes last.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Exported {
    File(&'static str),
    Typed { types: &'static str, default: &'static str },
}

/// `package.json`, its members in the order in which people and programs look for them.
fn package_json(fields: &[(&str, Json)], exports: &[(&str, Exported)]) -> serde_json::Result<String> {
    let mut out = String::from("{\n");
    for (name, value) in fields {
        out.push_str(&format!("  {}: {},\n", json!(name), value));
    }
    out.push_str("  \"exports\": {\n");
    for (at, (path, to)) in exports.iter().enumerate() {
        let comma = if at + 1 < exports.len() { "," } else { "" };
        out.push_str(&format!("    {}: {}{comma}\n", json!(path), serde_json::to_string(to)?));
    }
    out.push_str("  }\n}\n");
    Ok(out)
}

/// Packs what was built. `changelog` is the text of `CHANGELOG.md`.
///
/// # Errors
/// When the archive cannot be written, which memory alone can cause.
pub fn pack(
    config: &Config,
    version: Version,
    files: &[OutputFile],
    changelog: &str,
) -> std::io::Result<Package> {
    let name = if config.name.is_empty() { "design-tokens".to_owned() } else { config.name.clone() };
    let has = |path: &str| files.iter().any(|f| f.path == path);
    let description = if config.description.is_empty() { "Design tokens." } else { &config.description };
    let mut fields = vec![
        ("name", json!(name)),
        ("version", json!(version.to_string())),
        ("description", json!(description)),
        ("type", json!("module")),
        ("sideEffects", json!(["*.css"])),
    ];
    let mut exports: Vec<(&str, Exported)> = Vec::new();
    if has("tokens.js") {
        fields.extend([("main", json!("./tokens.js")), ("types", json!("./tokens.d.ts"))]);
        exports.push((".", Exported::Typed { types: "./tokens.d.ts", default: "./tokens.js" }));
    }
    for (short, path) in [
        ("./css", "./tokens.css"),
        ("./json", "./tokens.json"),
        ("./dtcg", "./tokens.dtcg.json"),
        ("./scss", "./_tokens.scss"),
        ("./tailwind", "./tailwind.css"),
    ] {
        if has(&path[2..]) {
            exports.push((short, Exported::File(path)));
        }
    }
    exports.push(("./*", Exported::File("./*")));
    let package_json = package_json(&fields, &exports)?;
    let manifest: Map<String, Json> = serde_json::from_str(&package_json)?;
    let mut readme = format!("# {name}\n\n{description}\n\n");
    if has("tokens.css") {
        readme.push_str(&format!("    @import \"{name}/css\";\n\n"));
    }
    if has("tokens.js") {
        readme.push_str(&format!("    import {{ tokens, vars, token }} from \"{name}\";\n\n"));
    }
    readme.push_str("Made from design tokens; changes are made there, not here.\n");

    // Sorted, owned by nobody, of the day npm itself puts into what it packs: nothing here depends on when or where.
    let mut all: Vec<(&str, &str)> = files.iter().map(|f| (f.path, f.text.as_str())).collect();
    all.extend([
        ("package.json", package_json.as_str()),
        ("README.md", &readme),
        ("CHANGELOG.md", changelog),
    ]);
    all.sort_unstable();
    let encoder = flate2::GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), flate2::Compression::new(9));
    let mut archive = tar::Builder::new(encoder);
    for (path, text) in all {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(499_162_500);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, format!("package/{path}"), text.as_bytes())?;
    }
    let mut encoder = archive.into_inner()?;
    encoder.flush()?;
    Ok(Package { name, version, manifest, tarball: encoder.finish()? })
}

/// A change note: what somebody wrote beside their edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The file, `tokens/changes/….md`.
    pub path: String,
    /// What they say it asks.
    pub bump: Bump,
    /// What they say of it.
    pub text: String,
}

impl Note {
    /// Reads a note: front matter with `bump`, then the text.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(path: &str, text: &str) -> Result<Self, String> {
        let text = text.replace("\r\n", "\n");
        let form =
            || "A change note starts with `---`, `bump: patch`, `minor` or `major`, and `---`.".to_owned();
        let (head, body) =
            text.strip_prefix("---\n").and_then(|t| t.split_once("\n---\n")).ok_or_else(form)?;
        let bump = head.lines().find_map(|l| l.strip_prefix("bump:")).map(str::trim);
        let bump = match bump {
            Some("patch") => Bump::Patch,
            Some("minor") => Bump::Minor,
            Some("major") => Bump::Major,
            _ => return Err(form()),
        };
        if body.trim().is_empty() {
            return Err("The change note is empty.".to_owned());
        }
        Ok(Self { path: path.to_owned(), bump, text: body.trim().to_owned() })
    }

    /// The note as a file.
    pub fn render(&self) -> String {
        format!("---\nbump: {}\n---\n{}\n", self.bump.word(), self.text.trim())
    }
}

/// One version's part of the changelog: the notes in people's words, then what differs.
pub fn changelog(version: Version, notes: &[Note], diff: &Diff) -> String {
    let mut out = format!("## {version}\n\n");
    for note in notes {
        let mut lines = note.text.lines();
        out.push_str(&format!("- {}\n", lines.next().unwrap_or_default()));
        for line in lines {
            out.push_str(&format!("  {line}\n"));
        }
    }
    if !notes.is_empty() && !diff.changes.is_empty() {
        out.push('\n');
    }
    for bump in [Bump::Major, Bump::Minor, Bump::Patch] {
        let mut changes = diff.changes.iter().filter(|c| c.bump == bump).peekable();
        if changes.peek().is_none() {
            continue;
        }
        let head = match bump {
            Bump::Major => "Breaking",
            Bump::Minor => "New or different",
            _ => "Small",
        };
        out.push_str(&format!("### {head}\n\n"));
        for change in changes {
            let seen = if change.visual { " (seen)" } else { "" };
            out.push_str(&format!("- {}{seen}\n", change.message));
        }
        out.push('\n');
    }
    out
}
