//! Evidence of eval suites: recording what a run showed, and reading it. What a suite is, the judge knows.

use std::{collections::BTreeSet, fmt, str::FromStr};

use ashlar_model::{CandidateId, Digest, ReleaseId, Right};
use ashlar_store::sql::{CandidateRow, CandidateStatus, EvidenceRow, ReleaseRow, Rows};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    docket::{candidate, docket, head_of, judge_again},
    judge::check_open,
};
use crate::{
    Action, CandidateView, Ctx, Engine, Page, ReleaseError, Scope, SuiteRun, Weighed,
    engine::action::Record,
    page::{cursor_number, paged},
};

/// The largest run that is recorded, in bytes.
pub const RUN_BYTES_MAX: usize = 64 << 20;
/// Evidence that is kept of a suite. The oldest goes first, except for that of what is served.
const KEPT_MAX: u32 = 500;
/// Items of one page.
const PAGE: u32 = 100;

/// What a run asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOf {
    /// A candidate.
    Candidate(CandidateId),
    /// A release.
    Release(ReleaseId),
}

impl fmt::Display for RunOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate(id) => id.fmt(f),
            Self::Release(id) => id.fmt(f),
        }
    }
}

impl FromStr for RunOf {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let candidate = s.parse().map(Self::Candidate);
        candidate.or_else(|_| s.parse().map(Self::Release)).map_err(|_| {
            let shown: String = s.chars().take(40).collect();
            format!("`{shown}` is not a candidate such as c4, nor a release such as r3")
        })
    }
}

/// Records what a run of an eval suite showed. The judge computes figures and verdict from the answers, by the suite of what was asked. An open
/// candidate is judged again.
#[derive(Debug, Clone)]
pub struct RecordEvidence {
    /// What was asked.
    pub of: RunOf,
    /// The suite.
    pub suite: String,
    /// The run, as the judge reads it. At most [`RUN_BYTES_MAX`].
    pub run: Vec<u8>,
}

/// Evidence of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceView {
    /// The suite.
    pub suite: String,
    /// What was asked: `c4` or `r3`.
    pub of: String,
    /// The digest of everything that the answers depend on. It counts for every candidate with the same one.
    pub inputs: Digest,
    /// `pass`, `fail` or `incomplete`, by the thresholds of that time.
    pub verdict: String,
    /// Whether every case has a verdict. Only such evidence counts.
    pub complete: bool,
    /// How many cases the suite had.
    pub cases: u64,
    /// How many of them passed.
    pub passed: u64,
    /// What made the run.
    pub producer: String,
    /// Who recorded it.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// The digest of what is stored of the run.
    pub document: Digest,
}

impl EvidenceView {
    fn of(row: EvidenceRow) -> Self {
        Self {
            suite: row.suite,
            of: row.asked,
            inputs: row.inputs,
            verdict: row.verdict,
            complete: row.complete,
            cases: row.cases,
            passed: row.passed,
            producer: row.producer,
            by: row.by,
            at: row.at,
            document: row.object,
        }
    }
}

/// The outcome of recording a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedEvidence {
    /// The evidence.
    pub evidence: EvidenceView,
    /// The candidate in its current state, when it was judged again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<CandidateView>,
}

/// A run that was weighed.
struct Recording {
    weighed: Weighed,
    /// Its document.
    object: Digest,
    /// The inputs of runs that verdicts need now, such as those of what is served. They are not forgotten for newer ones.
    needed: BTreeSet<Digest>,
}

impl RecordEvidence {
    /// The candidate that was asked, also as a release, and what its channel serves. A closed candidate may have lost its objects.
    async fn asked(&self, rows: &mut Rows<'_>) -> Result<(CandidateRow, Option<ReleaseRow>), ReleaseError> {
        let row = match self.of {
            RunOf::Candidate(id) => candidate(rows, id).await?,
            RunOf::Release(id) => {
                let release = rows.release(id).await?.ok_or_else(|| {
                    ReleaseError::not_found("release", id, "`ashlar release list` shows all releases")
                })?;
                candidate(rows, release.candidate).await?
            }
        };
        if row.status != CandidateStatus::Promoted {
            check_open(&row)?;
        }
        let head = head_of(rows, &row.frozen.channel.clone()).await?;
        Ok((row, head))
    }

