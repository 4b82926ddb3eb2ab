//! How many files the process may open, and how many of them connections may be.

/// The most that is asked for: every connection of the default configuration, and ample room beside it.
const WANTED: u64 = 65_536;
/// The most that is kept for files, the database and outgoing connections.
const KEPT_MAX: u64 = 1_024;

/// Raises the soft limit of open files as far as the hard limit allows. Does nothing where that is not possible.
pub fn raise_open_files() {
    // What it was stays when this fails, and it is what is counted with later.
    let _ = rlimit::increase_nofile_limit(WANTED);
}

/// The connections that fit: as many as are wanted, with half of the open files, but at most 1,024, kept for everything
/// else. Also says how many files may be open.
pub fn connections_within(wanted: usize) -> (usize, u64) {
    let files = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    (fitting(wanted, files), files)
}

fn fitting(wanted: usize, files: u64) -> usize {
    let room = files - (files / 2).min(KEPT_MAX);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        for (wanted, files, expect) in [
            (10_000, 64, 32),
            (10_000, 256, 128),
            (10_000, 4_096, 3_072),
            (10_000, 65_536, 10_000),
            (10, 1_024, 10),
            (0, 1_024, 1),
            (10_000, u64::MAX, 10_000),
        ] {
            assert_eq!(fitting(wanted, files), expect, "{wanted} of {files}");
        }
    }
}
