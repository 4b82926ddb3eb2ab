//! Entries that follow a contract.

use crate::findings::count;

/// Entries that are named.
const NAMED_MAX: usize = 3;

/// Entries that follow a contract.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Followers {
    /// How many were found.
    pub(crate) count: usize,
    /// There are more than were looked at.
    pub(crate) more: bool,
    /// The first of them.
    pub(crate) first: Vec<String>,
    /// How many of them the base does not have.
    pub(crate) new: usize,
    /// The first of those.
    pub(crate) first_new: Option<String>,
}

impl Followers {
    /// Notes an entry.
    pub(crate) fn add(&mut self, place: impl Into<String>) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(place.into());
        }
    }

    /// Notes an entry that the base does not have.
    pub(crate) fn add_new(&mut self, place: impl Into<String>) {
        self.new += 1;
        self.first_new.get_or_insert_with(|| place.into());
    }

    /// How many there are, with the first of them, for people.
    pub(crate) fn summary(&self) -> String {
        let named = self.first.join(", ");
        match self.count {
            0 => String::new(),
            n if n > self.first.len() || self.more => {
                let least = if self.more { "at least " } else { "" };
                format!("{least}{} ({named}, …)", count(n, "entry", "entries"))
            }
            n => format!("{} ({named})", count(n, "entry", "entries")),
        }
    }
}
