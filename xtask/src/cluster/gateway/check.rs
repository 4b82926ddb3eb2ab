//! What must hold after every round, once everything works again.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    super::rig::{Result, ask, json as read},
    known::{Called, Known, TOKENS_MAX, get},
    model::{Seen, TOKENS_IN},
    rig::{IN_PICO, LIMIT_PICO, OUT_PICO, Rig},
};

/// How long records may take to be stored after everything works again.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Calls of so long before a kill may have no record: half a second until they are stored, and the time that storing takes.
const LOST_BEFORE_KILL: Duration = Duration::from_millis(2_500);

/// What was found.
#[derive(Debug, Default, Clone, Copy)]
pub struct Told {
    /// Calls that the model saw.
    pub seen: usize,
    /// Calls that it saw and that have no record.
    pub missing: usize,
    /// The most that calls of a user cost.
    pub most_pico: u64,
}

/// A record, as far as it is compared.
struct Recorded {
    tokens: (u64, u64),
    cost: String,
    outcome: String,
    attempts: u64,
}

/// Compares the model, the records, the usage and the budgets.
pub fn check(rig: &Rig, known: &Known, round: u32) -> Result<Told> {
    alive(rig, round)?;
    let records = settled(rig)?;
    let (calls, seen) = (get(&known.calls).clone(), get(&rig.model.book).clone());
    let mut spent: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut told = Told::default();
    for (name, seen) in &seen {
        let Some(called) = calls.get(name) else { continue };
        told.seen += 1;
        match records.get(&called.trace) {
            Some(record) => agrees(called, seen, record)?,
            None if may_be_missing(known, called.node, seen.at) => told.missing += 1,
            None => {
                let node = &rig.nodes[called.node].name;
                return Err(
                    format!("the model saw `{name}` through {node}, which has no record of it").into()
                );
            }
        }
        if seen.whole {
            let cost = |out: u64| TOKENS_IN * IN_PICO + out * OUT_PICO;
            let (all, beyond) = spent.entry(&called.user).or_default();
            *all += cost(seen.tokens_out);
            *beyond += seen.beyond * OUT_PICO;
        }
    }
    for (user, (all, beyond)) in spent {
        told.most_pico = told.most_pico.max(all);
        // The bound: what calls used beyond their own reservations, and nothing else.
        if all > LIMIT_PICO + beyond {
            return Err(format!(
                "{user} spent {all} picounits, {beyond} of them beyond reservations; the budget is {LIMIT_PICO}"
            )
            .into());
        }
    }
    let most = rig.most_taken()?;
    // Only users whose calls exceed their reservations owe more than their limit.
    let owed = get(&rig.model.book).values().map(|seen| seen.beyond * OUT_PICO).sum::<u64>();
    if most > LIMIT_PICO + owed {
        return Err(format!("a budget has {most} picounits taken of {LIMIT_PICO}, and {owed} beyond").into());
    }
    Ok(told)
}

/// Every node answers a user whose budget is untouched.
fn alive(rig: &Rig, round: u32) -> Result<()> {
    let until = Instant::now() + SETTLE_MAX;
    for (number, node) in rig.nodes.iter().enumerate() {
        loop {
            let body = json!({
                "model": "counted", "max_tokens": TOKENS_MAX, "user": format!("after-{round}-{number}"),
                "messages": [{"role": "user", "content": "after the round"}],
            });
            let answer = ask(node.port, "POST", "/llm/v1/chat/completions", Some(&rig.key), Some(&body));
            match answer {
                Some(answer) if answer.status == 200 => break,
                _ if Instant::now() < until => std::thread::sleep(Duration::from_millis(200)),
                other => {
                    let said = other.map(|a| String::from_utf8_lossy(&a.body).into_owned());
                    return Err(format!("{} answers no call: {said:?}", node.name).into());
                }
            }
        }
    }
    Ok(())
}

