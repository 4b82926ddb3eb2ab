//! `tokens`: on files.

mod diverge;
mod source;

use std::{fs::File, io::Write, path::Path, process::ExitCode};

use ashlar_model::{Finding, Level};
use ashlar_tokens::{Build, Bump, Note, Output, Version, build, changelog, check, diff, pack};
use serde_json::json;

use self::source::{Loaded, load, load_whole, notes, refuse, used};
use crate::{
    against::against,
    args::{BumpArg, Format, TokensCommand},
    error::{CliError, Done, done},
    output, words,
};

pub async fn tokens(command: TokensCommand) -> Done {
    match command {
        TokensCommand::Build { src, out, outputs, prefix, format } => {
            build_files(&src, &out, &outputs, prefix, format)
        }
        TokensCommand::Check { src, format } => check_rules(&src, format),
        TokensCommand::Diff { old, new, format } => compare(&old, &new, format),
        TokensCommand::Pack { src, out, package_version, format } => {
            pack_files(&src, &out, package_version.as_deref(), format)
        }
        TokensCommand::Diverge(args) => diverge::diverge(&args),
        TokensCommand::Change { dir, note, bump, against, format } => {
            change(&dir, note, bump, &against, format).await
        }
    }
}

fn build_files(src: &Path, out: &Path, outputs: &[String], prefix: Option<String>, format: Format) -> Done {
    let loaded = load_whole(src)?;
    let mut wanted = outputs.iter().map(|word| output_named(word)).collect::<Result<Vec<_>, _>>()?;
    if wanted.is_empty() {
        wanted = loaded.config.outputs();
    }
    let mut options = loaded.config.options(&loaded.resolved);
    if let Some(prefix) = prefix {
        options.prefix = prefix;
    }
    let (built, clashes) = Build::new(&loaded.resolved, &loaded.set, &wanted, &options);
    refuse(src, &clashes)?;
    let files = write_all(out, &built)?;
    // The process ends soon: freeing millions of small pieces of memory one by one would take longer than reading them.
    std::mem::forget(built);
    let count = loaded.resolved.tokens.len();
    let contexts: usize = loaded.resolved.modifiers.iter().map(|m| m.contexts.len()).product();
    if format == Format::Json {
        let written: Vec<_> =
            files.iter().map(|(path, bytes)| json!({ "path": path, "bytes": bytes })).collect();
        output::print_json(&json!({
            "tokens": count, "combinations": contexts, "out": out, "files": written, "findings": loaded.findings,
        }));
    } else {
        warnings(&loaded.findings);
        for (path, length) in &files {
            output::line(format!("{:>9}  {}", bytes(*length), out.join(path).display()));
        }
        output::line(format!(
            "{} {} in {}",
            output::paint("built", "32;1"),
            words::count(count, "token", "tokens"),
            words::count(contexts, "combination of contexts", "combinations of contexts")
        ));
    }
    std::mem::forget(loaded);
    done()
}

fn output_named(word: &str) -> Result<Output, CliError> {
    Output::parse(word.trim()).ok_or_else(|| {
        let known = Output::ALL.map(|(_, word)| word).join(", ");
        CliError::input(format!("there is no output `{word}`"), format!("one of: {known}"))
    })
}

fn check_rules(src: &Path, format: Format) -> Done {
    let loaded = load(src)?;
    let mut findings = loaded.findings;
    let (_, clashes) = build(&loaded.resolved, &loaded.set, &[], &loaded.config.options(&loaded.resolved));
    findings.extend(clashes);
    let used = if src.is_dir() { used(src)? } else { None };
    let checked = check(&loaded.set, &loaded.resolved, &loaded.config, used.as_ref());
    findings.extend(checked.findings);
    findings.sort_by_key(|f| std::cmp::Reverse(f.level));
    let errors = findings.iter().filter(|f| f.level == Level::Error).count();
    if format == Format::Json {
        let status = if errors == 0 { "pass" } else { "fail" };
        output::print_json(&json!({ "status": status, "findings": findings, "metrics": checked.metrics }));
    } else {
        for finding in findings.iter().filter(|f| f.level == Level::Error) {
            output::line(format!("{}  {}", output::paint("error", "31;1"), finding.place));
            output::line(format!("       {}", finding.message));
            output::line(format!("       → {}", finding.help));
        }
        warnings(&findings);
        let verdict = if errors == 0 { output::paint("pass", "32;1") } else { output::paint("FAIL", "31;1") };
        let figure = |name: &str| checked.metrics.get(name).copied().unwrap_or_default();
        output::line(format!(
            "{verdict}  {}, {}, {} judged, {}, {}",
            words::figure(figure("tokens"), "token", "tokens"),
            words::figure(figure("combinations"), "combination of contexts", "combinations of contexts"),
            words::figure(figure("contrast_pairs"), "contrast", "contrasts"),
            words::count(errors, "error", "errors"),
            words::count(findings.len() - errors, "warning", "warnings")
        ));
    }
    Ok(ExitCode::from(u8::from(errors > 0)))
}

