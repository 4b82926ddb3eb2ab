use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{ContractName, Digest, Files, Finding, TypeName};
use bytes::Bytes;
use serde_json::{Value as Json, json};

use crate::{
    components::{Components, has_errors, toml_error},
    config::{ListRule, PageRule, SiteFile},
    intents::Intents,
    pictures::Pictures,
    render::{Page, RenderError},
    stage::{Drawn, Scene, Stage},
    style::style,
    urls,
};

const FILE: &str = "site/site.toml";
/// The largest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 512 << 10;

/// A file that pages refer to. Its address changes with its content, so that it may be kept forever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The bytes.
    pub bytes: Bytes,
    /// The media type.
    pub media_type: &'static str,
}

/// Everything a page is made of, beside what it shows.
pub struct Site {
    /// `site/site.toml`.
    pub file: SiteFile,
    /// The components.
    pub components: Arc<Components>,
    scene: Scene,
    intents: Intents,
    pictures: Arc<Pictures>,
    style_address: Option<String>,
    assets: BTreeMap<String, Asset>,
    modifiers: Vec<(String, Vec<String>)>,
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "pdf" => "application/pdf",
        "txt" => "text/plain; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        _ => "application/octet-stream",
    }
}

/// What a project's files say of components, intents and pages, and what is wrong with it.
pub struct Loaded {
    /// The site; `None` when the project has none, or none that can be used.
    pub site: Option<Site>,
    /// The components, for projects without a site too.
    pub components: Arc<Components>,
    /// Which component shows what.
    pub intents: Intents,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Site {
    /// Whether the configuration that pages are made with can be read: `site/site.toml`, and `tokens.toml`.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn configured(files: &Files) -> Result<(), Finding> {
        match files.text(FILE) {
            Ok(None) => {}
            Ok(Some(text)) => {
                toml::from_str::<SiteFile>(text).map_err(|e| toml_error("site-form", FILE, text, &e))?;
            }
            Err(e) => return Err(Finding::error("site-form", FILE, e.to_string())),
        }
        ashlar_tokens::Config::of_project(files).map(drop)
    }

    /// Reads `components/`, `intents.toml`, `site/` and `assets/`.
    pub fn load(files: &Files) -> Loaded {
        let (components, mut findings) = Components::load(files);
        let (intents, wrong) = Intents::load(files, &components);
        findings.extend(wrong);
        let file = match files.text(FILE) {
            Ok(Some(text)) => match toml::from_str::<SiteFile>(text) {
                Ok(file) => Some(file),
                Err(e) => {
                    findings.push(toml_error("site-form", FILE, text, &e));
                    None
                }
            },
            Ok(None) => None,
            Err(e) => {
                findings.push(Finding::error("site-form", FILE, e.to_string()));
                None
            }
        };
        let without_pages = file.is_none();
        let file = file.unwrap_or_else(|| SiteFile {
            title: String::new(),
            home: "/{locale}".to_owned(),
            pages: Vec::new(),
            lists: Vec::new(),
            data: BTreeMap::new(),
            not_found: None,
            search: None,
            texts: BTreeMap::new(),
        });
        let (assets, addresses, modifiers) = assets(files, &components);
        let (pictures, wrong) = Pictures::load(files, &addresses);
        findings.extend(wrong);
        let icons = files
            .iter()
            .filter_map(|(path, bytes)| {
                let name = path.strip_prefix("site/icons/")?.strip_suffix(".svg")?;
                Some((name.to_owned(), String::from_utf8_lossy(bytes).trim().to_owned()))
            })
            .collect();
        let mut templates = BTreeMap::new();
        for (path, bytes) in files.iter() {
            let of_site = path.starts_with("site/layouts/");
            let of_component = path.starts_with("components/")
                && path.rsplit('/').next().is_some_and(|f| f.starts_with("template."));
            if !of_site && !of_component {
                continue;
            }
            if bytes.len() > TEMPLATE_BYTES_MAX {
                findings.push(
                    Finding::error(
                        "template",
                        path,
                        format!(
                            "The template has {} bytes; at most {TEMPLATE_BYTES_MAX} are read.",
                            bytes.len()
                        ),
                    )
                    .help("divide it into several templates, and include them"),
                );
                continue;
            }
            templates.insert(path.to_owned(), String::from_utf8_lossy(bytes).into_owned());
        }
        let style_address = addresses.get("site.css").cloned();
        let stage = Stage {
            templates,
            components: components.iter().map(|c| (c.name.to_string(), c.templates.clone())).collect(),
            intents: intents.clone(),
            icons,
            addresses,
            words: file.texts.clone(),
            title: file.title.clone(),
        };
        let pictures = Arc::new(pictures);
        let scene = Scene::new(stage, pictures.clone());
        let components = Arc::new(components);
        let site = Self {
            file,
            components: components.clone(),
            scene,
            intents: intents.clone(),
            pictures,
            style_address,
            assets,
            modifiers,
        };
        if !without_pages {
            site.check_layouts(files, &mut findings);
        }
        // An error in a template shows before a page needs it.
        findings.extend(site.scene.check(site.examples()).iter().map(|e| e.finding("template")));
        let usable = !without_pages && !has_errors(&findings);
        // What a page would get is checked again when it is rendered: a site that is live stays usable.
        site.check_urls(files, !has_errors(&findings), &mut findings);
        Loaded { components, intents, site: usable.then_some(site), findings }
    }

