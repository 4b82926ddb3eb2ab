//! Components: each can be rendered, every intent has one on every surface, each payload fits its props, and content says
//! what it means instead of how it looks.

use std::collections::BTreeSet;

use ashlar_contracts::{Kind, Verdict, compare};
use ashlar_delivery::{PageAt, ReleaseView};
use ashlar_model::{EntryId, EntryKey, Finding, Level, TypeName, did_you_mean};
use ashlar_site::Loaded;
use serde_json::Value;

use crate::{
    GateError,
    candidate::{Candidate, Work},
    definitions::Definitions,
    findings::Findings,
};

/// Names of fields that say how something looks.
const LOOKS: [&str; 30] = [
    "color",
    "colour",
    "background",
    "background_color",
    "background_colour",
    "text_color",
    "align",
    "alignment",
    "text_align",
    "layout",
    "columns",
    "column_count",
    "width",
    "height",
    "font",
    "font_size",
    "font_family",
    "padding",
    "margin",
    "spacing",
    "css",
    "css_class",
    "class",
    "class_name",
    "style",
    "styles",
    "theme",
    "variant",
    "size",
    "border",
];
/// Misfits of one page that are told.
const MISFITS_MAX: usize = 20;

/// What is wrong with components, intents and site, by the files alone.
pub(crate) fn findings(definitions: &Definitions, base: Option<&Definitions>) -> Vec<Finding> {
    let mut out = definitions.site.findings.clone();
    looks(definitions, &mut out);
    unmapped(definitions, &mut out);
    pages(definitions, &mut out);
    if let Some(base) = base {
        breaking(&definitions.site, &base.site, &mut out);
    }
    out
}

/// Whether every page that meets a finding would tell it again.
pub(crate) fn shows_on_pages(finding: &Finding) -> bool {
    finding.level == Level::Error && matches!(finding.code.as_str(), "intent-unmapped" | "site-view")
}

/// Pages of what there is not: types, views.
fn pages(definitions: &Definitions, out: &mut Vec<Finding>) {
    let Some(site) = &definitions.site.site else { return };
    let view = |name: &str| {
        let (name, major) = name.rsplit_once(".v")?;
        definitions.views.get(name, major.parse().ok()?)
    };
    let unusable = |name: &str| {
        let file = format!("views/{name}.toml");
        definitions.view_findings.iter().any(|f| f.level == Level::Error && f.place.starts_with(&file))
    };
    let pages = site.file.pages.iter().map(|p| (&p.view, Some(&p.type_name)));
    let lists = site.file.lists.iter().map(|l| (&l.view, Some(&l.type_name)));
    let data = site.file.data.values().map(|d| (&d.view, None));
    for (name, type_name) in pages.chain(lists).chain(data) {
        let told = match (view(name), type_name) {
            // The file is there and cannot be used: the gate `views` says why.
            (None, _) if unusable(name) => continue,
            (None, _) => format!("There is no view `{name}`."),
            (Some(found), Some(of)) if found.source != *of => {
                format!("The view `{name}` is of {}, and the page is of {of}.", found.source)
            }
            _ => continue,
        };
        let known: Vec<String> =
            definitions.views.iter().map(|v| format!("{}.v{}", v.name, v.major)).collect();
        let such = known.first().map_or("pages.v1", String::as_str);
        let otherwise = format!("name a view of views/, such as `{such}`");
        let help = did_you_mean(name, known.iter().map(String::as_str), otherwise);
        out.push(Finding::error("site-view", "site/site.toml", told).about(name).help(help));
    }
}

/// Measures that a file has by itself.
const MEASURES: [&str; 3] = ["width", "height", "size"];
/// Names of fields and contracts that hold a file.
const HOLDERS: [&str; 14] = [
    "asset",
    "attachment",
    "audio",
    "document",
    "download",
    "file",
    "image",
    "logo",
    "media",
    "photo",
    "picture",
    "thumbnail",
    "upload",
    "video",
];
/// Names of fields that stand beside the measures of a file.
const PARTS: [&str; 11] = [
    "bytes",
    "checksum",
    "digest",
    "file",
    "file_name",
    "filename",
    "media_type",
    "mime",
    "mime_type",
    "sha256",
    "src",
];

/// Whether a name such as `heroImage` or `image-file` is that of a file.
fn holds_file(name: &str) -> bool {
    let mut words = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        match c {
            c if c.is_uppercase() => words.extend(['_', c.to_ascii_lowercase()]),
            '-' | '.' => words.push('_'),
            c => words.push(c),
        }
    }
    words.split('_').any(|word| HOLDERS.contains(&word) || HOLDERS.contains(&word.trim_end_matches('s')))
}

