//! Examples teach which index a query is for: two thirds of labelled queries teach, the rest are asked.

use std::collections::BTreeSet;

use ashlar_retrieval::{
    config::Config,
    routing::{Because, Router},
};

const PRODUCT: &[&str] = &[
    "how do I add a berth",
    "import my waiting list",
    "set a tide window for a boat",
    "export invoices as csv",
    "change the gate code",
    "read the meter of a berth",
    "assign a boat to a berth",
    "the app does not work offline",
    "how to invite a colleague to the harbour office",
    "import boats from a spreadsheet",
    "print the berth map",
    "send an invoice again",
    "move a boat to another berth",
    "tide window is wrong",
    "reset my gate code",
    "export the waiting list",
    "meter reading is missing",
    "add a boat to the waiting list",
    "invoice for guest berths",
    "work offline on the pontoon",
    "set up the radio log",
    "invite the harbour master",
    "print invoices",
    "delete a boat",
    "change the berth map",
    "weather warning for a berth",
    "import meter readings",
];
const LEGAL: &[&str] = &[
    "who processes my personal data",
    "privacy policy",
    "data processing agreement",
    "who is liable for damage",
    "where is personal data stored",
    "terms of service",
    "delete my personal data",
    "cookies and consent",
    "notice period of the contract",
    "imprint and company register",
    "data protection officer",
    "liability of the company",
    "how long is data stored",
    "do you share personal data",
    "terms for the contract",
    "consent for cookies",
    "right to have data deleted",
    "jurisdiction of the contract",
    "company register number",
    "contact the data protection officer",
    "processing of personal data outside europe",
    "which terms apply",
    "policy on cookies",
    "liability and damage",
    "agreement on data processing",
    "policy on personal data",
    "who is the controller of data",
];
const MARKETING: &[&str] = &[
    "what do customers say",
    "why choose you",
    "compare plans and prices",
    "success stories of marinas",
    "is there a discount",
    "how much does it cost",
    "your story and team",
    "references of customers",
    "price for a small marina",
    "book a demo",
    "press about the company",
    "stories of harbours like ours",
    "which plan is best",
    "price per month",
    "who founded you",
    "what makes you better",
    "customers in france",
    "free trial",
    "team behind the product",
    "demo for our marina",
    "cost of the large plan",
    "discount for clubs",
    "compare with others",
    "news and stories",
    "plans for clubs",
    "best plan for a club",
    "price of the trial",
];

/// Labelled queries, of which every third is kept for the test.
fn parts() -> (String, Vec<(&'static str, &'static str)>) {
    let (mut train, mut test) = (String::new(), Vec::new());
    for (index, queries) in [("product", PRODUCT), ("legal", LEGAL), ("marketing", MARKETING)] {
        train.push_str(&format!("[indexes.{index}]\n"));
        if index == "legal" {
            train.push_str("alone = true\n");
        }
        for (number, query) in queries.iter().enumerate() {
            if number % 3 == 2 {
                test.push((index, *query));
            } else {
                train.push_str(&format!("[[examples]]\ntext = \"{query}\"\nindex = \"{index}\"\n"));
            }
        }
    }
    (train, test)
}

#[test]
fn examples_teach_which_index_a_query_is_for() {
    let (train, test) = parts();
    let config = Config::read(train.as_bytes()).unwrap();
    let router = Router::new(&config.routes, "en");
    let all = BTreeSet::from(["legal", "marketing", "product"]);
    let choose = |query: &str| router.choose(&config, config.readers.public(), &all, &[], query).unwrap();
    let mut right = 0;
    for (index, query) in &test {
        let chosen = choose(query);
        let best = chosen.indexes.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        // Where the examples say nothing, both indexes that may be mixed are used, which loses nothing.
        right += usize::from(best.0 == *index || (chosen.because == Because::Default && *index != "legal"));
        let names: Vec<&str> = chosen.indexes.iter().map(|(name, _)| name.as_str()).collect();
        assert!(!names.contains(&"legal") || names == ["legal"], "{query}: {names:?}");
        assert_eq!(chosen, choose(query));
    }
    println!("{right} of {} queries that were not taught", test.len());
    assert!(right * 100 >= test.len() * 80, "{right} of {}", test.len());
    assert_eq!(choose("zzz").because, Because::Default);
}
