//! What goes wrong in a round.

use std::time::Duration;

use super::{
    proxy::{Mode, Proxy},
    rig::{Node, Rig, lock},
};
use crate::random::Random;

fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Does something bad for a while; says what. What is left of it ends with [`Rig::heal`].
pub fn strike(rig: &Rig, random: &mut Random) -> String {
    let wait = 300 + random.below(2_500);
    let node = &rig.nodes[random.index(rig.nodes.len())];
    let name = &node.name;
    match random.below(14) {
        0 | 1 => {
            node.service().kill();
            sleep(random.below(1_500));
            let _ = node.service().start();
            format!("{name} killed")
        }
        2 => {
            node.service().stop("TERM", Duration::from_secs(15));
            let _ = node.service().start();
            format!("{name} restarted")
        }
        3 => {
            node.service().kill();
            // A node that comes back with an empty disk.
            let _ = std::fs::remove_dir_all(&node.cache);
            let _ = node.service().start();
            format!("{name} killed, its disk emptied")
        }
        4 | 5 => {
            node.service().signal("STOP", false);
            sleep(wait);
            node.service().signal("CONT", false);
            format!("{name} paused for {wait} ms")
        }
        6 => {
            lock(&rig.postgres).kill();
            sleep(random.below(1_000));
            let _ = lock(&rig.postgres).start();
            "PostgreSQL killed".to_owned()
        }
        7 => {
            lock(&rig.postgres).signal("STOP", true);
            sleep(wait);
            lock(&rig.postgres).signal("CONT", true);
            format!("PostgreSQL paused for {wait} ms")
        }
        8 => {
            lock(&rig.s3).kill();
            sleep(wait);
            let _ = lock(&rig.s3).start();
            format!("S3 killed for {wait} ms")
        }
        9 => {
            lock(&rig.s3).signal("STOP", false);
            sleep(wait);
            lock(&rig.s3).signal("CONT", false);
            format!("S3 paused for {wait} ms")
        }
        10 => cache(rig, random, wait),
        _ => {
            let mode = match random.below(3) {
                0 => Mode::Cut,
                1 => Mode::Stall,
                _ => Mode::Slow(Duration::from_millis(20 + random.below(200))),
            };
            let (what, links) = links(rig, node, random);
            links.iter().for_each(|l| l.set(mode));
            sleep(wait);
            links.iter().for_each(|l| l.set(Mode::Pass));
            format!("{what}: {mode:?} for {wait} ms")
        }
    }
}

/// Something bad for the cache.
fn cache(rig: &Rig, random: &mut Random, wait: u64) -> String {
    let Some(cache) = &rig.cache else { return "nothing, without Varnish".to_owned() };
    if random.below(3) == 0 {
        lock(&cache.service).kill();
        sleep(wait);
        let _ = lock(&cache.service).start();
        return format!("Varnish killed for {wait} ms");
    }
    lock(&cache.service).signal("STOP", true);
    sleep(wait);
    lock(&cache.service).signal("CONT", true);
    format!("Varnish paused for {wait} ms")
}

/// Some links: of one node, of one kind, or all of a kind.
fn links<'a>(rig: &'a Rig, node: &'a Node, random: &mut Random) -> (String, Vec<&'a Proxy>) {
    let name = &node.name;
    match random.below(4) {
        0 => (format!("{name} to S3"), vec![&node.s3]),
        1 => (format!("{name} to everything"), node.links().collect()),
        2 if !node.is_edge() => (format!("{name} to PostgreSQL"), node.postgres.iter().collect()),
        2 => (format!("{name} to S3"), vec![&node.s3]),
        _ => ("all nodes to S3".to_owned(), rig.nodes.iter().map(|n| &n.s3).collect()),
    }
}