/// Whether a field is a number that a file has by itself, such as the width of a picture: a fact, whatever the design is.
fn is_fact(name: &str, object: &Value, holder: &str) -> bool {
    let Some(all) = object.get("properties").and_then(Value::as_object) else { return false };
    let number = |n: &str| {
        let kind = all.get(n).and_then(|p| p.get("type")).and_then(Value::as_str);
        matches!(kind, Some("integer" | "number"))
    };
    let has = |names: &[&str]| names.iter().any(|n| all.contains_key(*n));
    // An address with a width and a height is that of a picture.
    let picture = has(&["url", "uri", "href"]) && number("width") && number("height");
    MEASURES.contains(&name) && number(name) && (holds_file(holder) || has(&PARTS) || picture)
}

/// Fields of content that say how it looks, without a reason.
fn looks(definitions: &Definitions, out: &mut Vec<Finding>) {
    for contract in definitions.contracts.iter().filter(|c| matches!(c.kind, Kind::Type | Kind::Block)) {
        let file = contract.file();
        let mut open: Vec<(String, &str, &Value)> =
            vec![(String::new(), contract.name.name.as_str(), &contract.schema)];
        while let Some((pointer, holder, schema)) = open.pop() {
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                let here = format!("{pointer}/properties/{name}");
                let justified = property.pointer("/x-ashlar/presentation").is_some();
                let word = name.to_lowercase().replace('-', "_");
                let looks = LOOKS.contains(&word.as_str()) && !is_fact(name, schema, holder);
                if looks && !justified {
                    out.push(
                        Finding::error("content-presentation", format!("contracts/{file} {here}"), format!("`{name}` says how content looks. Content says what it means; the design system decides how that looks."))
                            .help("remove it and choose by intent, or justify it: \"x-ashlar\": { \"presentation\": true, \"reason\": \"…\" }"),
                    );
                }
                open.push((here, name.as_str(), property));
            }
            if let Some(items) = schema.get("items") {
                open.push((format!("{pointer}/items"), holder, items));
            }
        }
    }
}

/// Blocks whose intent nothing shows.
fn unmapped(definitions: &Definitions, out: &mut Vec<Finding>) {
    let intents = &definitions.site.intents;
    if intents.is_empty() {
        return;
    }
    for contract in definitions.contracts.iter().filter(|c| c.kind == Kind::Block) {
        let Some(intent) = contract.schema.pointer("/properties/intent/const").and_then(Value::as_str) else {
            continue;
        };
        if !intents.has(intent) {
            out.push(
                Finding::error(
                    "intent-unmapped",
                    format!("contracts/{}", contract.file()),
                    format!("No component shows the intent `{intent}` of this block."),
                )
                .help(format!("add [intent.{intent}] to intents.toml")),
            );
        }
    }
}

/// Props that changed so that what fitted does not fit any more.
fn breaking(here: &Loaded, base: &Loaded, out: &mut Vec<Finding>) {
    for before in base.components.schemas().iter() {
        let Some(after) = here.components.schemas().get(&before.name) else {
            if here.components.get(&before.name).is_none() && before.is_active() {
                out.push(
                    Finding::error("component-removed", format!("components/{}", before.name), format!("The component `{}` was removed, but it was not deprecated.", before.name))
                        .help("keep it with \"status\": \"deprecated\" in its props for a release, or bring it back"),
                );
            }
            continue;
        };
        if before.digest == after.digest {
            continue;
        }
        let comparison = compare(before, base.components.schemas(), after, here.components.schemas(), true);
        if comparison.verdict == Verdict::Major {
            let change = comparison.changes.iter().max_by_key(|c| c.verdict);
            let what = change.map(|c| format!(" {}: {}", c.path, c.message)).unwrap_or_default();
            out.push(
                Finding::error(
                    "component-breaking",
                    format!("components/{}/props.json", after.name),
                    format!(
                        "The props of `{}` change so that what fitted does not fit any more.{what}",
                        after.name
                    ),
                )
                .help(format!(
                    "put the new props into components/{}.v{}, and map intents to it when it is ready",
                    after.name.name,
                    after.name.major + 1
                )),
            );
        }
    }
}

impl Candidate<'_> {
    /// Renders every page that a change can have touched, and compares each payload with the props of what shows it.
    pub(crate) fn pages(&self) -> Result<Work, GateError> {
        let mut work = Work::default();
        if self.definitions.site.site.is_none() {
            return Ok(work);
        }
        let view = self.view()?;
        let same = self.base.as_ref().is_some_and(|b| {
            ["components/", "intents.toml", "site/", "tokens/", "tokens.toml", "views/", "assets/"]
                .iter()
                .all(|p| b.part(p) == self.definitions.part(p))
                && b.contracts_digest == self.definitions.contracts_digest
        });
        let touched: Option<BTreeSet<(TypeName, EntryId)>> = match &self.input.base {
            Some(base) if same && self.trusted("components").is_some() => Some(self.touched(&base.snapshot)?),
            _ => None,
        };
        match &touched {
            Some(touched) => {
                for (type_name, id) in touched {
                    for item in self.input.snapshot.prefix(&EntryKey::entry_prefix(type_name, id)) {
                        let key = EntryKey::from_bytes(&item?.0)?;
                        if let Some(path) = view.path_of(&key)? {
                            let at = PageAt { path, locale: key.locale.clone(), entry: Some(key) };
                            self.page(&view, &at, &mut work)?;
                        }
                    }
                }
                work.reused = self.input.snapshot.len();
            }
            None => {
                for at in view.pages() {
                    self.page(&view, &at?, &mut work)?;
                }
            }
        }
        Ok(work)
    }

    /// Renders one page. What only follows from an entry that is not valid is left out: `content-validity` tells it.
    fn page(&self, view: &ReleaseView, at: &PageAt, work: &mut Work) -> Result<(), GateError> {
        let place = at.entry.as_ref().map_or_else(|| at.path.clone(), ToString::to_string);
        let mut own = Work::default();
        page(view, at, &place, &mut own);
        work.checked += own.checked;
        if own.findings.total() > 0 && !self.told_elsewhere(at.entry.as_ref())? {
            work.findings.merge(own.findings);
        }
        Ok(())
    }
}

