//! Model calls that people look at: who works on which, what they say, and what follows from it.
//!
//! With one reviewer, their verdict is final. With two, equal verdicts are final, and different ones make the review disputed: a third person,
//! who sees both, decides. Nobody gives two verdicts on a call, and nobody sees a verdict of others before giving theirs or deciding.

use ashlar_model::{Right, TenantId};
use ashlar_store::sql::{ReviewFilter, ReviewRow, ReviewSum, Rows, VerdictRow, stamp};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::ids::{ID_BYTES_MAX, id_from};
use crate::{
    Ctx, Engine, Page, ReleaseError,
    engine::action::{Action, Record, Scope},
    page::{not_a_cursor, page_size, paged},
};

/// The most reviews of a tenant that wait for people. Further calls are not added.
pub const REVIEWS_WAITING_MAX: u64 = 10_000;
/// The longest remark and the longest expectation of a verdict, in bytes each.
pub const VERDICT_TEXT_BYTES_MAX: usize = 16 << 10;
/// The most groups of [`Engine::review_sums`].
pub const REVIEW_SUMS_MAX: u32 = 10_000;
/// For how long a review belongs to whoever took it.
const LEASE: SignedDuration = SignedDuration::from_mins(20);
/// Reviews that are deleted in one transaction.
const PRUNED_MAX: u32 = 2_000;

/// A review that still needs verdicts.
pub const REVIEW_OPEN: &str = "open";
/// A review whose two verdicts differ.
pub const REVIEW_DISPUTED: &str = "disputed";
/// A review with a final verdict.
pub const REVIEW_DONE: &str = "done";

/// Which reviews to list.
#[derive(Debug, Clone, Default)]
pub struct ReviewQuery {
    /// The feature.
    pub feature: Option<String>,
    /// The state: `open`, `disputed` or `done`.
    pub state: Option<String>,
    /// Only those that the caller can give a verdict on now.
    pub open_to_me: bool,
    /// Calls that began at this time or later.
    pub from: Option<Timestamp>,
    /// Where the page starts.
    pub cursor: Option<String>,
    /// The most reviews of the page.
    pub limit: Option<u32>,
}

/// A review with the verdicts that the caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenReview {
    /// The review. The verdicts that the caller may not see yet are empty in it.
    pub row: ReviewRow,
    /// Whether the caller gave a verdict.
    pub mine: bool,
    /// The verdicts that the caller may see.
    pub verdicts: Vec<VerdictRow>,
}

/// Gives a verdict on a call.
#[derive(Debug, Clone)]
pub struct GiveVerdict {
    /// The id of the call.
    pub call: String,
    /// `correct`, `partly`, `wrong` or `unsafe`.
    pub verdict: String,
    /// What a good answer is: the `expect` of a case, as JSON; empty when nothing is said.
    pub expected: String,
    /// A remark.
    pub comment: String,
}

/// Puts a recorded call into the queue.
#[derive(Debug, Clone)]
pub struct QueueReview {
    /// The review.
    pub row: ReviewRow,
}

fn not_found(call: &str) -> ReleaseError {
    let shown: String = call.chars().take(ID_BYTES_MAX).collect();
    ReleaseError::not_found("review", shown, "`ashlar review list` shows reviews; old ones are deleted")
}

async fn found(rows: &mut Rows<'_>, call: &str) -> Result<(ReviewRow, Vec<VerdictRow>), ReleaseError> {
    if call.len() > ID_BYTES_MAX {
        return Err(not_found(call));
    }
    let row = rows.review(call).await?.ok_or_else(|| not_found(call))?;
    let verdicts = rows.verdicts(&[call]).await?.remove(call).unwrap_or_default();
    Ok((row, verdicts))
}

/// Leaves out what a person may not see yet.
fn seen(mut row: ReviewRow, verdicts: Vec<VerdictRow>, who: &str, now: &str) -> SeenReview {
    let mine = verdicts.iter().any(|verdict| verdict.reviewer == who);
    // A third person decides between two verdicts, and must see them.
    let all = row.state != REVIEW_OPEN;
    if !all {
        (row.first, row.second) = (String::new(), String::new());
    }
    if row.lease_until.as_str() <= now {
        (row.lease_by, row.lease_until) = (String::new(), String::new());
    }
    let verdicts = verdicts.into_iter().filter(|verdict| all || verdict.reviewer == who).collect();
    SeenReview { row, mine, verdicts }
}

