//! Who answers for a contract, and how it ends: an owner, a sunset, what replaces it, and what still follows it.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_contracts::{Contract, Status};
use ashlar_model::{ContractName, Finding};
use jiff::{ToSpan, civil::Date};

use crate::{definitions::Definitions, findings::count, world::followers::Followers};

/// From so many days before a sunset on, what still follows the contract is named.
const NEAR_DAYS: i64 = 60;

/// Types of contracts whose sunset is near or past, with their names.
pub(crate) fn ending(definitions: &Definitions, today: Date) -> BTreeSet<ContractName> {
    let near = today.checked_add(NEAR_DAYS.days()).unwrap_or(today);
    let ends = |c: &&Contract| c.sunset.is_some_and(|sunset| sunset <= near);
    definitions.contracts.iter().filter(ends).map(|c| c.name.clone()).collect()
}

/// What is wrong with owners, sunsets and replacements. `base`: what is live, where it is known.
pub(crate) fn findings(
    definitions: &Definitions,
    base: Option<&Definitions>,
    followers: &BTreeMap<ContractName, Followers>,
    today: Date,
) -> Vec<Finding> {
    let mut out = Vec::new();
    let owners: Vec<&str> =
        definitions.governance.approvers.keys().filter_map(|k| k.strip_prefix("owner:")).take(20).collect();
    let ending = ending(definitions, today);
    let none = Followers::default();
    for contract in definitions.contracts.iter() {
        let place = format!("contracts/{}.json", contract.name);
        if contract.owner.is_empty() && !definitions.governance.owner_optional {
            let message = "It names no owner, so nobody answers for its changes.";
            let known = match owners.is_empty() {
                true => String::new(),
                false => format!(" (governance.toml has {})", owners.join(", ")),
            };
            let help = format!(
                "add \"owner\": \"TEAM\" to its x-ashlar{known}, or write owner_optional = true under [contracts] in governance.toml"
            );
            // What is live already must not keep other changes from being released.
            let live = base
                .and_then(|b| b.contracts.get(&contract.name))
                .is_some_and(|b| b.digest == contract.digest);
            let finding = match live {
                true => Finding::warning("contract-owner", &place, message),
                false => Finding::error("contract-owner", &place, message),
            };
            out.push(finding.help(help));
        }
        let ends = ending.contains(&contract.name);
        let replacement = match (&contract.replaced_by, contract.status == Status::Deprecated || ends) {
            (Some(next), _) => format!("migrate to {next}"),
            (None, false) => continue,
            (None, true) => {
                out.push(
                    Finding::warning(
                        "contract-replacement",
                        &place,
                        "It is deprecated or ends, and does not say what replaces it.",
                    )
                    .help("add \"replaced_by\": \"NAME.vN\" to its x-ashlar"),
                );
                "migrate to another contract".to_owned()
            }
        };
        if let Some(sunset) = contract.sunset.filter(|_| ends) {
            let followers = followers.get(&contract.name).unwrap_or(&none);
            out.extend(ended(definitions, contract, sunset, followers, today, &replacement));
        }
    }
    out
}

/// What still follows a contract whose sunset is near or past.
fn ended(
    definitions: &Definitions,
    contract: &Contract,
    sunset: Date,
    followers: &Followers,
    today: Date,
    replacement: &str,
) -> Vec<Finding> {
    let place = format!("contracts/{}.json", contract.name);
    let mut out = Vec::new();
    let past = sunset <= today;
    if past && let Some(first) = &followers.first_new {
        let others = match followers.new {
            0 | 1 => String::new(),
            n => format!(", and so do {}", count(n - 1, "other new entry", "other new entries")),
        };
        let message = format!("The new entry follows {}, whose sunset was {sunset}{others}.", contract.name);
        out.push(
            Finding::error("contract-sunset-new", first.clone(), message)
                .help(format!("{replacement}, or set a later \"sunset\" in {place}")),
        );
    }
    // A view shows all versions of its type: it is named when no other version goes on.
    let goes_on = definitions.contracts.iter().any(|c| {
        c.is_type()
            && c.name.name == contract.name.name
            && c.name != contract.name
            && c.sunset.is_none_or(|s| s > today)
    });
    let views: Vec<String> = definitions
        .views
        .iter()
        .filter(|v| contract.is_type() && !goes_on && v.source == contract.name.name)
        .map(|v| format!("{}.v{}", v.name, v.major))
        .collect();
    let mut still: Vec<String> = Some(followers.summary()).into_iter().filter(|t| !t.is_empty()).collect();
    if !views.is_empty() {
        let word = if views.len() == 1 { "view" } else { "views" };
        still.push(format!("the {word} {}", views.join(", ")));
    }
    if still.is_empty() {
        return out;
    }
    let still = still.join(" and ");
    let message = match past {
        true => format!("Its sunset was {sunset}, and {still} still follow it. New entries are refused."),
        false => {
            let days = today.until(sunset).map_or(0, |span| span.get_days());
            format!(
                "Its sunset is {sunset}, in {}, and {still} still follow it.",
                count(days.unsigned_abs() as usize, "day", "days")
            )
        }
    };
    let code = if past { "contract-sunset-past" } else { "contract-sunset-near" };
    out.push(Finding::warning(code, place, message).help(format!("{replacement}, then remove the file")));
    out
}
