use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
};

use ashlar_model::{Anchors, Finding, escaped};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, context, escape_formatter,
    value::{Kwargs, Value, ValueKind},
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    intents::Intents,
    pictures::ImageCall,
    stage::{Drawn, Note, Stage},
    text::{date, markdown_among, money},
};

/// How many steps a template may take: a page of a thousand sections stays far below it, a loop without end does not.
const FUEL: u64 = 20_000_000;
/// How deep components may lie in each other.
const DEPTH_MAX: usize = 12;
/// How deep the body of a page is looked into for ids.
const BODY_DEPTH_MAX: usize = 64;

/// A page cannot be rendered: a template does what it cannot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{file}:{line}: {message}")]
pub struct RenderError {
    /// The template.
    pub file: String,
    /// The line, from 1; 0 when it is not known.
    pub line: usize,
    /// What went wrong.
    pub message: String,
    /// Whether it can work at another time: the template is not the cause.
    #[serde(default)]
    pub passing: bool,
}

impl RenderError {
    fn of(error: &Error) -> Self {
        // The innermost error says where it happened.
        let mut inner = error;
        while let Some(source) = std::error::Error::source(inner).and_then(|s| s.downcast_ref::<Error>()) {
            inner = source;
        }
        let message = match (inner.kind(), inner.detail()) {
            (ErrorKind::OutOfFuel, _) => "the template does not end".to_owned(),
            (ErrorKind::UndefinedError, _) => match expression(inner) {
                Some(text) => format!("`{text}` is not defined"),
                None => "a value that it uses is not defined".to_owned(),
            },
            (
                ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction,
                Some(detail),
            ) => unknown(inner.kind(), detail),
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        let named = inner.name().or(error.name()).unwrap_or("template");
        Self {
            file: named.to_owned(),
            line: inner.line().or(error.line()).unwrap_or(0),
            message,
            passing: false,
        }
    }

    /// How to fix it, as far as the message does not say it.
    pub fn help(&self) -> &'static str {
        match self.message.ends_with("is not defined") {
            true => {
                "correct the name, or give the component what it needs; an optional field is asked for first: `{% if props.x %}`"
            }
            false => "correct the template at this place",
        }
    }

    /// As a finding of a gate.
    pub fn finding(&self, code: &str) -> Finding {
        Finding::error(
            code,
            format!("{}:{}", self.file, self.line),
            format!("The template fails: {}.", self.message),
        )
        .help(self.help())
    }
}

/// The longest expression of a template that an error shows.
const EXPRESSION_CHARS_MAX: usize = 80;

/// The expression of the template that failed.
fn expression(error: &Error) -> Option<String> {
    let text = error.template_source()?.get(error.range()?)?.trim();
    (!text.is_empty() && !text.contains('\n') && text.chars().count() <= EXPRESSION_CHARS_MAX)
        .then(|| text.to_owned())
}

/// Functions that templates have beside those of the language.
const FUNCTIONS: [&str; 11] =
    ["money", "day", "icon", "asset", "image", "json_ld", "section", "range", "dict", "namespace", "debug"];
/// Filters and tests that templates have.
const FILTERS: [&str; 48] = [
    "markdown",
    "safe",
    "escape",
    "lower",
    "upper",
    "title",
    "capitalize",
    "replace",
    "length",
    "count",
    "dictsort",
    "items",
    "reverse",
    "trim",
    "join",
    "split",
    "lines",
    "default",
    "round",
    "abs",
    "int",
    "float",
    "attr",
    "first",
    "last",
    "min",
    "max",
    "sort",
    "list",
    "bool",
    "batch",
    "slice",
    "sum",
    "indent",
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "map",
    "groupby",
    "unique",
    "chain",
    "zip",
    "pprint",
    "tojson",
    "urlencode",
    "defined",
    "undefined",
];

