//! What clients do, and what they were reported.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::rig::{Rig, ask, json, send};
use crate::{hostile::http::Outcome, random::Random};

/// Between two reads through the cache.
const READS: Duration = Duration::from_millis(20);

/// A changeset whose schedule was acknowledged.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its entries by type and id, with their titles.
    pub entries: Vec<(String, String)>,
    /// Whether it is taken down again.
    pub ends: bool,
}

/// Everything that was acknowledged.
#[derive(Default)]
pub struct Known {
    /// Entries of no changeset by type and id.
    pub entries: Mutex<BTreeMap<String, Vec<String>>>,
    /// Releases.
    pub releases: Mutex<Vec<String>>,
    /// Schedules by the name of the changeset.
    pub planned: Mutex<BTreeMap<String, Planned>>,
    /// Keys in use, and keys that were revoked.
    pub keys: Mutex<Keys>,
    /// Rollbacks that were asked for.
    pub rollbacks: AtomicU64,
    /// Requests that were acknowledged, refused, and without an answer.
    pub counts: Counts,
}

/// Keys that clients made.
#[derive(Default)]
pub struct Keys {
    /// Id and key.
    pub used: Vec<(String, String)>,
    /// The same, revoked.
    pub revoked: Vec<(String, String)>,
    /// The same, revoked and refused by every edge since.
    pub gone: Vec<(String, String)>,
}

/// How requests ended.
#[derive(Default)]
pub struct Counts {
    /// With a success.
    pub done: AtomicU64,
    /// With another answer.
    pub refused: AtomicU64,
    /// Without an answer.
    pub lost: AtomicU64,
}

/// The content of a lock.
pub fn get<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a request ended.
enum Reply {
    Done(Value),
    /// Nothing was changed.
    Refused,
    /// It may have been done, or may still be.
    Unknown,
}

/// One client.
pub struct Actor<'a> {
    pub rig: &'a Rig,
    pub known: &'a Known,
    pub random: Random,
    /// Starts the names of all its entries.
    pub client: String,
    /// Starts the names of what it makes in this round.
    pub prefix: String,
    pub number: u64,
}

fn seconds(from_now: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + from_now;
    let (days, rest) = (now / 86_400, now % 86_400);
    // Days since 1970 as a date (Hinnant, "chrono-compatible low-level date algorithms").
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z - era * 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

impl Actor<'_> {
    /// Acts until a moment comes, or `stop`.
    pub fn act(&mut self, until: Instant, stop: &AtomicBool) {
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            match self.random.below(100) {
                0..55 => self.put(),
                55..75 => self.promote(),
                75..83 => self.schedule(),
                83..90 => self.key(),
                90..95 => self.collect(),
                _ => self.roll_back(),
            }
            std::thread::sleep(Duration::from_millis(self.random.below(30)));
        }
    }

    fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let port = self.random.one(self.rig.authors()).map_or(0, |n| n.port);
        let counts = &self.known.counts;
        match send(port, method, &format!("/api/v1{path}"), Some(&self.rig.key), body) {
            Outcome::Answered(answer) if (200..300).contains(&answer.status) => {
                counts.done.fetch_add(1, Ordering::Relaxed);
                Reply::Done(json(&answer))
            }
            Outcome::Answered(answer) if (400..500).contains(&answer.status) && answer.status != 408 => {
                counts.refused.fetch_add(1, Ordering::Relaxed);
                Reply::Refused
            }
            Outcome::Answered(_) => {
                counts.refused.fetch_add(1, Ordering::Relaxed);
                Reply::Unknown
            }
            Outcome::Refused => Reply::Refused,
            Outcome::Closed | Outcome::Silent => {
                counts.lost.fetch_add(1, Ordering::Relaxed);
                Reply::Unknown
            }
        }
    }

    fn title(&mut self) -> String {
        self.number += 1;
        format!("{} says {}", self.prefix, self.number)
    }

    fn write(&mut self, id: &str, title: &str) -> Reply {
        let slug = id.rsplit('/').next().unwrap_or_default();
        let body = json!({"fields": {"slug": slug, "title": title}});
        self.call("PUT", &format!("/entries/{id}"), Some(&body))
    }

    fn put(&mut self) {
        let title = self.title();
        let of_client = format!("page/{}", self.client);
        let mine: Vec<String> = {
            let entries = get(&self.known.entries);
            // One whose last write was not answered is left as it is: that write may come late.
            let of = |(id, titles): (&String, &Vec<String>)| {
                (titles.len() == 1 && !titles[0].is_empty() && id.starts_with(&of_client)).then(|| id.clone())
            };
            entries.iter().filter_map(of).collect()
        };
        let id = match self.random.below(3) {
            0 => None,
            _ => self.random.one(&mine).cloned(),
        };
        let id = id.unwrap_or_else(|| format!("page/{}-{}", self.prefix, self.number));
        let reply = self.write(&id, &title);
        let mut entries = get(&self.known.entries);
        match reply {
            Reply::Done(_) => drop(entries.insert(id, vec![title])),
            Reply::Refused => {}
            // A new entry may be absent as well.
            Reply::Unknown => entries.entry(id).or_insert_with(|| vec![String::new()]).push(title),
        }
    }

    fn promote(&mut self) {
        let Reply::Done(made) = self.call("POST", "/candidates", Some(&json!({}))) else { return };
        let candidate = made["candidate"].as_str().unwrap_or_default();
        if let Reply::Done(done) =
            self.call("POST", &format!("/candidates/{candidate}/promote"), Some(&json!({})))
            && let Some(release) = done["release"].as_str()
        {
            get(&self.known.releases).push(release.to_owned());
        }
    }

    fn schedule(&mut self) {
        self.number += 1;
        let name = format!("{}-plan-{}", self.prefix, self.number);
        let Reply::Done(_) = self.call("POST", "/changesets", Some(&json!({"name": name}))) else { return };
        let mut entries = Vec::new();
        for n in 0..2 {
            // Notes have no pages: a page that is taken down needs a redirect.
            let (id, title) = (format!("note/{name}-{n}"), self.title());
            // Written and put into the changeset by two requests: an entry that ships with others in between is not
            // followed here.
            let Reply::Done(_) = self.write(&id, &title) else { return };
            entries.push((id, title));
        }
        let draft = |id: &str| json!({"type": "note", "id": id.rsplit('/').next(), "locale": "en"});
        let drafts: Vec<Value> = entries.iter().map(|(id, _)| draft(id)).collect();
        let add = self.call("POST", &format!("/changesets/{name}/drafts"), Some(&json!({"drafts": drafts})));
        let Reply::Done(_) = add else { return };
        let ends = self.random.below(2) == 0;
        let mut times = json!({"publish_at": seconds(1 + self.random.below(3))});
        if ends {
            times["unpublish_at"] = json!(seconds(5 + self.random.below(3)));
        }
        let reply = self.call("POST", &format!("/changesets/{name}/schedule"), Some(&times));
        if let Reply::Done(_) = reply {
            get(&self.known.planned).insert(name, Planned { entries, ends });
        }
    }

    fn key(&mut self) {
        let used = get(&self.known.keys).used.pop();
        match used {
            Some((id, key)) if self.random.below(2) == 0 => {
                if let Reply::Done(_) = self.call("DELETE", &format!("/keys/{id}"), None) {
                    get(&self.known.keys).revoked.push((id, key));
                }
            }
            other => {
                get(&self.known.keys).used.extend(other);
                let body = json!({"name": self.prefix, "scopes": ["read"]});
                if let Reply::Done(made) = self.call("POST", "/keys", Some(&body)) {
                    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
                    get(&self.known.keys).used.push((text("id"), text("key")));
                }
            }
        }
    }

    fn collect(&mut self) {
        let _ = self.call("POST", "/gc", Some(&json!({})));
    }

    fn roll_back(&mut self) {
        let release = {
            let releases = get(&self.known.releases);
            self.random.one(&releases).cloned()
        };
        let Some(release) = release else { return };
        self.known.rollbacks.fetch_add(1, Ordering::SeqCst);
        let _ = self.call("POST", &format!("/releases/{release}/rollback"), Some(&json!({})));
    }
}