fn compare(old: &Path, new: &Path, format: Format) -> Done {
    let (old, new) = (load_whole(old)?, load_whole(new)?);
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

fn pack_files(src: &Path, out: &Path, version: Option<&str>, format: Format) -> Done {
    let loaded = load_whole(src)?;
    let asked = version.unwrap_or(&loaded.config.version);
    let version = Version::parse(asked)
        .ok_or_else(|| CliError::input(format!("`{asked}` is not a version"), "write 1.2.0"))?;
    let Loaded { resolved, set, config, .. } = &loaded;
    let (files, clashes) = build(resolved, set, &config.outputs(), &config.options(resolved));
    refuse(src, &clashes)?;
    let changes = changelog(version, &notes(src)?, &ashlar_tokens::Diff::default());
    let package = pack(config, version, &files, &format!("# Changelog\n\n{changes}"))
        .map_err(|e| CliError::new(3, "pack", format!("the package cannot be made: {e}"), ""))?;
    write(out, &package.file_name(), &package.tarball)?;
    let path = out.join(package.file_name());
    if format == Format::Json {
        output::print_json(&json!({
            "name": package.name, "version": version.to_string(), "path": path, "bytes": package.tarball.len(),
            "integrity": package.integrity(),
        }));
        return done();
    }
    warnings(&loaded.findings);
    output::line(format!("{:>9}  {}", bytes(package.tarball.len()), path.display()));
    output::line(format!(
        "{} {}@{version}  {}",
        output::paint("packed", "32;1"),
        package.name,
        package.integrity()
    ));
    done()
}

async fn change(dir: &Path, note: String, bump: Option<BumpArg>, named: &str, format: Format) -> Done {
    let new = load_whole(dir)?;
    let bump = match bump {
        Some(BumpArg::Patch) => Bump::Patch,
        Some(BumpArg::Minor) => Bump::Minor,
        Some(BumpArg::Major) => Bump::Major,
        None => {
            let before = against(dir, named, None).await?;
            let before = load_whole(&before.path)?;
            diff(&before.resolved, &new.resolved, &new.config.tolerance).verdict
        }
    };
    if bump == Bump::None {
        let message = format!("the tokens are the same as in {named}");
        return Err(CliError::input(message, "change them first, or give --bump"));
    }
    let changes = dir.join("tokens").join("changes");
    let name = free_name(&changes, &note);
    let path = changes.join(&name);
    let note = Note { path: format!("tokens/changes/{name}"), bump, text: note };
    write(&changes, &name, note.render().as_bytes())?;
    match format {
        Format::Json => output::print_json(&json!({ "path": path, "bump": bump })),
        Format::Human => output::line(format!("{:6} {}", bump.word(), path.display())),
    }
    done()
}

/// The name of a new note: its first words, with a number if there is such a note already.
fn free_name(changes: &Path, note: &str) -> String {
    let note = note.to_lowercase();
    let words = note.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let words: Vec<&str> = words.take(6).collect();
    let slug = if words.is_empty() { "change".to_owned() } else { words.join("-") };
    let numbered = (2..1000).map(|n| format!("{slug}-{n}.md"));
    let mut names = std::iter::once(format!("{slug}.md")).chain(numbered);
    names.find(|name| !changes.join(name).exists()).unwrap_or_else(|| format!("{slug}-1000.md"))
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
    std::fs::create_dir_all(out).map_err(|e| CliError::file("create", out, &e))?;
    let path = out.join(name);
    std::fs::write(&path, bytes).map_err(|e| CliError::file("write", &path, &e))
}

/// Writes outputs as they are built; gives their names and sizes.
fn write_all(out: &Path, built: &Build<'_>) -> Result<Vec<(&'static str, usize)>, CliError> {
    std::fs::create_dir_all(out).map_err(|e| CliError::file("create", out, &e))?;
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

fn bytes(n: usize) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        _ => format!("{:.1} MB", n as f64 / 1e6),
    }
}
