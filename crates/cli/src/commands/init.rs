//! `init`: an empty project.

use crate::{
    args::InitArgs,
    error::{CliError, Done, done},
    output,
    project::write_files,
};

pub fn init(args: &InitArgs) -> Done {
    let dir = &args.dir;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => std::path::absolute(dir)
            .ok()
            .and_then(|d| d.file_name().map(|n| n.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "site".to_owned()),
    };
    if dir.join("ashlar.toml").exists() {
        return Err(CliError::new(
            1,
            "project-exists",
            format!("{} is already a project", dir.display()),
            "choose another directory",
        ));
    }
    let files = ashlar_project::init::files(&name)
        .map_err(|e| CliError::input(e.to_string(), "choose a shorter name"))?;
    for (path, _) in files.iter() {
        if dir.join(path).exists() {
            let message = format!("{} exists already", dir.join(path).display());
            return Err(CliError::new(1, "file-exists", message, "choose an empty directory"));
        }
    }
    write_files(dir, &files)?;
    output::line(format!("A project in {}:", dir.display()));
    for (path, _) in files.iter() {
        output::line(format!("  {path}"));
    }
    output::hint(format!(
        "\nNext:  ashlar check {0}\n       ashlar push {0} --data ./data --content",
        dir.display()
    ));
    done()
}
