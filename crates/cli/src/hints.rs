//! Commands that are printed as a next step work as printed: they name the same place as the command that printed them.

use std::sync::OnceLock;

/// Options that say where a command works. Secrets are not among them.
const WHERE: [&str; 5] = ["--data", "--objects", "--cache", "--server", "--tenant"];

/// Commands that take no place.
const PLACELESS: [&str; 10] =
    ["use", "dev", "init", "check", "contracts", "tokens", "demo", "serve", "help", "completions"];

/// ` --data ./data`, as it was given; empty when variables say where.
pub fn place() -> &'static str {
    static PLACE: OnceLock<String> = OnceLock::new();
    PLACE.get_or_init(|| given(&std::env::args().collect::<Vec<_>>()))
}

fn given(args: &[String]) -> String {
    let mut out = String::new();
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if WHERE.contains(&name) => (name, Some(value)),
            _ if WHERE.contains(&arg.as_str()) => (arg.as_str(), rest.next().map(String::as_str)),
            // The key itself is not shown again.
            _ if arg == "--key" || arg.starts_with("--key=") => {
                if arg == "--key" {
                    rest.next();
                }
                out.push_str(" --key $ASHLAR_KEY");
                continue;
            }
            _ => continue,
        };
        if let Some(value) = value {
            out.push_str(&format!(" {name} {}", quoted(value)));
        }
    }
    out
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// A command with where it works: `ashlar candidate create --data ./data`.
pub fn command(text: &str) -> String {
    located(text, place())
}

fn located(text: &str, place: &str) -> String {
    let mut words = text.split(' ');
    let is_command = words.next() == Some("ashlar");
    let verb = words.next().unwrap_or_default();
    let named = WHERE.iter().any(|option| text.contains(option));
    match is_command && !verb.is_empty() && !PLACELESS.contains(&verb) && !named {
        true => format!("{text}{place}"),
        false => text.to_owned(),
    }
}

/// Text for people in which every command, in backticks or as the whole text, says where it works.
pub fn text(text: &str) -> String {
    in_text(text, place())
}

fn in_text(text: &str, place: &str) -> String {
    if place.is_empty() || !text.contains("ashlar ") {
        return text.to_owned();
    }
    if text.starts_with("ashlar ") && !text.contains('`') {
        // A command may be followed by a condition.
        let (whole, rest) =
            text.split_once(", ").map_or((text, String::new()), |(c, r)| (c, format!(", {r}")));
        return format!("{}{rest}", located(whole, place));
    }
    let parts: Vec<String> = text
        .split('`')
        .enumerate()
        .map(|(at, part)| if at % 2 == 1 { located(part, place) } else { part.to_owned() })
        .collect();
    parts.join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn commands_name_the_same_place() {
        let place = given(&args("ashlar candidate create --data ./data --as ines --tenant=acme"));
        assert_eq!(place, " --data ./data --tenant acme");
        assert_eq!(
            given(&args("ashlar entry list --server https://x --key ak_secret")),
            " --server https://x --key $ASHLAR_KEY"
        );
        assert_eq!(given(&args("ashlar check site")), "");
        let check = |said: &str, expect: &str| assert_eq!(in_text(said, " --data d"), expect);
        check("run `ashlar candidate create` again", "run `ashlar candidate create --data d` again");
        check(
            "ashlar candidate approve c1 --right pricing --as NAME",
            "ashlar candidate approve c1 --right pricing --as NAME --data d",
        );
        check("push first: `ashlar push DIR --data D`", "push first: `ashlar push DIR --data D`");
        check("`ashlar init DIR` makes one", "`ashlar init DIR` makes one");
        check("add `title`", "add `title`");
        assert_eq!(quoted("my data"), "'my data'");
        assert_eq!(quoted("my$data"), "'my$data'");
    }
}
