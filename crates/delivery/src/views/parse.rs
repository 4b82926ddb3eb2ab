use std::collections::BTreeMap;

use ashlar_contracts::{ContractSet, Version};
use ashlar_model::{Digest, Files, Finding, TypeName, position};
use jiff::{civil::Date, tz::TimeZone};
use serde::Deserialize;

use super::{
    check,
    view::{INCLUDE_DEPTH_MAX, Include, LookupBy, Selection, VIEWS_MAX, View, Views},
};
use crate::http::CACHE_CONTROL;

/// First path segments under `/v1/` that are not views.
const RESERVED: [&str; 6] = ["entries", "search", "answers", "tokens", "changes", "redirects"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewFile {
    source: TypeName,
    lookup: String,
    path: Option<String>,
    fields: Option<Vec<String>>,
    cache_control: Option<String>,
    version: Option<String>,
    deprecated: Option<String>,
    sunset: Option<String>,
    replaced_by: Option<String>,
    #[serde(default)]
    rename: BTreeMap<String, String>,
    #[serde(default)]
    include: BTreeMap<String, IncludeFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IncludeFile {
    fields: Option<Vec<String>>,
    #[serde(default)]
    include: BTreeMap<String, IncludeFile>,
}

impl Views {
    /// Reads `views/*.toml`. A file with an error is left out of the value and has a finding.
    pub fn parse(files: &Files, contracts: &ContractSet) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut list: Vec<View> = Vec::new();
        for (path, bytes) in files.under("views", ".toml") {
            if list.len() == VIEWS_MAX {
                findings.push(Finding::error(
                    "view-too-many",
                    path,
                    format!("a project may have {VIEWS_MAX} views"),
                ));
                break;
            }
            let view = match parse_view(path, bytes) {
                Ok(view) => view,
                Err(finding) => {
                    findings.push(finding);
                    continue;
                }
            };
            if !check::against_contracts(path, &view, contracts, &mut findings) {
                continue;
            }
            if let Some((name, successor)) = &view.replaced_by
                && !files.iter().any(|(p, _)| p == format!("views/{name}.v{successor}.toml"))
            {
                findings.push(
                    Finding::error(
                        "view-successor-unknown",
                        path,
                        format!("replaced_by names `{name}.v{successor}`, which is not a view"),
                    )
                    .help("name a file of views/ without .toml"),
                );
                continue;
            }
            if let Some(other) = list.iter().find(|v| v.prefix == view.prefix) {
                findings.push(
                    Finding::error(
                        "view-path-duplicate",
                        path,
                        format!(
                            "`{}` is already the path of view `{}.v{}`",
                            view.prefix, other.name, other.major
                        ),
                    )
                    .help("give one of them another `path`"),
                );
                continue;
            }
            list.push(view);
        }
        (Self::new(list), findings)
    }
}

/// What is wrong with a file: code, message, help.
type Wrong = (&'static str, String, &'static str);

/// The view of one file.
fn parse_view(path: &str, bytes: &[u8]) -> Result<View, Finding> {
    let finding = |(code, message, help): Wrong| Finding::error(code, path, message).help(help);
    let (name, major) = name_of(path).map_err(finding)?;
    let file = parse_file(path, bytes)?;
    view_of(name, major, file, Digest::of(bytes)).map_err(finding)
}

/// Name and major version, by the path of the file.
fn name_of(path: &str) -> Result<(String, u32), Wrong> {
    let stem = path.strip_prefix("views/").and_then(|p| p.strip_suffix(".toml")).unwrap_or_default();
    let named = stem.rsplit_once(".v").and_then(|(name, major)| {
        let major =
            major.parse::<u32>().ok().filter(|m| (1..=9999).contains(m) && !major.starts_with('0'))?;
        TypeName::new(name).ok().map(|name| (name.as_str().to_owned(), major))
    });
    named.ok_or_else(|| {
        let message = format!("`{stem}` is not a view name");
        ("view-name", message, "call the file NAME.vMAJOR.toml, such as views/pages.v1.toml")
    })
}

fn parse_file(path: &str, bytes: &[u8]) -> Result<ViewFile, Finding> {
    let Ok(text) = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)) else {
        return Err(
            Finding::error("view-syntax", path, "the file is not UTF-8 text").help("save it as UTF-8")
        );
    };
    toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |s| position(text.as_bytes(), s.start).0);
        let known = "a view has source, lookup, path, fields, cache_control and [include.FIELD] tables";
        Finding::error("view-syntax", format!("{path}:{line}"), e.message().trim())
            .help(ashlar_model::nearest_in_message(e.message(), known))
    })
}

fn view_of(name: String, major: u32, file: ViewFile, digest: Digest) -> Result<View, Wrong> {
    let (prefix, rest) = path_of(&name, major, file.path.as_deref()).map_err(|message| {
        let help = "a path starts with /v and the major version, and ends in one parameter: /v1/pages/{slug} or /v1/pages/{slug…}";
        ("view-path", message, help)
    })?;
    let life = Life::of(&file, major)?;
    let cache_control = file.cache_control.unwrap_or_else(|| CACHE_CONTROL.to_owned());
    if cache_control.len() > 200 || !cache_control.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        let message = "cache_control is not a header value".to_owned();
        return Err(("view-cache-control", message, "use at most 200 printable ASCII characters"));
    }
    if depth(&file.include) > INCLUDE_DEPTH_MAX {
        let message = format!("includes are nested deeper than {INCLUDE_DEPTH_MAX} levels");
        let help = "leave out the innermost; the client can ask for those entries by id";
        return Err(("view-include-depth", message, help));
    }
    Ok(View {
        name,
        major,
        source: file.source,
        lookup: if file.lookup == "id" { LookupBy::Id } else { LookupBy::Field(file.lookup) },
        prefix,
        rest,
        select: selection(file.fields, file.include),
        cache_control,
        head: life.head(),
        version: life.version,
        deprecated: life.deprecated,
        sunset: life.sunset,
        replaced_by: life.replaced_by,
        rename: renames(file.rename)?,
        digest,
    })
}

