//! How a server uses memory: few arenas, and what it no longer needs goes back to the system.

/// Makes threads share few arenas, so that memory which one of them gave back is used by the others. It has to be called before
/// there are threads. Whoever sets `GLIBC_TUNABLES` themselves decides for themselves.
pub fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("GLIBC_TUNABLES").is_none() {
        glibc::share_arenas();
    }
}

/// Watches this process's memory from a thread of its own, and returns what the allocator keeps without need. glibc returns
/// free memory only from the ends of its arenas: under hostile work 80 MB in use were 750 MB resident.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if let Err(error) = std::thread::Builder::new().name("memory".to_owned()).spawn(glibc::watch) {
        tracing::warn!(%error, "free memory is not given back to the system");
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::time::{Duration, Instant};

    /// Between two looks.
    const EVERY: Duration = Duration::from_secs(5);
    /// Growth below this is left alone.
    const GROWTH_MIN: u64 = 64 << 20;
    const ARENAS_MAX: libc::c_int = 4;

    #[allow(unsafe_code)]
    pub fn share_arenas() {
        // SAFETY: glibc documents `mallopt` with `M_ARENA_MAX`; it takes the locks it needs and keeps no pointer.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS_MAX) };
    }

    /// Trims each time the process has grown by a quarter, and by 64 MB at least, so that a server whose memory is all in
    /// use is hardly ever disturbed.
    pub fn watch() {
        let mut settled = resident();
        loop {
            std::thread::sleep(EVERY);
            let before = resident();
            settled = settled.min(before);
            if before - settled < GROWTH_MIN.max(settled / 4) {
                continue;
            }
            let started = Instant::now();
            trim();
            settled = resident();
            let micros = started.elapsed().as_micros();
            tracing::debug!(before, after = settled, micros, "gave free memory back");
        }
    }

    /// Resident memory of this process in bytes; 0 when the kernel does not say.
    fn resident() -> u64 {
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
    }

    #[allow(unsafe_code)]
    fn trim() {
        // SAFETY: glibc documents `malloc_trim` as safe to call from any thread at any time; it takes the locks it needs.
        unsafe { libc::malloc_trim(0) };
    }
}
