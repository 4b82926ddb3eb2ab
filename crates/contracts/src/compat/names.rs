//! Which names a pattern of `patternProperties` matches, for patterns simple enough to say.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::node::Work;

/// The most names that are listed of one pattern.
const NAMES_MAX: usize = 64;
/// Steps that comparing two patterns costs.
const LOOK_STEPS: usize = 50;
/// The longest name that is listed, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// The names that a pattern matches.
pub(super) enum Names {
    /// These alone.
    Listed(Vec<String>),
    /// Those that start so, and all of them.
    Start(String),
    /// Not known: the pattern is not simple enough.
    Unknown,
}

impl Names {
    pub fn of(pattern: &str) -> Self {
        let Ok(hir) = regex_syntax::ParserBuilder::new().nest_limit(60).build().parse(pattern) else {
            return Self::Unknown;
        };
        let parts = match hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => return Self::Unknown,
        };
        let Some((first, rest)) = parts.split_first() else { return Self::Unknown };
        if !matches!(first.kind(), HirKind::Look(Look::Start)) {
            return Self::Unknown;
        }
        if let Some((last, middle)) = rest.split_last()
            && matches!(last.kind(), HirKind::Look(Look::End))
        {
            return all_of(middle).map_or(Self::Unknown, Self::Listed);
        }
        // What can be anything at the end changes nothing: `^a.*` matches what `^a` does.
        let rest = match rest.split_last() {
            Some((last, before)) if last.properties().minimum_len() == Some(0) && !has_look(last) => before,
            _ => rest,
        };
        match all_of(rest).as_deref() {
            Some([one]) => Self::Start(one.clone()),
            _ => Self::Unknown,
        }
    }
}

fn has_look(hir: &Hir) -> bool {
    !hir.properties().look_set().is_empty()
}

/// Every text that a row of parts matches, when they are few.
fn all_of(parts: &[Hir]) -> Option<Vec<String>> {
    parts.iter().try_fold(vec![String::new()], |known, part| {
        let next = each_of(part)?;
        if known.len() * next.len() > NAMES_MAX {
            return None;
        }
        let joined: Vec<String> =
            known.iter().flat_map(|k| next.iter().map(move |n| format!("{k}{n}"))).collect();
        joined.iter().all(|n| n.len() <= NAME_BYTES_MAX).then_some(joined)
    })
}

fn each_of(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![String::from_utf8(literal.0.to_vec()).ok()?]),
        HirKind::Class(Class::Unicode(class)) => {
            let count: usize = class.ranges().iter().map(|r| r.len()).sum();
            let all = class.ranges().iter().flat_map(|r| (r.start()..=r.end()).map(String::from));
            (count <= NAMES_MAX).then(|| all.collect())
        }
        HirKind::Capture(capture) => each_of(&capture.sub),
        HirKind::Concat(parts) => all_of(parts),
        HirKind::Alternation(parts) => {
            let all: Vec<Vec<String>> = parts.iter().map(each_of).collect::<Option<_>>()?;
            let all: Vec<String> = all.into_iter().flatten().collect();
            (all.len() <= NAMES_MAX).then_some(all)
        }
        _ => None,
    }
}

/// Whether every name that `inner` matches is one that `outer` matches.
pub(super) fn covers(work: &Work, outer: &str, inner: &str) -> bool {
    outer == inner
        || work.spend(LOOK_STEPS)
            && match (Names::of(outer), Names::of(inner)) {
                (_, Names::Listed(names)) => names.iter().all(|n| work.matches(outer, n)),
                (Names::Start(outer), Names::Start(inner)) => inner.starts_with(&outer),
                _ => false,
            }
}

/// Whether no name is matched by both.
pub(super) fn apart(work: &Work, one: &str, other: &str) -> bool {
    if !work.spend(LOOK_STEPS) {
        return false;
    }
    match (Names::of(one), Names::of(other)) {
        (Names::Listed(names), _) => !names.iter().any(|n| work.matches(other, n)) && !work.is_spent(),
        (_, Names::Listed(names)) => !names.iter().any(|n| work.matches(one, n)) && !work.is_spent(),
        (Names::Start(one), Names::Start(other)) => !one.starts_with(&other) && !other.starts_with(&one),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_reported_apart() {
        let work = Work::new(1_000_000);
        for (outer, inner, wanted) in [
            ("^a", "^ab", true),
            ("^ab", "^a", false),
            ("^a", "^a.*", true),
            ("^a.*", "^ab$", true),
            ("b", "^(abc|xb)$", true),
            ("^a$", "^a[bc]$", false),
            ("a", "^ab", false),
            ("^a", "^a|b", false),
        ] {
            assert_eq!(covers(&work, outer, inner), wanted, "{outer} {inner}");
        }
        for (one, other, wanted) in [
            ("^a", "^b", true),
            ("^a", "^ab", false),
            ("^(x|y)$", "^z", true),
            ("^(x|y)$", "y", false),
            ("x", "y", false),
            ("^a$", "^b$", true),
            ("(?i)^a", "^b", false),
        ] {
            assert_eq!(apart(&work, one, other), wanted, "{one} {other}");
        }
    }
}
