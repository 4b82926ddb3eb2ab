//! Reports that a judgement may be answered from, as far as this process knows them.
//!
//! A report is a function of the inputs that its digest covers, so one that is remembered is as good as one that is read
//! again, wherever it came from.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use ashlar_model::{Digest, GateReport, GateStatus, TenantId};
use ashlar_store::sql::{ReleaseRow, Rows};

use crate::ReleaseError;

/// Reports of earlier judgements that a judgement may be answered from.
const REPORTS_MAX: usize = 64;
/// Findings that the remembered reports of a tenant have together.
const FINDINGS_MAX: usize = 1_000;
/// Releases of a tenant whose verdicts are remembered.
const RELEASES_MAX: usize = 4;
/// Tenants whose reports are remembered.
const TENANTS_MAX: usize = 64;

/// Reports that are remembered, newest first.
pub(crate) type Reports = Vec<Arc<GateReport>>;

#[derive(Default)]
struct Known {
    /// The newest time of evidence that was read.
    until: String,
    reports: VecDeque<Arc<GateReport>>,
    /// The verdicts that releases were promoted with, by manifest.
    released: VecDeque<(Digest, Arc<Vec<GateReport>>)>,
}

impl Known {
    /// Remembers reports; the last one is taken for the newest.
    fn add(&mut self, reports: impl Iterator<Item = GateReport>) {
        for report in reports.filter(|r| r.waiver.is_none()) {
            self.reports.retain(|r| r.gate != report.gate || r.inputs != report.inputs);
            self.reports.push_front(Arc::new(report));
        }
        let mut findings = 0;
        let fits = |r: &&Arc<GateReport>| {
            findings += r.findings.len();
            findings <= FINDINGS_MAX
        };
        let kept = self.reports.iter().take(REPORTS_MAX).take_while(fits).count();
        self.reports.truncate(kept);
    }
}

/// The reports of all tenants.
#[derive(Default)]
pub(crate) struct Evidence {
    tenants: Mutex<HashMap<TenantId, Known>>,
}

impl Evidence {
    fn with<T>(&self, tenant: &TenantId, work: impl FnOnce(&mut Known) -> T) -> T {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= TENANTS_MAX && !tenants.contains_key(tenant) {
            tenants.clear();
        }
        work(tenants.entry(tenant.clone()).or_default())
    }

    /// Remembers what gates said just now. It is true whether or not what they judged is stored.
    pub(crate) fn learn(&self, tenant: &TenantId, reports: &[GateReport]) {
        let new = reports.iter().filter(|r| !r.from_evidence && r.status != GateStatus::Error).cloned();
        self.with(tenant, |known| known.add(new));
    }

    /// Remembers the verdicts that a release was promoted with, once that is committed.
    pub(crate) fn promoted(&self, tenant: &TenantId, release: &ReleaseRow, gates: Vec<GateReport>) {
        self.with(tenant, |known| {
            known.released.push_front((release.manifest, Arc::new(gates)));
            known.released.truncate(RELEASES_MAX);
        });
    }
}

impl Evidence {
    /// The newest evidence of a tenant: what is remembered, and what was stored since.
    pub(crate) async fn recent(&self, rows: &mut Rows<'_>) -> Result<Reports, ReleaseError> {
        let tenant = rows.tenant().clone();
        let until = self.with(&tenant, |known| known.until.clone());
        let stored = rows.recent_evidence(&until, REPORTS_MAX as u32).await?;
        Ok(self.with(&tenant, |known| {
            if let Some((_, newest)) = stored.first().filter(|(_, at)| *at > known.until) {
                known.until.clone_from(newest);
            }
            known.add(stored.into_iter().rev().map(|(report, _)| report));
            known.reports.iter().cloned().collect()
        }))
    }

    /// The verdicts that a release was promoted with.
    pub(crate) async fn verdicts(
        &self,
        rows: &mut Rows<'_>,
        release: &ReleaseRow,
    ) -> Result<Vec<GateReport>, ReleaseError> {
        let tenant = rows.tenant().clone();
        let find = |known: &mut Known| known.released.iter().find(|k| k.0 == release.manifest).cloned();
        if let Some((_, gates)) = self.with(&tenant, find) {
            return Ok(gates.to_vec());
        }
        let gates = rows.reports(release.candidate).await?;
        self.promoted(&tenant, release, gates.clone());
        Ok(gates)
    }
}
