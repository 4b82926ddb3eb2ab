use ashlar_model::{EntryId, Finding, TypeName};

/// A reference that leads nowhere.
pub(crate) struct Broken<'a> {
    pub(crate) place: String,
    pub(crate) type_name: &'a TypeName,
    pub(crate) id: &'a EntryId,
    /// The base still had what is referred to.
    pub(crate) deleted: bool,
    /// An id of the type that may be meant.
    pub(crate) near: Option<String>,
}

impl Broken<'_> {
    pub(crate) fn finding(self) -> Finding {
        let target = format!("{}/{}", self.type_name, self.id);
        if self.deleted {
            return Finding::error(
                "reference-deleted",
                self.place,
                format!("It refers to {target}, which is deleted here."),
            )
            .help(format!("keep {target}, or remove this reference in the same changeset"))
            .about(target);
        }
        Finding::error(
            "reference-missing",
            self.place,
            format!("It refers to {target}, which does not exist."),
        )
        .help(match self.near {
            Some(near) => format!("did you mean `{near}`? Otherwise add {target}"),
            None => format!("add {target}, or change the reference"),
        })
        .about(target)
    }
}
