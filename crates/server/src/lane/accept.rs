use std::{
    collections::HashMap,
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use axum::Router;
use tokio::{net::TcpListener, sync::Semaphore, task::AbortHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    LaneConfig, Source,
    clock::Clock,
    connection::{self, Shared, Slot},
};

/// How often deadlines are looked at and the date is renewed.
const TICK: Duration = Duration::from_millis(200);

/// Open connections by number.
type Slots = HashMap<u64, (Arc<Slot>, Option<AbortHandle>)>;
type Open = Arc<Mutex<Slots>>;

/// Takes a connection out of the list when its task ends, however it ends.
struct Leave {
    open: Open,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        lock(&self.open).remove(&self.number);
    }
}

fn lock(open: &Open) -> std::sync::MutexGuard<'_, Slots> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves `listener` until `shutdown` is done: plain reads through the lane, everything else through `app`. Then no
/// new connection is taken, idle ones are closed, and open requests may run on for [`LaneConfig::shutdown`].
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
    let shared = Arc::new(Shared { source, app, config, clock: Clock::new(), stop: stop.clone() });
    let open: Open = Arc::default();
    let sweeper = tokio::spawn(sweep(shared.clone(), open.clone()));
    tokio::pin!(shutdown);
    let mut number = 0_u64;
    loop {
        let accepted = async {
            let permit = limit.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            accepted = accepted => accepted,
        };
        let (Ok(permit), Ok((stream, peer))) = (permit, accepted) else {
            // Out of file descriptors, or the peer is gone already: the next try may do.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        number += 1;
        let idle_ms = u64::try_from(shared.config.idle.as_millis()).unwrap_or(u64::MAX);
        let slot = Arc::new(Slot::new(shared.clock.now_ms().saturating_add(idle_ms)));
        lock(&open).insert(number, (slot.clone(), None));
        let leave = Leave { open: open.clone(), number };
        let (shared, of_task) = (shared.clone(), slot);
        let task = tokio::spawn(async move {
            let _held = (permit, leave);
            connection::run(stream, peer, shared, of_task).await;
        });
        if let Some((_, abort)) = lock(&open).get_mut(&number) {
            *abort = Some(task.abort_handle());
        }
    }
    drop(listener);
    stop.cancel();
    close(&open, |slot| slot.idle.load(Ordering::Relaxed));
    let drained = async {
        while !lock(&open).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            close(&open, |slot| slot.idle.load(Ordering::Relaxed));
        }
    };
    if tokio::time::timeout(patience, drained).await.is_err() {
        close(&open, |_| true);
    }
    sweeper.abort();
    Ok(())
}

async fn sweep(shared: Arc<Shared>, open: Open) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.clock.tick();
        let now = shared.clock.now_ms();
        close(&open, |slot| slot.deadline_ms.load(Ordering::Relaxed) < now);
    }
}

/// Ends the connections that `which` says.
fn close(open: &Open, which: impl Fn(&Slot) -> bool) {
    let ended: Vec<AbortHandle> =
        lock(open).values().filter(|(slot, _)| which(slot)).filter_map(|(_, abort)| abort.clone()).collect();
    for abort in ended {
        abort.abort();
    }
}
