//! A pool of threads that is shared fairly between tenants.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use ashlar_model::TenantId;
use tokio::sync::oneshot;

/// Jobs of one tenant that may wait.
const WAITING_MAX: usize = 256;
/// How much the priority of the threads is lowered: whoever serves readers goes first.
const NICE: i32 = 10;
/// The stack of a thread, in bytes: twice what Tokio gives threads that may block.
const STACK_BYTES: usize = 4 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// Why work was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// The tenant has as many jobs waiting as it may.
    #[error("too much work is waiting")]
    Full,
    /// The job panicked, or the pool has stopped.
    #[error("the work was not finished")]
    Lost,
}

/// Threads with a low priority for CPU-heavy work. Tenants take turns, and no tenant can occupy all threads. Cheap to
/// clone; the threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Workers {
    inner: Arc<Inner>,
    _life: Arc<Life>,
}

struct Life(Arc<Inner>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.changed.notify_all();
    }
}

struct Inner {
    queue: Mutex<Queue>,
    changed: Condvar,
    running_max: usize,
}

#[derive(Default)]
struct Queue {
    tenants: BTreeMap<TenantId, Waiting>,
    /// Whose turn it is: tenants with waiting jobs, the next one first.
    turns: VecDeque<TenantId>,
    /// Threads that wait for a job.
    idle: usize,
    closed: bool,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    running: usize,
}

impl Inner {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// The next job: of the first tenant in turn that runs fewer than it may.
    fn next(&mut self, running_max: usize) -> Option<(TenantId, Job)> {
        let at = self
            .turns
            .iter()
            .position(|tenant| self.tenants.get(tenant).is_some_and(|w| w.running < running_max))?;
        let tenant = self.turns.remove(at)?;
        let waiting = self.tenants.get_mut(&tenant)?;
        let job = waiting.jobs.pop_front()?;
        waiting.running += 1;
        if !waiting.jobs.is_empty() {
            self.turns.push_back(tenant.clone());
        }
        Some((tenant, job))
    }

    fn done(&mut self, tenant: &TenantId) {
        if let Some(waiting) = self.tenants.get_mut(tenant) {
            waiting.running -= 1;
            if waiting.running == 0 && waiting.jobs.is_empty() {
                self.tenants.remove(tenant);
            }
        }
    }
}

impl Workers {
    /// One thread more than the machine has cores, so that one tenant may use every core and leaves a thread for others.
    ///
    /// # Errors
    /// When the system starts no threads.
    pub fn new() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with(cores + 1)
    }

    /// With this many threads.
    ///
    /// # Errors
    /// When the system starts no threads.
    pub fn with(threads: usize) -> std::io::Result<Self> {
        let inner = Arc::new(Inner {
            queue: Mutex::default(),
            changed: Condvar::new(),
            running_max: threads.saturating_sub(1).max(1),
        });
        let workers = Self { _life: Arc::new(Life(inner.clone())), inner };
        for number in 0..threads.max(1) {
            let inner = workers.inner.clone();
            std::thread::Builder::new()
                .name(format!("work-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&inner))?;
        }
        Ok(workers)
    }

    /// Does work for a tenant when it is its turn. When the caller stops waiting before the work has begun, it is not
    /// begun.
    ///
    /// # Errors
    /// When too much work of the tenant waits, or the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (send, receive) = oneshot::channel();
        let job: Job = Box::new(move || {
            if !send.is_closed() {
                let _ = send.send(work());
            }
        });
        self.push(tenant, job)?;
        receive.await.map_err(|_| Busy::Lost)
    }

    /// Does work for a tenant when it is its turn, and does not wait for it.
    ///
    /// # Errors
    /// When too much work of the tenant waits.
    pub fn spawn(&self, tenant: &TenantId, work: impl FnOnce() + Send + 'static) -> Result<(), Busy> {
        self.push(tenant, Box::new(work))
    }

    fn push(&self, tenant: &TenantId, job: Job) -> Result<(), Busy> {
        let mut queue = self.inner.queue();
        let waiting = queue.tenants.entry(tenant.clone()).or_default();
        if waiting.jobs.len() >= WAITING_MAX {
            return Err(Busy::Full);
        }
        waiting.jobs.push_back(job);
        if waiting.jobs.len() == 1 {
            queue.turns.push_back(tenant.clone());
        }
        let idle = queue.idle > 0;
        drop(queue);
        if idle {
            self.inner.changed.notify_one();
        }
        Ok(())
    }

    /// Jobs that wait, of all tenants.
    pub fn waiting(&self) -> usize {
        self.inner.queue().tenants.values().map(|w| w.jobs.len()).sum()
    }
}

fn work(inner: &Inner) {
    // On Linux priorities are those of threads.
    let _ = rustix::process::nice(NICE);
    let mut queue = inner.queue();
    loop {
        match queue.next(inner.running_max) {
            Some((tenant, job)) => {
                drop(queue);
                // A panic is that of the job: whoever waits for it learns that it was lost.
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                    tracing::error!(%tenant, "work panicked");
                }
                queue = inner.queue();
                // If the tenant had as many running as it may, this thread takes its next job.
                queue.done(&tenant);
            }
            None if queue.closed => return,
            None => {
                queue.idle += 1;
                queue = inner.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::Duration,
    };

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[tokio::test]
    async fn a_tenant_with_much_work_leaves_room_for_others() {
        let workers = Workers::with(2).unwrap();
        let (free, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        for _ in 0..10 {
            let wait = wait.clone();
            workers
                .spawn(&tenant("a"), move || {
                    let _ = wait.lock().unwrap().recv();
                })
                .unwrap();
        }
        // All of `a`'s jobs wait for the channel; `b` gets its result all the same.
        let answer = tokio::time::timeout(Duration::from_secs(20), workers.run(&tenant("b"), || 7)).await;
        assert_eq!(answer.unwrap(), Ok(7));
        assert!(workers.waiting() >= 8);
        drop(free);
    }

    #[tokio::test]
    async fn waiting_work_is_bounded_and_given_up_work_is_not_done() {
        let workers = Workers::with(1).unwrap();
        let (free, wait) = mpsc::channel::<()>();
        workers
            .spawn(&tenant("a"), move || {
                let _ = wait.recv();
            })
            .unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        let counted = done.clone();
        let a = tenant("a");
        let counted = workers.run(&a, move || counted.fetch_add(1, Ordering::SeqCst));
        assert!(tokio::time::timeout(Duration::from_millis(20), counted).await.is_err());
        while workers.spawn(&tenant("a"), || ()).is_ok() {
            assert!(workers.waiting() <= WAITING_MAX);
        }
        free.send(()).unwrap();
        // The queue drains; then there is room again.
        while workers.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(workers.run(&tenant("a"), || 1).await, Ok(1));
        assert_eq!(done.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_panic_is_that_of_its_job() {
        let workers = Workers::with(1).unwrap();
        let lost = workers.run(&tenant("a"), || -> u8 { panic!("of the job") }).await;
        assert_eq!(lost, Err(Busy::Lost));
        assert_eq!(workers.run(&tenant("a"), || 2).await, Ok(2));
    }
}
