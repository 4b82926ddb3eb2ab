//! Which targets a call tries, in which order.

use std::time::Duration;

use crate::config::{Feature, Gateway, Route, Target};

/// The longest wait that a provider can ask for before a call is tried again there.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// The first wait before a retry, and the longest.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A route of the plan, with its targets in the order in which they are tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage<'a> {
    /// The name of the route.
    pub name: &'a str,
    /// The route.
    pub route: &'a Route,
    /// The targets.
    pub targets: Vec<&'a Target>,
}

/// A number that is the same for the same text, evenly spread.
#[must_use]
pub fn point(text: &str) -> u64 {
    // FNV-1a, and a finish that spreads short texts.
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The targets of a route: first the one that the point falls on, then the others by weight.
fn targets(route: &Route, point: u64) -> Vec<&Target> {
    let mut out: Vec<&Target> = route.targets.iter().collect();
    let all: u64 = route.targets.iter().map(|target| u64::from(target.weight)).sum();
    if let Some(mut at) = point.checked_rem(all) {
        let first = route.targets.iter().position(|target| {
            let weight = u64::from(target.weight);
            let found = at < weight;
            at = at.saturating_sub(weight);
            found
        });
        let first = first.map(|first| out.remove(first));
        out.sort_by_key(|target| std::cmp::Reverse(target.weight));
        out.splice(0..0, first);
    }
    out
}

/// The plan of a call to a route: the route, and then its fallbacks that the feature may use and in which the call fits. A
/// call in which nothing fits has an empty plan. `tokens`: of the request and, at most, of its answer.
#[must_use]
pub fn plan<'a>(
    gateway: &'a Gateway,
    feature: &Feature,
    route: &'a str,
    point: u64,
    tokens: u64,
) -> Vec<Stage<'a>> {
    let mut names = vec![route];
    let mut at = 0;
    while let Some(name) = names.get(at) {
        if let Some(route) = gateway.routes.get(*name) {
            for fallback in &route.fallbacks {
                if !names.contains(&fallback.as_str()) {
                    names.push(fallback);
                }
            }
        }
        at += 1;
    }
    names
        .into_iter()
        .filter(|name| feature.routes.allows(name))
        .filter_map(|name| Some((name, gateway.routes.get(name)?)))
        .filter(|(_, route)| route.context.is_none_or(|most| tokens <= most))
        .map(|(name, route)| Stage { name, route, targets: targets(route, point) })
        .collect()
}

/// How long to wait before the retry with this number, from 0.
#[must_use]
pub fn backoff(retry: u32, point: u64) -> Duration {
    let most = BACKOFF.saturating_mul(1 << retry.min(10)).min(BACKOFF_MAX);
    // Between half of it and all of it, so that calls that failed together do not come back together.
    let share = 0.5 + (point.rotate_left(retry % 64) % 1_000) as f64 / 2_000.0;
    most.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Allowed;

    fn target(model: &str, weight: u32) -> Target {
        Target { provider: "p".to_owned(), model: model.to_owned(), weight, line: 1 }
    }

    fn gateway() -> Gateway {
        let mut gateway = Gateway::default();
        let route = |targets, fallbacks: &[&str], context| Route {
            targets,
            fallbacks: fallbacks.iter().map(|name| (*name).to_owned()).collect(),
            context,
            ..Route::extractive()
        };
        gateway.routes.insert(
            "fast".to_owned(),
            route(vec![target("a", 90), target("b", 10), target("c", 0)], &["careful", "fast"], Some(100)),
        );
        gateway.routes.insert("careful".to_owned(), route(vec![target("d", 1)], &["extractive"], None));
        gateway
    }

    #[test]
    fn weights_are_kept_and_a_session_stays_where_it_is() {
        let (gateway, feature) = (gateway(), Feature::open(1));
        let first =
            |session: &str| plan(&gateway, &feature, "fast", point(session), 1)[0].targets[0].model.clone();
        let of_b = (0..10_000).filter(|n| first(&format!("s{n}")) == "b").count();
        assert!((800..1_200).contains(&of_b), "{of_b} of 10,000 sessions");
        assert!((0..10_000).all(|n| first(&format!("s{n}")) != "c"));
        assert_eq!(first("one"), first("one"));
        let stages = plan(&gateway, &feature, "fast", 95, 1);
        let models: Vec<&str> = stages[0].targets.iter().map(|t| t.model.as_str()).collect();
        assert_eq!(models, ["b", "a", "c"], "the others follow by weight");
    }

    #[test]
    fn fallbacks_are_those_that_are_allowed_and_fit() {
        let gateway = gateway();
        let names = |feature: &Feature, tokens| -> Vec<String> {
            plan(&gateway, feature, "fast", 0, tokens).iter().map(|s| s.name.to_owned()).collect()
        };
        let mut feature = Feature::open(1);
        assert_eq!(names(&feature, 100), ["fast", "careful", "extractive"]);
        assert_eq!(names(&feature, 101), ["careful", "extractive"]);
        feature.routes = Allowed::Only(vec!["fast".to_owned(), "extractive".to_owned()]);
        assert_eq!(names(&feature, 1), ["fast", "extractive"], "a fallback is no way around the feature");
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        for retry in 0..20 {
            let wait = backoff(retry, 12_345);
            assert!(wait >= BACKOFF / 2 && wait <= BACKOFF_MAX);
        }
    }
}
