//! Examples for the help of every command that has none of its own.

use clap::{Command, CommandFactory, FromArgMatches};

use super::Cli;

/// A command by its words, and examples of it.
const EXAMPLES: [(&str, &str); 70] = [
    ("import", "ashlar import markdown ./docs --type doc --data ./data"),
    ("entry", "ashlar entry list page --pending --data ./data"),
    ("entry get", "ashlar entry get page home --locale en --data ./data"),
    ("entry list", "ashlar entry list page --pending --data ./data"),
    ("entry history", "ashlar entry history page home --data ./data"),
    ("entry unpublish", "ashlar entry unpublish page old-campaign --data ./data"),
    ("changeset", "ashlar changeset create spring --title 'Spring prices' --data ./data"),
    ("changeset create", "ashlar changeset create spring --title 'Spring prices' --data ./data"),
    ("changeset add", "ashlar changeset add spring page home --locale en --data ./data"),
    ("changeset remove", "ashlar changeset remove spring page home --locale en --data ./data"),
    ("changeset show", "ashlar changeset show spring --data ./data"),
    ("changeset list", "ashlar changeset list --data ./data"),
    ("changeset cancel", "ashlar changeset cancel spring --data ./data"),
    ("candidate", "ashlar candidate create --note 'New prices' --data ./data"),
    ("candidate create", "ashlar candidate create --changeset spring --data ./data"),
    ("candidate show", "ashlar candidate show c2 --data ./data"),
    ("candidate list", "ashlar candidate list --data ./data"),
    ("candidate gates", "ashlar candidate gates c2 --data ./data"),
    (
        "candidate waive",
        "ashlar candidate waive c2 --gate links --reason 'The page follows today' --data ./data",
    ),
    ("candidate discard", "ashlar candidate discard c2 --data ./data"),
    ("release", "ashlar release list --data ./data"),
    ("release list", "ashlar release list --data ./data"),
    ("release show", "ashlar release show r3 --data ./data"),
    ("release diff", "ashlar release diff r2 r3 --data ./data"),
    ("release verify", "ashlar release verify r3 --data ./data"),
    ("release export", "ashlar release export r3 --out r3.bundle --data ./data"),
    ("release import", "ashlar release import r3.bundle --data ./other"),
    ("llm", "ashlar llm usage --by feature,model --data ./data"),
    ("review", "ashlar review take --data ./data"),
    ("review list", "ashlar review list --state open --data ./data"),
    ("eval", "ashlar eval run --suite support --data ./data --out evals-out"),
    ("eval runs", "ashlar eval runs --suite support --server https://cms.example --key $KEY"),
    ("eval show", "ashlar eval show e7 --out report --server https://cms.example --key $KEY"),
    ("eval cancel", "ashlar eval cancel e7 --server https://cms.example --key $KEY"),
    ("assist", "ashlar assist status --data ./data"),
    ("assist summarise", "ashlar assist summarise doc-article tides --server https://cms.example"),
    ("assist classify", "ashlar assist classify doc-article tides --server https://cms.example"),
    ("assist suggest-links", "ashlar assist suggest-links doc-article tides --server https://cms.example"),
    (
        "assist summarise-audit-log",
        "ashlar assist summarise-audit-log --limit 20 --server https://cms.example",
    ),
    ("assist start", "ashlar assist start --data ./data"),
    ("assist status", "ashlar assist status --data ./data"),
    ("prompt", "ashlar prompt list --data ./data"),
    ("prompt list", "ashlar prompt list --data ./data"),
    ("channel", "ashlar channel list --data ./data"),
    ("channel list", "ashlar channel list --data ./data"),
    ("contracts", "ashlar contracts diff old/page.v1.json contracts/page.v1.json"),
    ("contracts validate", "ashlar contracts validate contracts/page.v1.json home.json"),
    ("search", "ashlar search 'high tide' --data ./data"),
    ("tokens", "ashlar tokens build . --out dist"),
    ("migrate", "ashlar migrate run to-v2.toml --dry-run --data ./data"),
    ("migrate run", "ashlar migrate run to-v2.toml --dry-run --data ./data"),
    ("migrate revert", "ashlar migrate revert 1 --data ./data"),
    ("migrate list", "ashlar migrate list --data ./data"),
    ("site", "ashlar site export ./public --data ./data"),
    ("audit", "ashlar audit verify --data ./data"),
    ("audit verify", "ashlar audit verify --data ./data"),
    ("audit list", "ashlar audit list --data ./data"),
    ("event", "ashlar event list --after 100 --data ./data"),
    ("event list", "ashlar event list --after 100 --data ./data"),
    ("webhook", "ashlar webhook list --data ./data"),
    ("key", "ashlar key create --name web --scope read --data ./data"),
    ("key list", "ashlar key list --data ./data"),
    ("key revoke", "ashlar key revoke ak_1a2b3c --data ./data"),
    ("tenant", "ashlar tenant create acme --host acme.example --data ./data"),
    ("tenant create", "ashlar tenant create acme --host acme.example --data ./data"),
    ("tenant list", "ashlar tenant list --data ./data"),
    ("schedule", "ashlar schedule list --data ./data"),
    ("schedule run", "ashlar schedule run --data ./data"),
    ("schedule list", "ashlar schedule list --data ./data"),
    ("gc", "ashlar gc --data ./data"),
];

