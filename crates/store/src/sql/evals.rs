//! Evidence of eval suites.

use std::collections::BTreeSet;

use ashlar_model::Digest;
use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{int, parsed, text, unsigned},
};

/// What a run of a suite showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceRow {
    /// Its number in the tenant. Later evidence has a greater one.
    pub id: u64,
    /// The suite.
    pub suite: String,
    /// The digest of everything that the answers depend on.
    pub inputs: Digest,
    /// Whether every case has a verdict. Only such evidence counts.
    pub complete: bool,
    /// The document of the run.
    pub object: Digest,
    /// What was asked: `c4` or `r3`.
    pub asked: String,
    /// `pass`, `fail` or `incomplete`, by the thresholds of that time.
    pub verdict: String,
    /// How many cases the suite had.
    pub cases: u64,
    /// How many of them passed.
    pub passed: u64,
    /// What made the run, such as `ashlar eval run`.
    pub producer: String,
    /// Who recorded it.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
}

fn evidence_of(row: &AnyRow) -> Result<EvidenceRow, SqlError> {
    Ok(EvidenceRow {
        id: unsigned(row, "id")?,
        suite: text(row, "suite")?,
        inputs: parsed(row, "inputs")?,
        complete: unsigned(row, "complete")? == 1,
        object: parsed(row, "object")?,
        asked: text(row, "asked")?,
        verdict: text(row, "verdict")?,
        cases: unsigned(row, "cases")?,
        passed: unsigned(row, "passed")?,
        producer: text(row, "producer")?,
        by: text(row, "by_name")?,
        at: text(row, "at")?,
    })
}

impl Rows<'_> {
    /// Stores evidence in the place of earlier evidence for the same inputs, and forgets the oldest of the suite beyond `keep`, but none for the
    /// inputs that are `needed`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_eval_evidence(
        &mut self,
        row: &EvidenceRow,
        keep: u32,
        needed: &BTreeSet<Digest>,
    ) -> Result<(), SqlError> {
        *self.names_objects = true;
        sqlx::query(
            "INSERT INTO eval_evidence (tenant, suite, inputs, complete, id, object, asked, verdict, cases, passed, \
             producer, by_name, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (tenant, suite, inputs, complete) DO UPDATE SET id = excluded.id, object = excluded.object, \
             asked = excluded.asked, verdict = excluded.verdict, cases = excluded.cases, passed = excluded.passed, \
             producer = excluded.producer, by_name = excluded.by_name, at = excluded.at",
        )
        .bind(self.t())
        .bind(row.suite.clone())
        .bind(row.inputs.to_string())
        .bind(i64::from(row.complete))
        .bind(int(row.id))
        .bind(row.object.to_string())
        .bind(row.asked.clone())
        .bind(row.verdict.clone())
        .bind(int(row.cases))
        .bind(int(row.passed))
        .bind(row.producer.clone())
        .bind(row.by.clone())
        .bind(row.at.clone())
        .execute(&mut *self.conn)
        .await?;
        let places: Vec<String> = (4..).take(needed.len()).map(|place| format!("${place}")).collect();
        let but = match places.is_empty() {
            true => String::new(),
            false => format!(" AND inputs NOT IN ({})", places.join(", ")),
        };
        let sql = format!(
            "DELETE FROM eval_evidence WHERE tenant = $1 AND suite = $2 AND id <= \
             (SELECT id FROM eval_evidence WHERE tenant = $1 AND suite = $2 ORDER BY id DESC LIMIT 1 OFFSET $3){but}"
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(row.suite.clone())
            .bind(i64::from(keep));
        for inputs in needed {
            query = query.bind(inputs.to_string());
        }
        query.execute(&mut *self.conn).await?;
        Ok(())
    }

    /// The evidence of a suite for these inputs, complete evidence first.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn eval_evidence_of(
        &mut self,
        suite: &str,
        inputs: &Digest,
    ) -> Result<Vec<EvidenceRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT * FROM eval_evidence WHERE tenant = $1 AND suite = $2 AND inputs = $3 ORDER BY complete DESC",
        )
        .bind(self.t())
        .bind(suite.to_owned())
        .bind(inputs.to_string())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(evidence_of).collect()
    }

    /// The inputs of all complete evidence of a suite.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn eval_evidence_inputs(&mut self, suite: &str) -> Result<Vec<Digest>, SqlError> {
        let rows =
            sqlx::query("SELECT inputs FROM eval_evidence WHERE tenant = $1 AND suite = $2 AND complete = 1")
                .bind(self.t())
                .bind(suite.to_owned())
                .fetch_all(&mut *self.conn)
                .await?;
        rows.iter().map(|row| parsed(row, "inputs")).collect()
    }

    /// Evidence below `before`, newest first, at most `limit`; of all suites when none is named.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn eval_evidence(
        &mut self,
        suite: Option<&str>,
        before: u64,
        limit: u32,
    ) -> Result<Vec<EvidenceRow>, SqlError> {
        let sql = match suite {
            Some(_) => {
                "SELECT * FROM eval_evidence WHERE tenant = $1 AND id < $2 AND suite = $4 ORDER BY id DESC LIMIT $3"
            }
            None => "SELECT * FROM eval_evidence WHERE tenant = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        };
        let mut query = sqlx::query(sql).bind(self.t()).bind(int(before)).bind(i64::from(limit));
        if let Some(suite) = suite {
            query = query.bind(suite.to_owned());
        }
        let rows = query.fetch_all(&mut *self.conn).await?;
        rows.iter().map(evidence_of).collect()
    }

    /// The documents of all evidence.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn eval_evidence_objects(&mut self) -> Result<Vec<Digest>, SqlError> {
        let rows = sqlx::query("SELECT DISTINCT object FROM eval_evidence WHERE tenant = $1")
            .bind(self.t())
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(|row| parsed(row, "object")).collect()
    }
}