/// All records, when their number has stopped growing and usage has the same number.
fn settled(rig: &Rig) -> Result<BTreeMap<String, Recorded>> {
    let until = Instant::now() + SETTLE_MAX;
    let mut before = None;
    loop {
        let (records, count, tokens) = all(rig)?;
        let usage = get_json(rig, "/llm/usage?by=feature")?;
        let total = |name: &str| -> u64 {
            let rows = usage["items"].as_array().or(usage.as_array());
            rows.into_iter().flatten().filter_map(|row| row[name].as_u64()).sum()
        };
        let used = (total("calls"), total("input_tokens") + total("output_tokens"));
        if used == (count, tokens) && before == Some(count) {
            return Ok(records);
        }
        if Instant::now() > until {
            return Err(format!("{count} records with {tokens} tokens, and usage says {used:?}").into());
        }
        before = Some(count);
        std::thread::sleep(Duration::from_millis(700));
    }
}

fn get_json(rig: &Rig, path: &str) -> Result<Value> {
    let answer = ask(rig.nodes[0].port, "GET", &format!("/api/v1{path}"), Some(&rig.admin), None);
    match answer {
        Some(answer) if answer.status == 200 => Ok(read(&answer)),
        other => {
            let said = other.map(|a| String::from_utf8_lossy(&a.body).into_owned());
            Err(format!("GET {path}: {said:?}").into())
        }
    }
}

/// Records by their trace, their number, and the sum of their tokens.
fn all(rig: &Rig) -> Result<(BTreeMap<String, Recorded>, u64, u64)> {
    let (mut records, mut count, mut tokens) = (BTreeMap::new(), 0, 0);
    let mut cursor = String::new();
    loop {
        let page = get_json(rig, &format!("/llm/calls?limit=500{cursor}"))?;
        for record in page["items"].as_array().into_iter().flatten() {
            let number = |name: &str| record[name].as_u64().unwrap_or(0);
            let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            count += 1;
            tokens += number("input_tokens") + number("output_tokens");
            let recorded = Recorded {
                tokens: (number("input_tokens"), number("output_tokens")),
                cost: text("cost"),
                outcome: text("outcome"),
                attempts: number("attempts"),
            };
            records.insert(text("trace"), recorded);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok((records, count, tokens)),
        }
    }
}

/// Picounits of a decimal number of units.
fn pico(text: &str) -> u64 {
    let (units, rest) = text.split_once('.').unwrap_or((text, ""));
    format!("{units}{rest:0<12}").parse().unwrap_or(u64::MAX)
}

/// A record agrees with what the model saw.
fn agrees(called: &Called, seen: &Seen, record: &Recorded) -> Result<()> {
    let wrong =
        |what: String| Err(format!("`{}` is recorded as {what}; the model saw {seen:?}", called.name).into());
    if record.attempts != 1 {
        return wrong(format!("sent {} times", record.attempts));
    }
    let cost = record.tokens.0 * IN_PICO + record.tokens.1 * OUT_PICO;
    if pico(&record.cost) != cost {
        return wrong(format!("{} for {:?} tokens", record.cost, record.tokens));
    }
    match record.outcome.as_str() {
        "ok" if !seen.whole || record.tokens != (TOKENS_IN, seen.tokens_out) => {
            wrong(format!("ok with {:?} tokens", record.tokens))
        }
        // The answer broke off, or nobody waited for it: at most what was reserved is charged.
        "ok" | "client_gone" | "upstream_closed" | "upstream_incomplete" | "upstream_timeout" => Ok(()),
        other => wrong(other.to_owned()),
    }
}

/// Whether a call may have been lost with a kill of its node.
fn may_be_missing(known: &Known, node: usize, at: Instant) -> bool {
    let severed = get(&known.severed).clone();
    get(&known.kills).iter().filter(|(killed, when)| *killed == node && *when >= at).any(|(_, when)| {
        // Records wait while the database cannot be reached.
        let mut from = *when - LOST_BEFORE_KILL;
        while let Some((_, begun, _)) = severed.iter().find(|(of, begun, until)| {
            *of == node && *until >= from && *begun <= *when && *begun - LOST_BEFORE_KILL < from
        }) {
            from = *begun - LOST_BEFORE_KILL;
        }
        at >= from
    })
}
