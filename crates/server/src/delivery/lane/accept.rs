use std::{
    collections::HashMap,
    future::Future,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{
    Figures, LaneConfig, Source,
    budget::Budget,
    clock::Clock,
    connection, count,
    shared::{Shared, Slot},
};
use crate::front::Address;

/// How often deadlines are looked at and the date is renewed.
const TICK: Duration = Duration::from_millis(200);
/// Bytes that the kernel takes from us for a client before it has sent those before.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES: u32 = 128 << 10;
/// How often a full server looks for idle connections to close.
const ROOM: Duration = Duration::from_millis(50);

/// Open connections, by number and by address.
#[derive(Default)]
struct Listed {
    slots: HashMap<u64, (Arc<Slot>, Option<AbortHandle>)>,
    /// How many each address has, and bytes of answers that are counted against it.
    addresses: HashMap<Address, (usize, Arc<AtomicUsize>)>,
}

type Open = Arc<Mutex<Listed>>;

/// Takes a connection out of the list when its task ends, however it ends.
struct Leave {
    open: Open,
    figures: Arc<Figures>,
    number: u64,
    address: Address,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.figures.open.fetch_sub(1, Ordering::Relaxed);
        let mut open = lock(&self.open);
        open.slots.remove(&self.number);
        if let Some((count, _)) = open.addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.addresses.remove(&self.address);
            }
        }
    }
}

fn lock(open: &Open) -> std::sync::MutexGuard<'_, Listed> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves `listener` until `shutdown` is done: plain reads through the lane, everything else through `app`. Then no
/// new connection is taken, idle ones are closed, and open requests may run on for [`LaneConfig::shutdown`].
///
/// When [`LaneConfig::connections_max`] are open, the longest idle ones are closed for new ones; when none is idle, new
/// ones wait in the kernel's queue. An address that has too many is refused at once.
///
/// # Errors
/// When the listener cannot be used at all. Errors of single connections are theirs alone.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn Source>,
    app: Router,
    config: LaneConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    listener.local_addr()?;
    let limit = Arc::new(Semaphore::new(config.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    let patience = config.shutdown;
    let stop = CancellationToken::new();
    let budget = Budget::new(config.answer_bytes);
    let shared = Arc::new(Shared { source, app, config, clock: Clock::new(), stop: stop.clone(), budget });
    let open: Open = Arc::default();
    let sweeper = tokio::spawn(sweep(shared.clone(), open.clone()));
    tokio::pin!(shutdown);
    let mut number = 0_u64;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, or the peer is gone already: the next try may do.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let address = Address::from(peer.ip());
        let most = shared.config.connections_per_address_max;
        if most > 0 && lock(&open).addresses.get(&address).is_some_and(|(count, _)| *count >= most) {
            count(&shared.config.figures.refused, 1);
            tracing::debug!(%address, most, "a connection was refused: the address has too many");
            continue;
        }
        let permit = tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            permit = place(&limit, &open, &shared.config) => permit,
        };
        prepare(&stream);
        number += 1;
        let (slot, leave) = enter(&open, &shared, number, address);
        let shared = shared.clone();
        let task = tokio::spawn(async move {
            let _held = (permit, leave);
            connection::run(stream, peer, shared, slot).await;
        });
        if let Some((_, abort)) = lock(&open).slots.get_mut(&number) {
            *abort = Some(task.abort_handle());
        }
    }
    drop(listener);
    stop.cancel();
    drain(&open, patience).await;
    sweeper.abort();
    Ok(())
}

/// Lists a new connection. It leaves the list when what is returned is dropped.
fn enter(open: &Open, shared: &Shared, number: u64, address: Address) -> (Arc<Slot>, Leave) {
    let idle_ms = u64::try_from(shared.config.idle.as_millis()).unwrap_or(u64::MAX);
    let deadline = shared.clock.now_ms().saturating_add(idle_ms);
    let mut listed = lock(open);
    let (connections, bytes) = listed.addresses.entry(address).or_default();
    *connections += 1;
    let slot = Arc::new(Slot::new(deadline, bytes.clone()));
    listed.slots.insert(number, (slot.clone(), None));
    let figures = shared.config.figures.clone();
    count(&figures.open, 1);
    (slot, Leave { open: open.clone(), figures, number, address })
}

/// Ends idle connections, and waits for the others: those in hyper end when they have answered.
async fn drain(open: &Open, patience: Duration) {
    let idle = |slot: &Slot| slot.idle.load(Ordering::Relaxed);
    close(open, idle);
    let drained = async {
        while !lock(open).slots.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            close(open, idle);
        }
    };
    if tokio::time::timeout(patience, drained).await.is_err() {
        close(open, |_| true);
    }
}

/// A place for a connection. When there is none, the longest idle connections are closed.
async fn place(limit: &Arc<Semaphore>, open: &Open, config: &LaneConfig) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(permit) = limit.clone().try_acquire_owned() {
            return Some(permit);
        }
        // Some at a time, so that a flood of connections does not look through all of them for each.
        let mut idle: Vec<(u64, AbortHandle)> = lock(open)
            .slots
            .values()
            .filter(|(slot, _)| slot.is_idle())
            .filter_map(|(slot, abort)| Some((slot.idle_since(config), abort.clone()?)))
            .collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        idle.truncate(config.connections_max / 64 + 1);
        count(&config.figures.displaced, idle.len());
        for (_, abort) in idle {
            abort.abort();
        }
        if let Ok(permit) = tokio::time::timeout(ROOM, limit.clone().acquire_owned()).await {
            // It is never closed.
            return permit.ok();
        }
    }
}

async fn sweep(shared: Arc<Shared>, open: Open) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.clock.tick();
        let now = shared.clock.now_ms();
        let late = close(&open, |slot| slot.is_over(now, &shared.config));
        count(&shared.config.figures.late, late);
    }
}

/// Sets the options of a new connection. One that cannot be set is closed already, or does without.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    // Otherwise the kernel takes megabytes for a client that reads nothing, and says for long that it takes no more from
    // us for a client that reads slowly.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES);
}

/// Ends the connections that `which` says, and counts them.
fn close(open: &Open, which: impl Fn(&Slot) -> bool) -> usize {
    let ended: Vec<AbortHandle> = lock(open)
        .slots
        .values()
        .filter(|(slot, _)| which(slot))
        .filter_map(|(_, abort)| abort.clone())
        .collect();
    for abort in &ended {
        abort.abort();
    }
    ended.len()
}
