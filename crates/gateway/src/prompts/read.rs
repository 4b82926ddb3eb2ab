//! From files to prompts, with everything that is wrong.

use std::{collections::BTreeMap, sync::Arc};

use ashlar_model::{Digest, Files, Finding, did_you_mean};
use ashlar_project::front_matter;
use minijinja::Environment;

use super::{
    FILE_BYTES_MAX, FOLDER, MESSAGES_MAX, PARTIALS, PROMPTS_MAX, VERSIONS_MAX,
    active::Active,
    front::Reading,
    lint,
    prompt::{Prompt, Prompts, Role, Section},
    tags::Uses,
    template::{self, Failed},
};

/// The most findings that are reported.
pub(super) const FINDINGS_MAX: usize = 500;

/// Whether a text can be the name of a prompt.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    !name.is_empty()
        && name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(fits)
}

/// What a partial includes and uses.
pub(super) struct Partial {
    pub file: String,
    pub uses: Uses,
    pub digest: Digest,
}

/// The name and the version of a file such as `prompts/support-answer/v12.md`.
pub(super) fn version_of(path: &str) -> Option<(&str, u32)> {
    let (name, file) = path.strip_prefix(FOLDER)?.strip_prefix('/')?.split_once('/')?;
    let digits = file.strip_prefix('v')?.strip_suffix(".md")?;
    let number = digits.parse().ok().filter(|n| *n > 0 && !digits.starts_with('0'))?;
    is_name(name).then_some((name, number))
}

impl Prompts {
    /// Reads `prompts/` and `prompts.toml`. A version that cannot be read is left out.
    #[must_use]
    pub fn parse(files: &Files) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut env = template::environment();
        let partials = partials(files, &mut env, &mut findings);
        let mut drafts: Vec<Prompt> = Vec::new();
        for (path, bytes) in files.under(FOLDER, "") {
            if path.starts_with(&format!("{FOLDER}/{PARTIALS}/")) {
                continue;
            }
            let rest = path.get(FOLDER.len() + 1..).unwrap_or_default();
            if rest.eq_ignore_ascii_case("readme.md") || rest.to_ascii_lowercase().ends_with("/readme.md") {
                continue;
            }
            let Some((name, version)) = version_of(path) else {
                let message = "The file is not a version of a prompt.";
                let help = "name it prompts/NAME/vN.md, such as prompts/support-answer/v2.md";
                findings.push(Finding::error("prompt-file", path, message).help(help));
                continue;
            };
            if let Some(text) = text(path, bytes, &mut findings) {
                drafts.extend(version_file(path, (name, version), text, &mut env, &partials, &mut findings));
            }
        }
        let env = Arc::new(env);
        let mut prompts = Self::default();
        for mut prompt in drafts {
            prompt.env = env.clone();
            let versions = prompts.all.entry(prompt.name.clone()).or_default();
            versions.insert(prompt.version, Arc::new(prompt));
        }
        bounds(&mut prompts, &mut findings);
        for prompt in prompts.iter() {
            findings.extend(lint::findings(prompt, &partials));
        }
        let (active, wrong) = Active::parse(files, &prompts);
        prompts.active = active;
        findings.extend(wrong);
        findings.truncate(FINDINGS_MAX);
        (prompts, findings)
    }
}

fn bounds(prompts: &mut Prompts, findings: &mut Vec<Finding>) {
    if prompts.all.len() > PROMPTS_MAX {
        let message = format!("There are {} prompts; at most {PROMPTS_MAX} are possible.", prompts.all.len());
        findings
            .push(Finding::error("prompt-file", FOLDER, message).help("remove prompts that no call names"));
        while prompts.all.len() > PROMPTS_MAX {
            prompts.all.pop_last();
        }
    }
    for (name, versions) in &mut prompts.all {
        if versions.len() > VERSIONS_MAX {
            let message =
                format!("`{name}` has {} versions; at most {VERSIONS_MAX} are possible.", versions.len());
            let place = format!("{FOLDER}/{name}");
            findings.push(Finding::error("prompt-file", place, message).help("remove the oldest versions"));
            while versions.len() > VERSIONS_MAX {
                versions.pop_first();
            }
        }
    }
}

fn text<'a>(path: &str, bytes: &'a [u8], findings: &mut Vec<Finding>) -> Option<&'a str> {
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("The file has {} bytes; at most {FILE_BYTES_MAX} are possible.", bytes.len());
        findings.push(Finding::error("prompt-file", path, message).help("shorten the prompt"));
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(_) => {
            let finding = Finding::error("encoding", path, "The file is not UTF-8.");
            findings.push(finding.help("save the file as UTF-8"));
            None
        }
    }
}

fn partials(
    files: &Files,
    env: &mut Environment<'static>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, Partial> {
    let folder = format!("{FOLDER}/{PARTIALS}");
    let mut out = BTreeMap::new();
    for (path, bytes) in files.under(&folder, "") {
        let name = path.get(folder.len() + 1..).unwrap_or_default();
        let Some(text) = text(path, bytes, findings) else { continue };
        let text = text.replace("\r\n", "\n");
        let uses = Uses::of(&text);
        // A line break at the end of the file is no part of what is included.
        match env.add_template_owned(name.to_owned(), template::lines_kept(text.trim_end())) {
            Ok(()) => {
                let partial = Partial { file: path.to_owned(), uses, digest: Digest::of(bytes) };
                out.insert(name.to_owned(), partial);
            }
            Err(error) => findings.push(syntax(&Failed::of(&error), path, 0)),
        }
    }
    for (name, partial) in &out {
        findings.extend(lint::of_partial(name, partial, &out));
    }
    out
}

