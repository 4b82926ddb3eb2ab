//! `contracts`: compare and validate on files.

use std::{path::Path, process::ExitCode};

use ashlar_contracts::{
    Answer, Comparison, Contract, ContractSet,
    codegen::{Language, Operation, Query, generate},
    compare,
};
use ashlar_delivery::graphql::{COST_MAX, DEPTH_MAX, Graph};
use ashlar_model::{ContractName, Files, Finding, Level};
use serde_json::{Value, json};

use crate::{
    against::against,
    args::{ContractsCommand, Format, Lang},
    error::{CliError, Done, done},
    output, project,
};

/// The largest value that is validated, in bytes.
const VALUE_BYTES_MAX: u64 = 64 << 20;

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let meta = std::fs::metadata(path).map_err(|e| CliError::file("read", path, &e))?;
    if meta.len() > VALUE_BYTES_MAX {
        return Err(CliError::input(format!("{} has more than {VALUE_BYTES_MAX} bytes", path.display()), ""));
    }
    std::fs::read(path).map_err(|e| CliError::file("read", path, &e))
}

/// Loads a schema with the contracts beside it, which its `$ref`s may name.
fn load(path: &Path) -> Result<(ContractSet, ContractName), CliError> {
    let bytes = read(path)?;
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let named: Option<ContractName> = stem.parse().ok();
    let name = match &named {
        Some(name) => name.clone(),
        None => major_of(&bytes)?,
    };
    let mut files = Files::new();
    let add = |files: &mut Files, name: &str, bytes: Vec<u8>| {
        files.insert(&format!("contracts/{name}"), bytes).map_err(|e| CliError::input(e.to_string(), ""))
    };
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for file in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let (file_name, path) = (file.file_name().to_string_lossy().into_owned(), file.path());
        let is_contract = file_name.strip_suffix(".json").is_some_and(|s| s.parse::<ContractName>().is_ok());
        if is_contract && path.is_file() {
            add(&mut files, &file_name, read(&path)?)?;
        }
    }
    add(&mut files, &format!("{name}.json"), bytes)?;
    let (set, findings) = ContractSet::load(&files);
    let own = format!("contracts/{name}.json");
    let shown = path.display().to_string();
    let mine: Vec<Finding> = findings
        .into_iter()
        .filter(|f| f.level == Level::Error && f.place.starts_with(&own))
        .map(|f| Finding { place: f.place.replacen(&own, &shown, 1), ..f })
        .collect();
    if !mine.is_empty() {
        return Err(CliError::findings(format!("{shown} cannot be used"), mine));
    }
    Ok((set, name))
}

/// A schema whose file is not named like a contract: the major version comes from its `x-ashlar`.
fn major_of(bytes: &[u8]) -> Result<ContractName, CliError> {
    let schema: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let version = schema.pointer("/x-ashlar/version").and_then(Value::as_str).unwrap_or("1.0.0");
    let major = version.split('.').next().unwrap_or("1");
    Ok(format!("schema.v{major}").parse::<ContractName>().or_else(|_| "schema.v1".parse())?)
}

fn get<'a>(set: &'a ContractSet, name: &ContractName) -> Result<&'a Contract, CliError> {
    set.get(name).ok_or_else(|| CliError::input(format!("{name} was not loaded"), ""))
}

pub async fn contracts(command: &ContractsCommand) -> Done {
    match command {
        ContractsCommand::Diff { old, new, lenient, format } => diff(old, new, *lenient, *format),
        ContractsCommand::Types { dir, lang, out, format } => {
            write_types(dir, *lang, out.as_deref(), *format)
        }
        ContractsCommand::Queries { dir, format } => queries(dir, *format),
        ContractsCommand::Impact { dir, against, key, format } => {
            impact(dir, against, key.as_deref(), *format).await
        }
        ContractsCommand::Validate { schema, instance, format } => validate(schema, instance, *format),
    }
}

fn diff(old: &Path, new: &Path, lenient: bool, format: Format) -> Done {
    let ((old_set, old_name), (new_set, new_name)) = (load(old)?, load(new)?);
    let (old, new) = (get(&old_set, &old_name)?, get(&new_set, &new_name)?);
    let comparison = compare(old, new, lenient);
    match format {
        Format::Json => output::print_json(&comparison),
        Format::Human => print_comparison(&comparison),
    }
    done()
}