/// Whether a person may work on a review now.
fn check(row: &ReviewRow, verdicts: &[VerdictRow], who: &str, now: &str) -> Result<(), ReleaseError> {
    let refused = |code, message: &str, help: &str| Err(ReleaseError::refused(code, message, help));
    if row.state == REVIEW_DONE {
        return refused(
            "already-reviewed",
            "this review is done",
            "`ashlar review take` gives you another one",
        );
    }
    if verdicts.iter().any(|verdict| verdict.reviewer == who) {
        let message = "you gave a verdict on this call already; another person must give the next one";
        return refused("reviewed-twice", message, "`ashlar review take` gives you another one");
    }
    if !row.lease_by.is_empty() && row.lease_by != who && row.lease_until.as_str() > now {
        let message = format!("{} works on this call until {}", row.lease_by, row.lease_until);
        return refused("review-taken", &message, "`ashlar review take` gives you another one");
    }
    Ok(())
}

/// What a verdict makes of a review.
fn with_verdict(mut row: ReviewRow, verdict: &str, at: &str) -> ReviewRow {
    row.given += 1;
    (row.lease_by, row.lease_until) = (String::new(), String::new());
    match row.given {
        1 => row.first = verdict.to_owned(),
        2 => row.second = verdict.to_owned(),
        _ => {}
    }
    let agreed = row.given >= 2 && row.first == row.second;
    if row.reviewers <= 1 || row.given > 2 || agreed {
        (row.state, row.verdict, row.done_at) = (REVIEW_DONE.to_owned(), verdict.to_owned(), at.to_owned());
    } else if row.given == 2 {
        row.state = REVIEW_DISPUTED.to_owned();
    }
    row
}

#[async_trait]
impl Action for GiveVerdict {
    type Output = SeenReview;
    const NAME: &'static str = "review.judge";

    fn right(&self) -> Right {
        Right::Review
    }

    async fn act(self, scope: &Scope<'_>) -> Result<SeenReview, ReleaseError> {
        for (what, text) in [("comment", &self.comment), ("expectation", &self.expected)] {
            if text.len() > VERDICT_TEXT_BYTES_MAX {
                let message = format!("the {what} has more than {VERDICT_TEXT_BYTES_MAX} bytes");
                return Err(ReleaseError::invalid(message, "shorten it"));
            }
        }
        if !["correct", "partly", "wrong", "unsafe"].contains(&self.verdict.as_str()) {
            let shown: String = self.verdict.chars().take(40).collect();
            let message = format!("`{shown}` is not a verdict");
            return Err(ReleaseError::invalid(message, "write correct, partly, wrong or unsafe"));
        }
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let (row, mut verdicts) = found(&mut rows, &self.call).await?;
        check(&row, &verdicts, scope.actor(), &scope.at)?;
        let given = VerdictRow {
            call: self.call.clone(),
            reviewer: scope.actor().to_owned(),
            number: row.given + 1,
            verdict: self.verdict.clone(),
            expected: self.expected,
            comment: self.comment,
            at: scope.at.clone(),
        };
        let row = with_verdict(row, &self.verdict, &scope.at);
        rows.add_verdict(&given).await?;
        rows.set_review(&row).await?;
        verdicts.push(given);
        // Logs name neither the verdict nor its reason: the next reviewer may read them, and the audit log is never erased.
        let data = json!({"feature": row.feature, "state": row.state, "given": row.given});
        scope.commit(tx, Record::one("review.judged", self.call, data)).await?;
        Ok(seen(row, verdicts, scope.actor(), &scope.at))
    }
}

#[async_trait]
impl Action for QueueReview {
    type Output = SeenReview;
    const NAME: &'static str = "review.queue";

    // Any recorded call can be named, so this shows reviewers what only administrators see otherwise.
    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<SeenReview, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        if rows.reviews_waiting().await? >= REVIEWS_WAITING_MAX {
            let message = format!("{REVIEWS_WAITING_MAX} reviews wait already");
            return Err(ReleaseError::refused("too-many-reviews", message, "review some of them first"));
        }
        if rows.add_reviews(std::slice::from_ref(&self.row)).await? == 0 {
            let message = "this call is in the queue, or was reviewed already";
            return Err(ReleaseError::refused(
                "already-queued",
                message,
                "`ashlar review show CALL` shows it",
            ));
        }
        let data = json!({"feature": self.row.feature, "reasons": self.row.reasons});
        scope.commit(tx, Record::one("review.queued", self.row.call.clone(), data)).await?;
        Ok(seen(self.row, Vec::new(), scope.actor(), &scope.at))
    }
}

