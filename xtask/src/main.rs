//! Developer chores: tests with their real peers, benchmarks, faults, style as a test.

mod bench;
mod cluster;
mod disk;
mod faults;
mod hostile;
mod mutants;
mod peers;
mod random;
mod run;
mod test;
mod tidy;

use std::{path::PathBuf, process::ExitCode};

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
        /// Two authors, two workers and two edges on PostgreSQL and S3, and everything between them fails.
        #[arg(long)]
        cluster: bool,
        /// Three nodes that answer calls of models from one set of budgets on PostgreSQL, and everything between them fails.
        #[arg(long, conflicts_with = "cluster")]
        gateway: bool,
        /// With `--cluster` or `--gateway`, how long clients act in a round.
        #[arg(long, default_value_t = 4.0)]
        seconds: f64,
        /// With `--cluster` or `--gateway`, uses this binary instead of building one.
        #[arg(long)]
        binary: Option<PathBuf>,
    },
    /// Sends a hostile corpus to a server with two tenants; it must stay up, small and prompt.
    Hostile(hostile::Options),
    /// Measures; prints figures beside targets and yardsticks.
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Puts known bugs into the engine, one at a time, and checks that its tests find each. Each takes a build.
    Mutants {
        /// Only bugs whose name or file contains this.
        filter: Option<String>,
        /// What runs `test -p ashlar-release`.
        #[arg(long, default_value = "cargo")]
        cargo: String,
        /// Only lists them.
        #[arg(long)]
        list: bool,
    },
    /// Checks the rules of style that no compiler knows.
    Tidy {
        /// Without the exceptions that are still allowed.
        #[arg(long)]
        strict: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Reads by key, beside nginx and Varnish.
    Delivery {
        /// How many entries, each size in turn.
        #[arg(long, value_delimiter = ',', default_value = "10000,1000000")]
        entries: Vec<usize>,
        /// Seconds per peer and round.
        #[arg(long, default_value_t = 5)]
        seconds: u32,
        /// Rounds that count.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// A directory that keeps data sets for the next run.
        #[arg(long)]
        keep: Option<PathBuf>,
    },
    /// Views with includes and persisted operations, beside entries by key.
    Composed {
        /// Seconds per load.
        #[arg(long, default_value_t = 5)]
        seconds: u32,
    },
    /// Webhooks to a receiver that fails and dies, from a server that dies.
    Webhooks {
        /// How many deliveries.
        #[arg(long, default_value_t = 10_000)]
        count: usize,
    },
    /// Calls of a model through the gateway, beside LiteLLM and TensorZero.
    Gateway {
        /// Seconds for each figure.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Rounds that count.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Streams that are open at once at the end.
        #[arg(long, default_value_t = 5_000)]
        streams: usize,
        /// Another build of Ashlar to measure beside this one, instead of the other gateways.
        #[arg(long, value_name = "BINARY")]
        beside: Vec<PathBuf>,
        /// Sends so many calls instead, and shows what the server keeps of them.
        #[arg(long)]
        soak: Option<u64>,
        /// Measures calls of one tenant beside another that attacks, instead.
        #[arg(long)]
        neighbour: bool,
    },
    /// Eval suites, beside promptfoo.
    Evals {
        /// Rounds of the timed run.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// The first import of a Markdown tree.
    Import {
        /// How many documents.
        #[arg(long, default_value_t = 10_000)]
        documents: usize,
    },
    /// Search quality over judged sets, beside bm25s.
    Search {
        /// Measures a shelf of so many chunks instead: speed, memory, and recall of the quantised vectors.
        #[arg(long)]
        chunks: Option<usize>,
        /// Then also measures Qdrant's engine and bm25s over the same chunks.
        #[arg(long, requires = "chunks")]
        peers: bool,
    },
    /// Quoted answers and refusals, beside a threshold on the score of the search.
    Answers {
        /// Fits the weights first, and prints them.
        #[arg(long)]
        fit: bool,
    },
    /// Building design tokens, beside Style Dictionary and Terrazzo.
    Tokens {
        /// How many tokens, each size in turn.
        #[arg(long, value_delimiter = ',', default_value = "10000,100000")]
        tokens: Vec<usize>,
        /// Runs of each peer; ours are run several times as often.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// The largest set that is given to the peers.
        #[arg(long, default_value_t = 10_000)]
        peers_max: usize,
        /// A directory that keeps the sets and what was built of them.
        #[arg(long)]
        keep: Option<PathBuf>,
    },
    /// Reads of one tenant, alone and while another sends the worst of the hostile corpus.
    Neighbour {
        /// Seconds alone, and seconds beside the other, per round.
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
        /// Rounds.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Connections that read.
        #[arg(long, default_value_t = 4)]
        readers: usize,
        /// Microseconds between two reads of a connection.
        #[arg(long, default_value_t = 2_000)]
        pause_us: u64,
        /// Connections that attack.
        #[arg(long, default_value_t = 16)]
        attackers: usize,
        /// Where the corpus starts.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Measures this binary instead of building one.
        #[arg(long)]
        binary: Option<PathBuf>,
    },
    /// One changed entry until its new body is served; rollback, diff, import, start, memory.
    Publish {
        /// How many entries.
        #[arg(long, default_value_t = 10_000)]
        entries: usize,
        /// A directory that keeps data sets for the next run.
        #[arg(long)]
        keep: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test { filter } => test::test(filter.as_deref()),
        Command::Faults { rounds, seed, cluster, gateway, seconds, binary } if cluster || gateway => {
            let round = std::time::Duration::from_secs_f64(seconds.clamp(0.1, 3_600.0));
            let options = cluster::Options { rounds, seed, round };
            if gateway { test::gateway(binary, options) } else { test::cluster(binary, options) }
        }
        Command::Faults { rounds, seed, .. } => test::faults(rounds, seed),
        Command::Hostile(options) => hostile::run(&options),
        Command::Bench { what: Bench::Delivery { entries, seconds, rounds, keep } } => {
            let (entries, keep) = (&entries, keep.as_deref());
            bench::delivery::run(&bench::delivery::Options { entries, seconds, rounds, keep })
        }
        Command::Bench { what: Bench::Composed { seconds } } => bench::composed::run(seconds),
        Command::Bench { what: Bench::Webhooks { count } } => bench::webhooks::run(count),
        Command::Bench { what: Bench::Gateway { soak: Some(calls), .. } } => bench::gateway::soak::run(calls),
        Command::Bench { what: Bench::Gateway { neighbour: true, seconds, rounds, .. } } => {
            bench::gateway::neighbour::run(seconds, rounds)
        }
        Command::Bench { what: Bench::Gateway { seconds, rounds, streams, beside, .. } } => {
            bench::gateway::run(seconds, rounds, streams, &beside)
        }
        Command::Bench { what: Bench::Evals { rounds } } => bench::evals::run(rounds),
        Command::Bench { what: Bench::Import { documents } } => bench::import::run(documents),
        Command::Bench { what: Bench::Search { chunks: None, .. } } => bench::search::run(),
        Command::Bench { what: Bench::Search { chunks: Some(chunks), peers } } => {
            bench::shelf::run(chunks, peers)
        }
        Command::Bench { what: Bench::Answers { fit } } => bench::answers::run(fit),
        Command::Bench { what: Bench::Tokens { tokens, rounds, peers_max, keep } } => {
            bench::tokens::run(&tokens, rounds, peers_max, keep.as_deref())
        }
        Command::Bench {
            what: Bench::Neighbour { seconds, rounds, readers, pause_us, attackers, seed, binary },
        } => hostile::neighbour::run(&hostile::neighbour::Options {
            seconds,
            rounds,
            readers,
            pause_us,
            attackers,
            seed,
            binary,
        }),
        Command::Bench { what: Bench::Publish { entries, keep } } => {
            bench::publish::run(entries, keep.as_deref())
        }
        Command::Mutants { filter, cargo, list } => mutants::mutants(filter.as_deref(), &cargo, list),
        Command::Tidy { strict } => tidy::tidy(strict),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
