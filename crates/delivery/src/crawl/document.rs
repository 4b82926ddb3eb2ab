use std::{borrow::Cow, collections::BTreeSet};

use ashlar_model::{Locale, TypeName};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesStart, BytesText, Event},
};

use crate::{
    error::Failure,
    http::{Problem, cut},
    release::ReleaseView,
};

/// A document that is made once for a release.
pub(super) struct Made {
    pub(super) body: Vec<u8>,
    pub(super) locale: Locale,
    /// The types whose lists it was made from.
    pub(super) lists: BTreeSet<TypeName>,
}

/// An XML document in the making, in memory: writing it does not fail.
pub(super) struct Xml(Writer<Vec<u8>>);

impl Xml {
    /// A document with this root element; `write` writes what is in it.
    pub(super) fn document(
        root: &str,
        attributes: &[(&str, &str)],
        write: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<Vec<u8>, Failure> {
        let mut out = Self(Writer::new(Vec::new()));
        out.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        out.line();
        out.inside(root, attributes, |out| {
            out.line();
            write(out)
        })?;
        out.line();
        Ok(out.0.into_inner())
    }

    /// An element; `write` writes what is in it.
    pub(super) fn inside(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        write: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let start = start(name, attributes);
        self.event(Event::Start(start.borrow()));
        write(self)?;
        self.event(Event::End(start.to_end()));
        Ok(())
    }

    /// An element with attributes alone.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.event(Event::Empty(start(name, attributes)));
    }

    /// An element with a text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        let start = start(name, &[]);
        self.event(Event::Start(start.borrow()));
        self.event(Event::Text(BytesText::new(&allowed(text))));
        self.event(Event::End(start.to_end()));
    }

    /// Ends a line: documents are long, and people look at them.
    pub(super) fn line(&mut self) {
        self.event(Event::Text(BytesText::from_escaped("\n")));
    }

    fn event(&mut self, event: Event<'_>) {
        let _ = self.0.write_event(event);
    }
}

fn start<'a>(name: &'a str, attributes: &[(&str, &str)]) -> BytesStart<'a> {
    let mut start = BytesStart::new(name);
    for (name, value) in attributes {
        start.push_attribute((*name, &*allowed(value)));
    }
    start
}

/// A text without the characters that XML cannot hold.
fn allowed(text: &str) -> Cow<'_, str> {
    let refused =
        |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    match text.contains(refused) {
        true => Cow::Owned(text.replace(refused, "")),
        false => Cow::Borrowed(text),
    }
}

/// A route as it appears in an address.
pub(super) fn address(base: &str, route: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    format!("{base}{}", percent_encoding::utf8_percent_encode(route, KEPT))
}

/// The locale of documents that have none of their own.
pub(super) fn default_locale(view: &ReleaseView) -> Locale {
    view.definitions.locales.all()[0].clone()
}

/// Types whose entries have routes.
pub(super) fn routed_types(view: &ReleaseView) -> BTreeSet<TypeName> {
    view.definitions.contracts.iter().filter(|c| c.route.is_some()).map(|c| c.name.name.clone()).collect()
}

/// There is no document of this name.
pub(super) fn unknown(what: &str, name: &str, help: String) -> Failure {
    Problem::new(404, "not-found", "Not found", format!("there is no {what} `{}`", cut(name)))
        .help(help)
        .into()
}
