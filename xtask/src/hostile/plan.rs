//! What a run is asked for, and the run as its parts need it.

use std::{path::PathBuf, time::Duration};

use super::{
    cases,
    connections::Counts,
    corpus::{Case, SIZES},
    guard::Bounds,
    rig::{Limits, Result},
};
use crate::run;

/// What a run is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How long to attack.
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// Where the random choices start; the same seed sends the same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Connections of the hostile tenant.
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Only what starts like this: `templates`, `yaml/brackets`.
    #[arg(long)]
    pub only: Option<String>,
    /// Exactly this size, with exactly this seed: a case that a run has named.
    #[arg(long)]
    pub size: Option<usize>,
    /// Sends each case alone, goes on after failures, and lists them all.
    #[arg(long)]
    pub each: bool,
    /// With --each: so many times, each time with other seeds.
    #[arg(long, default_value_t = 1)]
    pub rounds: u64,
    /// Which sizes: small, limit, beyond, far.
    #[arg(long, value_delimiter = ',', default_value = "small,limit,beyond,far")]
    pub sizes: Vec<String>,
    /// Builds and attacks the debug profile.
    #[arg(long)]
    pub debug: bool,
    /// Attacks this binary instead of building one.
    #[arg(long)]
    pub binary: Option<PathBuf>,
    /// The bound on resident memory of the server and its children, in MB.
    #[arg(long, default_value_t = 2_048)]
    pub memory_mb: u64,
    /// Seconds that the server gives a request; an answer may come ten seconds later.
    #[arg(long, default_value_t = 20)]
    pub request_seconds: u64,
    /// Where cases that broke something are written.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Lists the generators.
    #[arg(long)]
    pub list: bool,
}

/// A run as the parts need it.
pub struct Plan {
    pub binary: PathBuf,
    pub limits: Limits,
    pub bounds: Bounds,
    pub seed: u64,
    pub time: Duration,
    pub attackers: usize,
    pub counts: Counts,
    pub only: Option<String>,
    pub exact: Option<usize>,
    pub rounds: u64,
    pub sizes: Vec<usize>,
    pub out: PathBuf,
}

impl Plan {
    /// The cases of one round.
    pub fn cases(&self, round: u64) -> Vec<Case> {
        let wanted = |case: &Case| self.only.as_ref().is_none_or(|o| case.is(o));
        if let Some(size) = self.exact {
            let seed = self.seed.wrapping_add(round);
            let all = cases::generators().map(|generator| Case { generator, size, seed });
            return all.filter(wanted).collect();
        }
        let all = cases::cases(self.seed.wrapping_add(round), &self.sizes).into_iter().filter(wanted);
        // Later rounds are for what happens between other cases.
        if round == 0 { cases::worst_first(all.collect()) } else { all.collect() }
    }
}

pub fn plan(options: &Options) -> Result<Plan> {
    let binary = match &options.binary {
        Some(binary) => binary.canonicalize()?,
        None if options.debug => run::binary()?,
        None => run::dist_binary()?,
    };
    let sizes = options.sizes.iter().map(|name| {
        let at = SIZES.iter().position(|s| s == name);
        at.ok_or_else(|| format!("`{name}` is not a size; there are {}", SIZES.join(", ")))
    });
    Ok(Plan {
        binary,
        limits: Limits {
            address_bytes: 6 << 30,
            stack_bytes: 8 << 20,
            files: 4_096,
            request_seconds: options.request_seconds,
            shutdown_seconds: 5,
        },
        bounds: Bounds {
            read_max: Duration::from_secs(2),
            read_p99: Duration::from_millis(if options.debug { 500 } else { 100 }),
            memory_bytes: options.memory_mb << 20,
            disk_bytes: 8 << 30,
            children: 16,
            descriptors: 3_500,
        },
        seed: options.seed,
        time: Duration::from_secs_f64(options.minutes * 60.0),
        attackers: options.connections,
        counts: Counts { prefaces: 200, heads: 50, bodies: 50, unread: 20, windows: 5 },
        only: options.only.clone(),
        exact: options.size,
        rounds: options.rounds,
        sizes: sizes.collect::<std::result::Result<_, _>>()?,
        out: options.out.clone().unwrap_or_else(|| run::target().join("hostile")),
    })
}

/// The form that every test run includes: the debug build, a minute, the sizes at the bounds and far beyond them.
pub fn short(binary: PathBuf) -> Plan {
    Plan {
        binary,
        limits: Limits {
            address_bytes: 6 << 30,
            stack_bytes: 8 << 20,
            files: 1_024,
            request_seconds: 15,
            shutdown_seconds: 5,
        },
        bounds: Bounds {
            read_max: Duration::from_secs(5),
            read_p99: Duration::from_secs(1),
            memory_bytes: 1_536 << 20,
            disk_bytes: 2 << 30,
            children: 16,
            descriptors: 900,
        },
        seed: 1,
        time: Duration::from_secs(60),
        attackers: 4,
        counts: Counts { prefaces: 40, heads: 10, bodies: 10, unread: 5, windows: 2 },
        only: None,
        exact: None,
        rounds: 1,
        sizes: vec![1, 3],
        out: run::target().join("hostile"),
    }
}
