//! The command line `ashlar`: commands, progress, reports. Every command is a thin door on an action or a read.

mod args;
mod backend;
mod commands;
mod error;
mod output;
mod pages;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.serves() {
        pages::prefer_huge();
    }
    output::start_logging(cli.log.as_deref());
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
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(error) => error.report(format),
    }
}
