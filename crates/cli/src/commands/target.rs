//! `use`: the target that a directory remembers.

use std::path::Path;

use serde_json::json;

use crate::{
    args::{Format, UseArgs},
    error::{CliError, Done, done},
    output,
    target::{self, Target},
};

/// Whether an address carries a password: `postgres://ann:secret@host/db`, or `?password=…`.
fn has_password(address: &str) -> bool {
    let Some((_, rest)) = address.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':'))
        || rest.to_ascii_lowercase().split_once('?').is_some_and(|(_, query)| {
            ["password=", "secret", "token=", "key="].iter().any(|word| query.contains(word))
        })
}

pub fn remember(args: &UseArgs) -> Done {
    let here = Path::new(".");
    let json_out = args.format == Format::Json;
    if args.clear {
        let file = target::forget(here)?;
        match (json_out, &file) {
            (true, _) => output::print_json(&json!({"target": null})),
            (false, Some(_)) => output::line("Removed the target of this directory."),
            (false, None) => output::line("This directory has no target."),
        }
        return done();
    }
    let target =
        Target { data: args.data.clone(), objects: args.objects.clone(), server: args.server.clone() };
    let named = target != Target::default();
    if named {
        for address in [&target.data, &target.objects, &target.server].into_iter().flatten() {
            if has_password(address) {
                return Err(CliError::input(
                    format!("{} contains a password; targets do not store secrets", output::public(address)),
                    "leave it out, and set ASHLAR_KEY for a server or PGPASSWORD for PostgreSQL",
                ));
            }
        }
        if let Some(server) = target.server.as_ref().filter(|s| !s.starts_with("http")) {
            let message = format!("`{server}` is not the address of a server");
            return Err(CliError::input(message, "write it as https://cms.example.com"));
        }
        target::remember(here, &target)?;
    }
    let Some(found) = target::find()? else {
        if json_out {
            output::print_json(&json!({"target": null}));
        } else {
            output::line("No target. Set one with `ashlar use --data DIR` or `ashlar use --server URL`.");
        }
        return done();
    };
    let file = found.file.display().to_string();
    if json_out {
        output::print_json(&json!({"target": found.target, "file": file}));
        return done();
    }
    output::line(format!("{}  {}", output::paint("Target:", "1"), found.target.name()));
    output::line(format!("        from {file}"));
    if found.target.server.is_some() {
        output::hint("The key is not stored. Set ASHLAR_KEY, or give --key.");
    }
    if let Some(data) = found.target.data.as_deref().filter(|d| !d.contains("://"))
        && !Path::new(data).join("state.db").is_file()
    {
        output::hint("There is no installation in it yet. `ashlar push DIR` creates it from a project.");
    }
    done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_seen() {
        for (address, expect) in [
            ("postgres://ann:secret@db/cms", true),
            ("postgres://ann@db/cms", false),
            ("postgres://db:5432/cms", false),
            ("postgres://db/cms?password=x", true),
            ("./data", false),
            ("https://cms.example/a:b@c", false),
        ] {
            assert_eq!(has_password(address), expect, "{address}");
        }
    }
}
