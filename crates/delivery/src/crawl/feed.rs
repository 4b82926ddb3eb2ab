use std::{borrow::Cow, collections::BTreeSet};

use ashlar_contracts::ContractSet;
use ashlar_model::{ContractName, EntryKey, EntryRecord, FeedConfig, Fields, ProjectConfig};
use jiff::Timestamp;
use serde_json::Value;

use super::document::{Made, Xml, address, unknown};
use crate::{
    error::{DeliveryError, Failure},
    http::Pace,
    read::list,
    release::{ReleaseView, indexed},
    views::Views,
};

/// Entries of a feed.
const ENTRIES_MAX: usize = 30;

/// A feed: Atom, RFC 4287.
pub(super) fn feed(view: &ReleaseView, base: &str, name: &str) -> Result<Made, Failure> {
    let config = &view.definitions.config;
    let (feeds, all) = (&config.site.feeds, view.definitions.locales.all());
    let found = name.rsplit_once('.').and_then(|(feed, locale)| {
        Some((feeds.iter().find(|f| f.name == feed)?, all.iter().find(|l| l.as_str() == locale)?))
    });
    let Some((feed, locale)) = found else {
        let names: Vec<String> = feeds.iter().map(|f| format!("/feeds/{}.{}.xml", f.name, all[0])).collect();
        let help = match names.is_empty() {
            true => "the project has no feeds; write [[site.feeds]] in ashlar.toml".to_owned(),
            false => format!("there are {}", names.join(", ")),
        };
        return Err(unknown("feed", name, help));
    };
    let pairs = [("sort", format!("-{}", feed.date)), ("limit", ENTRIES_MAX.to_string())];
    let pairs = pairs.into_iter().map(|(n, v)| (Cow::Borrowed(n), Cow::Owned(v)));
    let page = list::select(view, &feed.type_name, std::slice::from_ref(locale), pairs, &Pace::Any)?;
    let mut items = Vec::new();
    for (key, record) in &page.items {
        items.extend(Item::of(view, feed, base, key, record)?);
    }
    let updated = items.iter().map(|item| item.updated.clone()).max().unwrap_or_else(epoch);
    let own = format!("{base}/feeds/{}.{locale}.xml", feed.name);
    let root = [("xmlns", "http://www.w3.org/2005/Atom"), ("xml:lang", locale.as_str())];
    let body = Xml::document("feed", &root, |xml| {
        xml.text("id", &own);
        xml.text("title", feed.title.as_deref().unwrap_or(&config.name));
        xml.empty("link", &[("rel", "self"), ("href", &own)]);
        xml.empty("link", &[("href", &format!("{base}/"))]);
        xml.text("updated", &updated);
        xml.inside("author", &[], |xml| {
            xml.text("name", &config.name);
            Ok(())
        })?;
        xml.line();
        items.iter().try_for_each(|item| item.write(xml))
    })?;
    Ok(Made { body, locale: locale.clone(), lists: BTreeSet::from([feed.type_name.clone()]) })
}

/// An entry of a feed.
struct Item {
    id: String,
    title: String,
    address: String,
    updated: String,
    published: Option<String>,
    summary: Option<String>,
}

impl Item {
    /// What a feed says of an entry; `None` when the entry has no address.
    fn of(
        view: &ReleaseView,
        feed: &FeedConfig,
        base: &str,
        key: &EntryKey,
        record: &EntryRecord,
    ) -> Result<Option<Self>, Failure> {
        let Some(route) = view.route_of(key)? else { return Ok(None) };
        let bytes = view.objects.get(&record.digest)?;
        let fields: Fields =
            serde_json::from_slice(&bytes).map_err(|_| DeliveryError::Object(record.digest))?;
        let text = |field: &str| fields.get(field).and_then(Value::as_str);
        let published = text(&feed.date).and_then(moment);
        let changed = view.modified(key)?.map(|t| t.to_string());
        let name = ContractName { name: key.type_name.clone(), major: record.major };
        let title_field = view.definitions.contracts.get(&name).and_then(|c| c.title_field.as_deref());
        let host = base.split("://").nth(1).unwrap_or(base).split('/').next().unwrap_or_default();
        Ok(Some(Self {
            id: format!("tag:{host},2005:{}/{}/{}", key.type_name, key.id, key.locale),
            title: title_field.and_then(text).unwrap_or(key.id.as_str()).to_owned(),
            address: address(base, &route),
            updated: changed.or(published.clone()).unwrap_or_else(epoch),
            published,
            summary: feed.summary.as_deref().and_then(text).map(str::to_owned),
        }))
    }

    fn write(&self, xml: &mut Xml) -> Result<(), Failure> {
        xml.inside("entry", &[], |xml| {
            xml.text("id", &self.id);
            xml.text("title", &self.title);
            xml.empty("link", &[("href", &self.address)]);
            xml.text("updated", &self.updated);
            if let Some(published) = &self.published {
                xml.text("published", published);
            }
            if let Some(summary) = &self.summary {
                xml.text("summary", summary);
            }
            Ok(())
        })?;
        xml.line();
        Ok(())
    }
}

fn epoch() -> String {
    Timestamp::UNIX_EPOCH.to_string()
}

/// A date or a time as RFC 3339.
fn moment(text: &str) -> Option<String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.to_string());
    }
    text.parse::<jiff::civil::Date>().ok().map(|day| format!("{day}T00:00:00Z"))
}

/// What is wrong with the feeds of a project: types and fields that are not there.
pub fn feed_findings(
    config: &ProjectConfig,
    contracts: &ContractSet,
    views: &Views,
) -> Vec<(String, String)> {
    let indexed = indexed(contracts, views);
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    for FeedConfig { name, type_name, date, summary, .. } in &config.site.feeds {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 60 || !name.chars().all(plain) || !seen.insert(name) {
            out.push((
                format!("`{name}` cannot be the name of a feed, or is a duplicate"),
                "use lower-case letters, digits and `-`".to_owned(),
            ));
        }
        let Some(fields) = indexed.get(type_name) else {
            out.push((
                format!("the feed `{name}` is of `{type_name}`, which is not a content type"),
                "name a content type".to_owned(),
            ));
            continue;
        };
        if !fields.contains_key(date) {
            out.push((
                format!(
                    "the feed `{name}` is ordered by `{date}`, which is not an indexed field of {type_name}"
                ),
                "mark the field with `indexed` in its x-ashlar".to_owned(),
            ));
        }
        let of_type = || contracts.iter().filter(|c| c.is_type() && c.name.name == *type_name);
        if of_type().all(|c| c.route.is_none()) {
            out.push((
                format!("the feed `{name}` is of `{type_name}`, whose entries have no route"),
                "give the contract a `route`".to_owned(),
            ));
        }
        if let Some(summary) = summary
            && !of_type().any(|c| c.schema.pointer(&format!("/properties/{summary}")).is_some())
        {
            out.push((
                format!("the feed `{name}` shows `{summary}`, which {type_name} does not have"),
                "name a field of the type".to_owned(),
            ));
        }
    }
    out
}
