//! The documentation as content: pages become entries, and the index becomes the front page and the navigation.

use std::collections::BTreeMap;

use ashlar_model::Files;
use include_dir::{Dir, include_dir};
use serde_json::{Value, json};

use super::embedded::{broken, files_of};
use crate::error::CliError;

static PROJECT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/docs");
static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs");
/// Pages beside `docs/`: their files, their addresses and their texts.
const BESIDE: [(&str, &str, &str); 5] = [
    ("README.md", "readme", include_str!("../../../../../README.md")),
    ("ARCHITECTURE.md", "architecture", include_str!("../../../../../ARCHITECTURE.md")),
    ("CHANGELOG.md", "changelog", include_str!("../../../../../CHANGELOG.md")),
    ("CONTRIBUTING.md", "contributing", include_str!("../../../../../CONTRIBUTING.md")),
    ("SECURITY.md", "reporting-vulnerabilities", include_str!("../../../../../SECURITY.md")),
];
/// The file that lists the pages.
const INDEX: &str = "docs/README.md";

/// The project with its content.
pub fn files() -> Result<Files, CliError> {
    let mut pages: BTreeMap<String, Page<'_>> = BTreeMap::new();
    let embedded = files_of(&PAGES)?;
    for (path, bytes) in embedded.iter() {
        let Some(name) = path.strip_suffix(".md") else { continue };
        let text = std::str::from_utf8(bytes).map_err(|e| broken(format!("{path}: {e}")))?;
        pages.insert(format!("docs/{path}"), Page { slug: name.to_owned(), text });
    }
    for (path, slug, text) in BESIDE {
        pages.insert(path.to_owned(), Page { slug: slug.to_owned(), text });
    }
    let index = pages.get(INDEX).ok_or_else(|| broken(format!("{INDEX} is missing")))?;
    let navigation = Navigation::of(index.text, &pages);
    let lead = pages.get("README.md").map(|p| lead(p.text)).unwrap_or_default();
    let mut content = vec![
        ("navigation/main".to_owned(), json!({ "groups": navigation.groups })),
        ("page/docs".to_owned(), navigation.front_page(title(index.text), &lead)),
    ];
    for (path, page) in pages.iter().filter(|(path, _)| *path != INDEX) {
        content.push((format!("article/{}", page.slug), article(path, page, &navigation, &pages)));
    }
    let mut files = files_of(&PROJECT)?;
    for (name, fields) in content {
        files.insert(&format!("content/{name}.en.json"), fields.to_string().into_bytes()).map_err(broken)?;
    }
    Ok(files)
}

/// A Markdown file and the last part of its address.
struct Page<'a> {
    slug: String,
    text: &'a str,
}

/// The pages by the job of the reader.
struct Navigation {
    groups: Vec<Value>,
}

impl Navigation {
    /// A group per heading, a part per line that ends with a colon, an item per link of a list.
    fn of(index: &str, pages: &BTreeMap<String, Page<'_>>) -> Self {
        let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
        let mut part = Value::Null;
        for line in index.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                groups.push((title.to_owned(), Vec::new()));
                part = Value::Null;
            } else if let Some(title) = line.strip_suffix(':') {
                part = json!(title);
            } else if let Some(item) = line.strip_prefix("- ").and_then(|item| item_of(item, pages))
                && let Some((_, parts)) = groups.last_mut()
            {
                match parts.last_mut().filter(|p| p["title"] == part) {
                    Some(last) => last["items"].as_array_mut().into_iter().for_each(|i| i.push(item.clone())),
                    None if part.is_null() => parts.push(json!({ "items": [item] })),
                    None => parts.push(json!({ "title": part, "items": [item] })),
                }
            }
        }
        let groups = groups.into_iter().map(|(title, parts)| json!({ "title": title, "parts": parts }));
        Self { groups: groups.collect() }
    }

    /// The group and the summary of a page.
    fn place_of(&self, href: &str) -> Option<(&Value, &Value)> {
        self.groups.iter().find_map(|group| {
            let parts = group["parts"].as_array()?;
            let mut items = parts.iter().filter_map(|p| p["items"].as_array()).flatten();
            items.find(|item| item["href"] == href).map(|item| (&group["title"], &item["summary"]))
        })
    }

    fn front_page(&self, title: &str, lead: &str) -> Value {
        let links = [("Tutorial", "tutorial"), ("Concepts", "concepts")]
            .map(|(label, slug)| json!({ "label": label, "href": format!("/docs/{slug}") }));
        let mut sections = vec![json!({ "intent": "welcome", "title": title, "lead": lead, "links": links })];
        sections.extend(self.groups.iter().map(|group| {
            let anchor = anchor(group["title"].as_str().unwrap_or_default());
            json!({ "intent": "topics", "anchor": anchor, "title": group["title"], "parts": group["parts"] })
        }));
        json!({ "slug": "docs", "title": title, "summary": lead, "sections": sections })
    }
}

