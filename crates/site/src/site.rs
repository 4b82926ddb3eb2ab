use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{ContractName, Files, Finding, TypeName};
use serde_json::{Value as Json, json};

use crate::{
    assets::{Asset, Assets},
    components::{Components, has_errors},
    config::{ListRule, PageRule, SITE_FILE, SiteFile},
    intents::Intents,
    pictures::Pictures,
    render::{Page, RenderError},
    scene::Scene,
    stage::{Drawn, Stage},
    urls,
};

/// The largest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 512 << 10;

/// Everything a page is made of, beside what it shows.
pub struct Site {
    /// `site/site.toml`.
    pub file: SiteFile,
    /// The components.
    pub components: Arc<Components>,
    scene: Scene,
    intents: Intents,
    pictures: Arc<Pictures>,
    assets: Assets,
    modifiers: Vec<(String, Vec<String>)>,
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
        SiteFile::read(files)?;
        ashlar_tokens::Config::of_project(files).map(drop)
    }

    /// Reads `components/`, `intents.toml`, `site/` and `assets/`.
    pub fn load(files: &Files) -> Loaded {
        let (components, mut findings) = Components::load(files);
        let (intents, wrong) = Intents::load(files, &components);
        findings.extend(wrong);
        let read = SiteFile::read(files).unwrap_or_else(|wrong| {
            findings.push(wrong);
            None
        });
        let has_pages = read.is_some();
        let file = read.unwrap_or_default();
        let (assets, modifiers) = Assets::load(files, &components);
        let (pictures, wrong) = Pictures::load(files, assets.addresses());
        findings.extend(wrong);
        let (components, pictures) = (Arc::new(components), Arc::new(pictures));
        let stage = Stage {
            templates: templates(files, &mut findings),
            components: components.iter().map(|c| (c.name.to_string(), c.templates.clone())).collect(),
            intents: intents.clone(),
            icons: icons(files),
            addresses: assets.addresses().clone(),
            words: file.texts.clone(),
            title: file.title.clone(),
        };
        let site = Self {
            file,
            components: components.clone(),
            scene: Scene::new(stage, pictures.clone()),
            intents: intents.clone(),
            pictures,
            assets,
            modifiers: modifiers.into_iter().map(|m| (m.name, m.contexts)).collect(),
        };
        if has_pages {
            site.check_layouts(files, &mut findings);
        }
        // An error in a template shows before a page needs it.
        findings.extend(site.scene.check(site.examples()).iter().map(|e| e.finding("template")));
        let usable = has_pages && !has_errors(&findings);
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
                    Finding::error("site-layout", SITE_FILE, format!("There is no layout `{layout}`."))
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
            if is_template(path) && path.ends_with(".html") {
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
                let mut seen = BTreeSet::new();
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
                        if seen.insert((blocked.attribute.clone(), blocked.value.clone())) {
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
        self.assets.style_address()
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
        self.assets.get(address).is_some() || self.pictures.has_at_hand(address)
    }

    /// The file at an address under `/assets/`.
    pub fn asset(&self, address: &str) -> Option<Asset> {
        self.assets.get(address).cloned().or_else(|| self.pictures.rendition(address))
    }

    /// Every file with its address, and the renditions that rendered pages offer.
    pub fn assets(&self) -> Vec<(String, Asset)> {
        let own = self.assets.iter().map(|(address, asset)| (address.clone(), asset.clone()));
        own.chain(self.pictures.offered()).collect()
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

fn is_template(path: &str) -> bool {
    let of_component = || {
        path.starts_with("components/") && path.rsplit('/').next().is_some_and(|f| f.starts_with("template."))
    };
    path.starts_with("site/layouts/") || of_component()
}

/// The templates of a project, by path.
fn templates(files: &Files, findings: &mut Vec<Finding>) -> BTreeMap<String, String> {
    let mut templates = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| is_template(path)) {
        if bytes.len() > TEMPLATE_BYTES_MAX {
            let message =
                format!("The template has {} bytes; at most {TEMPLATE_BYTES_MAX} are read.", bytes.len());
            let help = "divide it into several templates, and include them";
            findings.push(Finding::error("template", path, message).help(help));
            continue;
        }
        templates.insert(path.to_owned(), String::from_utf8_lossy(bytes).into_owned());
    }
    templates
}

/// The icons of a project, by name.
fn icons(files: &Files) -> BTreeMap<String, String> {
    let icons = files.iter().filter_map(|(path, bytes)| {
        let name = path.strip_prefix("site/icons/")?.strip_suffix(".svg")?;
        Some((name.to_owned(), String::from_utf8_lossy(bytes).trim().to_owned()))
    });
    icons.collect()
}
