//! The files of a project, as commands read and write them.

use std::path::Path;

use ashlar_model::{Files, Finding, Level};
use ashlar_project::{ContentOptions, Project, SeedEntry, content};

use crate::error::CliError;

/// Writes files below a directory.
pub fn write_files(dir: &Path, files: &Files) -> Result<(), CliError> {
    for (path, bytes) in files.iter() {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| CliError::file("create", parent, &e))?;
        }
        std::fs::write(&path, bytes).map_err(|e| CliError::file("write", &path, &e))?;
    }
    Ok(())
}

/// The definition files of a project; findings of level error stop.
pub fn read(dir: &Path) -> Result<Files, CliError> {
    let (files, findings) = Project::read(dir)
        .map_err(|e| CliError::input(e.to_string(), "create a project with `ashlar init DIR`"))?;
    let errors: Vec<Finding> = findings.into_iter().filter(|f| f.level == Level::Error).collect();
    match errors.is_empty() {
        true => Ok(files),
        false => Err(CliError::findings("the project cannot be read", errors)),
    }
}

/// The seed entries under content/.
pub fn read_content(dir: &Path, files: &Files) -> Result<Vec<SeedEntry>, CliError> {
    let options = content_options(files)?;
    let (contracts, _) = ashlar_contracts::ContractSet::load(files);
    let (list, mut findings) = content::list(dir);
    let mut entries = Vec::new();
    for file in list {
        match content::read(dir, &file.path)
            .map_err(|f| vec![f])
            .and_then(|b| content::parse(&file.path, &b, &options))
        {
            Ok(found) => entries.extend(found),
            Err(wrong) => findings.extend(wrong),
        }
    }
    findings.retain(|f| f.level == Level::Error);
    if findings.is_empty() {
        findings = ashlar_gates::shared_findings(dir, &contracts, &options, &entries);
    }
    match findings.is_empty() {
        true => Ok(entries),
        false => Err(CliError::findings("content cannot be read; nothing was written", findings)),
    }
}

/// What reading content needs to know of a project.
pub fn content_options(files: &Files) -> Result<ContentOptions, CliError> {
    let config = ashlar_project::read_config(files)
        .map_err(|f| CliError::findings("ashlar.toml cannot be used", f))?;
    let (contracts, _) = ashlar_contracts::ContractSet::load(files);
    let body_fields = contracts
        .iter()
        .filter(|c| c.is_type())
        .filter_map(|c| {
            let field =
                c.markdown_fields().iter().find_map(|p| p.strip_prefix('/').filter(|p| !p.contains('/')))?;
            Some((c.name.name.clone(), field.to_owned()))
        })
        .collect();
    Ok(ContentOptions {
        default_locale: config.locales.default.clone(),
        body_fields,
        locales: config.locales.clone(),
    })
}
