//! Whether a call may begin, and what it is charged.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rows;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use ashlar_gateway::{
    config::Gateway,
    policy::{Asking, AttemptId, Code, Permit, Policy, Refusal, user_hash},
    price::{Money, Tokens},
};
use proptest::prelude::*;
use rows::InMemory;

const ROUTES: &str = "[routes.fast]\ntargets = [{ provider = 'p', model = 'small' }]\nfallbacks = ['large']\n\
    [routes.large]\ntargets = [{ provider = 'p', model = 'large' }]\n\
    [[prices]]\nmodel = 'p/small'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '1'\noutput = '2'\n\
    [[prices]]\nmodel = 'p/large'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '10'\noutput = '20'\n";

fn gateway(rest: &str) -> Arc<Gateway> {
    Arc::new(Gateway::read(format!("{ROUTES}{rest}").as_bytes()).unwrap())
}

fn asking(user: &str) -> Asking<'_> {
    let now = "2026-11-22T10:00:00Z".parse().unwrap();
    Asking { key: "k", feature: "a", user, route: "fast", now, tokens_in: 1_000, tokens_out_max: 1_000 }
}

fn policy() -> (Policy, Arc<InMemory>) {
    let rows = Arc::new(InMemory::default());
    (Policy::new(rows.clone()), rows)
}

fn code(outcome: Result<Permit, Refusal>) -> Code {
    outcome.unwrap_err().code
}

#[tokio::test]
async fn what_a_feature_may_not_use_is_refused_with_the_reason() {
    let (policy, _) = policy();
    let gateway = gateway("[features.a]\nroutes = ['fast', 'extractive']\n");
    assert!(policy.admit(&gateway, &asking("")).await.is_ok());
    let refused = policy.admit(&gateway, &Asking { route: "large", ..asking("") }).await.unwrap_err();
    assert_eq!((refused.code, refused.code.status()), (Code::RouteNotAllowed, 403));
    assert!(refused.message.contains("it may use fast, extractive"), "{refused}");
    let refused = policy.admit(&gateway, &Asking { route: "fats", ..asking("") }).await.unwrap_err();
    assert!(refused.message.contains("did you mean `fast`?"), "{refused}");
    assert_eq!(
        code(policy.admit(&gateway, &Asking { feature: "b", ..asking("") }).await),
        Code::FeatureUnknown
    );
}

#[tokio::test]
async fn requests_and_tokens_are_limited_for_features_keys_and_users() {
    let (policy, _) = policy();
    let gateway = gateway(
        "[features.a]\nrequests_per_minute = 5\nper_user = { requests_per_minute = 2 }\nper_key = { tokens_per_minute = 6000 }\n",
    );
    let admit = async |user: &str, key: &str| policy.admit(&gateway, &Asking { key, ..asking(user) }).await;
    let first = admit("u", "k").await.unwrap();
    let _second = admit("u", "k").await.unwrap();
    let refused = admit("u", "k").await.unwrap_err();
    assert_eq!((refused.code, refused.code.status()), (Code::RateLimited, 429));
    assert!(refused.message.contains("2 requests per minute of this user"), "{refused}");
    assert!(refused.retry_after.is_some_and(|wait| wait.as_secs() >= 29), "{refused:?}");
    let _third = admit("v", "k").await.unwrap();
    // 6,000 tokens are reserved. What the first did not use is there again.
    let refused = admit("w", "k").await.unwrap_err();
    assert!(refused.message.contains("6000 tokens per minute of this key"), "{refused}");
    first.settle(Tokens::default());
    let _fourth = admit("w", "k").await.unwrap();
    // A refused call is not counted by the limits that would have let it through.
    let _fifth = admit("x", "other").await.unwrap();
    assert!(admit("y", "other").await.unwrap_err().message.contains("5 requests per minute of the feature"));
}

