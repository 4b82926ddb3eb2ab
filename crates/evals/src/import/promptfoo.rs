//! Configurations of promptfoo (`promptfooconfig.yaml`).

use ashlar_model::{Finding, Level, read_yaml};
use serde_json::{Map, Value, json};

use super::{Expected, Imported, assertion::Reading, place, template::render};
use crate::suite::CASES_MAX;

/// Prompts of a file.
const PROMPTS_MAX: usize = 100;
/// Keys of a file that change nothing here, or are read.
const KNOWN: [&str; 18] = [
    "$schema",
    "description",
    "tags",
    "prompts",
    "providers",
    "targets",
    "tests",
    "scenarios",
    "defaultTest",
    "assertionTemplates",
    "evaluateOptions",
    "commandLineOptions",
    "outputPath",
    "sharing",
    "metadata",
    "writeLatestResults",
    "env",
    "tracing",
];
/// Keys of a test that change nothing here, or are read.
const KNOWN_OF_TEST: [&str; 5] = ["description", "vars", "assert", "metadata", "$schema"];

/// A prompt that is written in the file.
enum Prompt {
    Text(String),
    Messages(Vec<(String, String)>),
}

struct File<'a> {
    path: &'a str,
    root: &'a Value,
    prompts: Vec<Prompt>,
    templates: Map<String, Value>,
    out: Imported,
}

/// Reads a configuration of promptfoo. A test becomes a case for each prompt that is written in the file and for each combination of its
/// variables. Without such prompts, its variables are those of a prompt of the project.
///
/// # Errors
/// When the text is no YAML within the bounds of definition files.
pub fn promptfoo(path: &str, text: &str) -> Result<Imported, Finding> {
    let root = read_yaml(path, 1, text)?;
    let templates = root["assertionTemplates"].as_object().cloned().unwrap_or_default();
    let mut file = File { path, root: &root, prompts: Vec::new(), templates, out: Imported::default() };
    // There, one failed test fails the whole.
    file.out.least_passed = Some(1.0);
    file.keys();
    file.read_prompts();
    let default = file.default_test();
    file.tests(&root["tests"], "/tests", &default);
    for (at, scenario) in root["scenarios"].as_array().into_iter().flatten().enumerate() {
        let pointer = format!("/scenarios/{at}");
        for (n, config) in scenario["config"].as_array().into_iter().flatten().enumerate() {
            let mut merged = default.clone();
            file.merge(&mut merged, config, &format!("{pointer}/config/{n}"));
            file.tests(
                &scenario["tests"],
                &format!("{pointer}/tests"),
                &Shared { suffix: format!("-c{}", n + 1), ..merged },
            );
        }
    }
    if file.out.cases.is_empty() {
        let help = "write `tests` with `assert` in the file";
        file.out.note(
            Finding::error("import-empty", path, "The file has no case that can be imported.").help(help),
        );
    }
    Ok(file.out)
}

/// What tests share: variables, and assertions with where they are.
#[derive(Debug, Clone, Default)]
struct Shared {
    variables: Map<String, Value>,
    assertions: Vec<(Value, String)>,
    /// What ids of cases end with.
    suffix: String,
}

