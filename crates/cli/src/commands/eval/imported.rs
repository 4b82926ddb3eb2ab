//! `eval import`.

use std::path::Path;

use ashlar_evals::{
    import::{About, Files, Imported, Matching, openai, promptfoo},
    suite::FOLDER,
};
use ashlar_model::Level;
use serde_json::json;

use super::files::{bounded, named, write};
use crate::{
    args::{EvalImportArgs, Format, ImportFrom, MatchingArg},
    backend,
    error::{CliError, Done, done},
    output, words,
};

/// The largest file that is imported, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Findings that people are shown.
const SHOWN_MAX: usize = 20;

pub fn import(args: EvalImportArgs) -> Done {
    named(&args.suite)?;
    let paths = [".toml", ".jsonl"].map(|end| args.out.join(FOLDER).join(format!("{}{end}", args.suite)));
    if let Some(there) = paths.iter().find(|path| path.exists() && !args.force) {
        let message = format!("{} exists", there.display());
        return Err(CliError::input(message, "choose another --suite, or replace it with --force"));
    }
    let about = About {
        name: args.suite.clone(),
        owner: args.owner.clone().unwrap_or_else(backend::default_actor),
        feature: args.feature.clone(),
        from: args.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let files = read(&args)?.into_suite(&about).map_err(|findings| {
        CliError::findings(format!("{} cannot be imported", args.file.display()), findings)
    })?;
    write(&paths[0], &files.toml)?;
    write(&paths[1], &files.jsonl)?;
    match args.format {
        Format::Json => output::print_json(&json!({
            "suite": args.suite, "cases": files.cases, "files": paths,
            "partial": files.findings.iter().any(|finding| finding.level == Level::Error), "findings": files.findings,
        })),
        Format::Human => show(&args, &paths[0], &files),
    }
    done()
}

fn read(args: &EvalImportArgs) -> Result<Imported, CliError> {
    let bytes = bounded(&args.file, FILE_BYTES_MAX)?;
    let name = args.file.display().to_string();
    let text = String::from_utf8(bytes)
        .map_err(|_| CliError::input(format!("{name} is not text in UTF-8"), "save the file as UTF-8"))?;
    match args.from {
        ImportFrom::Promptfoo => promptfoo(&name, &text)
            .map_err(|finding| CliError::findings(format!("{name} cannot be read"), vec![finding])),
        ImportFrom::OpenaiEvals => Ok(openai(
            &name,
            &text,
            match args.matching {
                MatchingArg::Match => Matching::Match,
                MatchingArg::Includes => Matching::Includes,
                MatchingArg::IncludesIgnoringCase => Matching::IncludesIgnoringCase,
                MatchingArg::Fuzzy => Matching::Fuzzy,
            },
        )),
    }
}

fn show(args: &EvalImportArgs, toml: &Path, files: &Files) {
    let cases = words::count(files.cases as u64, "case", "cases");
    output::line(format!("Wrote {cases} to {} and {}.jsonl.", toml.display(), args.suite));
    if files.findings.is_empty() {
        output::line("Everything was taken over.");
        return;
    }
    output::line("Not taken over, or not exactly:");
    for finding in files.findings.iter().take(SHOWN_MAX) {
        output::line(format!("  {}: {}", finding.place, finding.message));
        if !finding.help.is_empty() {
            output::line(format!("    → {}", finding.help));
        }
    }
    let more = files.findings.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        output::line(format!("  and {more} more; --format json lists all"));
    }
}
