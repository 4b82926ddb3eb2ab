//! Model calls that people look at, and what they say.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{ROWS_MAX, int, text, unsigned},
};

/// A call that people look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReviewRow {
    /// The id of the call.
    pub call: String,
    /// The feature.
    pub feature: String,
    /// A hash of the end user; empty when the call named none.
    pub user: String,
    /// Why it was chosen, separated by commas.
    pub reasons: String,
    /// Whether checks doubted the answer.
    pub doubtful: bool,
    /// Whether a tool waited for the approval of a person.
    pub escalated: bool,
    /// How many people look at it.
    pub reviewers: u64,
    /// How many verdicts it has.
    pub given: u64,
    /// `open`, `disputed` or `done`.
    pub state: String,
    /// The first verdict; empty until given.
    pub first: String,
    /// The second verdict; empty until given.
    pub second: String,
    /// The final verdict; empty until the review is done.
    pub verdict: String,
    /// Who works on it; empty when nobody does.
    pub lease_by: String,
    /// Until when, RFC 3339.
    pub lease_until: String,
    /// When the final verdict was given, RFC 3339; empty before.
    pub done_at: String,
    /// Until when it is kept, RFC 3339.
    pub keep_until: String,
    /// What reviewers see, as JSON.
    pub data: String,
}

/// What a reviewer said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerdictRow {
    /// The id of the call.
    pub call: String,
    /// Who said it.
    pub reviewer: String,
    /// Its place among the verdicts of the call, from 1.
    pub number: u64,
    /// The verdict.
    pub verdict: String,
    /// What a good answer is, as JSON; empty when nothing was said.
    pub expected: String,
    /// A remark.
    pub comment: String,
    /// When, RFC 3339.
    pub at: String,
}

/// Which reviews to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReviewFilter {
    /// The feature.
    pub feature: Option<String>,
    /// The state.
    pub state: Option<String>,
    /// Only what this reviewer can give a verdict on at a time: not done, no verdict of theirs, nobody else works on it.
    pub open_to: Option<(String, String)>,
    /// The least id.
    pub from: String,
    /// Ids are below this one.
    pub before: String,
}

/// How many reviews are alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReviewSum {
    /// The feature.
    pub feature: String,
    /// Why they were chosen, separated by commas.
    pub reasons: String,
    /// Their state.
    pub state: String,
    /// The first verdict.
    pub first: String,
    /// The second verdict.
    pub second: String,
    /// The final verdict.
    pub verdict: String,
    /// Whether checks doubted the answers.
    pub doubtful: bool,
    /// Whether tools waited for the approval of a person.
    pub escalated: bool,
    /// How many.
    pub count: u64,
}

/// The columns of a review, in the order in which they are written.
const COLUMNS: [&str; 17] = [
    "call_id",
    "feature",
    "user_hash",
    "reasons",
    "doubtful",
    "escalated",
    "reviewers",
    "given",
    "state",
    "first",
    "second",
    "verdict",
    "lease_by",
    "lease_until",
    "done_at",
    "keep_until",
    "data",
];
/// Reviews that one statement writes.
const WRITTEN_MAX: usize = 20;

fn review_of(row: &AnyRow) -> Result<ReviewRow, SqlError> {
    Ok(ReviewRow {
        call: text(row, "call_id")?,
        feature: text(row, "feature")?,
        user: text(row, "user_hash")?,
        reasons: text(row, "reasons")?,
        doubtful: unsigned(row, "doubtful")? > 0,
        escalated: unsigned(row, "escalated")? > 0,
        reviewers: unsigned(row, "reviewers")?,
        given: unsigned(row, "given")?,
        state: text(row, "state")?,
        first: text(row, "first")?,
        second: text(row, "second")?,
        verdict: text(row, "verdict")?,
        lease_by: text(row, "lease_by")?,
        lease_until: text(row, "lease_until")?,
        done_at: text(row, "done_at")?,
        keep_until: text(row, "keep_until")?,
        data: text(row, "data")?,
    })
}

fn verdict_of(row: &AnyRow) -> Result<VerdictRow, SqlError> {
    Ok(VerdictRow {
        call: text(row, "call_id")?,
        reviewer: text(row, "reviewer")?,
        number: unsigned(row, "number")?,
        verdict: text(row, "verdict")?,
        expected: text(row, "expected")?,
        comment: text(row, "comment")?,
        at: text(row, "at")?,
    })
}