impl File<'_> {
    fn note(&mut self, level: Level, pointer: &str, message: impl Into<String>, help: &str) {
        let finding = Finding::error("import-promptfoo", place(self.path, pointer), message).help(help);
        self.out.note(Finding { level, ..finding });
    }

    fn keys(&mut self) {
        let Some(root) = self.root.as_object() else {
            return self.note(
                Level::Error,
                "",
                "The file is not a mapping.",
                "see promptfoo's documentation",
            );
        };
        for key in root.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
            self.note(Level::Error, &format!("/{key}"), format!("`{key}` is not imported."), "remove it");
        }
        for key in ["providers", "targets"].into_iter().filter(|key| root.contains_key(*key)) {
            let help = "choose a route of gateway.toml in the suite, or with --model";
            self.note(Level::Warning, &format!("/{key}"), "Providers are not imported.", help);
        }
        let repeat = self.root["evaluateOptions"]["repeat"].as_u64().and_then(|n| u32::try_from(n).ok());
        self.out.samples = repeat.filter(|n| *n > 0).map(|n| n.min(crate::suite::SAMPLES_MAX));
    }

    fn read_prompts(&mut self) {
        let items: Vec<Value> = match &self.root["prompts"] {
            Value::Array(items) => items.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        for (at, item) in items.iter().take(PROMPTS_MAX).enumerate() {
            let text = item.as_str().or_else(|| item["raw"].as_str()).or_else(|| item["id"].as_str());
            let pointer = format!("/prompts/{at}");
            match text {
                Some(text) if !is_file(text) => match messages(text) {
                    Some(Ok(messages)) => self.prompts.push(Prompt::Messages(messages)),
                    Some(Err(message)) => {
                        self.note(Level::Error, &pointer, message, "write texts with roles")
                    }
                    None => self.prompts.push(Prompt::Text(text.to_owned())),
                },
                _ => {
                    let help = "write the prompt in the file, or make it a prompt of the project: the variables of the tests are imported";
                    self.note(Level::Warning, &pointer, "Prompts in other files are not read.", help);
                }
            }
        }
        if items.len() > PROMPTS_MAX {
            let message = format!("There are {} prompts; the first {PROMPTS_MAX} were read.", items.len());
            self.note(Level::Error, "/prompts", message, "split the file");
        }
    }

    fn default_test(&mut self) -> Shared {
        let mut out = Shared::default();
        let root = self.root;
        match &root["defaultTest"] {
            Value::Null => {}
            Value::Object(_) => self.merge(&mut out, &root["defaultTest"], "/defaultTest"),
            _ => {
                let message = "A `defaultTest` in another file is not read.";
                self.note(Level::Error, "/defaultTest", message, "write it in the file");
            }
        }
        out
    }

    /// Adds the variables and assertions of a test to what tests share.
    fn merge(&mut self, shared: &mut Shared, test: &Value, pointer: &str) {
        for key in test.as_object().into_iter().flat_map(Map::keys) {
            if !KNOWN_OF_TEST.contains(&key.as_str()) {
                let message = format!("`{key}` of a test is not imported.");
                let help = "check the imported case: it may judge otherwise without it";
                self.note(Level::Error, &format!("{pointer}/{key}"), message, help);
            }
        }
        match &test["vars"] {
            Value::Object(variables) => shared.variables.extend(variables.clone()),
            Value::Null => {}
            _ => {
                let message = "Variables in other files are not read.";
                self.note(Level::Error, &format!("{pointer}/vars"), message, "write them in the file");
            }
        }
        if !test["assert"].is_null() {
            shared.assertions.push((test["assert"].clone(), format!("{pointer}/assert")));
        }
    }

    fn tests(&mut self, tests: &Value, pointer: &str, shared: &Shared) {
        match tests {
            Value::Array(items) => {
                for (at, test) in items.iter().enumerate() {
                    if self.out.cases.len() >= CASES_MAX {
                        let message = format!("The file makes more than {CASES_MAX} cases.");
                        return self.note(
                            Level::Error,
                            &format!("{pointer}/{at}"),
                            message,
                            "split the file",
                        );
                    }
                    self.test(test, &format!("{pointer}/{at}"), shared);
                }
            }
            Value::Null => {}
            _ => {
                let message = "Tests in other files are not read.";
                self.note(Level::Error, pointer, message, "write the tests in the file");
            }
        }
    }

    fn test(&mut self, test: &Value, pointer: &str, shared: &Shared) {
        if !test.is_object() {
            let message = "The test is not a mapping: tests in other files are not read.";
            return self.note(Level::Error, pointer, message, "write the test in the file");
        }
        let mut merged = shared.clone();
        self.merge(&mut merged, test, pointer);
        if merged.assertions.iter().all(|(list, _)| list.as_array().is_some_and(Vec::is_empty)) {
            let message = "The test asserts nothing, so it is left out.";
            return self.note(Level::Warning, pointer, message, "add `assert` to the test to import it");
        }
        let files: Vec<String> = merged
            .variables
            .iter()
            .filter(|(_, value)| match value {
                Value::Array(items) => items.iter().any(|item| item.as_str().is_some_and(is_file)),
                value => value.as_str().is_some_and(is_file),
            })
            .map(|(k, _)| k.clone())
            .collect();
        if !files.is_empty() {
            let message = format!("The variable `{}` is in another file, which is not read.", files[0]);
            return self.note(Level::Error, &format!("{pointer}/vars"), message, "write its value");
        }
        let Some(all) = combinations(&merged.variables, CASES_MAX - self.out.cases.len()) else {
            let message = format!("The variables make more than {CASES_MAX} cases.");
            return self.note(Level::Error, &format!("{pointer}/vars"), message, "shorten their lists");
        };
        let id: String = pointer.trim_start_matches('/').replace('/', "-");
        let many = all.len() > 1;
        for (n, variables) in all.into_iter().enumerate() {
            let mut expected = Expected::default();
            let templates = std::mem::take(&mut self.templates);
            let mut reading =
                Reading { path: self.path, variables: &variables, templates: &templates, out: &mut self.out };
            // The same problem of each combination is one finding.
            let known = reading.out.findings.len();
            for (assertions, place) in &merged.assertions {
                reading.list(assertions, place, &mut expected);
            }
            if n > 0 {
                let (earlier, new) = self.out.findings.split_at(known);
                let new: Vec<Finding> = new.iter().filter(|f| !earlier.contains(f)).cloned().collect();
                self.out.findings.truncate(known);
                self.out.findings.extend(new);
            }
            self.templates = templates;
            if expected.is_empty() {
                let message = "Nothing that the test asserts could be imported, so it is left out.";
                self.note(Level::Error, pointer, message, "write a case by hand");
                continue;
            }
            let suffix = if many { format!("-v{}", n + 1) } else { String::new() };
            self.cases(test, pointer, &format!("{id}{}{suffix}", shared.suffix), &variables, &expected);
        }
    }

    /// One case for each prompt.
    fn cases(
        &mut self,
        test: &Value,
        pointer: &str,
        id: &str,
        variables: &Map<String, Value>,
        expected: &Expected,
    ) {
        let about = test["description"].as_str().unwrap_or_default();
        let source = format!("{} {about}", place(self.path, pointer));
        let mut inputs: Vec<(String, &str, Value)> = Vec::new();
        let mut wrong = Vec::new();
        for (at, prompt) in self.prompts.iter().enumerate() {
            let id = if self.prompts.len() > 1 { format!("{id}-p{}", at + 1) } else { id.to_owned() };
            let made = match prompt {
                Prompt::Text(text) => render(text, variables).map(|text| ("input", json!(text))),
                Prompt::Messages(list) => list
                    .iter()
                    .map(|(role, text)| Ok(json!({"role": role, "content": render(text, variables)?})))
                    .collect::<Result<Vec<Value>, String>>()
                    .map(|list| ("messages", json!(list))),
            };
            match made {
                Ok((key, value)) => inputs.push((id, key, value)),
                Err(message) => wrong.push((at, message)),
            }
        }
        for (at, message) in wrong {
            let pointer = format!("/prompts/{at}");
            let known = place(self.path, &pointer);
            if !self.out.findings.iter().any(|finding| finding.place == known && finding.message == message) {
                self.note(Level::Error, &pointer, message, "make it a prompt of the project");
            }
        }
        if self.prompts.is_empty() && !variables.is_empty() {
            inputs.push((id.to_owned(), "variables", Value::Object(variables.clone())));
        }
        let asks = |value: &Value| value.as_str().is_none_or(|text| !text.trim().is_empty());
        if self.prompts.is_empty() && variables.is_empty() || !inputs.iter().all(|(_, _, value)| asks(value))
        {
            self.note(
                Level::Error,
                pointer,
                "The test asks nothing, so it is left out.",
                "add `vars`, or a prompt",
            );
            inputs.retain(|(_, _, value)| asks(value));
        }
        for (id, key, value) in inputs {
            let mut case = Map::new();
            case.insert("id".to_owned(), json!(id));
            case.insert(key.to_owned(), value);
            case.insert("expect".to_owned(), expected.value());
            case.insert("source".to_owned(), json!(source.trim_end()));
            self.out.cases.push(Value::Object(case));
        }
    }
}

