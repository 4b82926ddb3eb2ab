//! The command line `ashlar`: commands, progress, reports. Every command is a thin door on an action or a read.

mod against;
mod args;
mod backend;
mod commands;
mod error;
mod hints;
mod isolation;
mod memory;
mod output;
mod project;
mod session;
mod target;
mod words;
mod writing;

use std::{process::ExitCode, time::Duration};

use serde_json::json;

fn main() -> ExitCode {
    if let Some(ended) = isolation::child() {
        return ended;
    }
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let serves = cli.serves();
    if serves {
        memory::share_arenas();
        ashlar_server::raise_open_files();
    }
    output::set_manner(output::Manner { color: cli.color, quiet: cli.quiet });
    output::start_logging(cli.log_filter());
    isolation::start();
    if serves {
        memory::give_back();
    }
    // Another part of the process may have chosen a provider; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let threads = cli.threads();
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = match builder.enable_all().worker_threads(threads).build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("could not start: {e}");
            return ExitCode::from(3);
        }
    };
    let format = cli.format();
    let done = runtime.block_on(commands::run(cli));
    // Work that was left behind must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_millis(500));
    isolation::end();
    match done {
        Ok(code) => code,
        Err(error) => error.report(format),
    }
}

/// Help and versions go to standard output; wrong usage is reported to people, or to programs when they asked for JSON.
fn usage(error: &clap::Error) -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let json = args.iter().any(|a| a == "--format=json")
        || args.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json");
    if json && error.use_stderr() {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let help = "see `ashlar help`, or add --help to the command";
        output::print_json(
            &json!({"error": {"code": "usage", "message": message, "help": help, "findings": []}}),
        );
        return ExitCode::from(2);
    }
    // The stream may be closed. Nothing can be reported then.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