/// An undefined filter, test or function, with the one that may be meant.
fn unknown(kind: ErrorKind, detail: &str) -> String {
    let name = detail.trim_end_matches(" is unknown").rsplit(' ').next().unwrap_or(detail);
    let (what, known) = match kind {
        ErrorKind::UnknownFunction => ("function", &FUNCTIONS[..]),
        ErrorKind::UnknownTest => ("test", &FILTERS[..]),
        _ => ("filter", &FILTERS[..]),
    };
    match ashlar_model::nearest(name, known.iter().copied()) {
        Some(near) => format!("there is no {what} `{name}`; did you mean `{near}`?"),
        None => format!("there is no {what} `{name}`"),
    }
}

/// What one page shows.
#[derive(Debug, Default, Serialize)]
pub struct Page<'a> {
    /// The layout under `site/layouts/`.
    pub layout: &'a str,
    /// `web`, `email`.
    pub surface: &'a str,
    /// The language.
    pub locale: &'a str,
    /// The path of the page.
    pub path: &'a str,
    /// The type and id of the entry; empty for lists.
    pub entry: (&'a str, &'a str),
    /// The body of its view.
    pub body: Json,
    /// Bodies that every page gets, by name.
    pub data: BTreeMap<String, Json>,
    /// The same page in other languages: locale and path; this one is among them.
    pub alternates: Vec<(String, String)>,
    /// For lists: path and body of every entry.
    pub items: Vec<(String, Json)>,
    /// Where the site is, without a slash at the end.
    pub base: &'a str,
    /// When the entry last changed.
    pub modified: Option<String>,
    /// What was searched for.
    pub query: Option<&'a str>,
}

/// What a page shows, as templates get it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Shown {
    layout: String,
    surface: String,
    locale: String,
    path: String,
    entry: (String, String),
    body: Value,
    data: Value,
    alternates: Vec<(String, String)>,
    items: Vec<(String, Value)>,
    base: String,
    modified: Option<String>,
    query: Option<String>,
}

impl Page<'_> {
    pub(crate) fn shown(&self) -> Shown {
        Shown {
            layout: self.layout.to_owned(),
            surface: self.surface.to_owned(),
            locale: self.locale.to_owned(),
            path: self.path.to_owned(),
            entry: (self.entry.0.to_owned(), self.entry.1.to_owned()),
            body: Value::from_serialize(&self.body),
            data: Value::from_serialize(&self.data),
            alternates: self.alternates.clone(),
            items: self
                .items
                .iter()
                .map(|(path, body)| (path.clone(), Value::from_serialize(body)))
                .collect(),
            base: self.base.to_owned(),
            modified: self.modified.clone(),
            query: self.query.map(str::to_owned),
        }
    }
}