fn is_file(text: &str) -> bool {
    ["file://", "http://", "https://", "exec:", "package:", "huggingface://", "langfuse://", "portkey://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
        || [".txt", ".json", ".yaml", ".yml", ".md", ".j2", ".js", ".mjs", ".ts", ".py", ".csv"]
            .iter()
            .any(|end| text.ends_with(end) && !text.contains([' ', '\n']))
}

/// A prompt that is a conversation in JSON. `None` when it is a plain text.
fn messages(text: &str) -> Option<Result<Vec<(String, String)>, String>> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    // Depth is bounded by the parser.
    let value: Value = serde_json::from_str(text).ok()?;
    let items = value.as_array()?;
    let message = |item: &Value| {
        let role = match item["role"].as_str() {
            Some("developer") => "system",
            Some(role @ ("system" | "user" | "assistant")) => role,
            _ => {
                return Err(
                    "A message of the prompt has a role other than system, user and assistant.".to_owned()
                );
            }
        };
        let content = item["content"].as_str().ok_or("A message of the prompt is not a text.")?;
        Ok((role.to_owned(), content.to_owned()))
    };
    Some(items.iter().map(message).collect())
}

/// All combinations of the items of variables that are lists. `None` when there are more than `most`.
fn combinations(variables: &Map<String, Value>, most: usize) -> Option<Vec<Map<String, Value>>> {
    let mut out = vec![Map::new()];
    for (name, value) in variables {
        let values = match value.as_array() {
            Some(items) if !items.is_empty() => items.clone(),
            _ => vec![value.clone()],
        };
        if out.len().saturating_mul(values.len()) > most.max(1) {
            return None;
        }
        let with = |earlier: &Map<String, Value>, value: &Value| {
            let mut map = earlier.clone();
            map.insert(name.clone(), value.clone());
            map
        };
        out = out.iter().flat_map(|earlier| values.iter().map(move |value| with(earlier, value))).collect();
    }
    Some(out)
}
