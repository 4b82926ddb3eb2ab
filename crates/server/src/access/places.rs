//! How much of the management API one tenant may use at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ashlar_model::TenantId;

/// Requests of one tenant that are worked on at a time.
const REQUESTS_MAX: usize = 64;
/// Bytes of request bodies that are in memory, of one tenant.
const TENANT_BYTES_MAX: usize = 64 << 20;
/// The same, of all tenants.
const BYTES_MAX: usize = 256 << 20;

#[derive(Debug, Default, Clone, Copy)]
struct Used {
    requests: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct All {
    tenants: HashMap<TenantId, Used>,
    bytes: usize,
}

/// What is in use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Places {
    all: Arc<Mutex<All>>,
    requests_max: usize,
}

/// A request's place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    all: Places,
    tenant: TenantId,
    bytes: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self::of(REQUESTS_MAX)
    }
}

impl Places {
    /// Places for so many requests of each tenant.
    pub fn of(requests_max: usize) -> Self {
        Self { all: Arc::default(), requests_max }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a request with a body of `bytes`; `None` when there is none. A tenant that uses nothing yet gets one
    /// however large the body is, unless all tenants together use too much.
    pub fn take(&self, tenant: &TenantId, bytes: usize) -> Option<Place> {
        let mut all = self.all();
        let used = all.tenants.get(tenant).copied().unwrap_or_default();
        let fits = |used: usize, most: usize| used == 0 || used + bytes <= most;
        if used.requests >= self.requests_max
            || !fits(used.bytes, TENANT_BYTES_MAX)
            || !fits(all.bytes, BYTES_MAX)
        {
            return None;
        }
        all.bytes += bytes;
        let used = all.tenants.entry(tenant.clone()).or_default();
        used.requests += 1;
        used.bytes += bytes;
        Some(Place { all: self.clone(), tenant: tenant.clone(), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.all.all();
        all.bytes -= self.bytes;
        if let Some(used) = all.tenants.get_mut(&self.tenant) {
            used.requests -= 1;
            used.bytes -= self.bytes;
            if used.requests == 0 {
                all.tenants.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_leaves_places_for_others() {
        let places = Places::default();
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let held: Vec<Place> = std::iter::from_fn(|| places.take(&a, 1)).collect();
        assert_eq!(held.len(), REQUESTS_MAX);
        assert!(places.take(&b, 1).is_some());
        drop(held);
        assert!(places.take(&a, 1).is_some());
    }

    #[test]
    fn bodies_share_a_budget() {
        let places = Places::default();
        let tenants: Vec<TenantId> = (0..8).map(|n| TenantId::new(&format!("t{n}")).unwrap()).collect();
        let held: Vec<Place> = tenants
            .iter()
            .flat_map(|t| std::iter::from_fn(|| places.take(t, 16 << 20)).collect::<Vec<_>>())
            .collect();
        assert_eq!(held.len(), BYTES_MAX / (16 << 20));
        assert!(places.take(&tenants[7], 16 << 20).is_none());
        drop(held);
        let all = places.all();
        assert_eq!((all.bytes, all.tenants.len()), (0, 0));
    }

    #[test]
    fn a_body_larger_than_the_budget_is_taken_alone() {
        let places = Places::default();
        let a = TenantId::new("a").unwrap();
        let large = places.take(&a, 1 << 30);
        assert!(large.is_some() && places.take(&a, 1).is_none());
    }
}
