//! The suites of a candidate beside those of what is served.

use ashlar_evals::suite::{Demand, Suite};
use ashlar_model::{Digest, EntryKey, TypeName};
use ashlar_store::Tree;

use super::inputs::{Part, SuiteInputs};
use crate::{GateError, definitions::Definitions};

/// A suite of a candidate.
pub(crate) struct SuiteState {
    /// Its place in [`crate::suites::read::Suites::all`].
    pub(crate) at: usize,
    pub(crate) inputs: SuiteInputs,
    /// The same of what is served, when that has the suite.
    pub(crate) served: Option<SuiteInputs>,
    /// Nothing of what passes, and of what waits, differs from what is served.
    pub(crate) same_rules: bool,
}

impl SuiteState {
    /// The state of all suites that can be read.
    ///
    /// # Errors
    /// When a snapshot cannot be read.
    pub(crate) fn all(
        (definitions, snapshot): (&Definitions, &Tree),
        served: Option<(&Definitions, &Tree)>,
    ) -> Result<Vec<Self>, GateError> {
        let mut out = Vec::new();
        for (at, fixed) in definitions.suite_inputs().iter().enumerate() {
            let suite = &definitions.suites.all[at].suite;
            let mut state =
                Self { at, inputs: fixed.with(&entries(snapshot))?, served: None, same_rules: false };
            if let Some((base, before)) = served
                && let Some(place) = base.suites.all.iter().position(|at| at.suite.name == suite.name)
            {
                state.served = Some(base.suite_inputs()[place].with(&entries(before))?);
                state.same_rules = same_rules(suite, &base.suites.all[place].suite);
            }
            out.push(state);
        }
        Ok(out)
    }

    /// Neither answers nor rules differ from those of what is served.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.same_rules && self.served.as_ref().is_some_and(|served| served.digest == self.inputs.digest)
    }

    /// What differs from what is served; `None` when that does not have the suite.
    pub(crate) fn differing(&self) -> Option<Vec<Part>> {
        self.served.as_ref().map(|served| self.inputs.differing(served))
    }

    /// Nothing but content differs from what is served.
    pub(crate) fn differs_in_content(&self) -> bool {
        self.same_rules && self.differing().is_some_and(|parts| parts.iter().all(Part::is_content))
    }

    /// The digests whose runs count: its own, and that of what is served.
    pub(crate) fn digests(&self) -> impl Iterator<Item = Digest> {
        let own = self.inputs.digest;
        let served = self.served.as_ref().map(|served| served.digest).filter(|served| *served != own);
        std::iter::once(own).chain(served)
    }

    /// Whether the release waits for a run of what differs.
    pub(crate) fn demand(&self, suite: &Suite) -> Demand {
        let gate = suite.gate;
        let Some(parts) = self.differing() else { return gate.definitions };
        let of = |part: &Part| if part.is_content() { gate.content } else { gate.definitions };
        let mut demands: Vec<Demand> = parts.iter().map(of).collect();
        if !self.same_rules {
            demands.push(gate.definitions);
        }
        match demands.contains(&Demand::Required) {
            true => Demand::Required,
            false => Demand::Advice,
        }
    }
}

/// The digests of the entries of types.
fn entries(snapshot: &Tree) -> impl Fn(&TypeName) -> Result<Digest, GateError> {
    move |type_name: &TypeName| Ok(snapshot.prefix_digest(&EntryKey::type_prefix(type_name))?)
}

/// Whether both suites let the same through. Known failures are among it: they excuse critical cases.
fn same_rules(suite: &Suite, other: &Suite) -> bool {
    let known = |suite: &Suite| -> Vec<_> {
        suite.cases.iter().filter_map(|case| Some((case.id.clone(), case.known_failure.clone()?))).collect()
    };
    suite.thresholds == other.thresholds && suite.gate == other.gate && known(suite) == known(other)
}