/// What an edge showed while everything else went on: its sequence must not fall.
pub fn watch(rig: &Rig, edge: usize, known: &Known, stop: &AtomicBool) -> Result<u64, String> {
    let node = &rig.edges()[edge];
    let (mut last, mut looks) = (0_u64, 0_u64);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(40));
        if let Some(sequence) = sequence(node.port, &rig.key) {
            looks += 1;
            if sequence < last {
                return Err(format!("{} served move {sequence} after move {last}", node.name));
            }
            last = sequence;
        }
        search(node.port).map_err(|error| format!("{}: {error}", node.name))?;
        // A node that starts with an empty disk knows no key; one that every edge has refused is taken by none again.
        let gone: Vec<_> = get(&known.keys).gone.iter().rev().take(2).cloned().collect();
        for (id, key) in gone {
            let answer = ask(node.port, "GET", "/v1/entries/page/home", Some(&key), None);
            if answer.is_some_and(|a| a.status == 200) {
                return Err(format!("{} takes the key {id} again, which was revoked", node.name));
            }
        }
    }
    Ok(looks)
}

/// Searches, and compares what was found with the entries of the same release: no answer mixes two.
fn search(port: u16) -> Result<(), String> {
    let Some(found) = ask(port, "GET", "/v1/search?q=says&limit=20", None, None) else { return Ok(()) };
    if found.status != 200 {
        // A node without a release, or one that cannot reach what it lacks, says so.
        return match found.status {
            404 | 429 | 503 => Ok(()),
            status => {
                Err(format!("a search was answered with {status}: {}", String::from_utf8_lossy(&found.body)))
            }
        };
    }
    let release = found.header("ashlar-release");
    let body = json(&found);
    for hit in body["hits"].as_array().into_iter().flatten() {
        let (id, title) = (hit["id"].as_str().unwrap_or_default(), hit["title"].as_str().unwrap_or_default());
        let Some(entry) = ask(port, "GET", &format!("/v1/entries/page/{id}"), None, None) else { continue };
        // The channel may have moved in between.
        if entry.header("ashlar-release") == release && !entry.contains(&format!("\"{title}\"")) {
            let said = String::from_utf8_lossy(&entry.body).into_owned();
            return Err(format!(
                "a search of {release:?} finds {id} as `{title}`; the entry is {} {said}",
                entry.status
            ));
        }
    }
    Ok(())
}

/// The last move of the public channel that a node serves.
pub fn sequence(port: u16, key: &str) -> Option<u64> {
    let answer = ask(port, "GET", "/metrics", Some(key), None)?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let line = text.lines().find(|l| {
        l.starts_with("ashlar_channel_moves{")
            && l.contains("tenant=\"main\"")
            && l.contains("\"production\"")
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Reads entries through the cache while everything else goes on, so that it has something old to forget. Returns how many answers came.
pub fn read(rig: &Rig, known: &Known, seed: u64, stop: &AtomicBool) -> u64 {
    let Some(cache) = &rig.cache else { return 0 };
    let (mut random, mut answers) = (Random(seed), 0);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(READS);
        let ids: Vec<String> = get(&known.entries).keys().cloned().collect();
        let Some(id) = random.one(&ids) else { continue };
        answers += u64::from(ask(cache.port, "GET", &format!("/v1/entries/{id}"), None, None).is_some());
    }
    answers
}
