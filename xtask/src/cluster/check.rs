//! What must hold after every round, once everything works again.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    clients::{Known, Planned, get, sequence},
    rig::{Node, Result, Rig, ask, json as read},
};
use crate::random::Random;

/// How long a schedule may stay due, and nodes may differ, after everything works again.
const CONVERGE_MAX: Duration = Duration::from_secs(60);
/// How long the cache may answer something old: purges that failed are sent again at growing intervals.
const FRESH_MAX: Duration = Duration::from_secs(120);
/// Releases that are verified per round.
const VERIFIED: usize = 2;
/// Entries that are searched for on each edge per round.
const SEARCHED: usize = 5;

/// Checks everything that was acknowledged.
pub fn check(rig: &Rig, known: &Known, random: &mut Random) -> Result<()> {
    schedules(rig, known)?;
    let (release, moves) = release(rig, random)?;
    converge(rig, &release, moves)?;
    drafts(rig, known, random)?;
    served(rig, known)?;
    fresh(rig, known)?;
    found(rig, known, random)?;
    releases(rig, known, random, &release)?;
    keys(rig, known)?;
    for author in rig.authors() {
        let audit = must(rig, author, "GET", "/audit/verify", None)?;
        if audit["holds"] != true {
            return Err(format!("the audit chain does not hold: {audit}").into());
        }
    }
    Ok(())
}

/// A request that must succeed now; tried again for a while when the answer says that something is busy.
fn must(rig: &Rig, node: &Node, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let limit = rig.disk.limit(CONVERGE_MAX);
    loop {
        let answer = ask(node.port, method, &format!("/api/v1{path}"), Some(&rig.key), body);
        match &answer {
            Some(a) if (200..300).contains(&a.status) => return Ok(read(a)),
            Some(a) if (400..500).contains(&a.status) && !matches!(a.status, 408 | 429) => {
                let said = String::from_utf8_lossy(&a.body);
                return Err(format!("{}: {method} {path}: {} {said}", node.name, a.status).into());
            }
            _ if !limit.passed() => std::thread::sleep(Duration::from_millis(200)),
            other => {
                let said = other.as_ref().map(|a| String::from_utf8_lossy(&a.body).into_owned());
                return Err(format!("{}: {method} {path}: {said:?}", node.name).into());
            }
        }
    }
}