    fn check_layouts(&self, files: &Files, findings: &mut Vec<Finding>) {
        let file = &self.file;
        let lists = file.lists.iter().map(|l| l.layout.as_str());
        let others =
            file.not_found.as_deref().into_iter().chain(file.search.as_ref().map(|s| s.layout.as_str()));
        for layout in file.pages.iter().map(|p| p.layout.as_str()).chain(lists).chain(others) {
            if files.get(&format!("site/layouts/{layout}")).is_none() {
                findings.push(
                    Finding::error("site-layout", FILE, format!("There is no layout `{layout}`."))
                        .help(ashlar_model::did_you_mean(
                            layout,
                            files.iter().filter_map(|(path, _)| path.strip_prefix("site/layouts/")),
                            format!("write site/layouts/{layout}"),
                        ))
                        .about(layout),
                );
            }
        }
    }

    /// Every example of every component on every surface.
    fn examples(&self) -> Vec<Drawn> {
        let locale = self.file.texts.keys().next().map_or("en", String::as_str);
        let drawn = |file: &String, surface: &String, props: &Json| Drawn {
            file: file.clone(),
            props: props.clone(),
            locale: locale.to_owned(),
            surface: surface.clone(),
        };
        self.components
            .iter()
            .flat_map(|c| {
                c.templates.iter().flat_map(|(surface, file)| {
                    c.examples.iter().map(move |example| drawn(file, surface, &example.props))
                })
            })
            .collect()
    }

    /// Templates that write where escaping does not help, and examples whose addresses are not allowed.
    fn check_urls(&self, files: &Files, templates_work: bool, findings: &mut Vec<Finding>) {
        for (path, bytes) in files.iter() {
            let of_site = path.starts_with("site/layouts/");
            let of_component = path.starts_with("components/")
                && path.rsplit('/').next().is_some_and(|f| f.starts_with("template."));
            if (of_site || of_component) && path.ends_with(".html") {
                findings.extend(urls::lint(path, &String::from_utf8_lossy(bytes)));
            }
        }
        if !templates_work {
            return;
        }
        let locale = self.file.texts.keys().next().map_or("en", String::as_str);
        for component in self.components.iter() {
            for example in &component.examples {
                let place = format!("{}/examples/{}.json", component.dir(), example.state);
                let mut told = BTreeSet::new();
                for (surface, file) in &component.templates {
                    let drawn = Drawn {
                        file: file.clone(),
                        props: example.props.clone(),
                        locale: locale.to_owned(),
                        surface: surface.clone(),
                    };
                    let Ok(html) = self.scene.component(drawn) else {
                        continue;
                    };
                    for blocked in urls::checked(html).1 {
                        if told.insert((blocked.attribute.clone(), blocked.value.clone())) {
                            findings.push(blocked.finding(&place));
                        }
                    }
                }
            }
        }
    }

    /// Which component shows what.
    pub fn intents(&self) -> &Intents {
        &self.intents
    }

    /// The modifiers of the tokens with their contexts, the default one first.
    pub fn modifiers(&self) -> &[(String, Vec<String>)] {
        &self.modifiers
    }

    /// The address of the style sheet.
    pub fn style_address(&self) -> Option<&str> {
        self.style_address.as_deref()
    }

    /// How entries of a type are shown.
    pub fn page_rule(&self, type_name: &TypeName) -> Option<&PageRule> {
        self.file.pages.iter().find(|p| p.type_name == *type_name)
    }

    /// The list at a path, with the locale.
    pub fn list_at<'a>(
        &'a self,
        path: &str,
        locales: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<(&'a ListRule, &'a str)> {
        self.file.lists.iter().find_map(|list| {
            let locale = locales.clone().find(|l| list.route.replace("{locale}", l) == path)?;
            Some((list, locale))
        })
    }

