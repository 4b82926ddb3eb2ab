use std::collections::{BTreeMap, HashMap, HashSet};

use ashlar_model::{Files, Finding};
use serde::Deserialize;

use crate::{
    text::decode,
    toml_text::{line_of_table, typed_text},
};

const FILE: &str = "redirects.toml";

/// The most redirects of a project.
pub const REDIRECTS_MAX: usize = 100_000;

/// Where an old path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// A path of the project (`/new`) or an absolute `http(s)` address; empty for a removed page.
    pub to: String,
    /// The HTTP status: 301, 302, 307 or 308; 410 for a page that was removed permanently.
    pub status: u16,
    /// The line in `redirects.toml`, from 1.
    pub line: usize,
    /// Where it leads when every redirect behind it is followed.
    end: End,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum End {
    /// To its own target.
    #[default]
    Own,
    /// Further than that.
    At(String),
    /// Into a circle, by its number.
    Circle(usize),
}

impl Redirect {
    /// Whether the old path leads nowhere any more, on purpose.
    pub fn is_gone(&self) -> bool {
        self.status == GONE
    }
}

/// The status of a page that was removed permanently.
const GONE: u16 = 410;

/// `redirects.toml`: old path → where it leads. Paths have no trailing slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redirects {
    map: BTreeMap<String, Redirect>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    redirect: Vec<RawRedirect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRedirect {
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default = "permanent")]
    status: u16,
}

fn permanent() -> u16 {
    301
}

/// A path without query, fragment and trailing slash: the form in which routes are compared.
pub fn normal_path(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    match path.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    }
}

impl Redirects {
    /// Reads `redirects.toml`; a project without one has no redirects.
    ///
    /// # Errors
    /// Everything that is wrong, with its lines; loops are not looked for here, see [`Redirects::follow`].
    pub fn parse(files: &Files) -> Result<Self, Vec<Finding>> {
        let Some(bytes) = files.get(FILE) else { return Ok(Self::default()) };
        let text = decode(FILE, bytes).map_err(|f| vec![f])?;
        let raw: Raw = typed_text(FILE, text).map_err(|f| vec![f])?;
        if raw.redirect.len() > REDIRECTS_MAX {
            return Err(vec![Finding::error(
                "redirect",
                FILE,
                format!("There are more than {REDIRECTS_MAX} redirects."),
            )]);
        }
        let mut findings = Vec::new();
        let mut map: BTreeMap<String, Redirect> = BTreeMap::new();
        let lines: Vec<usize> = text
            .lines()
            .enumerate()
            .filter(|(_, l)| l.trim_start().starts_with("[[redirect]]"))
            .map(|(i, _)| i + 1)
            .collect();
        for (i, r) in raw.redirect.into_iter().enumerate() {
            let line = lines.get(i).copied().unwrap_or_else(|| line_of_table(text, "redirect", i));
            let mut wrong = |message: String, help: &str| {
                findings.push(Finding::error("redirect", format!("{FILE}:{line}"), message).help(help));
            };
            if !r.from.starts_with('/') || r.from.contains(['?', '#']) {
                wrong(
                    format!("`from` is `{}`, which is not a path of the project.", r.from),
                    "write a path such as /old",
                );
                continue;
            }
            let gone = r.status == GONE;
            if gone && !r.to.is_empty() {
                wrong(
                    format!("`{}` has the status 410 and must not have a target (`{}`).", r.from, r.to),
                    "leave `to` out, or choose the status of a redirect",
                );
                continue;
            }
            let external = r.to.starts_with("https://") || r.to.starts_with("http://");
            if !gone && !external && (!r.to.starts_with('/') || r.to.starts_with("//")) {
                wrong(
                    format!("`to` is `{}`, which is neither a path nor an address.", r.to),
                    "write a path such as /new",
                );
                continue;
            }
            if !gone && ![301, 302, 307, 308].contains(&r.status) {
                wrong(
                    format!("{} is not the status of a redirect.", r.status),
                    "use 301, 302, 307 or 308, or 410 without `to` for a removed page",
                );
                continue;
            }
            let from = normal_path(&r.from).to_owned();
            if let Some(first) = map.get(&from) {
                wrong(
                    format!("`{from}` is already redirected on line {}.", first.line),
                    "keep one of the two",
                );
                continue;
            }
            map.insert(from, Redirect { to: r.to, status: r.status, line, end: End::Own });
        }
        match findings.is_empty() {
            true => Ok(Self { map }.followed()),
            false => Err(findings),
        }
    }

