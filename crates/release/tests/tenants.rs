//! Tenants and the host names that lead to them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_model::TenantId;
use ashlar_release::{CreateTenant, Location};
use common::{Clock, by, open};

/// Tenants that ask for one host name at the same time, on several engines.
const TENANTS: usize = 6;

async fn one_tenant_gets_a_host(location: &Location) {
    let clock = Clock::new();
    let engines = [open(location, &clock).await, open(location, &clock).await];
    let admin = by("admin");
    for round in 0..3 {
        let host = format!("site-{round}.example");
        let create = |n: usize| {
            let tenant = TenantId::new(&format!("tenant-{round}-{n}")).unwrap();
            engines[n % 2].run(&admin, CreateTenant { tenant, hosts: vec![host.clone()] })
        };
        let made: [_; TENANTS] =
            tokio::join!(create(0), create(1), create(2), create(3), create(4), create(5)).into();
        let refused = made.iter().filter_map(|one| one.as_ref().err()).map(ToString::to_string);
        assert_eq!(refused.filter(|error| error.contains(&host)).count(), TENANTS - 1, "{made:?}");
    }
    // A tenant keeps its host, and can give it up.
    let tenant = TenantId::new("tenant-x").unwrap();
    let create = |tenant: &TenantId, hosts: &[&str]| CreateTenant {
        tenant: tenant.clone(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    };
    for hosts in [&["x.example"][..], &["x.example", "y.example"], &[]] {
        engines[0].run(&admin, create(&tenant, hosts)).await.unwrap();
    }
    let other = TenantId::new("tenant-y").unwrap();
    engines[1].run(&admin, create(&other, &["x.example"])).await.unwrap();
    for engine in engines {
        engine.close().await;
    }
}

#[tokio::test]
async fn one_of_several_tenants_gets_a_host() {
    let dir = tempfile::tempdir().unwrap();
    one_tenant_gets_a_host(&Location::embedded(dir.path())).await;
}

#[tokio::test]
async fn one_of_several_tenants_gets_a_host_on_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let Some(location) = common::postgres("tenants", dir.path()) else { return };
    one_tenant_gets_a_host(&location).await;
}
