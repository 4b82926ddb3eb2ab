//! `eval compare`.

use std::{path::Path, process::ExitCode};

use ashlar_evals::{compare::Comparison, report::Summary};

use super::{failed, shown};
use crate::{args::Format, error::Done, output};

pub fn compare(before: &Path, after: &Path, format: Format) -> Done {
    let before = Summary::read(before).map_err(failed)?;
    let after = Summary::read(after).map_err(failed)?;
    let comparison = Comparison::of(&before, &after);
    match format {
        Format::Json => output::print_json(&comparison),
        Format::Human => shown::compared(&comparison),
    }
    Ok(if comparison.critical_regressions.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
