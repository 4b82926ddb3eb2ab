//! Developer chores: tests with their real peers, benchmarks, faults, style as a test.

mod bench;
mod faults;
mod peers;
mod run;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs every test, with PostgreSQL and an S3 server.
    Test {
        /// Only tests whose names contain this.
        filter: Option<String>,
    },
    /// Kills the binary at random moments and checks that nothing acknowledged is lost.
    Faults {
        /// Rounds per engine.
        #[arg(long, default_value_t = 200)]
        rounds: u32,
        /// Where the random moments start from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Measures; prints figures beside targets and yardsticks.
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Checks the rules of style that no compiler knows.
    Tidy,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Reads by key, beside nginx.
    Delivery {
        /// Options of this benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// One changed entry until its new body is served; rollback, diff, import, start, memory.
    Publish {
        /// How many entries.
        #[arg(long, default_value_t = 10_000)]
        entries: usize,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test { filter } => run::test(filter.as_deref()),
        Command::Faults { rounds, seed } => run::faults(rounds, seed),
        Command::Bench { what: Bench::Delivery { args } } => bench::delivery::run(&args),
        Command::Bench { what: Bench::Publish { entries } } => bench::publish::run(entries),
        Command::Tidy => tidy::tidy(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
