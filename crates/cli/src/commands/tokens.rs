//! `tokens`: on files.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use ashlar_model::{FILES_MAX, Finding, Level};
use ashlar_tokens::{
    Build, Bump, CONFIG, Config, FILE_BYTES_MAX, Note, Output, Resolved, SourceFile, TokenSet, Version,
    build, changelog, check, diff, pack,
};
use serde_json::json;

use super::{Done, check::against, done};
use crate::{
    args::{BumpArg, Format, TokensCommand},
    error::CliError,
    output, words,
};

/// Tokens from somewhere, with the rules that lie beside them.
pub struct Loaded {
    pub resolved: Resolved,
    set: TokenSet,
    pub config: Config,
    findings: Vec<Finding>,
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
    // A resolver document may also stand beside the directory it describes.
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

fn load(src: &Path) -> Result<Loaded, CliError> {
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

/// Tokens without errors; warnings stay.
pub fn load_whole(src: &Path) -> Result<Loaded, CliError> {
    let loaded = load(src)?;
    refuse(src, &loaded.findings)?;
    Ok(loaded)
}

fn refuse(src: &Path, findings: &[Finding]) -> Result<(), CliError> {
    let errors: Vec<Finding> = findings.iter().filter(|f| f.level == Level::Error).cloned().collect();
    if errors.is_empty() {
        return Ok(());
    }
    let count = if errors.len() == 1 { "one error".to_owned() } else { format!("{} errors", errors.len()) };
    Err(CliError::findings(format!("the tokens in {} cannot be used: {count}", src.display()), errors))
}

fn warnings(findings: &[Finding]) {
    for finding in findings.iter().filter(|f| f.level == Level::Warning) {
        output::line(format!("{}  {}", output::paint("warning", "33"), finding.place));
        output::line(format!("         {}", finding.message));
        if !finding.help.is_empty() {
            output::line(format!("         → {}", finding.help));
        }
    }
}

fn write(out: &Path, name: &str, bytes: &[u8]) -> Result<(), CliError> {
    std::fs::create_dir_all(out).map_err(|e| CliError::file("make", out, &e))?;
    let path = out.join(name);
    std::fs::write(&path, bytes).map_err(|e| CliError::file("write", &path, &e))
}

/// Writes outputs as they are built; gives their names and sizes.
fn write_all(out: &Path, built: &Build<'_>) -> Result<Vec<(&'static str, usize)>, CliError> {
    std::fs::create_dir_all(out).map_err(|e| CliError::file("make", out, &e))?;
    let mut files: Vec<(&'static str, usize)> = Vec::new();
    let mut open: Result<Option<File>, CliError> = Ok(None);
    built.write(&mut |name, piece| {
        let Ok(file) = &mut open else { return };
        let path = out.join(name);
        let begun = files.last().is_some_and(|(last, _)| *last == name);
        let written = match file.as_mut().filter(|_| begun) {
            Some(file) => file.write_all(piece.as_bytes()),
            None => {
                files.push((name, 0));
                File::create(&path).and_then(|new| file.insert(new).write_all(piece.as_bytes()))
            }
        };
        match (written, files.last_mut()) {
            (Ok(()), Some((_, bytes))) => *bytes += piece.len(),
            (Ok(()), None) => {}
            (Err(e), _) => open = Err(CliError::file("write", &path, &e)),
        }
    });
    open.map(|_| files)
}

/// The custom properties that the style sheets and templates of a project name, without dashes; `None` when it has none.
fn used(dir: &Path) -> Result<Option<BTreeSet<String>>, CliError> {
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

pub async fn tokens(command: TokensCommand) -> Done {
    match command {
        TokensCommand::Build { src, out, outputs, prefix, format } => {
            let loaded = load_whole(&src)?;
            let mut wanted = Vec::new();
            for word in &outputs {
                let known = || Output::ALL.map(|(_, word)| word).join(", ");
                wanted.push(Output::parse(word.trim()).ok_or_else(|| {
                    CliError::input(format!("there is no output `{word}`"), format!("one of: {}", known()))
                })?);
            }
            if wanted.is_empty() {
                wanted = loaded.config.outputs();
            }
            let mut options = loaded.config.options(&loaded.resolved);
            if let Some(prefix) = prefix {
                options.prefix = prefix;
            }
            let (built, clashes) = Build::new(&loaded.resolved, &loaded.set, &wanted, &options);
            refuse(&src, &clashes)?;
            let files = write_all(&out, &built)?;
            std::mem::forget(built);
            let contexts: usize = loaded.resolved.modifiers.iter().map(|m| m.contexts.len()).product();
            if format == Format::Json {
                let written: Vec<_> =
                    files.iter().map(|(path, bytes)| json!({ "path": path, "bytes": bytes })).collect();
                output::print_json(&json!({
                    "tokens": loaded.resolved.tokens.len(), "combinations": contexts, "out": out, "files": written,
                    "findings": loaded.findings,
                }));
                std::mem::forget(loaded);
                return done();
            }
            warnings(&loaded.findings);
            for (path, length) in &files {
                output::line(format!("{:>9}  {}", bytes(*length), out.join(path).display()));
            }
            let count = loaded.resolved.tokens.len();
            output::line(format!(
                "{} {} in {}",
                output::paint("built", "32;1"),
                words::count(count, "token", "tokens"),
                words::count(contexts, "combination of contexts", "combinations of contexts")
            ));
            // The process ends here: giving back millions of small pieces of memory one by one would take longer than reading them.
            std::mem::forget(loaded);
            done()
        }
        TokensCommand::Check { src, format } => {
            let loaded = load(&src)?;
            let mut findings = loaded.findings;
            let (_, clashes) =
                build(&loaded.resolved, &loaded.set, &[], &loaded.config.options(&loaded.resolved));
            findings.extend(clashes);
            let used = if src.is_dir() { used(&src)? } else { None };
            let checked = check(&loaded.set, &loaded.resolved, &loaded.config, used.as_ref());
            findings.extend(checked.findings);
            findings.sort_by_key(|f| std::cmp::Reverse(f.level));
            let errors = findings.iter().filter(|f| f.level == Level::Error).count();
            if format == Format::Json {
                let status = if errors == 0 { "pass" } else { "fail" };
                output::print_json(
                    &json!({ "status": status, "findings": findings, "metrics": checked.metrics }),
                );
            } else {
                for finding in findings.iter().filter(|f| f.level == Level::Error) {
                    output::line(format!("{}  {}", output::paint("error", "31;1"), finding.place));
                    output::line(format!("       {}", finding.message));
                    output::line(format!("       → {}", finding.help));
                }
                warnings(&findings);
                let verdict =
                    if errors == 0 { output::paint("pass", "32;1") } else { output::paint("FAIL", "31;1") };
                let figure = |name: &str| checked.metrics.get(name).copied().unwrap_or_default();
                output::line(format!(
                    "{verdict}  {}, {}, {} judged, {}, {}",
                    words::figure(figure("tokens"), "token", "tokens"),
                    words::figure(
                        figure("combinations"),
                        "combination of contexts",
                        "combinations of contexts"
                    ),
                    words::figure(figure("contrast_pairs"), "contrast", "contrasts"),
                    words::count(errors, "error", "errors"),
                    words::count(findings.len() - errors, "warning", "warnings")
                ));
            }
            Ok(ExitCode::from(u8::from(errors > 0)))
        }
        TokensCommand::Diff { old, new, format } => {
            let (old, new) = (load_whole(&old)?, load_whole(&new)?);
            let diff = diff(&old.resolved, &new.resolved, &new.config.tolerance);
            if format == Format::Json {
                output::print_json(&diff);
                return done();
            }
            for change in &diff.changes {
                output::line(format!("{:6} {}", change.bump.word(), change.message));
            }
            output::line(format!("verdict {}", diff.verdict.word()));
            done()
        }
        TokensCommand::Pack { src, out, package_version, format } => {
            let loaded = load_whole(&src)?;
            let asked = package_version.as_deref().unwrap_or(&loaded.config.version);
            let version = Version::parse(asked)
                .ok_or_else(|| CliError::input(format!("`{asked}` is not a version"), "write 1.2.0"))?;
            let (files, clashes) = build(
                &loaded.resolved,
                &loaded.set,
                &loaded.config.outputs(),
                &loaded.config.options(&loaded.resolved),
            );
            refuse(&src, &clashes)?;
            let notes = notes(&src)?;
            let text =
                format!("# Changelog\n\n{}", changelog(version, &notes, &ashlar_tokens::Diff::default()));
            let package = pack(&loaded.config, version, &files, &text)
                .map_err(|e| CliError::new(3, "pack", format!("the package cannot be made: {e}"), ""))?;
            write(&out, &package.file_name(), &package.tarball)?;
            let path = out.join(package.file_name());
            if format == Format::Json {
                output::print_json(&json!({
                    "name": package.name, "version": version.to_string(), "path": path, "bytes": package.tarball.len(),
                    "integrity": package.integrity(),
                }));
            } else {
                warnings(&loaded.findings);
                output::line(format!("{:>9}  {}", bytes(package.tarball.len()), path.display()));
                output::line(format!(
                    "{} {}@{version}  {}",
                    output::paint("packed", "32;1"),
                    package.name,
                    package.integrity()
                ));
            }
            done()
        }
        TokensCommand::Diverge(args) => super::diverge::diverge(&args),
        TokensCommand::Change { dir, note, bump, against: named, format } => {
            let new = load_whole(&dir)?;
            let found = match bump {
                Some(_) => None,
                None => {
                    let kept = against(&dir, &named, None).await?;
                    let before = load_whole(&kept.path)?;
                    Some(diff(&before.resolved, &new.resolved, &new.config.tolerance).verdict)
                }
            };
            let bump = match (bump, found) {
                (Some(BumpArg::Patch), _) | (None, Some(Bump::Patch)) => Bump::Patch,
                (Some(BumpArg::Minor), _) | (None, Some(Bump::Minor)) => Bump::Minor,
                (Some(BumpArg::Major), _) | (None, Some(Bump::Major)) => Bump::Major,
                _ => {
                    return Err(CliError::input(
                        format!("the tokens are those of {named}"),
                        "change them first, or say --bump",
                    ));
                }
            };
            let words: Vec<String> = note
                .to_lowercase()
                .split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|w| !w.is_empty())
                .take(6)
                .map(str::to_owned)
                .collect();
            let changes = dir.join("tokens").join("changes");
            let slug = if words.is_empty() { "change".to_owned() } else { words.join("-") };
            let mut path = changes.join(format!("{slug}.md"));
            for n in 2..1000 {
                if !path.exists() {
                    break;
                }
                path = changes.join(format!("{slug}-{n}.md"));
            }
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let note = Note { path: format!("tokens/changes/{name}"), bump, text: note };
            write(&changes, &name, note.render().as_bytes())?;
            if format == Format::Json {
                output::print_json(&json!({ "path": path, "bump": bump }));
            } else {
                output::line(format!("{:6} {}", bump.word(), path.display()));
            }
            done()
        }
    }
}

/// The change notes of a project.
fn notes(dir: &Path) -> Result<Vec<Note>, CliError> {
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

fn bytes(n: usize) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        _ => format!("{:.1} MB", n as f64 / 1e6),
    }
}