/// Fields under other names: the way to each, and its name in the answer.
fn renames(rename: BTreeMap<String, String>) -> Result<Vec<(Vec<String>, String)>, Wrong> {
    let split = |from: String| from.split('.').map(str::to_owned).collect::<Vec<_>>();
    let all: Vec<_> = rename.into_iter().map(|(from, to)| (split(from), to)).collect();
    let wrong = all.iter().find(|(from, to)| {
        to.is_empty() || to.contains(['.', '$']) || from.iter().any(String::is_empty) || from.len() > 16
    });
    match wrong {
        None => Ok(all),
        Some((_, to)) => Err((
            "view-rename",
            format!("`{to}` cannot be the new name of a field"),
            "write [rename] \"sections.headline\" = \"title\": the way to the field, and its name in the answer",
        )),
    }
}

/// The place of a view in its life cycle.
struct Life {
    version: Version,
    deprecated: Option<Date>,
    sunset: Option<Date>,
    replaced_by: Option<(String, u32)>,
}

impl Life {
    fn of(file: &ViewFile, major: u32) -> Result<Self, Wrong> {
        let version = match &file.version {
            None => Version { major, minor: 0, patch: 0 },
            Some(text) => match text.parse::<Version>() {
                Ok(version) if version.major == major => version,
                Ok(_) => {
                    let message = format!("the file is named v{major} and its version is {text}");
                    return Err(("view-version", message, "make the two agree"));
                }
                Err(e) => return Err(("view-version", e.to_string(), "write `1.4.0`")),
            },
        };
        let date = |name: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => text
                .parse::<Date>()
                .map(Some)
                .map_err(|_| ("view-date", format!("{name}: `{text}` is not a date"), "write `2027-01-31`")),
        };
        let (deprecated, sunset) = (date("deprecated", &file.deprecated)?, date("sunset", &file.sunset)?);
        if let (Some(sunset), Some(deprecated)) = (sunset, deprecated)
            && sunset < deprecated
        {
            let message = format!("it ends on {sunset}, before it is deprecated on {deprecated}");
            return Err(("view-date", message, "a view is deprecated first"));
        }
        let replaced_by = match &file.replaced_by {
            None => None,
            Some(text) => {
                let found = text.rsplit_once(".v").and_then(|(n, m)| Some((n.to_owned(), m.parse().ok()?)));
                let wrong = || ("view-successor", format!("`{text}` is not a view"), "write `pages.v2`");
                Some(found.ok_or_else(wrong)?)
            }
        };
        Ok(Self { version, deprecated, sunset, replaced_by })
    }

    /// `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and the way to the successor.
    fn head(&self) -> Vec<u8> {
        let at = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp());
        let mut head = String::new();
        if let Some(at) = self.deprecated.and_then(at) {
            head.push_str(&format!("deprecation: @{}\r\n", at.as_second()));
        }
        if let Some(at) = self.sunset.and_then(at) {
            let text = at.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            head.push_str(&format!("sunset: {text}\r\n"));
        }
        if let Some((name, major)) = &self.replaced_by {
            head.push_str(&format!("link: </v{major}/{name}>; rel=\"successor-version\"\r\n"));
        }
        head.into_bytes()
    }
}

fn depth(include: &BTreeMap<String, IncludeFile>) -> usize {
    include.values().map(|i| 1 + depth(&i.include)).max().unwrap_or(0)
}

fn selection(fields: Option<Vec<String>>, include: BTreeMap<String, IncludeFile>) -> Selection {
    Selection {
        fields,
        include: include
            .into_iter()
            .map(|(path, i)| Include {
                path: path.split('.').map(str::to_owned).collect(),
                select: selection(i.fields, i.include),
            })
            .collect(),
    }
}

/// The prefix of a view's path and whether its parameter takes slashes.
fn path_of(name: &str, major: u32, path: Option<&str>) -> Result<(String, bool), String> {
    let Some(path) = path else { return Ok((format!("/v{major}/{name}/"), true)) };
    let bad = || format!("`{path}` is not a path for a view");
    let (prefix, parameter) = path.split_once('{').ok_or_else(bad)?;
    let parameter = parameter.strip_suffix('}').ok_or_else(bad)?;
    let (parameter, rest) = match parameter.strip_suffix('…').or(parameter.strip_suffix("...")) {
        Some(p) => (p, true),
        None => (parameter, false),
    };
    let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let Some(inner) = prefix.strip_prefix("/v").and_then(|p| p.strip_suffix('/')) else { return Err(bad()) };
    let mut segments = inner.split('/');
    let version = segments.next().and_then(|v| v.parse::<u32>().ok()).filter(|v| *v > 0).ok_or_else(bad)?;
    let segments: Vec<&str> = segments.collect();
    if !word(parameter) || segments.is_empty() || !segments.iter().all(|s| word(s)) || prefix.len() > 500 {
        return Err(bad());
    }
    if version != major {
        return Err(format!("`{path}` is a path of version {version}; this is version {major} of the view"));
    }
    if RESERVED.contains(&segments[0]) {
        return Err(format!("`/v{version}/{}` is not free for views", segments[0]));
    }
    Ok((prefix.to_owned(), rest))
}
