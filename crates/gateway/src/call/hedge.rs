//! A second target is asked when the first one is slow. Whichever answers first wins; nobody waits for the other.

use tokio::time::{Instant, timeout};

use super::{
    attempt::{Tried, ready, sent},
    case::{Case, Desk, What},
};
use crate::{
    config::Target,
    routing::Stage,
    upstream::{Failed, Next},
    wire::FaultKind,
};

/// The code of a target that lost against the second one.
const OVERTAKEN: &str = "upstream_overtaken";

/// The target that may be asked beside the first one of two; `None` when the first one is waited for however long it takes. Vectors of two
/// models do not compare, and the built-in model is quick.
pub(super) fn second<'t>(
    case: &Case<'_>,
    stage: &Stage<'_>,
    first: &Target,
    second: &'t Target,
) -> Option<&'t Target> {
    let hedges = stage.route.hedge.is_some() && matches!(case.what, What::Chat(_));
    (hedges && !first.is_built_in() && !second.is_built_in()).then_some(second)
}

/// Asks the first target, and after the time of the route the second one too, if it may be asked and what it can cost can be reserved.
pub(super) async fn race<'t>(
    desk: &Desk,
    case: &Case<'_>,
    stage: &Stage<'_>,
    (first, second): (&'t Target, &'t Target),
    end: Instant,
) -> Tried<'t> {
    let provider = match ready(desk, case, first) {
        Ok(provider) => provider,
        Err(failed) => return Tried::of(first, Err(failed)),
    };
    let number = case.noted.note(|ledger| ledger.sending(&first.provider, &first.model));
    // In a box of its own, so that the one that lost can be dropped before the other is the answer.
    let mut one = Box::pin(sent(desk, case, (stage, first), (provider, number), end));
    let wait = stage.route.hedge.unwrap_or_default();
    if let Ok(result) = timeout(wait, &mut one).await {
        return Tried::of(first, result);
    }
    let Ok(provider) = ready(desk, case, second) else { return Tried::of(first, one.await) };
    let beside = case.noted.note(|ledger| ledger.sending_beside(&second.provider, &second.model));
    let Some(beside) = beside else {
        desk.breakers.released(&second.provider, &second.model);
        return Tried::of(first, one.await);
    };
    let mut two = Box::pin(sent(desk, case, (stage, second), (provider, beside), end));
    let (mut failed_first, mut failed_second): (Option<Failed>, Option<Failed>) = (None, None);
    let won = |target: &Target, number| {
        case.noted.note(|ledger| ledger.won(number, &target.provider, &target.model));
    };
    loop {
        let (of_first, result) = tokio::select! {
            biased;
            result = &mut one, if failed_first.is_none() => (true, result),
            result = &mut two, if failed_second.is_none() => (false, result),
        };
        match (result, of_first) {
            (Ok(got), true) => {
                drop(two);
                won(first, number);
                return Tried { got: Some(got), failures: [None, None], hedged: true };
            }
            (Ok(got), false) => {
                drop(one);
                if failed_first.is_none() {
                    // A target that loses every time is left alone like one that fails.
                    let now = std::time::Instant::now();
                    desk.breakers.failed((&first.provider, &first.model), OVERTAKEN, None, now);
                }
                won(second, beside);
                return Tried { got: Some(got), failures: [None, None], hedged: true };
            }
            (Err(failed), true) => failed_first = Some(failed),
            (Err(failed), false) => failed_second = Some(failed),
        }
        // A target that refuses the request ends the call, as it does when it is asked alone. The second one was asked only because the
        // first was slow: its refusal counts when the first one fails too, unless it is about an answer that came.
        let refuses = |failed: &Failed| failed.next == Next::Stop;
        let ends = failed_first.as_ref().is_some_and(refuses)
            || failed_second
                .as_ref()
                .is_some_and(|failed| refuses(failed) && failed.fault.kind == FaultKind::Refused);
        if ends || (failed_first.is_some() && failed_second.is_some()) {
            let of = |target, failed: Option<Failed>| failed.map(|failed| (target, failed));
            let failures = [of(first, failed_first), of(second, failed_second)];
            return Tried { got: None, failures, hedged: true };
        }
    }
}