    /// Whether a file can be given without making it first, or is not part of the site.
    pub fn has_asset_at_hand(&self, address: &str) -> bool {
        self.assets.contains_key(address) || self.pictures.has_at_hand(address)
    }

    /// The file at an address under `/assets/`.
    pub fn asset(&self, address: &str) -> Option<Asset> {
        self.assets.get(address).cloned().or_else(|| {
            let (bytes, media_type) = self.pictures.rendition(address)?;
            Some(Asset { bytes, media_type })
        })
    }

    /// Every file with its address, and the renditions that rendered pages offer.
    pub fn assets(&self) -> Vec<(String, Asset)> {
        let offered = self.pictures.offered().into_iter();
        let offered = offered.map(|(address, bytes, media_type)| (address, Asset { bytes, media_type }));
        self.assets.iter().map(|(address, asset)| (address.clone(), asset.clone())).chain(offered).collect()
    }

    /// Renders a page. Addresses that are not allowed where they stand are replaced by [`BLOCKED`](crate::BLOCKED).
    ///
    /// # Errors
    /// When a template fails, with its file and line.
    pub fn render(&self, page: &Page<'_>) -> Result<String, RenderError> {
        self.scene.page(page).map(|html| urls::checked(html).0)
    }

    /// Renders one component with props; its addresses are checked like those of a page.
    ///
    /// # Errors
    /// When its template fails, or there is none for the surface.
    pub fn render_component(
        &self,
        name: &ContractName,
        props: &Json,
        locale: &str,
        surface: &str,
    ) -> Result<String, RenderError> {
        let component = self.components.get(name);
        let file = component.and_then(|c| c.templates.get(surface)).ok_or_else(|| RenderError {
            file: format!("components/{name}"),
            line: 0,
            message: format!("there is no template for {surface}"),
            passing: false,
        })?;
        let drawn = Drawn {
            file: file.clone(),
            props: props.clone(),
            locale: locale.to_owned(),
            surface: surface.to_owned(),
        };
        self.scene.component(drawn).map(|html| urls::checked(html).0)
    }

    /// What an app draws: the component and the props of every block in `sections`, in order.
    pub fn for_app(&self, body: &Json) -> Json {
        let blocks = body.get("sections").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let drawn: Vec<Json> = blocks
            .iter()
            .filter_map(|block| {
                let intent = block.get("intent")?.as_str()?;
                let component = self.intents.choose(intent, "app", block)?;
                let mut props = block.clone();
                if let Json::Object(props) = &mut props {
                    props.remove("intent");
                }
                Some(json!({ "component": component.name, "version": component.major, "intent": intent, "props": props }))
            })
            .collect();
        json!({ "sections": drawn })
    }
}

/// Files with their addresses, address by path, and the modifiers of the tokens.
type Assets = (BTreeMap<String, Asset>, BTreeMap<String, String>, Vec<(String, Vec<String>)>);

/// Files with their addresses, and address by path.
fn assets(files: &Files, components: &Components) -> Assets {
    let mut assets = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for (path, bytes) in files.iter() {
        let name = match path.strip_prefix("assets/") {
            Some(name) => name,
            None => match path.strip_prefix("site/") {
                Some(name) if name.ends_with(".js") => name,
                _ => continue,
            },
        };
        insert(&mut assets, &mut addresses, path, name, bytes.to_vec());
    }
    // Style sheets name files as the project has them; readers get their addresses.
    let (mut css, modifiers) = style(files, components);
    for (path, address) in &addresses {
        for quote in ['"', '\''] {
            css =
                css.replace(&format!("url({quote}{path}{quote})"), &format!("url({quote}{address}{quote})"));
        }
    }
    insert(&mut assets, &mut addresses, "site.css", "site.css", css.into_bytes());
    let modifiers = modifiers.into_iter().map(|m| (m.name, m.contexts)).collect();
    (assets, addresses, modifiers)
}

fn insert(
    assets: &mut BTreeMap<String, Asset>,
    addresses: &mut BTreeMap<String, String>,
    path: &str,
    name: &str,
    bytes: Vec<u8>,
) {
    let digest = Digest::of(&bytes).to_string();
    let short: String = digest.rsplit(':').next().unwrap_or_default().chars().take(12).collect();
    let address = format!("/assets/{short}/{name}");
    addresses.insert(path.to_owned(), address.clone());
    assets.insert(address, Asset { bytes: Bytes::from(bytes), media_type: media_type(name) });
}