/// Examples of `webhook` commands, which name a webhook.
const WEBHOOKS: [(&str, &str); 8] = [
    ("list", "ashlar webhook list --data ./data"),
    ("rm", "ashlar webhook rm wh_1a2b --data ./data"),
    ("on", "ashlar webhook on wh_1a2b --data ./data"),
    ("off", "ashlar webhook off wh_1a2b --why 'The receiver moves' --data ./data"),
    ("rotate", "ashlar webhook rotate wh_1a2b --data ./data"),
    ("test", "ashlar webhook test wh_1a2b --data ./data"),
    ("deliveries", "ashlar webhook deliveries wh_1a2b --state dead --data ./data"),
    ("replay", "ashlar webhook replay wh_1a2b --data ./data"),
];

fn example(path: &str) -> Option<&'static str> {
    let webhook = path.strip_prefix("webhook ").map(|verb| WEBHOOKS.iter().find(|(known, _)| *known == verb));
    let found = webhook.unwrap_or_else(|| EXAMPLES.iter().find(|(known, _)| *known == path));
    match path {
        "man" => Some("ashlar man /usr/local/share/man/man1"),
        "completions" => Some("ashlar completions bash > /etc/bash_completion.d/ashlar"),
        _ => found.map(|(_, example)| *example),
    }
}

fn completed(command: Command, path: &str) -> Command {
    let command = match (command.get_after_help(), example(path)) {
        (None, Some(example)) => command.after_help(format!("Example:\n  {example}")),
        _ => command,
    };
    command.mut_subcommands(|sub| {
        let path =
            if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
        completed(sub, &path)
    })
}

/// The whole command line, with an example in the help of every command.
pub fn command() -> Command {
    completed(Cli::command(), "")
}

/// Reads the arguments of this process.
///
/// # Errors
/// When they are not understood, or ask for help or the version.
pub fn parse() -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(command: &Command, path: &str, out: &mut Vec<String>) {
        // Commands that are hidden have no readers.
        for sub in command.get_subcommands().filter(|s| s.get_name() != "help" && !s.is_hide_set()) {
            let path = format!("{path} {}", sub.get_name());
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            if !help.starts_with("Example") {
                out.push(path.clone());
            }
            without(sub, &path, out);
        }
    }

    #[test]
    fn every_help_has_an_example_that_is_understood() {
        let whole = command();
        let mut missing = Vec::new();
        without(&whole, "", &mut missing);
        assert!(missing.is_empty(), "no example: {missing:?}");
        for (path, example) in EXAMPLES.iter().chain(&WEBHOOKS) {
            let words: Vec<String> =
                example.split('\'').enumerate().fold(Vec::new(), |mut words, (at, part)| {
                    match at % 2 {
                        0 => words.extend(part.split_whitespace().map(str::to_owned)),
                        _ => words.push(part.to_owned()),
                    }
                    words
                });
            let read = command().try_get_matches_from(words);
            assert!(read.is_ok(), "{path}: {:?}", read.err().map(|e| e.to_string()));
        }
    }
}