#[tokio::test]
async fn money_is_reserved_at_the_dearest_model_and_settled_at_what_answered() {
    let (policy, rows) = policy();
    let gateway =
        gateway("[features.a]\nbudget = { day = '0.07', tokens_month = 1000000 }\n[budget]\nmonth = '5'\n");
    // The fallback could cost 0.03: two calls fit, a third does not.
    let mut one = policy.admit(&gateway, &asking("")).await.unwrap();
    let two = policy.admit(&gateway, &asking("")).await.unwrap();
    let refused = policy.admit(&gateway, &asking("")).await.unwrap_err();
    assert_eq!((refused.code, refused.code.status()), (Code::BudgetExceeded, 429));
    assert!(refused.message.contains("0.07 USD per day of the feature `a`"), "{refused}");
    assert_eq!(refused.retry_after.unwrap().as_secs(), 14 * 3_600);

    one.sending("p", "small");
    let settled = one.settle(Tokens { input: 900, output: 500, ..Tokens::default() });
    assert_eq!((settled.cost.to_string().as_str(), settled.currency.as_str()), ("0.0019", "USD"));
    // It was never sent.
    drop(two);
    let mut three = policy.admit(&gateway, &asking("")).await.unwrap();
    let first = three.sending("p", "small");
    three.failed(first);
    let second = three.sending("p", "large");
    three.so_far(second, Tokens { input: 1_000, output: 10, ..Tokens::default() });
    // The client went away: what was reported so far counts.
    drop(three);
    policy.close().await;
    let micro = 1_000_000;
    assert_eq!(rows.used("feature/a", "2026-11-22", "money/USD"), (1_900 + 10_200) * micro);
    assert_eq!(rows.used("tenant", "2026-11", "money/USD"), (1_900 + 10_200) * micro);
    assert_eq!(rows.used("feature/a", "2026-11", "tokens"), 1_400 + 1_010);
}

#[tokio::test]
async fn a_call_that_was_sent_and_reported_nothing_is_charged_at_its_upper_bound() {
    let (policy, rows) = policy();
    let gateway = gateway("[features.a]\nbudget = { day = '1' }\n");
    let mut permit = policy.admit(&gateway, &asking("")).await.unwrap();
    permit.sending("p", "small");
    drop(permit);
    policy.close().await;
    assert_eq!(rows.used("feature/a", "2026-11-22", "money/USD"), 3_000_000_000);
}

#[tokio::test]
async fn budgets_of_users_are_apart_and_the_built_in_model_needs_none() {
    let (policy, _) = policy();
    let gateway = gateway("[features.a]\nper_user = { budget = { day = '0.03' } }\n");
    let hash = |user: &str| user_hash(&[7; 32], user);
    let (one, two) = (hash("jo@example.com"), hash("ed"));
    assert_ne!(one, two);
    assert!(!one.contains("jo") && hash("").is_empty());
    let _first = policy.admit(&gateway, &asking(&one)).await.unwrap();
    assert_eq!(code(policy.admit(&gateway, &asking(&one)).await), Code::BudgetExceeded);
    let _other = policy.admit(&gateway, &asking(&two)).await.unwrap();
    // Calls without a user are one user.
    let _nobody = policy.admit(&gateway, &asking("")).await.unwrap();
    assert_eq!(code(policy.admit(&gateway, &asking("")).await), Code::BudgetExceeded);
    let free = Asking { route: "extractive", ..asking(&one) };
    assert!(policy.admit(&gateway, &free).await.is_ok());
    let yesterday = Asking { now: "2026-11-21T10:00:00Z".parse().unwrap(), ..asking(&one) };
    assert!(policy.admit(&gateway, &yesterday).await.is_ok());
}

#[tokio::test]
async fn budgets_fail_closed_when_the_rows_cannot_be_asked() {
    let (policy, rows) = policy();
    let gateway = gateway("[features.a]\nbudget = { tokens_day = 100000 }\n[features.free]\n");
    let first = policy.admit(&gateway, &asking("")).await.unwrap();
    rows.down.store(true, Ordering::SeqCst);
    // The allotment is four calls.
    let mut open = vec![first];
    let refused = loop {
        match policy.admit(&gateway, &asking("")).await {
            Ok(permit) => open.push(permit),
            Err(refused) => break refused,
        }
    };
    assert_eq!((refused.code, refused.code.status(), open.len()), (Code::BudgetUnavailable, 503, 4));
    // Without a budget nothing has to be asked.
    assert!(policy.admit(&gateway, &Asking { feature: "free", ..asking("") }).await.is_ok());
    rows.down.store(false, Ordering::SeqCst);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(policy.admit(&gateway, &asking("")).await.is_ok());
}