fn sum_of(row: &AnyRow) -> Result<ReviewSum, SqlError> {
    Ok(ReviewSum {
        feature: text(row, "feature")?,
        reasons: text(row, "reasons")?,
        state: text(row, "state")?,
        first: text(row, "first")?,
        second: text(row, "second")?,
        verdict: text(row, "verdict")?,
        doubtful: unsigned(row, "doubtful")? > 0,
        escalated: unsigned(row, "escalated")? > 0,
        count: unsigned(row, "count")?,
    })
}

impl Rows<'_> {
    /// Adds reviews that are not there yet. Returns how many these were.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn add_reviews(&mut self, reviews: &[ReviewRow]) -> Result<u64, SqlError> {
        let mut new = 0;
        for some in reviews.chunks(WRITTEN_MAX) {
            let width = COLUMNS.len();
            let row = |i: usize| {
                let values: Vec<String> = (0..width).map(|n| format!("${}", i * width + n + 2)).collect();
                format!("($1, {})", values.join(", "))
            };
            let sql = format!(
                "INSERT INTO llm_reviews (tenant, {}) VALUES {} ON CONFLICT (tenant, call_id) DO NOTHING",
                COLUMNS.join(", "),
                (0..some.len()).map(row).collect::<Vec<_>>().join(", ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t());
            for review in some {
                query = query
                    .bind(review.call.clone())
                    .bind(review.feature.clone())
                    .bind(review.user.clone())
                    .bind(review.reasons.clone())
                    .bind(i64::from(review.doubtful))
                    .bind(i64::from(review.escalated))
                    .bind(int(review.reviewers))
                    .bind(int(review.given))
                    .bind(review.state.clone())
                    .bind(review.first.clone())
                    .bind(review.second.clone())
                    .bind(review.verdict.clone())
                    .bind(review.lease_by.clone())
                    .bind(review.lease_until.clone())
                    .bind(review.done_at.clone())
                    .bind(review.keep_until.clone())
                    .bind(review.data.clone());
            }
            new += query.execute(&mut *self.conn).await?.rows_affected();
        }
        Ok(new)
    }

    /// How many reviews are not done.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn reviews_waiting(&mut self) -> Result<u64, SqlError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS waiting FROM llm_reviews WHERE tenant = $1 AND state IN ('open', 'disputed')",
        )
        .bind(self.t())
        .fetch_one(&mut *self.conn)
        .await?;
        unsigned(&row, "waiting")
    }

    /// Reviews, newest calls first.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn reviews(&mut self, filter: &ReviewFilter, limit: u32) -> Result<Vec<ReviewRow>, SqlError> {
        let mut sql =
            "SELECT * FROM llm_reviews WHERE tenant = $1 AND call_id >= $2 AND call_id < $3".to_owned();
        let mut values: Vec<String> = Vec::new();
        for (column, value) in [("feature", &filter.feature), ("state", &filter.state)] {
            if let Some(value) = value {
                values.push(value.clone());
                sql.push_str(&format!(" AND {column} = ${}", values.len() + 3));
            }
        }
        if let Some((reviewer, now)) = &filter.open_to {
            let (who, at) = (values.len() + 4, values.len() + 5);
            values.extend([reviewer.clone(), now.clone()]);
            sql.push_str(&format!(
                " AND state IN ('open', 'disputed') AND (lease_by = '' OR lease_by = ${who} OR lease_until <= ${at}) \
                 AND NOT EXISTS (SELECT 1 FROM llm_verdicts v WHERE v.tenant = llm_reviews.tenant \
                 AND v.call_id = llm_reviews.call_id AND v.reviewer = ${who})"
            ));
        }
        sql.push_str(&format!(" ORDER BY call_id DESC LIMIT ${}", values.len() + 4));
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(filter.from.clone())
            .bind(filter.before.clone());
        for value in values {
            query = query.bind(value);
        }
        let rows = query.bind(i64::from(limit)).fetch_all(&mut *self.conn).await?;
        rows.iter().map(review_of).collect()
    }

    /// The review of a call.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn review(&mut self, call: &str) -> Result<Option<ReviewRow>, SqlError> {
        let row = sqlx::query("SELECT * FROM llm_reviews WHERE tenant = $1 AND call_id = $2")
            .bind(self.t())
            .bind(call.to_owned())
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(review_of).transpose()
    }

    /// What was said about calls, in the order in which it was said.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn verdicts(&mut self, calls: &[&str]) -> Result<BTreeMap<String, Vec<VerdictRow>>, SqlError> {
        let mut found: BTreeMap<String, Vec<VerdictRow>> = BTreeMap::new();
        for some in calls.chunks(ROWS_MAX) {
            let ids: Vec<String> = (0..some.len()).map(|i| format!("${}", i + 2)).collect();
            let sql = format!(
                "SELECT * FROM llm_verdicts WHERE tenant = $1 AND call_id IN ({}) ORDER BY call_id, number",
                ids.join(", ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t());
            for call in some {
                query = query.bind((*call).to_owned());
            }
            for row in query.fetch_all(&mut *self.conn).await? {
                let verdict = verdict_of(&row)?;
                found.entry(verdict.call.clone()).or_default().push(verdict);
            }
        }
        Ok(found)
    }

    /// Adds a verdict. The reviewer has given none on this call.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn add_verdict(&mut self, verdict: &VerdictRow) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO llm_verdicts (tenant, call_id, reviewer, number, verdict, expected, comment, at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.t())
        .bind(verdict.call.clone())
        .bind(verdict.reviewer.clone())
        .bind(int(verdict.number))
        .bind(verdict.verdict.clone())
        .bind(verdict.expected.clone())
        .bind(verdict.comment.clone())
        .bind(verdict.at.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Writes what verdicts and leases change of a review.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_review(&mut self, review: &ReviewRow) -> Result<(), SqlError> {
        sqlx::query(
            "UPDATE llm_reviews SET given = $3, state = $4, first = $5, second = $6, verdict = $7, lease_by = $8, \
             lease_until = $9, done_at = $10 WHERE tenant = $1 AND call_id = $2",
        )
        .bind(self.t())
        .bind(review.call.clone())
        .bind(int(review.given))
        .bind(review.state.clone())
        .bind(review.first.clone())
        .bind(review.second.clone())
        .bind(review.verdict.clone())
        .bind(review.lease_by.clone())
        .bind(review.lease_until.clone())
        .bind(review.done_at.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Counts reviews of calls from an id on that are alike, by feature.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn review_sums(
        &mut self,
        feature: Option<&str>,
        from: &str,
        limit: u32,
    ) -> Result<Vec<ReviewSum>, SqlError> {
        let groups = "feature, reasons, state, first, second, verdict, doubtful, escalated";
        let sql = format!(
            "SELECT {groups}, COUNT(*) AS count FROM llm_reviews WHERE tenant = $1 AND call_id >= $2 \
             AND ($3 = '' OR feature = $3) GROUP BY {groups} ORDER BY {groups} LIMIT $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(from.to_owned())
            .bind(feature.unwrap_or_default().to_owned())
            .bind(i64::from(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(sum_of).collect()
    }

    /// Deletes the reviews of an end user's calls. Returns how many there were.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn erase_reviews(&mut self, user: &str) -> Result<u64, SqlError> {
        self.delete_reviews("user_hash <> '' AND user_hash = $2", user, None).await
    }

    /// Deletes reviews whose time (RFC 3339) is over, at most so many. Returns how many were deleted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_reviews(&mut self, now: &str, most: u32) -> Result<u64, SqlError> {
        self.delete_reviews("keep_until < $2", now, Some(most)).await
    }

    /// Deletes reviews with their verdicts. `which` compares a column with `$2`.
    async fn delete_reviews(&mut self, which: &str, value: &str, most: Option<u32>) -> Result<u64, SqlError> {
        let most = most.map_or(String::new(), |most| format!(" ORDER BY keep_until, call_id LIMIT {most}"));
        let chosen = format!("SELECT call_id FROM llm_reviews WHERE tenant = $1 AND {which}{most}");
        let mut removed = 0;
        for table in ["llm_verdicts", "llm_reviews"] {
            let sql = format!("DELETE FROM {table} WHERE tenant = $1 AND call_id IN ({chosen})");
            let done = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(self.t())
                .bind(value.to_owned())
                .execute(&mut *self.conn)
                .await?;
            removed = done.rows_affected();
        }
        Ok(removed)
    }
}
