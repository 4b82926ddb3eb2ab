use std::cell::Cell;

/// What a thread that serves may spend on one answer: about two milliseconds. Counted in bytes of JSON that become values.
const QUICK_MAX: usize = 256 << 10;
/// What finding an entry costs, in the same measure.
const LOOK_UP: usize = 256;

/// How much work an answer may take.
#[derive(Debug)]
pub(crate) enum Pace {
    /// What is in memory, or follows from a few entries: on threads that serve. What is left to spend.
    Quick(Cell<usize>),
    /// Rendering, compressing much, walking all routes: where a tenant waits for its turn.
    Any,
}

/// It takes more work than may be done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heavy;

impl Pace {
    /// That of a caller who is `patient`, or of a thread that serves.
    pub(crate) fn of(patient: bool) -> Self {
        if patient { Self::Any } else { Self::Quick(Cell::new(QUICK_MAX)) }
    }

    /// Refuses work that takes long where it must not be done.
    pub(crate) fn heavy(&self) -> Result<(), Heavy> {
        match self {
            Self::Any => Ok(()),
            Self::Quick(_) => Err(Heavy),
        }
    }

    /// Counts look-ups in trees. Work is counted before it is done.
    pub(crate) fn look_up(&self, count: usize) -> Result<(), Heavy> {
        self.parse(count.saturating_mul(LOOK_UP))
    }

    /// Counts bytes that become values.
    pub(crate) fn parse(&self, bytes: usize) -> Result<(), Heavy> {
        match self {
            Self::Any => Ok(()),
            Self::Quick(left) => {
                left.set(left.get().checked_sub(bytes).ok_or(Heavy)?);
                Ok(())
            }
        }
    }

    /// Counts an entry from which members are copied.
    pub(crate) fn pick(&self, bytes: usize) -> Result<(), Heavy> {
        self.parse((bytes + LOOK_UP) / 4)
    }

    /// Counts bytes that are read, hashed or copied.
    pub(crate) fn copy(&self, bytes: usize) -> Result<(), Heavy> {
        self.parse(bytes / 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_counted_together() {
        let quick = Pace::of(false);
        assert_eq!(quick.heavy(), Err(Heavy));
        assert_eq!(quick.look_up(500), Ok(()));
        assert_eq!(quick.parse(100 << 10), Ok(()));
        assert_eq!(quick.copy(16 * (20 << 10)), Ok(()));
        assert_eq!(quick.look_up(100), Err(Heavy));
        let patient = Pace::of(true);
        assert_eq!(patient.heavy().and(patient.parse(usize::MAX)), Ok(()));
    }
}