/// `[label](target): summary`.
fn item_of(item: &str, pages: &BTreeMap<String, Page<'_>>) -> Option<Value> {
    let (label, rest) = item.strip_prefix('[')?.split_once("](")?;
    let (target, rest) = rest.split_once(')')?;
    let mut item = json!({ "label": label, "href": address(INDEX, target, pages)? });
    if let Some(summary) = rest.strip_prefix(": ") {
        item["summary"] = json!(sentence(summary));
    }
    Some(item)
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

/// The text of the first heading.
fn title(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default()
}

/// The first paragraph, on one line.
fn lead(text: &str) -> String {
    let mut lines = text.lines().skip_while(|line| line.is_empty() || line.starts_with('#'));
    let lines: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    lines.join(" ")
}

/// A page as an entry: a block for the introduction and for each heading.
fn article(
    path: &str,
    page: &Page<'_>,
    navigation: &Navigation,
    pages: &BTreeMap<String, Page<'_>>,
) -> Value {
    let mut sections = vec![(json!({ "intent": "text" }), String::new())];
    let mut anchors: BTreeMap<String, usize> = BTreeMap::new();
    for (kind, text) in pieces(page.text) {
        let heading = text.split_once("# ").filter(|_| kind == Kind::Heading);
        match (heading, sections.last_mut()) {
            (Some(("", _)), _) | (None, None) => {}
            (Some((marks, title)), _) => {
                let title = title.replace('`', "").trim().to_owned();
                let level = if marks.len() == 1 { 2 } else { 3 };
                let anchor = free_anchor(&title, &mut anchors);
                let block = json!({ "intent": "text", "anchor": anchor, "level": level, "title": title });
                sections.push((block, String::new()));
            }
            (None, Some((_, body))) => match kind {
                Kind::Code => body.push_str(text),
                _ => body.push_str(&linked(text, path, pages)),
            },
        }
    }
    let sections: Vec<Value> = sections
        .into_iter()
        .filter_map(|(mut block, text)| {
            let text = text.trim_matches('\n');
            if !text.is_empty() {
                block["body"] = json!(text);
            }
            block.as_object().is_some_and(|b| b.len() > 1).then_some(block)
        })
        .collect();
    let mut fields =
        json!({ "slug": page.slug, "title": title(page.text), "source": path, "sections": sections });
    if let Some((group, summary)) = navigation.place_of(&format!("/docs/{}", page.slug)) {
        fields["group"] = group.clone();
        if !summary.is_null() {
            fields["summary"] = summary.clone();
        }
    }
    fields
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Heading,
    Text,
    Code,
}

/// A Markdown text as headings and the runs of lines of text and of code between them.
fn pieces(text: &str) -> Vec<(Kind, &str)> {
    let mut out: Vec<(Kind, &str)> = Vec::new();
    let (mut fenced, mut at) = (false, 0);
    for line in text.split_inclusive('\n') {
        let fence = line.starts_with("```");
        let kind = match line {
            _ if fenced || fence || line.starts_with("    ") => Kind::Code,
            _ if line.trim_start_matches('#').starts_with(' ') && line.starts_with('#') => Kind::Heading,
            _ => Kind::Text,
        };
        fenced ^= fence;
        let start = at;
        at += line.len();
        match out.last_mut() {
            Some((last, run)) if *last == kind && kind != Kind::Heading => {
                *run = &text[start - run.len()..at]
            }
            _ => out.push((kind, &text[start..at])),
        }
    }
    out
}

/// The anchor of a heading; a number makes it the only one of the page.
fn free_anchor(title: &str, taken: &mut BTreeMap<String, usize>) -> String {
    let anchor = anchor(title);
    let count = taken.entry(anchor.clone()).and_modify(|n| *n += 1).or_insert(0);
    if *count == 0 { anchor } else { format!("{anchor}-{count}") }
}

/// The fragment that leads to a heading.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A text whose links lead to pages of the site. Links to other files become their text, and images are left out.
fn linked(text: &str, path: &str, pages: &BTreeMap<String, Page<'_>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(label, r)| Some((label, r.split_once(')')?)));
        let in_code = out.matches('`').count() + before.matches('`').count();
        let Some((label, (target, next))) =
            link.filter(|(label, _)| in_code.is_multiple_of(2) && !label.contains('['))
        else {
            out.push_str(before);
            out.push('[');
            rest = after;
            continue;
        };
        match before.strip_suffix('!') {
            Some(before) => out.push_str(before),
            None => {
                out.push_str(before);
                match address(path, target, pages) {
                    Some(href) => out.push_str(&format!("[{label}]({href})")),
                    None => out.push_str(label),
                }
            }
        }
        rest = next;
    }
    out + rest
}

/// The address that a link in a file leads to; `None` for a file that is no page.
fn address(from: &str, target: &str, pages: &BTreeMap<String, Page<'_>>) -> Option<String> {
    if target.starts_with('#') || target.starts_with("https://") || target.starts_with("http://") {
        return Some(target.to_owned());
    }
    let (file, fragment) = target.split_once('#').map_or((target, None), |(file, f)| (file, Some(f)));
    let folder = if from.starts_with("docs/") { "docs/" } else { "" };
    let path = match file.strip_prefix("../") {
        Some(above) => above.to_owned(),
        None => format!("{folder}{file}"),
    };
    let page = pages.get(&path)?;
    let mut href = if path == INDEX { "/docs".to_owned() } else { format!("/docs/{}", page.slug) };
    if let Some(fragment) = fragment {
        href = format!("{href}#{fragment}");
    }
    Some(href)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages() {
        let page = |slug: &str| Page { slug: slug.to_owned(), text: "" };
        let pages = BTreeMap::from([
            ("docs/site.md".to_owned(), page("site")),
            (INDEX.to_owned(), page("README")),
            ("README.md".to_owned(), page("readme")),
        ]);
        for (line, expect) in [
            (
                "see [the site](site.md#images) and [it](../README.md)",
                "see [the site](/docs/site#images) and [it](/docs/readme)",
            ),
            ("[all](README.md), [here](#x)", "[all](/docs), [here](#x)"),
            (
                "![a](images/a.png)[unit](../packaging/a.service) [w](https://x.example/a)",
                "unit [w](https://x.example/a)",
            ),
            ("`[a](b.md)` and [b] `[[page]]`", "`[a](b.md)` and [b] `[[page]]`"),
        ] {
            assert_eq!(linked(line, "docs/a.md", &pages), expect);
        }
        assert_eq!(anchor("What `site.toml` — and more_"), "what-sitetoml--and-more_");
    }
}
