//! What the kernel says of a process and of those it started.

use std::{collections::BTreeMap, fs};

/// One process.
#[derive(Debug, Clone, Copy, Default)]
struct Stat {
    parent: u32,
    cpu_ticks: u64,
    rss_pages: u64,
    ended: bool,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Some(Stat {
        parent: u32::try_from(number(1)).unwrap_or(0),
        cpu_ticks: number(11) + number(12),
        rss_pages: number(21),
        ended: fields.first() == Some(&"Z"),
    })
}

/// A process with everything below it.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// The processes below it.
    pub children: Vec<u32>,
    /// Resident memory of all, in bytes.
    pub rss_bytes: u64,
    /// Resident memory of the process itself.
    pub own_rss_bytes: u64,
    /// CPU time of all, in hundredths of a second; what ended children used is not in it.
    pub cpu_ticks: u64,
}

/// Looks at a process and everything below it.
pub fn tree(pid: u32) -> Tree {
    let mut all = BTreeMap::new();
    for item in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = item.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        if let Some(stat) = stat(pid) {
            all.insert(pid, stat);
        }
    }
    let mut tree = Tree::default();
    let mut open = vec![pid];
    while let Some(next) = open.pop() {
        let Some(stat) = all.get(&next) else { continue };
        tree.rss_bytes += stat.rss_pages * 4096;
        tree.cpu_ticks += stat.cpu_ticks;
        if next == pid {
            tree.own_rss_bytes = stat.rss_pages * 4096;
        } else if !stat.ended {
            tree.children.push(next);
        }
        open.extend(all.iter().filter(|(_, s)| s.parent == next).map(|(p, _)| *p));
    }
    tree
}

/// Whether a process is still there.
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|s| !s.ended)
}

/// Open descriptors of a process.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}
