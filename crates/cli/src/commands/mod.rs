//! One module per group of commands.

mod access;
mod ask;
mod assist;
mod audit;
mod backup;
mod candidate;
mod changeset;
mod check;
mod contracts;
mod demo;
mod dev;
mod doctor;
mod entry;
mod eval;
mod import;
mod init;
mod llm;
mod migrate;
mod preview;
mod prompt;
mod pull;
mod push;
mod release;
mod review;
mod search;
mod serve;
mod site;
mod status;
mod target;
mod tokens;
mod upkeep;
mod webhook;

use std::path::Path;

use crate::{
    args::{self, Cli, Command},
    error::{CliError, Done, done},
    output,
};

/// Runs a command.
pub async fn run(cli: Cli) -> Done {
    match cli.command {
        Command::Init(args) => init::init(&args),
        Command::Check(args) => check::check(args).await,
        Command::Push(args) => push::push(&args).await,
        Command::Status(args) => status::status(args).await,
        Command::Use(args) => target::remember(&args),
        Command::Pull(args) => pull::pull(args).await,
        Command::Backup(args) => backup::backup(args).await,
        Command::Restore(args) => backup::restore(args).await,
        Command::Doctor(args) => doctor::doctor(args).await,
        Command::Dev(args) => dev::dev(args).await,
        Command::Import { command } => import::import(command).await,
        Command::Entry { command } => entry::entry(command).await,
        Command::Changeset { command } => changeset::changeset(command).await,
        Command::Candidate { command } => candidate::candidate(command).await,
        Command::Release { command } => release::release(command).await,
        Command::Prompt { command } => prompt::prompt(command).await,
        Command::Channel { command } => release::channel(command).await,
        Command::Contracts { command } => contracts::contracts(&command).await,
        Command::Search(args) => search::search(*args).await,
        Command::Ask(args) => ask::ask(*args).await,
        Command::Replay(args) => ask::replay(*args).await,
        Command::Llm { command } => llm::llm(command).await,
        Command::Review { command } => review::review(command).await,
        Command::Assist { command } => assist::assist(command).await,
        Command::Eval { command } => eval::eval(command).await,
        Command::Tokens { command } => tokens::tokens(command).await,
        Command::Preview { what, hours, at } => preview::preview(&what, hours, &at).await,
        Command::Site { command } => site::site(command).await,
        Command::Migrate { command } => migrate::migrate(command).await,
        Command::Audit { command } => audit::audit(command).await,
        Command::Event { command } => audit::event(command).await,
        Command::Key { command } => access::key(command).await,
        Command::Webhook { command } => webhook::webhook(command).await,
        Command::Tenant { command } => access::tenant(command).await,
        Command::Schedule { command } => upkeep::schedule(command).await,
        Command::Gc { at } => upkeep::gc(at).await,
        Command::Serve(args) => serve::serve(args).await,
        Command::Demo(args) => demo::demo(args).await,
        Command::Completions { shell } => {
            // Into memory first: the generator panics when its reader is gone.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut args::command(), "ashlar", &mut script);
            output::print(&String::from_utf8_lossy(&script));
            done()
        }
        Command::Man { dir } => man(&dir),
    }
}

/// Writes one man page per command.
fn man(dir: &Path) -> Done {
    std::fs::create_dir_all(dir).map_err(|e| CliError::file("create", dir, &e))?;
    clap_mangen::generate_to(args::command(), dir).map_err(|e| CliError::file("write to", dir, &e))?;
    done()
}
