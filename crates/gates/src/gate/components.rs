//! Components: each can be rendered, every intent has one on every surface, each payload fits its props, and content says
//! what it means instead of how it looks.

use std::collections::BTreeSet;

use ashlar_contracts::{Kind, Verdict, compare};
use ashlar_delivery::{PageAt, ReleaseView};
use ashlar_model::{Finding, Level, did_you_mean};
use ashlar_site::Loaded;
use serde_json::Value;

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    definitions::Definitions,
    findings::{Findings, count},
    inputs::Inputs,
    world::{Change, Looked, Part, Work, World},
};

const FINDINGS: &[Code] = findings! {
    "component-name": "A directory in `components/` does not have a name such as hero.v1." => "Rename it to `NAME.vMAJOR`.";
    "component-form": "component.toml, a template or an example cannot be read." => "Correct the file at the line in the message.";
    "component-example": "A state has no example, or an example does not fit the props." => "Add or correct `examples/STATE.json`.";
    "component-removed": "A component that is live is removed without having been deprecated." => "Keep it with `\"status\": \"deprecated\"` for one release.";
    "component-breaking": "The props of a component change so that existing content no longer fits." => "Add a new major version of the component.";
    "contract-*": "The `props.json` of a component is not a valid contract. The gate `schema-compatibility` lists these codes." => "Correct the file as the message says.";
    "intent-form": "intents.toml cannot be read." => "Correct the line that the message names.";
    "intent-component": "An intent names a component that does not exist." => "Add the component, or name another.";
    "intent-surface": "An intent names an unknown surface." => "Name a surface from `surfaces`.";
    "intent-unmapped": "An intent has no component on a surface." => "Add the intent to intents.toml.";
    "template": "A template has a syntax error." => "Correct the template at the line in the message.";
    "template-script": "A template writes a value inside `<script>` or `<style>`, where it is not escaped." => "Pass values as `data-…` attributes, or as JSON-LD with `json_ld()`.";
    "template-handler": "A template has an attribute that is a script." => "Put the behaviour into a file under `site/`, and pass values as `data-…` attributes.";
    "template-srcdoc": "A template writes a value inside `srcdoc`, where it becomes markup." => "Put the content into the page itself.";
    "template-unquoted": "A template writes an attribute without quotes." => "Write `name=\"{{ … }}\"`.";
    "image": "An image in `assets/` cannot be used." => "Replace the image as the message says.";
    "content-presentation": "A contract has a field that says how content looks." => "Remove the field, or justify it with `\"presentation\": true` and a `reason`.";
    "props-misfit": "A block does not fit the props of its component." => "Change the entry, or extend the props.";
    "page-failed": "A page cannot be rendered." => "Correct the template, or the entry that it shows.";
    "url-blocked": "An address on a page is not allowed." => "Use a path, a fragment, or an address with `https`, `http`, `mailto` or `tel`.";
    "site-form": "site/site.toml or a file of the site cannot be read." => "Correct the line that the message names.";
    "site-layout": "site/site.toml names a layout that does not exist." => "Add the layout, or name another.";
    "site-view": "site/site.toml names a view that does not exist, or a view of another type." => "Name a view of that type.";
};

/// The gate `components`.
pub(crate) struct Components;

impl Gate for Components {
    fn about(&self) -> &'static About {
        &About {
            name: "components",
            judges: "Every component and every page can be rendered, every intent has a component, and content does not say how it looks.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        let definitions = world.definitions();
        for part in PARTS_READ.into_iter().chain(["ashlar.toml"]) {
            inputs.digest(part, &definitions.part(part));
        }
        // Raised when this gate judges differently: 2 looks at addresses and at where templates write, 3 leaves out what
        // only follows from content that is wrong, 4 renders lists.
        inputs.add("rules", b"4").json("waived", world.waived());
        inputs.digest("base", &world.base_part("components/")).json("locales", &world.config().locales);
        // Without a site nothing that is released matters to this gate.
        if definitions.site.site.is_some() {
            inputs.digest("snapshot", &world.digest(Part::Snapshot));
        }
    }