/// Every schedule that was acknowledged ran, and its take-down too.
fn schedules(rig: &Rig, known: &Known) -> Result<()> {
    let limit = rig.disk.limit(CONVERGE_MAX);
    let planned: Vec<(String, Planned)> =
        get(&known.planned).iter().map(|(name, p)| (name.clone(), p.clone())).collect();
    for (name, plan) in planned {
        let expected = if plan.ends { "ended" } else { "published" };
        loop {
            let shown = must(rig, &rig.authors()[0], "GET", &format!("/changesets/{name}"), None)?;
            if shown["state"] == expected {
                break;
            }
            if shown["state"] == "failed" || limit.passed() {
                return Err(format!("the changeset {name} should be {expected}: {shown}").into());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        get(&known.planned).remove(&name);
        let mut entries = get(&known.entries);
        for (id, title) in plan.entries {
            entries.insert(id, vec![if plan.ends { String::new() } else { title }]);
        }
    }
    Ok(())
}

/// Releases everything that is pending; the release and the number of its move.
fn release(rig: &Rig, random: &mut Random) -> Result<(String, u64)> {
    let limit = rig.disk.limit(CONVERGE_MAX);
    loop {
        let authors = rig.authors();
        let (one, two) = (&authors[random.index(2)], &authors[random.index(2)]);
        let made = must(rig, one, "POST", "/candidates", Some(&json!({})))?;
        let candidate = made["candidate"].as_str().unwrap_or_default();
        if made["status"] != "passed" {
            return Err(format!("a candidate of valid entries did not pass: {made}").into());
        }
        let path = format!("/candidates/{candidate}/promote");
        match must(rig, two, "POST", &path, Some(&json!({}))) {
            Ok(done) => {
                let release = done["release"].as_str().unwrap_or_default().to_owned();
                let moves = sequence(two.port, &rig.key).ok_or("an author tells no moves")?;
                return Ok((release, moves));
            }
            // An action of this round was still on its way.
            Err(error) if !limit.passed() && error.to_string().contains("superseded") => {}
            Err(error) => return Err(error),
        }
    }
}

/// All nodes serve the same release, by the same move.
fn converge(rig: &Rig, release: &str, moves: u64) -> Result<()> {
    let limit = rig.disk.limit(CONVERGE_MAX);
    for node in &rig.nodes {
        loop {
            let home = ask(node.port, "GET", "/v1/entries/page/home", None, None);
            let shown = home.and_then(|a| a.header("ashlar-release"));
            let at = sequence(node.port, &rig.key);
            if shown.as_deref() == Some(release) && at == Some(moves) {
                break;
            }
            if limit.passed() {
                return Err(format!(
                    "{} serves {shown:?} by move {at:?}; it should be {release} by move {moves}",
                    node.name
                )
                .into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Every write that was acknowledged is there, whichever author is asked.
fn drafts(rig: &Rig, known: &Known, random: &mut Random) -> Result<()> {
    let entries = get(&known.entries).clone();
    for (id, titles) in entries {
        let author = &rig.authors()[random.index(2)];
        let found = match must(rig, author, "GET", &format!("/entries/{id}"), None) {
            Ok(draft) if draft["state"] == "live" => {
                draft["fields"]["title"].as_str().unwrap_or_default().to_owned()
            }
            Ok(_) => String::new(),
            Err(error) if error.to_string().contains(": 404 ") => String::new(),
            Err(error) => return Err(error),
        };
        if !titles.contains(&found) {
            return Err(format!("{}: {id} says `{found}`; acknowledged: {titles:?}", author.name).into());
        }
    }
    Ok(())
}

/// Every edge serves what was acknowledged.
fn served(rig: &Rig, known: &Known) -> Result<()> {
    let entries = get(&known.entries).clone();
    for edge in rig.edges() {
        for (id, titles) in &entries {
            let path = format!("/v1/entries/{id}");
            let answer = ask(edge.port, "GET", &path, None, None).ok_or("an edge does not answer")?;
            let shown = match answer.status {
                404 => titles.iter().any(String::is_empty),
                200 => titles.iter().any(|t| !t.is_empty() && answer.contains(&format!("\"{t}\""))),
                _ => false,
            };
            if !shown {
                let said = String::from_utf8_lossy(&answer.body);
                return Err(format!(
                    "{}: {path}: {} {said}; acknowledged: {titles:?}",
                    edge.name, answer.status
                )
                .into());
            }
        }
    }
    Ok(())
}

/// What the cache answers becomes what was acknowledged.
fn fresh(rig: &Rig, known: &Known) -> Result<()> {
    let Some(cache) = &rig.cache else { return Ok(()) };
    let limit = rig.disk.limit(FRESH_MAX);
    let entries = get(&known.entries).clone();
    for (id, titles) in &entries {
        let path = format!("/v1/entries/{id}");
        loop {
            let answer = ask(cache.port, "GET", &path, None, None);
            let is_shown = answer.as_ref().is_some_and(|answer| match answer.status {
                404 => titles.iter().any(String::is_empty),
                200 => titles.iter().any(|t| !t.is_empty() && answer.contains(&format!("\"{t}\""))),
                _ => false,
            });
            if is_shown {
                break;
            }
            if limit.passed() {
                let said = answer.map(|a| {
                    let header = |name| a.header(name).unwrap_or_default();
                    let body = String::from_utf8_lossy(&a.body).into_owned();
                    format!("{} {body} of {}, age {}", a.status, header("ashlar-release"), header("age"))
                });
                return Err(format!("through Varnish: {path}: {said:?}; acknowledged: {titles:?}").into());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    Ok(())
}

/// Every edge finds what was acknowledged, by its whole title.
fn found(rig: &Rig, known: &Known, random: &mut Random) -> Result<()> {
    let entries = get(&known.entries).clone();
    let certain: Vec<(&String, &String)> = entries
        .iter()
        .filter(|(id, titles)| titles.len() == 1 && !titles[0].is_empty() && id.starts_with("page/"))
        .map(|(id, titles)| (id, &titles[0]))
        .collect();
    for edge in rig.edges() {
        for _ in 0..SEARCHED.min(certain.len()) {
            let (id, title) = certain[random.index(certain.len())];
            let phrase = title.replace(' ', "+");
            let path = format!("/v1/search?q=%22{phrase}%22&limit=50");
            let answer = ask(edge.port, "GET", &path, None, None).ok_or("an edge does not answer")?;
            let bare = id.trim_start_matches("page/");
            let hits = read(&answer)["hits"].as_array().cloned().unwrap_or_default();
            if !hits.iter().any(|hit| hit["id"] == bare && hit["title"] == title.as_str()) {
                let said = String::from_utf8_lossy(&answer.body);
                return Err(
                    format!("{}: {path}: {} {said}; it must find {id}", edge.name, answer.status).into()
                );
            }
        }
    }
    Ok(())
}

/// Every release that was acknowledged is there, and its objects are.
fn releases(rig: &Rig, known: &Known, random: &mut Random, live: &str) -> Result<()> {
    let all = get(&known.releases).clone();
    for release in &all {
        must(rig, &rig.authors()[random.index(2)], "GET", &format!("/releases/{release}"), None)?;
    }
    let some: Vec<String> = (0..VERIFIED).filter_map(|_| random.one(&all).cloned()).collect();
    for release in some.iter().map(String::as_str).chain([live]) {
        for author in rig.authors() {
            must(rig, author, "POST", &format!("/releases/{release}/verify"), None)?;
        }
    }
    Ok(())
}

/// Edges take keys that are in use, and none that was revoked.
fn keys(rig: &Rig, known: &Known) -> Result<()> {
    let limit = rig.disk.limit(CONVERGE_MAX);
    let (used, revoked) = {
        let keys = get(&known.keys);
        (keys.used.clone(), keys.revoked.clone())
    };
    let all = used.iter().map(|k| (k, 200)).chain(revoked.iter().map(|k| (k, 401)));
    for ((id, key), expected) in all {
        for edge in rig.edges() {
            loop {
                let answer = ask(edge.port, "GET", "/v1/entries/page/home", Some(key), None);
                let status = answer.map_or(0, |a| a.status);
                if status == expected {
                    break;
                }
                if limit.passed() {
                    return Err(format!("{}: the key {id} gives {status}, not {expected}", edge.name).into());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    let mut keys = get(&known.keys);
    let revoked = std::mem::take(&mut keys.revoked);
    keys.gone.extend(revoked);
    Ok(())
}