fn print_comparison(comparison: &Comparison) {
    let answer = |a: Answer| match a {
        Answer::Yes => output::paint("yes", "32"),
        Answer::No => output::paint("no", "31;1"),
        Answer::Unknown => output::paint("unknown", "33"),
    };
    for change in &comparison.changes {
        let path = if change.path.is_empty() { "/" } else { &change.path };
        output::line(format!("{:6} {path}", change.verdict.to_string()));
        output::line(format!("       {}", change.message));
    }
    for reason in &comparison.reasons {
        output::line(format!("       because {reason}"));
    }
    let semantic = if comparison.semantic { ", semantic: its owner has to agree" } else { "" };
    output::line(format!("verdict   {}{semantic}", comparison.verdict));
    let (backward, forward) = (answer(comparison.backward), answer(comparison.forward));
    output::line(format!("backward  {backward} (values that are valid today stay valid)"));
    output::line(format!("forward   {forward} (values that become valid were valid before)"));
    output::line(format!("change    {}", comparison.digest));
}

fn write_types(dir: &Path, lang: Lang, out: Option<&Path>, format: Format) -> Done {
    let text = types(dir, lang)?;
    let Some(out) = out else {
        output::print(&text);
        return done();
    };
    std::fs::write(out, &text).map_err(|e| CliError::file("write", out, &e))?;
    let answer = json!({"written": out, "bytes": text.len()});
    output::report(format == Format::Json, &answer, &format!("Wrote {}.", out.display()));
    done()
}

async fn impact(dir: &Path, named: &str, key: Option<&str>, format: Format) -> Done {
    let base = against(dir, named, key).await?;
    let found = ashlar_gates::impact(dir, &base.path)
        .map_err(|e| CliError::input(e.to_string(), "create a project with `ashlar init DIR`"))?;
    let breaks = found.consumers.iter().any(|c| !c.broken.is_empty())
        || found.operations.iter().any(|o| !o.broken.is_empty());
    match format {
        Format::Json => output::print_json(&found),
        Format::Human => print_impact(&found),
    }
    Ok(ExitCode::from(u8::from(breaks)))
}

fn validate(schema: &Path, instance: &Path, format: Format) -> Done {
    let (set, name) = load(schema)?;
    let bytes = read(instance)?;
    let shown = instance.display().to_string();
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CliError::input(format!("{shown} is not UTF-8 text"), "save it as UTF-8"))?;
    let value: Value = serde_json::from_str(text).map_err(|e| CliError::json(&shown, text.as_bytes(), &e))?;
    let finding = |v: ashlar_contracts::Violation| {
        let line = ashlar_model::line_of(text, &v.path);
        let place = format!("{shown}:{line} {}", if v.path.is_empty() { "/" } else { &v.path });
        Finding::error(&format!("invalid-{}", v.keyword), place, v.message).help(v.help)
    };
    let findings: Vec<Finding> = get(&set, &name)?.validate(&value).into_iter().map(finding).collect();
    let valid = findings.is_empty();
    match format {
        Format::Json => output::print_json(&json!({"valid": valid, "findings": findings})),
        Format::Human if valid => output::line(format!("{shown} is valid")),
        Format::Human => {
            for finding in &findings {
                output::line(format!("{}\n  {}\n  → {}", finding.place, finding.message, finding.help));
            }
        }
    }
    Ok(ExitCode::from(u8::from(!valid)))
}