#[tokio::test]
async fn a_soft_limit_warns_once_for_operators_and_every_time_for_callers() {
    let (policy, _) = policy();
    let gateway = gateway("[features.a]\nbudget = { tokens_day = 10000, soft = 0.5 }\n");
    let mut warned = Vec::new();
    for _ in 0..5 {
        let mut permit = policy.admit(&gateway, &asking("")).await.unwrap();
        warned.push(permit.soft().len());
        permit.sending("p", "small");
        permit.settle(Tokens { input: 1_000, output: 1_000, ..Tokens::default() });
    }
    assert_eq!(warned, [0, 0, 1, 1, 1]);
    let crossed = policy.crossed();
    assert_eq!((crossed.len(), crossed[0].row.scope.as_str(), crossed[0].limit), (1, "feature/a", 10_000));
    assert!(policy.crossed().is_empty());
}

/// Many calls at once, on two nodes: the limit holds, and all of it can be used.
#[tokio::test]
async fn a_hard_budget_holds_under_load() {
    let rows = Arc::new(InMemory::default());
    let nodes = [Policy::new(rows.clone()), Policy::new(rows.clone())];
    let gateway = gateway("[features.a]\nbudget = { tokens_day = 1000000 }\n");
    let mut calls = Vec::new();
    for n in 0..2_000_u64 {
        let (node, gateway) = (nodes[n as usize % 2].clone(), gateway.clone());
        calls.push(tokio::spawn(async move {
            let mut permit = node.admit(&gateway, &asking("")).await.ok()?;
            permit.sending("p", "small");
            tokio::task::yield_now().await;
            Some(permit.settle(Tokens { input: 500, output: n % 1_000, ..Tokens::default() }).tokens.total())
        }));
    }
    let mut spent = 0;
    for call in calls {
        spent += call.await.unwrap().unwrap_or(0);
    }
    for node in &nodes {
        node.close().await;
    }
    assert!(spent <= 1_000_000, "{spent}");
    assert_eq!(rows.used("feature/a", "2026-11-22", "tokens"), spent);
    assert!(spent > 500_000, "{spent}");
}

/// Clocks of nodes that jump over midnight and back, and disagree: each day has its own budget, whoever spends it and whenever.
#[tokio::test]
async fn a_clock_that_jumps_opens_no_budget_twice() {
    let rows = Arc::new(InMemory::default());
    let nodes = [Policy::new(rows.clone()), Policy::new(rows.clone()), Policy::new(rows.clone())];
    let gateway = gateway("[features.a]\nbudget = { tokens_day = 20000, tokens_month = 50000 }\n");
    let times = [
        "2026-11-30T23:59:59Z",
        "2026-12-01T00:00:01Z",
        "2026-11-30T12:00:00Z",
        "2027-06-01T00:00:00Z",
        "2026-11-29T00:00:00Z",
        "1969-12-31T00:00:00Z",
    ];
    let mut spent: HashMap<String, u64> = HashMap::new();
    for n in 0..180_usize {
        let time = times[(n * 7 + n / 11) % times.len()];
        let asking = Asking { now: time.parse().unwrap(), ..asking("") };
        let Ok(mut permit) = nodes[n % nodes.len()].admit(&gateway, &asking).await else { continue };
        permit.sending("p", "small");
        let used = permit.settle(Tokens { input: 900, output: n as u64, ..Tokens::default() }).tokens.total();
        *spent.entry(time[..10].to_owned()).or_default() += used;
        *spent.entry(time[..7].to_owned()).or_default() += used;
    }
    for node in &nodes {
        node.close().await;
    }
    for (period, spent) in &spent {
        let limit = if period.len() == 7 { 50_000 } else { 20_000 };
        assert!(*spent <= limit, "{period}: {spent}");
        assert_eq!(rows.used("feature/a", period, "tokens"), *spent, "{period}");
    }
    assert!(spent["2026-11-30"] > 15_000 && spent["2026-11"] > 30_000, "{spent:?}");
}

/// Two attempts at once: each is charged by its own price and what is known of it, and both are reserved.
#[tokio::test]
async fn two_attempts_are_reserved_and_charged_apart() {
    let (policy, rows) = policy();
    let gateway = gateway("[features.a]\nbudget = { day = '0.1' }\n");
    let mut permit = policy.admit(&gateway, &asking("")).await.unwrap();
    let first = permit.sending("p", "small");
    assert!(!permit.widen(), "the node has one call's worth");
    policy.turn().await;
    assert!(permit.widen());
    let second = permit.sending("p", "large");
    // 0.06 of 0.1 are reserved, so that another call fits, and its second attempt does not.
    let mut other = policy.admit(&gateway, &asking("")).await.unwrap();
    assert!(!other.widen());
    policy.turn().await;
    assert!(!other.widen());
    drop(other);
    permit.so_far(second, Tokens { input: 900, output: 100, ..Tokens::default() });
    assert_eq!(permit.cost().to_string(), "0.011");
    // Nothing is known of the first one, which lost.
    permit.close(first);
    assert_eq!(permit.cost().to_string(), "0.014");
    permit.so_far(first, Tokens::default());
    assert_eq!(permit.finish().cost.to_string(), "0.014", "what has ended stays as it ended");
    policy.close().await;
    assert_eq!(rows.used("feature/a", "2026-11-22", "money/USD"), 14_000_000_000);
}

