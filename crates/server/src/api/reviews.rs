//! Model calls that people look at, and what they say.

use std::sync::Arc;

use ashlar_evals::review::{Label, expectation};
use ashlar_release::{
    GiveVerdict, Page, QueueReview, REVIEW_DISPUTED, REVIEW_DONE, REVIEW_OPEN, ReviewQuery,
};
use axum::extract::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    llm::time,
    state::{Answer, answer},
};
use crate::{
    access::Caller,
    app::tenants::Tenants,
    endpoints::extract::{Body, Path, Query},
    front::ApiError,
    reviews::{self, Listed, Report, Shown, Taken, Terms, VerdictBody},
};

#[derive(Deserialize, JsonSchema)]
pub struct ReviewsQuery {
    /// Reviews of this feature.
    feature: Option<String>,
    /// Reviews in this state: `open`, `disputed` or `done`.
    state: Option<String>,
    /// `true`: only reviews that the caller can give a verdict on now.
    open_to_me: Option<bool>,
    /// Reviews of calls that began at this time (RFC 3339) or later.
    from: Option<String>,
    /// Where the page starts.
    cursor: Option<String>,
    /// The most reviews of the page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
pub struct LabelsQuery {
    /// Labels of this feature.
    feature: Option<String>,
    /// Labels of calls that began at this time (RFC 3339) or later.
    from: Option<String>,
    /// Where the page starts.
    cursor: Option<String>,
    /// The most labels of the page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
pub struct FiguresQuery {
    /// Figures of this feature.
    feature: Option<String>,
    /// Figures of calls that began at this time (RFC 3339) or later.
    from: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ReviewTake")]
pub struct TakeBody {
    /// The review. Without it, one that needs the caller.
    call: Option<String>,
    /// Only a review of this feature.
    feature: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ReviewQueue")]
pub struct QueueBody {
    /// The id of a recorded call whose text is stored.
    call: String,
}

fn query(q: ReviewsQuery) -> Result<ReviewQuery, ApiError> {
    let states = [REVIEW_OPEN, REVIEW_DISPUTED, REVIEW_DONE];
    if let Some(state) = q.state.as_deref().filter(|state| !states.contains(state)) {
        let shown: String = state.chars().take(40).collect();
        let help = "write open, disputed or done";
        return Err(ApiError::invalid(format!("there are no reviews in the state `{shown}`"), help));
    }
    Ok(ReviewQuery {
        feature: q.feature,
        state: q.state,
        open_to_me: q.open_to_me.unwrap_or(false),
        from: time("from", q.from.as_ref())?,
        cursor: q.cursor,
        limit: q.limit,
    })
}

pub async fn list(caller: Caller, Query(q): Query<ReviewsQuery>) -> Answer<Page<Listed>> {
    let page = caller.engine.reviews(&caller.ctx, &query(q)?).await?;
    let items = page.items.iter().map(reviews::listed).collect::<Result<Vec<_>, _>>()?;
    answer(Page { items, next_cursor: page.next_cursor })
}

pub async fn labels(caller: Caller, Query(q): Query<LabelsQuery>) -> Answer<Page<Label>> {
    let query = ReviewQuery {
        feature: q.feature,
        state: Some(REVIEW_DONE.to_owned()),
        open_to_me: false,
        from: time("from", q.from.as_ref())?,
        cursor: q.cursor,
        limit: q.limit,
    };
    let page = caller.engine.reviews(&caller.ctx, &query).await?;
    let items = page.items.iter().map(reviews::label).collect::<Result<Vec<_>, _>>()?;
    answer(Page { items, next_cursor: page.next_cursor })
}

pub async fn figures(caller: Caller, Query(q): Query<FiguresQuery>) -> Answer<Report> {
    let from: Option<Timestamp> = time("from", q.from.as_ref())?;
    let sums = caller.engine.review_sums(&caller.ctx, q.feature.as_deref(), from).await?;
    answer(reviews::report(&sums)?)
}

pub async fn show(caller: Caller, Path(call): Path<String>) -> Answer<Shown> {
    answer(reviews::shown(&caller.engine.review(&caller.ctx, &call).await?)?)
}

pub async fn take(caller: Caller, Body(body): Body<TakeBody>) -> Answer<Taken> {
    let (call, feature) = (body.call.as_deref(), body.feature.as_deref());
    let taken = caller.engine.take_review(&caller.ctx, call, feature).await?;
    answer(Taken { review: taken.as_ref().map(reviews::shown).transpose()? })
}

pub async fn judge(caller: Caller, Path(call): Path<String>, Body(body): Body<VerdictBody>) -> Answer<Shown> {
    let expected = match &body.expect {
        None => String::new(),
        Some(expect) => {
            expectation(expect).map_err(|findings| {
                let wrong = findings.first().map(|f| (f.message.clone(), f.help.clone())).unwrap_or_default();
                ApiError::invalid(format!("`expect`: {}", wrong.0), wrong.1)
            })?;
            expect.to_string()
        }
    };
    let verdict = body.verdict.name().to_owned();
    let give = GiveVerdict { call, verdict, expected, comment: body.comment };
    answer(reviews::shown(&caller.engine.run(&caller.ctx, give).await?)?)
}

pub async fn queue(
    State(tenants): State<Arc<Tenants>>,
    caller: Caller,
    Body(body): Body<QueueBody>,
) -> Answer<Shown> {
    let call = caller.engine.call(&caller.ctx, &body.call).await?;
    let public = tenants.public(&caller.ctx.tenant);
    let terms =
        public.map_or_else(Terms::default, |view| Terms::of(&view.definitions().gateway, &call.feature));
    let row = reviews::queued(&call, terms, caller.engine.now())?;
    answer(reviews::shown(&caller.engine.run(&caller.ctx, QueueReview { row }).await?)?)
}
