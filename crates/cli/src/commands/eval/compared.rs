//! `eval compare`.

use std::{path::Path, process::ExitCode};

use ashlar_evals::{compare::Comparison, report::Summary};

use super::shown;
use crate::{args::Format, error::Done, output};

pub fn compare(before: &Path, after: &Path, format: Format) -> Done {
    let before = Summary::read(before)?;
    let after = Summary::read(after)?;
    let comparison = Comparison::of(&before, &after);
    match format {
        Format::Json => output::print_json(&comparison),
        Format::Human => shown::compared(&comparison),
    }
    Ok(if comparison.is_regression() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
