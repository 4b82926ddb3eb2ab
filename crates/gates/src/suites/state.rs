//! The suites of a candidate beside those of what is served.

use std::sync::Arc;

use ashlar_evals::suite::{Demand, Gate, Suite};
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
    pub(crate) served: Option<Served>,
    /// Which changes wait for a run. A candidate cannot excuse itself: what the served suite demands counts as well.
    pub(crate) gate: Gate,
    /// Nothing of what passes, and of what waits, differs from what is served.
    pub(crate) same_rules: bool,
}

/// A suite as it is served.
pub(crate) struct Served {
    pub(crate) suite: Arc<Suite>,
    pub(crate) inputs: SuiteInputs,
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
            let inputs = fixed.with(&entries(snapshot))?;
            let mut state = Self { at, inputs, served: None, gate: suite.gate, same_rules: false };
            if let Some((base, before)) = served
                && let Some(place) = base.suites.all.iter().position(|at| at.suite.name == suite.name)
            {
                let was = base.suites.all[place].suite.clone();
                state.gate = suite.gate.stricter(was.gate);
                state.same_rules = same_rules(suite, &was);
                let inputs = base.suite_inputs()[place].with(&entries(before))?;
                state.served = Some(Served { suite: was, inputs });
            }
            out.push(state);
        }
        Ok(out)
    }

    /// Neither answers nor rules differ from those of what is served.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.same_rules && !self.differs()
    }

    /// Answers may differ from those of what is served.
    pub(crate) fn differs(&self) -> bool {
        self.served.as_ref().is_none_or(|served| served.inputs.digest != self.inputs.digest)
    }

    /// What differs from what is served; `None` when that does not have the suite.
    pub(crate) fn differing(&self) -> Option<Vec<Part>> {
        self.served.as_ref().map(|served| self.inputs.differing(&served.inputs))
    }

    /// Nothing but content differs from what is served.
    pub(crate) fn differs_in_content(&self) -> bool {
        self.same_rules && self.differing().is_some_and(|parts| parts.iter().all(Part::is_content))
    }

    /// Whether the release waits for a run of what differs.
    pub(crate) fn demand(&self) -> Demand {
        let gate = self.gate;
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
