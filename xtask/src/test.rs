//! Running tests with their peers.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    cluster, faults, hostile, peers,
    run::{binary, root, run, target},
    tidy,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Kill rounds per engine that belong to every test run.
const ROUNDS: u32 = 15;

/// Rounds of a cluster that belong to every test run.
const CLUSTER_ROUNDS: u32 = 4;
/// Rounds of three gateways that belong to every test run.
const GATEWAY_ROUNDS: u32 = 3;
/// How long clients act in each of them.
const CLUSTER_ROUND: Duration = Duration::from_secs(3);

/// Where tools are kept: beside builds that lie outside the checkout, else with them.
fn cache() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let beside = given.as_deref().and_then(Path::parent).map(Path::to_owned);
    beside.filter(|dir| dir.is_absolute() && *dir != root()).unwrap_or_else(target)
}

fn require_all() -> bool {
    std::env::var("ASHLAR_REQUIRE_ALL").is_ok_and(|v| v == "1")
}

/// A peer, or a plain word about its absence; absence fails when everything is required.
fn or_absent(name: &str, peer: Result<peers::Peer>) -> Result<Option<peers::Peer>> {
    match peer {
        Ok(peer) => {
            println!("{name}: {}", peer.address);
            Ok(Some(peer))
        }
        Err(error) if require_all() => Err(format!("{name} is required and absent: {error}").into()),
        Err(error) => {
            println!("{name}: absent ({error}); its tests say so and pass");
            Ok(None)
        }
    }
}

/// Runs every test.
pub fn test(filter: Option<&str>) -> Result<()> {
    tidy::tidy(false)?;
    peers::programs();
    let postgres = or_absent("PostgreSQL", peers::postgres())?;
    let s3 = or_absent("S3", peers::s3(&cache()))?;
    let mut cargo = Command::new("cargo");
    // One run shows every failure.
    cargo.args(["test", "--workspace", "--no-fail-fast"]).args(filter).current_dir(root());
    if let Some(peer) = &postgres {
        cargo.env("ASHLAR_TEST_POSTGRES", &peer.address);
    }
    if let Some(peer) = &s3 {
        cargo.env("ASHLAR_TEST_S3", &peer.address);
    }
    let clients = peers::clients(&cache());
    let embedders = clients
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|clients| peers::embedders(&cache(), clients).map_err(|error| error.to_string()));
    match embedders {
        Ok(dir) => drop(cargo.env("ASHLAR_TEST_EMBEDDERS", dir)),
        Err(error) if require_all() => {
            return Err(format!("embedding models are required and absent: {error}").into());
        }
        Err(error) => println!("embedding models: absent ({error}); their tests say so and pass"),
    }
    match clients {
        Ok(dir) => drop(cargo.env("ASHLAR_TEST_CLIENTS", dir)),
        Err(error) if require_all() => {
            return Err(format!("generators of clients are required and absent: {error}").into());
        }
        Err(error) => println!("generators of clients: absent ({error}); their tests say so and pass"),
    }
    let data = root().join("../shared/data");
    if data.is_dir() && std::env::var_os("ASHLAR_TEST_DATA").is_none() {
        cargo.env("ASHLAR_TEST_DATA", data.canonicalize()?);
    }
    if filter.is_none() {
        let binary = binary()?;
        faults::faults(&binary, None, ROUNDS, 1)?;
        if let Some(peer) = &postgres {
            faults::faults(&binary, Some(&peer.address), ROUNDS, 1)?;
        }
        if postgres.is_some() && s3.is_some() {
            let options = cluster::Options { rounds: CLUSTER_ROUNDS, seed: 1, round: CLUSTER_ROUND };
            cluster::run(&binary, &peers::s3_program(&cache())?, options)?;
        }
        if postgres.is_some() {
            let options = cluster::Options { rounds: GATEWAY_ROUNDS, seed: 1, round: CLUSTER_ROUND };
            cluster::gateway::run(&binary, options)?;
        }
        hostile::short(binary)?;
    }
    run(&mut cargo)
}

/// Runs kill rounds on both engines.
pub fn faults(rounds: u32, seed: u64) -> Result<()> {
    let binary = binary()?;
    faults::faults(&binary, None, rounds, seed)?;
    if let Some(peer) = or_absent("PostgreSQL", peers::postgres())? {
        faults::faults(&binary, Some(&peer.address), rounds, seed)?;
    }
    Ok(())
}

/// Runs rounds of a cluster whose parts fail.
pub fn cluster(binary: Option<PathBuf>, options: cluster::Options) -> Result<()> {
    let binary = binary.map_or_else(self::binary, Ok)?;
    cluster::run(&std::path::absolute(binary)?, &peers::s3_program(&cache())?, options)
}

/// Runs rounds of three nodes that answer calls of models while everything between them fails.
pub fn gateway(binary: Option<PathBuf>, options: cluster::Options) -> Result<()> {
    let binary = binary.map_or_else(self::binary, Ok)?;
    cluster::gateway::run(&std::path::absolute(binary)?, options)
}