/// Gives the element of an image; `None` when there is no such image.
pub(crate) type Images = Arc<dyn Fn(&ImageCall<'_>) -> Option<String> + Send + Sync>;

/// The templates of a project, ready to run.
pub(crate) struct Templates {
    env: Environment<'static>,
    texts: BTreeMap<String, Value>,
    title: String,
    note: Note,
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The ids of headings on the page that this thread renders.
    static ANCHORS: RefCell<Anchors> = RefCell::default();
}

/// Begins a page: none of its headings has an id yet, and blocks that name their own keep it.
fn begin(body: &Value) {
    let mut anchors = Anchors::default();
    reserve(body, &mut anchors, 0);
    ANCHORS.with(|of_page| of_page.replace(anchors));
}

/// Keeps the ids that blocks name for themselves.
fn reserve(value: &Value, anchors: &mut Anchors, depth: usize) {
    let (ValueKind::Seq | ValueKind::Map, true) = (value.kind(), depth < BODY_DEPTH_MAX) else { return };
    let Ok(inside) = value.try_iter() else { return };
    for item in inside {
        if value.kind() == ValueKind::Seq {
            reserve(&item, anchors, depth + 1);
            continue;
        }
        let Ok(member) = value.get_item(&item) else { continue };
        match member.as_str() {
            Some(anchor) if item.as_str() == Some("anchor") => anchors.reserve(anchor),
            _ => reserve(&member, anchors, depth + 1),
        }
    }
}

struct Deeper;

impl Deeper {
    fn enter() -> Option<Self> {
        DEPTH.with(|d| {
            (d.get() < DEPTH_MAX).then(|| {
                d.set(d.get() + 1);
                Self
            })
        })
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        DEPTH.with(|d| d.set(d.get().saturating_sub(1)));
    }
}

fn text(state: &State<'_, '_>, name: &str) -> String {
    state.lookup(name).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// The language of templates, with its limits.
fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(100);
    // So that an error names the expression. It costs nothing before there is one.
    env.set_debug(true);
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    // A name that is misspelt is an error, and an absent field of content is nothing.
    env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    env.set_auto_escape_callback(|name| {
        if name.ends_with(".html") || name.ends_with(".svg") { AutoEscape::Html } else { AutoEscape::None }
    });
    env.set_formatter(|out, state, value| match (state.auto_escape(), value.as_str()) {
        (AutoEscape::Html, Some(text)) if !value.is_safe() => Ok(out.write_str(&escaped(text))?),
        _ => escape_formatter(out, state, value),
    });
    env
}

/// Functions that write values as people of a locale do, and as programs do.
fn add_texts(env: &mut Environment<'static>, words: BTreeMap<String, Json>) {
    env.add_filter("markdown", |text: &str| {
        let html = ANCHORS.with(|anchors| match anchors.try_borrow_mut() {
            Ok(mut anchors) => markdown_among(text, &mut anchors),
            Err(_) => markdown_among(text, &mut Anchors::default()),
        });
        Value::from_safe_string(html)
    });
    env.add_function("money", |state: &State<'_, '_>, minor: i64, currency: &str| {
        money(minor, currency, &text(state, "locale"))
    });
    env.add_function("day", move |state: &State<'_, '_>, day: &str| {
        date(day, words.get(&text(state, "locale")).unwrap_or(&Json::Null))
    });
    env.add_function("json_ld", |value: Value| {
        let json = serde_json::to_string(&value).map_err(|e| refuse(e.to_string()))?;
        let json = json.replace('<', "\\u003c");
        Ok::<_, Error>(Value::from_safe_string(format!(
            "<script type=\"application/ld+json\">{json}</script>"
        )))
    });
}

/// Functions that refer to files of the project.
fn add_files(
    env: &mut Environment<'static>,
    icons: BTreeMap<String, String>,
    addresses: BTreeMap<String, String>,
    images: Images,
) {
    env.add_function("icon", move |name: &str| match icons.get(name) {
        Some(svg) => Ok(Value::from_safe_string(svg.clone())),
        None => Err(refuse(format!("there is no site/icons/{name}.svg"))),
    });
    env.add_function("asset", move |path: &str| {
        addresses.get(path).cloned().ok_or_else(|| refuse(format!("there is no file {path}")))
    });
    env.add_function("image", move |path: &str, alt: &str, kwargs: Kwargs| {
        let sizes: Option<String> = kwargs.get("sizes")?;
        let class: Option<String> = kwargs.get("class")?;
        let eager: Option<bool> = kwargs.get("eager")?;
        kwargs.assert_all_used()?;
        let element = images(&ImageCall {
            path: path.into(),
            alt: alt.into(),
            sizes: sizes.unwrap_or_else(|| "100vw".to_owned()).into(),
            class: class.unwrap_or_default().into(),
            eager: eager.unwrap_or(false),
        });
        element.map(Value::from_safe_string).ok_or_else(|| refuse(format!("there is no image {path}")))
    });
}

/// `section(block)` renders a block through the component that its intent is mapped to. `components` has the template of
/// each by surface.
fn add_section(
    env: &mut Environment<'static>,
    components: BTreeMap<String, BTreeMap<String, String>>,
    intents: Intents,
) {
    env.add_function("section", move |state: &State<'_, '_>, block: Value, kwargs: Kwargs| {
        let surface = text(state, "surface");
        let intent =
            block.get_attr("intent").ok().and_then(|i| i.as_str().map(str::to_owned)).unwrap_or_default();
        let first: bool = kwargs.get::<Option<bool>>("first")?.unwrap_or(false);
        kwargs.assert_all_used()?;
        // Only variants look into the payload.
        let payload = match intents.has_variants(&intent) {
            true => serde_json::to_value(&block).unwrap_or(Json::Null),
            false => Json::Null,
        };
        let Some(component) = intents.choose(&intent, &surface, &payload) else {
            return Err(refuse(format!("the intent `{intent}` has no component on the surface `{surface}`")));
        };
        let name = component.to_string();
        let file = components.get(&name).and_then(|t| t.get(&surface));
        let file = file.ok_or_else(|| refuse(format!("{name} has no template for {surface}")))?;
        let Some(_deeper) = Deeper::enter() else {
            return Err(refuse(format!("components may nest {DEPTH_MAX} deep; {name} is nested deeper")));
        };
        let (locale, texts) = (state.lookup("locale"), state.lookup("t"));
        render_component(state.env(), file, &block, locale, texts, &surface, first)
            .map(Value::from_safe_string)
    });
}

impl Templates {
    /// Reads templates; what is wrong with their syntax comes beside those that can be used.
    pub(crate) fn new(stage: Stage, images: Images, note: Note) -> (Self, Vec<RenderError>) {
        let Stage { templates, components, intents, icons, addresses, words, title } = stage;
        let mut env = environment();
        let texts = words.iter().map(|(l, t)| (l.clone(), Value::from_serialize(t))).collect();
        add_texts(&mut env, words);
        add_files(&mut env, icons, addresses, images);
        add_section(&mut env, components, intents);
        let mut wrong = Vec::new();
        for (path, source) in templates {
            note(&path);
            if let Err(e) = env.add_template_owned(path, source) {
                wrong.push(RenderError::of(&e));
            }
        }
        (Self { env, texts, title, note }, wrong)
    }

    /// Says that a template is worked on now.
    pub(crate) fn note(&self, file: &str) {
        (self.note)(file);
    }

    /// Whether a template can be used.
    pub(crate) fn has(&self, file: &str) -> bool {
        self.env.get_template(file).is_ok()
    }

    pub(crate) fn page(&self, page: Shown) -> Result<String, RenderError> {
        begin(&page.body);
        let file = format!("site/layouts/{}", page.layout);
        let template = self.env.get_template(&file).map_err(|e| RenderError::of(&e))?;
        let alternates: Vec<Value> = page
            .alternates
            .iter()
            .map(|(locale, path)| context! { locale => locale, path => path })
            .collect();
        let items: Vec<Value> =
            page.items.into_iter().map(|(path, body)| context! { path => path, body => body }).collect();
        let rendered = template.render(context! {
            page => page.body,
            data => page.data,
            t => self.texts.get(&page.locale).cloned().unwrap_or_default(),
            surface => page.surface,
            locale => page.locale,
            path => page.path,
            kind => page.entry.0,
            id => page.entry.1,
            alternates => alternates,
            items => items,
            base => page.base,
            modified => page.modified,
            query => page.query,
            site => context! { title => self.title },
        });
        rendered.map_err(|e| RenderError::of(&e))
    }

    /// One component with props, as it appears on a page.
    pub(crate) fn component(&self, drawn: &Drawn) -> Result<String, RenderError> {
        let props = Value::from_serialize(&drawn.props);
        begin(&props);
        render_component(
            &self.env,
            &drawn.file,
            &props,
            Some(Value::from(drawn.locale.as_str())),
            self.texts.get(&drawn.locale).cloned(),
            &drawn.surface,
            true,
        )
        .map_err(|e| RenderError::of(&e))
    }
}

fn render_component(
    env: &Environment<'_>,
    file: &str,
    props: &Value,
    locale: Option<Value>,
    texts: Option<Value>,
    surface: &str,
    first: bool,
) -> Result<String, Error> {
    env.get_template(file)?.render(context! {
        props => props,
        locale => locale,
        t => texts,
        surface => surface,
        first => first,
    })
}