/// Renders one page, and says what is wrong with it.
pub(crate) fn page(view: &ReleaseView, at: &PageAt, place: &str, work: &mut Work) {
    let Some(site) = view.definitions().site() else { return };
    work.checked += 1;
    let body = match view.page_body(at) {
        Ok(Some(body)) => body,
        Ok(None) => return,
        Err(why) => return failed(view, place, &why, &mut work.findings),
    };
    // A page whose blocks do not fit fails for the same reason.
    if misfits(site, &body, place, &mut work.findings) > 0 {
        return;
    }
    match view.page(at) {
        Ok(Some(rendered)) => blocked(&rendered.html, &body, place, &mut work.findings),
        Ok(None) => {}
        Err(why) => failed(view, place, &why, &mut work.findings),
    }
}

/// Addresses that the page lost because they are not allowed where they stand, with the field that has one.
fn blocked(html: &[u8], body: &Value, place: &str, out: &mut Findings) {
    if memchr::memmem::find(html, ashlar_site::BLOCKED.as_bytes()).is_none() {
        return;
    }
    let mut wrong = Vec::new();
    let mut open = vec![(String::new(), body)];
    while let Some((pointer, value)) = open.pop() {
        match value {
            Value::String(text) if !ashlar_site::url_allowed(text) && !text.contains(char::is_whitespace) => {
                wrong.push((pointer, text.chars().take(100).collect::<String>()));
            }
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(at, v)| (format!("{pointer}/{at}"), v)));
            }
            Value::Object(members) => {
                open.extend(members.iter().map(|(name, v)| (format!("{pointer}/{name}"), v)));
            }
            _ => {}
        }
    }
    let help = "use a path, a fragment, or an address with https, http, mailto or tel";
    for (pointer, text) in wrong.iter().take(MISFITS_MAX) {
        let message = format!("`{text}` is not allowed as an address on a page.");
        out.push(Finding::error("url-blocked", format!("{place} {pointer}"), message).help(help));
    }
    if wrong.is_empty() {
        let message = "The page has an address that is not allowed at this place.";
        out.push(Finding::error("url-blocked", place, message).help(help));
    }
}

fn failed(view: &ReleaseView, place: &str, why: &str, out: &mut Findings) {
    // What is rendered is known here.
    let own = format!("{}: ", view.label());
    let why = why.strip_prefix(&own).unwrap_or(why);
    let end = if why.ends_with('?') { "" } else { "." };
    out.push(
        Finding::error("page-failed", place, format!("The page cannot be rendered: {why}{end}"))
            .help("correct the template, or the entry when it says what the template cannot show"),
    );
}

/// Blocks that nothing shows, or whose payload does not fit what shows them; how many were told.
fn misfits(site: &ashlar_site::Site, body: &Value, place: &str, out: &mut Findings) -> usize {
    let mut told = 0;
    let blocks = body.get("sections").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (at, block) in blocks.iter().enumerate() {
        let Some(intent) = block.get("intent").and_then(Value::as_str) else { continue };
        let mut judged = BTreeSet::new();
        for surface in &site.intents().surfaces {
            let Some(component) = site.intents().choose(intent, surface, block) else {
                told += 1;
                out.push(
                    Finding::error(
                        "intent-unmapped",
                        format!("{place} /sections/{at}"),
                        format!("The intent `{intent}` has no component on the surface `{surface}`."),
                    )
                    .help(format!("add [intent.{intent}] to intents.toml")),
                );
                continue;
            };
            if !judged.insert(component) {
                continue;
            }
            for wrong in site.components.misfits(component, block) {
                told += 1;
                if told > MISFITS_MAX {
                    return told;
                }
                out.push(
                    Finding::error(
                        "props-misfit",
                        format!("{place} /sections/{at}{}", wrong.path),
                        format!(
                            "The payload of `{intent}` does not fit the props of `{component}`: {}",
                            wrong.message
                        ),
                    )
                    .help(format!("change the entry, or let components/{component}/props.json take it")),
                );
            }
        }
    }
    told
}