/// A syntax error of a template that starts after `above` lines of its file.
fn syntax(failed: &Failed, file: &str, above: usize) -> Finding {
    let place = format!("{file}:{}", above + failed.line.max(1));
    let message = format!("The template cannot be read: {}.", failed.message);
    Finding::error("prompt-template", place, message)
        .help("correct the template at this place; write {% raw %}{{ }}{% endraw %} for braces that are text")
}

fn version_file(
    path: &str,
    (name, version): (&str, u32),
    text: &str,
    env: &mut Environment<'static>,
    partials: &BTreeMap<String, Partial>,
    findings: &mut Vec<Finding>,
) -> Option<Prompt> {
    let document = match front_matter::split(path, text) {
        Ok(document) => document,
        Err(finding) => {
            findings.push(finding);
            return None;
        }
    };
    let lines: BTreeMap<String, usize> = document
        .fields
        .keys()
        .filter_map(|field| Some((field.clone(), front_matter::line_of_field(text, field)?)))
        .collect();
    let place = |field: &str| format!("{path}:{}", lines.get(field).copied().unwrap_or(1));
    let mut reading = Reading { place: &place, findings: Vec::new() };
    let front = reading.front(&document.fields);
    findings.append(&mut reading.findings);
    let sections = match sections(path, &document.body, document.body_line) {
        Ok(sections) => sections,
        Err(finding) => {
            findings.push(*finding);
            return None;
        }
    };
    let mut used: Vec<String> = Vec::new();
    let mut readable = true;
    for section in &sections {
        if let Err(error) =
            env.add_template_owned(section.template.clone(), template::lines_kept(&section.source))
        {
            findings.push(syntax(&Failed::of(&error), path, section.line - 1));
            readable = false;
        }
        used.extend(lint::included(&section.source, partials));
    }
    if !readable {
        return None;
    }
    used.sort_unstable();
    used.dedup();
    let mut all = Digest::of(text.replace("\r\n", "\n").as_bytes()).as_bytes().to_vec();
    for partial in used.iter().filter_map(|name| partials.get(name)) {
        all.extend_from_slice(partial.digest.as_bytes());
    }
    Some(Prompt {
        name: name.to_owned(),
        version,
        file: path.to_owned(),
        owner: front.owner,
        changelog: front.changelog,
        route: front.route,
        params: front.params,
        variables: front.variables,
        output: front.output,
        grounding: front.grounding,
        tools: front.tools,
        provider_cache: front.provider_cache,
        digest: Digest::of(&all),
        lines,
        sections,
        env: Arc::default(),
    })
}

/// The role that a heading such as `## user` names.
fn role_of(line: &str) -> Option<Role> {
    let name = line.trim_end().trim_start_matches('#');
    let level = line.len().checked_sub(line.trim_start_matches('#').len())?;
    ((1..=3).contains(&level) && name.starts_with(' ')).then(|| Role::parse(name.trim())).flatten()
}

/// The body in parts, one for each message. A body without headings is the system message.
fn sections(path: &str, body: &str, first_line: usize) -> Result<Vec<Section>, Box<Finding>> {
    let wrong = |line: usize, message: &str, help: &str| {
        Box::new(Finding::error("prompt-sections", format!("{path}:{line}"), message).help(help))
    };
    if body.trim().is_empty() {
        let help = "write the messages below the front matter: ## system, ## user";
        return Err(wrong(first_line, "The prompt has no text.", help));
    }
    let mut out: Vec<Section> = Vec::new();
    let mut fenced = false;
    let mut before = String::new();
    for (at, line) in body.lines().enumerate() {
        let number = first_line + at;
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if let Some(role) = role_of(line).filter(|_| !fenced) {
            if out.is_empty() && !before.trim().is_empty() {
                let help = "put it below `## system` or `## user`";
                return Err(wrong(first_line, "There is text before the first heading of a role.", help));
            }
            if role == Role::System && out.iter().any(|section| section.role != Role::System) {
                let help = "move it to the beginning: models read system messages first";
                return Err(wrong(number, "A system section comes after another role.", help));
            }
            let template = format!("{path}#{}", out.len());
            out.push(Section { role, template, source: String::new(), line: number + 1 });
            continue;
        }
        let into = out.last_mut().map_or(&mut before, |section| &mut section.source);
        into.push_str(line);
        into.push('\n');
    }
    if out.is_empty() {
        let template = format!("{path}#0");
        out.push(Section { role: Role::System, template, source: before, line: first_line });
    }
    if out.len() > MESSAGES_MAX {
        let help = "shorten the conversation that the prompt begins with";
        let message = format!("The prompt has {} messages; at most {MESSAGES_MAX} are possible.", out.len());
        return Err(wrong(first_line, &message, help));
    }
    for section in &mut out {
        let skipped = section.source.lines().take_while(|line| line.trim().is_empty()).count();
        section.line += skipped;
        section.source = section.source.trim_matches('\n').trim_end().to_owned();
        if section.source.trim().is_empty() {
            let message = format!("The section `{}` is empty.", section.role.as_str());
            return Err(wrong(section.line, &message, "write some text, or remove the heading"));
        }
    }
    Ok(out)
}

/// A name that is not known, with the nearest that is.
pub(super) fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, otherwise: String) -> String {
    did_you_mean(name, known, otherwise)
}
