//! How a node shares what it can ask at a time among tenants and their runs.

/// Who wants something of what is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// What it has already.
    pub has: usize,
    /// What it can use beside that.
    pub more: usize,
}

/// Shares `free` places: one after the other goes to whoever has the fewest, the first of them first. Nobody gets more than it wants, or more than
/// `most` in all. Returns what each of them gets.
pub fn share(mut free: usize, most: usize, wants: &[Wants]) -> Vec<usize> {
    let mut got = vec![0; wants.len()];
    while free > 0 {
        let open =
            wants.iter().enumerate().filter(|(at, want)| got[*at] < want.more && want.has + got[*at] < most);
        let Some((at, _)) = open.min_by_key(|(at, want)| want.has + got[*at]) else { break };
        got[at] += 1;
        free -= 1;
    }
    got
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tenant_with_much_to_ask_leaves_places_to_others() {
        let all = |more| Wants { has: 0, more };
        assert_eq!(share(16, 12, &[all(10_000), all(5)]), [11, 5]);
        assert_eq!(share(16, 12, &[all(10_000)]), [12]);
        // What becomes free goes to whoever has less.
        assert_eq!(share(2, 12, &[Wants { has: 12, more: 9_000 }, Wants { has: 0, more: 5 }]), [0, 2]);
        assert_eq!(share(0, 12, &[all(1)]), [0]);
        assert_eq!(share(3, 12, &[]), [0; 0]);
    }

    proptest! {
        #[test]
        fn shares_are_fair_and_leave_nothing_that_somebody_may_have(
            free in 0_usize..40,
            most in 1_usize..20,
            wants in proptest::collection::vec((0_usize..20, 0_usize..30), 0..8),
        ) {
            let wants: Vec<Wants> = wants.into_iter().map(|(has, more)| Wants { has, more }).collect();
            let got = share(free, most, &wants);
            let given: usize = got.iter().sum();
            prop_assert!(given <= free);
            let open = |at: usize| got[at] < wants[at].more && wants[at].has + got[at] < most;
            for (at, want) in wants.iter().enumerate() {
                prop_assert!(got[at] <= want.more && (got[at] == 0 || want.has + got[at] <= most));
                prop_assert!(given == free || !open(at));
                for other in 0..wants.len() {
                    // Who got something has at most one more than who would take it.
                    prop_assert!(got[at] == 0 || !open(other) || want.has + got[at] <= wants[other].has + got[other] + 1);
                }
            }
        }
    }
}
