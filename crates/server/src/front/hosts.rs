//! Which tenant a host name leads to.

use std::collections::HashMap;

use arc_swap::ArcSwap;
use ashlar_model::TenantId;

use super::normal;

/// The host names of all tenants, in normal form.
#[derive(Default)]
pub struct Hosts(ArcSwap<HashMap<String, TenantId>>);

impl Hosts {
    /// Takes over the host names of a tenant.
    pub fn set(&self, tenant: &TenantId, names: &[String]) {
        self.0.rcu(|hosts| {
            let mut next = HashMap::clone(hosts);
            next.retain(|_, t| t != tenant);
            next.extend(names.iter().map(|n| (normal(n).into_owned(), tenant.clone())));
            next
        });
    }

    /// Takes over those of all tenants.
    pub fn set_all(&self, hosts: HashMap<String, TenantId>) {
        if **self.0.load() != hosts {
            self.0.store(hosts.into());
        }
    }

    /// The tenant that a host name leads to; `main` when it leads to none.
    pub fn tenant_of(&self, host: Option<&str>) -> TenantId {
        let hosts = self.0.load();
        if hosts.is_empty() {
            return TenantId::main();
        }
        let name = normal(host.unwrap_or_default());
        hosts.get(name.as_ref()).cloned().unwrap_or_else(TenantId::main)
    }

    /// Whether a host name serves a tenant to its keys. A name that leads to a tenant serves that tenant alone; a name
    /// that leads to nobody, such as an address, serves every key.
    pub fn serves(&self, host: Option<&str>, tenant: &TenantId) -> bool {
        let hosts = self.0.load();
        if hosts.is_empty() {
            return true;
        }
        hosts.get(normal(host.unwrap_or_default()).as_ref()).is_none_or(|bound| bound == tenant)
    }
}