    /// Follows every redirect once: each path on the way is looked at one time, however long the chains are.
    fn followed(mut self) -> Self {
        let positions: HashMap<&str, usize> =
            self.map.keys().enumerate().map(|(at, from)| (from.as_str(), at)).collect();
        let all: Vec<&Redirect> = self.map.values().collect();
        let next: Vec<Option<usize>> = all
            .iter()
            .map(|r| match r.is_gone() || !r.to.starts_with('/') {
                true => None,
                false => positions.get(normal_path(&r.to)).copied().filter(|to| !all[*to].is_gone()),
            })
            .collect();
        // The redirect at which each of them ends, or the number of its circle.
        let mut ends: Vec<Option<Result<usize, usize>>> = vec![None; all.len()];
        let mut circles = 0;
        for start in 0..all.len() {
            let (mut way, mut at) = (Vec::new(), start);
            let mut on_way = HashSet::new();
            let end = loop {
                if let Some(known) = ends[at] {
                    break known;
                }
                if !on_way.insert(at) {
                    circles += 1;
                    break Err(circles - 1);
                }
                way.push(at);
                match next[at] {
                    Some(to) => at = to,
                    None => break Ok(at),
                }
            };
            way.into_iter().for_each(|at| ends[at] = Some(end));
        }
        let ends: Vec<End> = ends
            .into_iter()
            .enumerate()
            .map(|(at, end)| match end {
                Some(Ok(end)) if end != at => End::At(all[end].to.clone()),
                Some(Err(circle)) => End::Circle(circle),
                _ => End::Own,
            })
            .collect();
        self.map.values_mut().zip(ends).for_each(|(redirect, end)| redirect.end = end);
        self
    }

    /// The number of the circle that a redirect leads into; those with the same number lead into the same one.
    pub fn circle(&self, path: &str) -> Option<usize> {
        match self.get(path)?.end {
            End::Circle(number) => Some(number),
            _ => None,
        }
    }

    /// The redirect of a path, in any spelling of its trailing slash.
    pub fn get(&self, path: &str) -> Option<&Redirect> {
        self.map.get(normal_path(path))
    }

    /// Follows redirects from `path` to the first path or address that is not redirected; a removed page is one.
    ///
    /// # Errors
    /// The paths of the loop, the first one repeated at its end.
    pub fn follow<'a>(&'a self, path: &'a str) -> Result<&'a str, Vec<&'a str>> {
        let Some(first) = self.get(path).filter(|r| !r.is_gone()) else { return Ok(path) };
        match &first.end {
            End::Own => return Ok(&first.to),
            End::At(end) => return Ok(end),
            End::Circle(_) => {}
        }
        let mut seen = vec![normal_path(path)];
        let mut known = HashMap::from([(normal_path(path), 0)]);
        let mut at = path;
        while let Some(next) = self.get(at).filter(|r| !r.is_gone()) {
            at = &next.to;
            if !at.starts_with('/') {
                break;
            }
            let normal = normal_path(at);
            if let Some(start) = known.insert(normal, seen.len()) {
                seen.push(normal);
                return Err(seen.split_off(start));
            }
            seen.push(normal);
        }
        Ok(at)
    }

    /// All redirects in path order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Redirect)> {
        self.map.iter().map(|(from, r)| (from.as_str(), r))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}
