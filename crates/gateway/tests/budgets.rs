//! Budgets over several nodes, as a state machine: nodes reserve, settle, die and come back, the shared rows fail and lose answers, and
//! periods and limits change at any time. No limit is ever exceeded, except by what calls used beyond their own reservations.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::HashMap;

use ashlar_gateway::budget::{Granted, Held, Ledger, NotReserved, Reservation, Returned, Row, Wanted, grant};
use proptest::prelude::*;

const NODES: usize = 3;
const PERIODS: [&str; 3] = ["2026-11-21", "2026-11-22", "2026-11"];

/// The shared rows.
#[derive(Default)]
struct Rows(HashMap<Row, u64>);

impl Rows {
    fn exchange(&mut self, returned: &[Returned], wanted: &[Wanted]) -> Vec<Granted> {
        for back in returned {
            let used = self.0.get_mut(&back.row).unwrap();
            // What goes back was taken.
            *used = used.checked_sub(back.amount).unwrap();
        }
        let granted = |wanted: &Wanted| {
            let used = self.0.entry(wanted.row.clone()).or_default();
            let granted = grant(*used, wanted);
            *used = granted.used;
            granted
        };
        wanted.iter().map(granted).collect()
    }
}

#[derive(Debug, Clone, Copy)]
struct Open {
    node: usize,
    reservation: Reservation,
    row: (usize, usize),
    amount: u64,
}

#[derive(Debug, Clone)]
enum Step {
    /// A call reserves of a feature's budget in a period; it asks the rows when it must.
    Begin { node: usize, feature: usize, period: usize, amount: u64 },
    /// A call ends and used this share of its reservation, in percent.
    End { which: usize, percent: u64 },
    /// The background turn of a node.
    Turn { node: usize },
    /// An exchange that the rows carry out, but whose answer is lost.
    Lost { node: usize },
    /// The rows do not answer.
    Down { node: usize },
    /// A node dies with everything it has.
    Crash { node: usize },
    /// Time passes on a node.
    Wait { node: usize, millis: u64 },
    /// Everything of a node goes back.
    Close { node: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let node = || 0..NODES;
    prop_oneof![
        8 => (node(), 0..2_usize, 0..PERIODS.len(), 1_u64..400)
            .prop_map(|(node, feature, period, amount)| Step::Begin { node, feature, period, amount }),
        6 => (any::<usize>(), prop_oneof![6 => 0_u64..=100, 1 => 100_u64..300]).prop_map(|(which, percent)| Step::End { which, percent }),
        3 => node().prop_map(|node| Step::Turn { node }),
        1 => node().prop_map(|node| Step::Lost { node }),
        1 => node().prop_map(|node| Step::Down { node }),
        1 => node().prop_map(|node| Step::Crash { node }),
        2 => (node(), 0_u64..60_000).prop_map(|(node, millis)| Step::Wait { node, millis }),
        1 => node().prop_map(|node| Step::Close { node }),
    ]
}

const FEATURES: [(&str, u64); 2] = [("a", 1_000), ("b", 5_000)];

fn held(feature: usize, period: usize, amount: u64) -> Held<'static> {
    let (name, limit) = FEATURES[feature];
    Held {
        kind: "feature",
        feature: name,
        who: "",
        period: PERIODS[period],
        unit: "tokens",
        limit,
        soft: 800_000,
        amount,
    }
}

struct World {
    nodes: Vec<Ledger>,
    now: Vec<u64>,
    rows: Rows,
    open: Vec<Open>,
    /// Spent, and spent beyond reservations, for each row.
    spent: HashMap<(usize, usize), (u64, u64)>,
    /// What calls of dead nodes had reserved: they may have spent it.
    lost: HashMap<(usize, usize), u64>,
    crashed: bool,
}

impl World {
    fn new() -> Self {
        Self {
            nodes: (0..NODES).map(|_| Ledger::default()).collect(),
            now: vec![0; NODES],
            rows: Rows::default(),
            open: Vec::new(),
            spent: HashMap::new(),
            lost: HashMap::new(),
            crashed: false,
        }
    }