fn print_impact(impact: &ashlar_gates::Impact) {
    if impact.contracts.is_empty() && impact.views.is_empty() {
        output::line("No change that clients could notice.");
    }
    for c in &impact.contracts {
        let verdict = c.verdict.map_or(String::new(), |v| format!(", {v}"));
        output::line(format!("contract  {}  {}{verdict}", c.contract, c.change));
        for change in &c.changes {
            output::line(format!("          {change}"));
        }
    }
    for v in &impact.views {
        let why = if v.change == "contract" { "shows what has changed" } else { v.change };
        output::line(format!("view      {}  {}  {why}", v.view, v.path));
    }
    for o in &impact.operations {
        let state = match (o.change, o.broken.is_empty()) {
            ("added", _) => "added".to_owned(),
            ("removed", true) => "removed after its sunset".to_owned(),
            (_, true) => "reads what changed, and stays valid".to_owned(),
            (_, false) => output::paint("WOULD BREAK", "31;1"),
        };
        output::line(format!("operation {}  {}  {state}", o.operation, o.file));
        for f in &o.broken {
            output::line(format!(
                "          {}\n            {}\n            → {}",
                f.place, f.message, f.help
            ));
        }
    }
    for (name, n) in &impact.entries {
        output::line(format!("entries   {name}  {n}"));
    }
    for c in &impact.consumers {
        let owner = if c.owner.is_empty() { String::new() } else { format!(" (owner {})", c.owner) };
        let state = match c.broken.is_empty() {
            true => output::paint("keeps what it relies on", "32"),
            false => output::paint("WOULD BREAK", "31;1"),
        };
        output::line(format!("consumer  {}{owner}  {}  {state}", c.consumer, c.endpoints.join(", ")));
        for f in &c.broken {
            output::line(format!(
                "          {}\n            {}\n            → {}",
                f.place, f.message, f.help
            ));
        }
    }
}

/// The definitions of a project that types come from.
struct Defined {
    config: ashlar_model::ProjectConfig,
    contracts: ContractSet,
    views: ashlar_delivery::views::Views,
    graph: Graph,
}

fn defined(dir: &Path) -> Result<Defined, CliError> {
    let files = project::read(dir)?;
    let config = ashlar_project::read_config(&files)
        .map_err(|findings| CliError::findings("ashlar.toml cannot be used", findings))?;
    let (contracts, mut findings) = ContractSet::load(&files);
    let (views, more) = ashlar_delivery::views::Views::parse(&files, &contracts);
    findings.extend(more);
    let (graph, more) = Graph::compile(&files, &contracts, &views);
    findings.extend(more);
    findings.retain(|f| f.level == Level::Error);
    if !findings.is_empty() {
        return Err(CliError::findings("the definitions cannot be used", findings));
    }
    Ok(Defined { config, contracts, views, graph })
}

fn queries(dir: &Path, format: Format) -> Done {
    let operations = defined(dir)?.graph.operations();
    match format {
        Format::Json => output::print_json(&json!({ "operations": operations })),
        Format::Human if operations.is_empty() => {
            output::line("there are no persisted operations; write queries/NAME.graphql");
        }
        Format::Human => {
            for o in &operations {
                output::line(format!("{}  {}", o.name.as_deref().unwrap_or("(no name)"), o.file));
                output::line(format!("  documentId  {}", o.document_id));
                output::line(format!(
                    "  depth {} of {DEPTH_MAX}, cost {} of {COST_MAX}, reads {}",
                    o.depth,
                    o.cost,
                    o.types.join(", ")
                ));
            }
        }
    }
    done()
}

/// The types of a project's contracts and views.
fn types(dir: &Path, lang: Lang) -> Result<String, CliError> {
    let Defined { config, contracts, views, graph } = defined(dir)?;
    let language = match lang {
        Lang::Ts => Language::TypeScript,
        Lang::Rust => Language::Rust,
        Lang::JsonSchema => Language::JsonSchema,
        Lang::Graphql => {
            return graph.sdl().map(str::to_owned).ok_or_else(|| {
                CliError::input("there are no content types", "add a contract of the kind `type`")
            });
        }
    };
    let operations: Vec<Operation> = views
        .iter()
        .map(|view| Operation {
            name: format!("{}.v{}", view.name, view.major),
            prefix: view.prefix.clone(),
            parameter: view.lookup.field().unwrap_or("id").to_owned(),
            schema: view.response_schema(&contracts),
            doc: match view.sunset {
                Some(sunset) => format!("version {}, ends on {sunset}", view.version),
                None => format!("version {}", view.version),
            },
            deprecated: view.deprecated.is_some(),
        })
        .collect();
    let locales: Vec<String> = config.locales.all().iter().map(ToString::to_string).collect();
    let queries: Vec<Query> = graph
        .operations()
        .into_iter()
        .map(|o| {
            let stem = o.file.trim_start_matches("queries/").trim_end_matches(".graphql");
            Query {
                name: o.name.clone().unwrap_or_else(|| stem.to_owned()),
                operation_name: o.name,
                document_id: o.document_id,
                variables: o.variables,
                data: o.data,
                doc: o.file,
            }
        })
        .collect();
    Ok(generate(&contracts, &operations, &queries, &locales, language))
}