    fn follows(&self, world: &dyn World, change: &Change<'_>) -> bool {
        change.same_lookup && change.base.same(world.definitions(), &PARTS_READ)
    }

    fn run(&self, world: &dyn World, change: Option<&Change<'_>>) -> Result<Work, GateError> {
        let definitions = world.definitions();
        let own = findings(definitions, world.base());
        // What components lack would show again on every page.
        let (found, looked) = match own.iter().any(shows_on_pages) {
            true => (Findings::default(), Looked::default()),
            false => world.pages(change, &mut page)?,
        };
        let n = definitions.site.components.iter().count();
        let (components, pages) =
            (count(n, "component", "components"), count(looked.checked, "page", "pages"));
        let mut work = Work::of(own, 0, format!("{components}, {pages}"));
        work.findings.merge(found);
        Ok(Work { looked, ..work })
    }
}

/// What pages are made of, beside content.
const PARTS_READ: [&str; 7] =
    ["components/", "intents.toml", "site/", "tokens/", "tokens.toml", "views/", "assets/"];

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
/// Misfits of one page that are reported.
const MISFITS_MAX: usize = 20;

/// What is wrong with components, intents and site, by the files alone.
fn findings(definitions: &Definitions, base: Option<&Definitions>) -> Vec<Finding> {
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
fn shows_on_pages(finding: &Finding) -> bool {
    finding.level == Level::Error && matches!(finding.code.as_str(), "intent-unmapped" | "site-view")
}

/// Pages of undefined types and views.
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
        let message = match (view(name), type_name) {
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
        out.push(Finding::error("site-view", "site/site.toml", message).about(name).help(help));
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
        let comparison = compare(before, after, true);
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

/// Renders one page, and says what is wrong with it.
fn page(view: &ReleaseView, at: &PageAt, place: &str, findings: &mut Findings) {
    let Some(site) = view.definitions().site() else { return };
    let body = match view.page_body(at) {
        Ok(Some(body)) => body,
        Ok(None) if at.entry.is_some() => return,
        // A list has no body of its own.
        Ok(None) => Value::Null,
        Err(why) => return failed(view, place, &why, findings),
    };
    // A page whose blocks do not fit fails for the same reason.
    if misfits(site, &body, place, findings) > 0 {
        return;
    }
    match view.page(at) {
        Ok(Some(rendered)) => blocked(&rendered.html, &body, place, findings),
        Ok(None) => {}
        Err(why) => failed(view, place, &why, findings),
    }
}

/// Addresses that the page lost because they are not allowed where they stand, with the field that has one.
fn blocked(html: &[u8], body: &Value, place: &str, out: &mut Findings) {
    // A text may mention the address; what was replaced is the value of an attribute.
    let replaced = |at: usize| {
        let before = html[..at].strip_suffix(b"\"").or_else(|| html[..at].strip_suffix(b"'"));
        before.is_some_and(|before| before.trim_ascii_end().ends_with(b"="))
    };
    if !memchr::memmem::find_iter(html, ashlar_site::BLOCKED.as_bytes()).any(replaced) {
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

/// Blocks that nothing shows, or whose payload does not fit what shows them; how many were reported.
fn misfits(site: &ashlar_site::Site, body: &Value, place: &str, out: &mut Findings) -> usize {
    let mut misfits = 0;
    let blocks = body.get("sections").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (at, block) in blocks.iter().enumerate() {
        let Some(intent) = block.get("intent").and_then(Value::as_str) else { continue };
        let mut judged = BTreeSet::new();
        for surface in &site.intents().surfaces {
            let Some(component) = site.intents().choose(intent, surface, block) else {
                misfits += 1;
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
                misfits += 1;
                if misfits > MISFITS_MAX {
                    return misfits;
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
    misfits
}