    /// Weighs the run, stores its document, and judges with it: what follows in the transaction is answered from evidence.
    async fn weighed(&self, scope: &Scope<'_>, run: Vec<u8>) -> Result<Recording, ReleaseError> {
        let docket = {
            let mut conn = scope.engine.db().read(&scope.ctx.tenant).await?;
            let mut rows = conn.rows();
            let (row, head) = self.asked(&mut rows).await?;
            docket(scope, &mut rows, &row, head.as_ref()).await?
        };
        let (suite, asked) = (self.suite.clone(), self.of.to_string());
        let weighing = move || Ok((docket.weigh(&suite, &asked, &run)?, docket));
        let (weighed, mut docket) = scope.heavy(weighing).await?;
        let of_suite = docket.runs.iter().filter(|run| run.suite == self.suite);
        let needed = of_suite.map(|run| run.inputs).collect();
        let mut batch = scope.objects().batch();
        let object = batch.put(weighed.document.clone());
        scope.objects().commit(batch).await?;
        if let RunOf::Candidate(_) = self.of {
            let (inputs, complete) = (weighed.inputs, weighed.complete);
            docket
                .runs
                .retain(|run| run.suite != self.suite || run.inputs != inputs || run.complete != complete);
            let (suite, asked) = (self.suite.clone(), self.of.to_string());
            docket.runs.push(SuiteRun { suite, inputs, object, complete, asked });
            let judgement = scope.heavy(move || docket.judge()).await?;
            scope.engine.evidence().learn(&scope.ctx.tenant, &judgement.gates);
        }
        Ok(Recording { weighed, object, needed })
    }
}

#[async_trait]
impl Action for RecordEvidence {
    type Output = RecordedEvidence;
    const NAME: &'static str = "eval.record";

    fn right(&self) -> Right {
        Right::Evals
    }

    async fn act(mut self, scope: &Scope<'_>) -> Result<RecordedEvidence, ReleaseError> {
        if self.run.len() > RUN_BYTES_MAX {
            let message =
                format!("the run has {} bytes; at most {RUN_BYTES_MAX} are possible", self.run.len());
            return Err(ReleaseError::invalid(message, "split the suite"));
        }
        let _hold = scope.rely().await?;
        let run = std::mem::take(&mut self.run);
        let Recording { weighed, object, needed } = self.weighed(scope, run).await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let (mut row, head) = self.asked(&mut rows).await?;
        let evidence = EvidenceRow {
            id: rows.next("eval_evidence").await?,
            suite: self.suite,
            inputs: weighed.inputs,
            complete: weighed.complete,
            object,
            asked: self.of.to_string(),
            verdict: weighed.verdict,
            cases: weighed.cases,
            passed: weighed.passed,
            producer: weighed.producer,
            by: scope.actor().to_owned(),
            at: scope.at.clone(),
        };
        rows.put_eval_evidence(&evidence, KEPT_MAX, &needed).await?;
        let gates = match (self.of, row.status) {
            (RunOf::Candidate(_), CandidateStatus::Passed | CandidateStatus::Failed) => {
                Some(judge_again(scope, &mut rows, &mut row, head.as_ref()).await?)
            }
            _ => None,
        };
        let data = json!({
            "of": evidence.asked, "inputs": evidence.inputs, "document": evidence.object, "verdict": evidence.verdict,
            "cases": evidence.cases, "passed": evidence.passed, "producer": evidence.producer,
            "status": row.status.to_string(),
        });
        scope.commit(tx, Record::one("eval.recorded", evidence.suite.clone(), data)).await?;
        let candidate = gates.map(|gates| CandidateView::of(row, gates));
        Ok(RecordedEvidence { evidence: EvidenceView::of(evidence), candidate })
    }
}

impl Engine {
    /// Evidence of eval suites, newest first; of all suites when none is named.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn eval_evidence(
        &self,
        ctx: &Ctx,
        suite: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page<EvidenceView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let before = cursor_number(cursor)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().eval_evidence(suite, before, PAGE + 1).await?;
        let Page { items, next_cursor } = paged(rows, PAGE, |row: &EvidenceRow| row.id.to_string());
        Ok(Page { items: items.into_iter().map(EvidenceView::of).collect(), next_cursor })
    }
}
