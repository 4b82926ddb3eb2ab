//! Token files, read with the rules beside them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use ashlar_model::{FILES_MAX, Finding, Level};
use ashlar_tokens::{CONFIG, Config, FILE_BYTES_MAX, Note, Resolved, SourceFile, TokenSet};

use crate::{error::CliError, words};

/// Tokens with the rules in the `tokens.toml` beside them.
pub struct Loaded {
    pub resolved: Resolved,
    pub set: TokenSet,
    pub config: Config,
    pub findings: Vec<Finding>,
}

fn read(path: &Path) -> Result<String, CliError> {
    let meta = std::fs::metadata(path).map_err(|e| CliError::file("read", path, &e))?;
    if meta.len() > FILE_BYTES_MAX as u64 {
        let message =
            format!("{} has {} bytes; a token file may have {FILE_BYTES_MAX}", path.display(), meta.len());
        return Err(CliError::input(message, "split it, and name the parts in a resolver document"));
    }
    let bytes = std::fs::read(path).map_err(|e| CliError::file("read", path, &e))?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        CliError::input(format!("{} is not UTF-8 text (first bad byte at offset {at})", path.display()), "")
    })
}

fn source(path: &Path) -> Result<SourceFile, CliError> {
    Ok(SourceFile { path: path.display().to_string(), text: read(path)? })
}

/// Files under a directory with one of these endings, sorted, hidden directories left out.
fn files_under(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, CliError> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for item in std::fs::read_dir(&dir).map_err(|e| CliError::file("read", &dir, &e))? {
            let item = item.map_err(|e| CliError::file("read", &dir, &e))?;
            let name = item.file_name().to_string_lossy().into_owned();
            let kind = item.file_type().map_err(|e| CliError::file("read", &item.path(), &e))?;
            if kind.is_dir() && !name.starts_with('.') && name != "node_modules" && name != "target" {
                open.push(item.path());
            } else if kind.is_file() && wanted(&name) {
                found.push(item.path());
            }
        }
        if found.len() > FILES_MAX {
            return Err(CliError::input(format!("more than {FILES_MAX} files"), "name a smaller directory"));
        }
    }
    found.sort();
    Ok(found)
}

fn of_resolver(path: &Path) -> Result<TokenSet, CliError> {
    let dir = path.parent().unwrap_or(Path::new(".")).to_owned();
    let fetch = move |relative: &str| read(&dir.join(relative)).map_err(|e| e.message);
    Ok(TokenSet::of_resolver(source(path)?, &fetch))
}

fn of_directory(dir: &Path) -> Result<TokenSet, CliError> {
    let tokens = if dir.join("ashlar.toml").is_file() { dir.join("tokens") } else { dir.to_owned() };
    if !tokens.is_dir() {
        return Err(CliError::input(
            format!("{} has no tokens", dir.display()),
            "put *.tokens.json under tokens/",
        ));
    }
    let resolvers = files_under(&tokens, &|name| name.ends_with(".resolver.json"))?;
    if let Some(resolver) = resolvers.first() {
        return of_resolver(resolver);
    }
    // A resolver document may also be beside the directory it describes.
    if let Some(name) =
        tokens.canonicalize().ok().and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()))
    {
        let parent = tokens.parent().filter(|p| !p.as_os_str().is_empty() && !tokens.ends_with(".."));
        let file = format!("{name}.resolver.json");
        let beside = parent.map_or_else(|| tokens.join("..").join(&file), |p| p.join(&file));
        if beside.is_file() {
            return of_resolver(&beside);
        }
    }
    let paths = files_under(&tokens, &|name| name.ends_with(".tokens.json"))?;
    if paths.is_empty() {
        return Err(CliError::input(
            format!("{} contains no *.tokens.json files", tokens.display()),
            "name a directory of token files, a resolver document, or one token file",
        ));
    }
    let files = paths.iter().map(|p| source(p)).collect::<Result<Vec<_>, _>>()?;
    Ok(TokenSet::of_files("", files))
}

pub fn load(src: &Path) -> Result<Loaded, CliError> {
    let meta = std::fs::metadata(src).map_err(|e| CliError::file("read", src, &e))?;
    let set = match meta.is_dir() {
        true => of_directory(src)?,
        false if src.to_string_lossy().ends_with(".resolver.json") => of_resolver(src)?,
        false => TokenSet::of_files("", vec![source(src)?]),
    };
    let dir = if meta.is_dir() { src } else { src.parent().unwrap_or(Path::new(".")) };
    let rules = [dir.join(CONFIG), dir.join("tokens").join(CONFIG), dir.join("..").join(CONFIG)]
        .into_iter()
        .find(|p| p.is_file());
    let text = rules.as_deref().map(read).transpose()?;
    let config = Config::parse(text.as_deref())
        .map_err(|finding| CliError::findings("tokens.toml cannot be used", vec![finding]))?;
    let (resolved, set, findings) = set.resolve();
    Ok(Loaded { resolved, set, config, findings })
}

/// Loads tokens that have no errors. Warnings stay among the findings.
pub fn load_whole(src: &Path) -> Result<Loaded, CliError> {
    let loaded = load(src)?;
    refuse(src, &loaded.findings)?;
    Ok(loaded)
}

/// An error with every finding of level error, if there is one.
pub fn refuse(src: &Path, findings: &[Finding]) -> Result<(), CliError> {
    let errors: Vec<Finding> = findings.iter().filter(|f| f.level == Level::Error).cloned().collect();
    if errors.is_empty() {
        return Ok(());
    }
    let count = words::count(errors.len(), "error", "errors");
    Err(CliError::findings(format!("the tokens in {} cannot be used: {count}", src.display()), errors))
}

/// The custom properties that the style sheets and templates of a project name, without dashes; `None` when it has none.
pub fn used(dir: &Path) -> Result<Option<BTreeSet<String>>, CliError> {
    let parts: Vec<PathBuf> =
        ["components", "site"].iter().map(|p| dir.join(p)).filter(|p| p.is_dir()).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let wanted = |name: &str| [".css", ".html", ".svg"].iter().any(|e| name.ends_with(e));
    let mut used = BTreeSet::new();
    for part in &parts {
        for path in files_under(part, &wanted)? {
            used.extend(ashlar_tokens::variables(&read(&path)?).map(|(_, name)| name.to_owned()));
        }
    }
    Ok(Some(used))
}

/// The change notes of a project.
pub fn notes(dir: &Path) -> Result<Vec<Note>, CliError> {
    let changes = dir.join("tokens").join("changes");
    if !changes.is_dir() {
        return Ok(Vec::new());
    }
    let mut notes = Vec::new();
    for path in files_under(&changes, &|name| name.ends_with(".md"))? {
        let shown = path.display().to_string();
        notes.push(
            Note::parse(&shown, &read(&path)?)
                .map_err(|why| CliError::input(format!("{shown}: {why}"), ""))?,
        );
    }
    Ok(notes)
}