/// What happens to one of a few calls at a time.
#[derive(Debug, Clone)]
enum Step {
    Admit,
    Send,
    SendBeside,
    SoFar(usize, u64),
    Failed(usize),
    Close(usize),
    Finish,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Admit),
        3 => Just(Step::Send),
        3 => Just(Step::SendBeside),
        2 => (0..2_usize, 0..=1_000_u64).prop_map(|(at, output)| Step::SoFar(at, output)),
        1 => (0..2_usize).prop_map(Step::Failed),
        1 => (0..2_usize).prop_map(Step::Close),
        2 => Just(Step::Finish),
    ]
}

/// A call of the story: its permit, its attempts that go on, and whether a second one was reserved.
struct Open {
    permit: Permit,
    attempts: Vec<AttemptId>,
    sent: bool,
    widened: bool,
}

impl Open {
    fn finish(self) -> (Money, u64) {
        let times = 1 + u64::from(self.widened);
        let settled = self.permit.finish();
        // The dearest model costs 0.03 for each attempt.
        let most = Money::from_pico(30_000_000_000 * times);
        assert!(settled.cost <= most, "{} of {most}", settled.cost);
        assert!(settled.tokens.total() <= 2_000 * times, "{:?}", settled.tokens);
        assert!(self.sent || settled.cost == Money::ZERO, "what was never sent costs nothing");
        (settled.cost, settled.tokens.total())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However the attempts of calls are interleaved: a call is charged at most what it reserved, a budget is never exceeded, and when the
    /// calls have ended nothing is reserved any more.
    #[test]
    fn whatever_attempts_do_the_budget_holds(story in proptest::collection::vec((0..4_usize, step()), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (policy, rows) = policy();
            let gateway = gateway("[features.a]\nbudget = { day = '0.25', tokens_day = 20000 }\n");
            let used = || {
                let of = |unit| rows.used("feature/a", "2026-11-22", unit);
                (of("money/USD"), of("tokens"))
            };
            let mut calls: [Option<Open>; 4] = [None, None, None, None];
            let mut spent = (Money::ZERO, 0);
            let mut end = |open: Open| {
                let (cost, tokens) = open.finish();
                spent = (spent.0.plus(cost), spent.1 + tokens);
            };
            for (at, step) in story {
                let call = &mut calls[at];
                match (step, call.as_mut()) {
                    (Step::Admit, None) => {
                        let admitted = policy.admit(&gateway, &asking("")).await.ok();
                        *call = admitted.map(|permit| {
                            Open { permit, attempts: Vec::new(), sent: false, widened: false }
                        });
                    }
                    (Step::Send, Some(open)) if !open.sent => {
                        open.attempts.push(open.permit.sending("p", "large"));
                        open.sent = true;
                    }
                    (Step::SendBeside, Some(open)) if open.sent && !open.widened => {
                        open.widened = open.permit.widen();
                        if open.widened {
                            open.attempts.push(open.permit.sending("p", "small"));
                        } else {
                            // What the node lacks is asked for in the background.
                            policy.turn().await;
                        }
                    }
                    (Step::SoFar(number, output), Some(open)) if number < open.attempts.len() => {
                        open.permit.so_far(open.attempts[number], Tokens { input: 1_000, output, ..Tokens::default() });
                    }
                    (Step::Failed(number), Some(open)) if number < open.attempts.len() => {
                        open.permit.failed(open.attempts.remove(number));
                    }
                    (Step::Close(number), Some(open)) if number < open.attempts.len() => {
                        open.permit.close(open.attempts.remove(number));
                    }
                    (Step::Finish, _) => call.take().into_iter().for_each(&mut end),
                    _ => {}
                }
                assert!(used().0 <= 250_000_000_000 && used().1 <= 20_000, "{:?}", used());
            }
            calls.into_iter().flatten().for_each(&mut end);
            policy.close().await;
            assert_eq!(used(), (spent.0.pico(), spent.1));
        });
    }
}
