//! Whether a call may begin.

use jiff::Timestamp;

use super::{
    case::{Caller, Scene},
    ledger::Noted,
};
use crate::{
    policy::Asking,
    wire::{Fault, FaultKind},
};

/// Asks the policy whether the call may begin, and reserves what it can use.
pub(super) async fn admit(
    scene: &Scene,
    caller: &Caller,
    route: &str,
    (tokens_in, tokens_out_max): (u64, u64),
    noted: &Noted,
) -> Result<(), Fault> {
    noted.note(|ledger| ledger.facts.route = route.to_owned());
    let Some(policy) = &scene.policy else { return Ok(()) };
    let asking = Asking {
        key: &caller.key,
        feature: &caller.feature,
        user: &caller.user,
        route,
        now: Timestamp::now(),
        tokens_in,
        tokens_out_max,
    };
    let permit = policy.admit(&scene.gateway, &asking).await.map_err(|refusal| {
        let kind = match refusal.code.status() {
            429 => FaultKind::Limited,
            503 => FaultKind::Overloaded,
            _ => FaultKind::Permission,
        };
        let fault = Fault::new(kind, refusal.code.as_str(), refusal.message);
        Fault { retry_after: refusal.retry_after, ..fault }
    })?;
    noted.note(|ledger| {
        ledger.facts.currency = scene.gateway.prices.currency().to_owned();
        ledger.admitted(permit, tokens_in);
    });
    Ok(())
}