    fn exchange(&mut self, node: usize) {
        let (returned, wanted) = self.nodes[node].wanted(self.now[node]);
        let granted = self.rows.exchange(&returned, &wanted);
        self.nodes[node].granted(&wanted, &granted, self.now[node]);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Begin { node, feature, period, amount } => {
                for _ in 0..3 {
                    let held = held(feature, period, amount);
                    match self.nodes[node].reserve(&[held], self.now[node], &mut Vec::new()) {
                        Ok(reserved) => {
                            let open =
                                Open { node, reservation: reserved[0], row: (feature, period), amount };
                            self.open.push(open);
                            break;
                        }
                        Err(NotReserved::Ask) => self.exchange(node),
                        Err(_) => break,
                    }
                }
            }
            Step::End { which, percent } if !self.open.is_empty() => {
                let open = self.open.swap_remove(which % self.open.len());
                let used = open.amount * percent / 100;
                let (spent, beyond) = self.spent.entry(open.row).or_default();
                *spent += used;
                *beyond += used.saturating_sub(open.amount);
                self.nodes[open.node].settle(open.reservation, used, self.now[open.node]);
            }
            Step::End { .. } => {}
            Step::Turn { node } => {
                self.nodes[node].tidy(self.now[node]);
                self.exchange(node);
            }
            Step::Lost { node } => {
                let (returned, wanted) = self.nodes[node].wanted(self.now[node]);
                self.rows.exchange(&returned, &wanted);
                self.nodes[node].failed(self.now[node]);
                self.crashed = true;
            }
            Step::Down { node } => {
                let (returned, _) = self.nodes[node].wanted(self.now[node]);
                self.nodes[node].failed(self.now[node]);
                self.crashed |= !returned.is_empty();
            }
            Step::Crash { node } => {
                self.nodes[node] = Ledger::default();
                let (dead, open): (Vec<Open>, Vec<Open>) =
                    self.open.iter().partition(|open| open.node == node);
                self.open = open;
                for open in dead {
                    *self.lost.entry(open.row).or_default() += open.amount;
                }
                self.crashed = true;
            }
            Step::Wait { node, millis } => self.now[node] += millis * 1_000_000,
            Step::Close { node } => {
                self.nodes[node].close();
                self.exchange(node);
            }
        }
    }

    fn check(&self) {
        for (feature, (name, limit)) in FEATURES.into_iter().enumerate() {
            for period in 0..PERIODS.len() {
                let row = (feature, period);
                let (spent, beyond) = self.spent.get(&row).copied().unwrap_or_default();
                let open: u64 = self.open.iter().filter(|open| open.row == row).map(|open| open.amount).sum();
                let all = spent + open + self.lost.get(&row).copied().unwrap_or_default();
                assert!(
                    all <= limit + beyond,
                    "{name} {period}: {all} of {limit}, {beyond} beyond reservations"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_limit_is_exceeded(steps in proptest::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
            world.check();
        }
        // In the end the rows say exactly what was spent, unless something died or was lost; then they say no less.
        while !world.open.is_empty() {
            world.run(Step::End { which: 0, percent: 50 });
        }
        for node in 0..NODES {
            world.now[node] += 1_000_000_000;
            world.exchange(node);
            world.nodes[node].close();
            world.exchange(node);
        }
        world.check();
        for (row, (spent, beyond)) in &world.spent {
            let held = held(row.0, row.1, 1);
            let key = Row { scope: format!("feature/{}", held.feature), period: held.period.to_owned(), unit: "tokens".to_owned() };
            let used = world.rows.0.get(&key).copied().unwrap_or_default();
            // A node that dies has not reported what calls used beyond their reservations.
            prop_assert!(used + beyond >= *spent, "{used} < {spent}");
            if !world.crashed {
                prop_assert_eq!(used, *spent);
            }
        }
    }
}

#[test]
fn a_node_that_dies_loses_at_most_an_eighth_of_what_remained() {
    let (mut rows, mut node) = (Rows::default(), Ledger::default());
    let call = Held { limit: 1_000_000, ..held(0, 0, 10) };
    for n in 0..20_000_u64 {
        loop {
            match node.reserve(&[call], n * 1_000, &mut Vec::new()) {
                Ok(reserved) => break node.settle(reserved[0], 10, n * 1_000),
                Err(why) => assert_eq!(why, NotReserved::Ask),
            }
            let (returned, wanted) = node.wanted(n * 1_000);
            let granted = rows.exchange(&returned, &wanted);
            node.granted(&wanted, &granted, n * 1_000);
        }
        let used = rows.0.values().sum::<u64>();
        let spent = (n + 1) * 10;
        assert!(used - spent <= (1_000_000 - spent) / 8 + 10, "{used} {spent}");
    }
}

#[test]
fn a_lower_limit_counts_at_once() {
    let (mut rows, mut node) = (Rows::default(), Ledger::default());
    let mut reserve = |limit: u64, amount: u64| -> Result<Reservation, NotReserved> {
        loop {
            match node.reserve(&[Held { limit, ..held(0, 0, amount) }], 0, &mut Vec::new()) {
                Err(NotReserved::Ask) => {
                    let (returned, wanted) = node.wanted(0);
                    let granted = rows.exchange(&returned, &wanted);
                    node.granted(&wanted, &granted, 0);
                }
                other => return other.map(|reserved| reserved[0]),
            }
        }
    };
    assert!(reserve(10_000, 800).is_ok());
    assert_eq!(reserve(1_000, 300), Err(NotReserved::Exceeded(0)));
    assert!(reserve(1_000, 200).is_ok());
    assert_eq!(reserve(1_000, 1), Err(NotReserved::Exceeded(0)));
    assert!(reserve(2_000, 1_000).is_ok());
}