impl Engine {
    /// Reviews, newest calls first.
    ///
    /// # Errors
    /// When they cannot be read, or the caller may not review.
    pub async fn reviews(&self, ctx: &Ctx, query: &ReviewQuery) -> Result<Page<SeenReview>, ReleaseError> {
        self.permit(ctx, Right::Review)?;
        let is_id = |id: &String| id.len() <= ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_hexdigit());
        if query.cursor.as_ref().is_some_and(|cursor| !is_id(cursor)) {
            return Err(not_a_cursor());
        }
        let (now, who) = (stamp(self.now()), &ctx.actor.name);
        let filter = ReviewFilter {
            feature: query.feature.clone(),
            state: query.state.clone(),
            open_to: query.open_to_me.then(|| (who.clone(), now.clone())),
            from: query.from.map_or_else(String::new, id_from),
            before: query.cursor.clone().unwrap_or_else(|| "g".to_owned()),
        };
        let limit = page_size(query.limit);
        let mut conn = self.db().read(&ctx.tenant).await?;
        let page = paged(conn.rows().reviews(&filter, limit + 1).await?, limit, |row| row.call.clone());
        let ids: Vec<&str> = page.items.iter().map(|row| row.call.as_str()).collect();
        let mut verdicts = conn.rows().verdicts(&ids).await?;
        let of = |row: ReviewRow| {
            let verdicts = verdicts.remove(&row.call).unwrap_or_default();
            seen(row, verdicts, who, &now)
        };
        Ok(Page { items: page.items.into_iter().map(of).collect(), next_cursor: page.next_cursor })
    }

    /// The review of a call.
    ///
    /// # Errors
    /// When there is no such review, it cannot be read, or the caller may not review.
    pub async fn review(&self, ctx: &Ctx, call: &str) -> Result<SeenReview, ReleaseError> {
        self.permit(ctx, Right::Review)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let (row, verdicts) = found(&mut conn.rows(), call).await?;
        Ok(seen(row, verdicts, &ctx.actor.name, &stamp(self.now())))
    }

    /// Gives a review to the caller for 20 minutes: the one named, or else one that needs the caller, disputed ones first. `None`: there is
    /// none.
    ///
    /// # Errors
    /// When the one named is done, taken, or has a verdict of the caller; when the caller may not review.
    pub async fn take_review(
        &self,
        ctx: &Ctx,
        call: Option<&str>,
        feature: Option<&str>,
    ) -> Result<Option<SeenReview>, ReleaseError> {
        self.permit(ctx, Right::Review)?;
        let (now, who) = (self.now(), ctx.actor.name.clone());
        let at = stamp(now);
        let mut tx = self.db().write(&ctx.tenant).await?;
        let mut rows = tx.rows();
        let (mut row, verdicts) = match call {
            Some(call) => found(&mut rows, call).await?,
            None => {
                let mut chosen = None;
                for state in [REVIEW_DISPUTED, REVIEW_OPEN] {
                    let filter = ReviewFilter {
                        feature: feature.map(str::to_owned),
                        state: Some(state.to_owned()),
                        open_to: Some((who.clone(), at.clone())),
                        from: String::new(),
                        before: "g".to_owned(),
                    };
                    if let Some(row) = rows.reviews(&filter, 1).await?.pop() {
                        chosen = Some(row);
                        break;
                    }
                }
                let Some(row) = chosen else { return Ok(None) };
                let verdicts = rows.verdicts(&[&row.call]).await?.remove(&row.call).unwrap_or_default();
                (row, verdicts)
            }
        };
        check(&row, &verdicts, &who, &at)?;
        row.lease_by.clone_from(&who);
        row.lease_until = stamp(now.checked_add(LEASE).unwrap_or(Timestamp::MAX));
        rows.set_review(&row).await?;
        tx.commit().await?;
        Ok(Some(seen(row, verdicts, &who, &at)))
    }

    /// Counts reviews that are alike. `from`: of calls that began at this time or later.
    ///
    /// # Errors
    /// When they cannot be read, or the caller may not review.
    pub async fn review_sums(
        &self,
        ctx: &Ctx,
        feature: Option<&str>,
        from: Option<Timestamp>,
    ) -> Result<Vec<ReviewSum>, ReleaseError> {
        self.permit(ctx, Right::Review)?;
        let from = from.map_or_else(String::new, id_from);
        let mut conn = self.db().read(&ctx.tenant).await?;
        Ok(conn.rows().review_sums(feature, &from, REVIEW_SUMS_MAX).await?)
    }

    /// Deletes reviews whose time is over. Returns how many.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_reviews(&self, tenant: &TenantId) -> Result<u64, ReleaseError> {
        let now = stamp(self.now());
        let mut removed = 0;
        loop {
            let mut tx = self.db().write(tenant).await?;
            let some = tx.rows().prune_reviews(&now, PRUNED_MAX).await?;
            tx.commit().await?;
            removed += some;
            if some < u64::from(PRUNED_MAX) {
                return Ok(removed);
            }
        }
    }
}
