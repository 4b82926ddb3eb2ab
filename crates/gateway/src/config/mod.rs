//! `gateway.toml`: routes, prices, features with what they may use and spend, and the budget of the tenant.

mod answers;
mod raw;
mod read;
mod review;
mod rules;
mod tools;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub use self::answers::{CACHE_SECONDS_MAX, CacheRules, FilterRules, OnSecret};
use crate::{
    price::{Money, Prices},
    review::ReviewRules,
    tools::{ROUNDS, Tool},
};

/// The file's name.
pub const FILE: &str = "gateway.toml";
/// The route that always exists: the built-in model, which quotes released content and costs nothing.
pub const EXTRACTIVE: &str = "extractive";
/// The provider of the built-in model.
pub const BUILT_IN: &str = "ashlar";
/// The feature of calls that name none.
pub const DEFAULT_FEATURE: &str = "default";
/// The most routes of a project.
pub const ROUTES_MAX: usize = 200;
/// The most targets of a route.
pub const TARGETS_MAX: usize = 20;
/// The most fallbacks of a route.
pub const FALLBACKS_MAX: usize = 10;
/// The most prices of a project.
pub const PRICES_MAX: usize = 2_000;
/// The most features of a project.
pub const FEATURES_MAX: usize = 200;
/// The most names in one list of a feature.
pub const NAMES_MAX: usize = 200;
/// The highest weight of a target.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// The most retries of a call.
pub const RETRIES_MAX: u32 = 5;
/// The longest time limit of a route, in seconds.
pub const TIMEOUT_SECONDS_MAX: f64 = 3_600.0;
/// For how many days records of calls are kept at most.
pub const RECORD_DAYS_MAX: u32 = 400;
/// For how many days records of calls are kept when the file does not say.
pub const RECORD_DAYS: u32 = 90;
/// The most requests and tokens per minute.
pub const PER_MINUTE_MAX: u64 = 1_000_000_000;
/// The most tokens of a budget and of a context.
pub const TOKENS_MAX: u64 = 1_000_000_000_000_000;

/// What `gateway.toml` says. The default is that of a project without the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// Name → route. [`EXTRACTIVE`] is always among them.
    pub routes: BTreeMap<String, Route>,
    /// What models cost.
    pub prices: Prices,
    /// Name → feature. A file that declares none has [`DEFAULT_FEATURE`], with every route.
    pub features: BTreeMap<String, Feature>,
    /// Name → tool that the gateway runs.
    pub tools: BTreeMap<String, Tool>,
    /// The budget of the whole tenant.
    pub budget: Budget,
    /// For how many days records of calls are kept.
    pub record_days: u32,
}

/// Which models a call may go to.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The models with their weights.
    pub targets: Vec<Target>,
    /// Routes that are tried when every target failed, in order.
    pub fallbacks: Vec<String>,
    /// How often a call that failed safely is tried again.
    pub retries: u32,
    /// How many tokens fit, input and output together; `None` when nothing says.
    pub context: Option<u64>,
    /// How long to wait.
    pub timeout: Timeouts,
    /// After how long without an answer the next target is asked as well; `None`: never.
    pub hedge: Option<Duration>,
    /// Its line in the file.
    pub line: usize,
}

/// A model of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What the operator's `models.toml` calls the provider.
    pub provider: String,
    /// What the provider calls the model.
    pub model: String,
    /// Its share of the calls, compared with those of the other targets. 0: only when the others fail.
    pub weight: u32,
    /// Its line in the file.
    pub line: usize,
}

impl Target {
    /// Whether it is the built-in model.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.provider == BUILT_IN
    }
}

/// How long to wait for a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the first token, or for the answer when it does not come in pieces.
    pub first_token: Duration,
    /// For the whole call, retries and fallbacks included.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(5), first_token: seconds(60), total: seconds(600) }
    }
}

/// Which names a feature may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// All.
    All,
    /// These, in the order of the file.
    Only(Vec<String>),
}

impl Allowed {
    /// Whether a name may be used.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|allowed| allowed == name),
        }
    }

    /// The names, when they are listed.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::All => &[],
            Self::Only(names) => names,
        }
    }
}

/// A named use of models.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// The routes it may use. The first one listed is used when a call names none.
    pub routes: Allowed,
    /// The prompts it may use.
    pub prompts: Allowed,
    /// The indexes it may search.
    pub indexes: Allowed,
    /// The tools it may call. Without a list, none.
    pub tools: Allowed,
    /// How many rounds of tools a call may have.
    pub tool_rounds: u32,
    /// What all its calls may use together.
    pub limits: Limits,
    /// What the calls of each key may use.
    pub per_key: Limits,
    /// What the calls of each end user may use.
    pub per_user: Limits,
    /// What is replaced by placeholders.
    pub redact: Redact,
    /// For how many days the text of calls is kept; 0 when it is not stored.
    pub text_days: u32,
    /// Which answers are given again to equal calls.
    pub cache: CacheRules,
    /// What must not leave in answers.
    pub filter: FilterRules,
    /// Which calls people look at; `None`: none.
    pub review: Option<Arc<ReviewRules>>,
    /// Its line in the file.
    pub line: usize,
}

impl Feature {
    /// A feature that may use every route, prompt and index, and no tool.
    #[must_use]
    pub fn open(line: usize) -> Self {
        Self {
            routes: Allowed::All,
            prompts: Allowed::All,
            indexes: Allowed::All,
            tools: Allowed::Only(Vec::new()),
            tool_rounds: ROUNDS,
            limits: Limits::default(),
            per_key: Limits::default(),
            per_user: Limits::default(),
            redact: Redact::default(),
            text_days: 0,
            cache: CacheRules::default(),
            filter: FilterRules::default(),
            review: None,
            line,
        }
    }
}

/// What calls may use.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    /// Calls per minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, input and output together.
    pub tokens_per_minute: Option<u64>,
    /// Money and tokens per day and month.
    pub budget: Budget,
}

/// Money and tokens that may be spent. Days and months are those of UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Money per day.
    pub day: Option<Money>,
    /// Money per month.
    pub month: Option<Money>,
    /// Tokens per day, input and output together.
    pub tokens_day: Option<u64>,
    /// Tokens per month.
    pub tokens_month: Option<u64>,
    /// The share from which on calls warn, from 0 to 1.
    pub soft: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { day: None, month: None, tokens_day: None, tokens_month: None, soft: 0.8 }
    }
}

impl Budget {
    /// Whether it limits money.
    #[must_use]
    pub const fn limits_money(&self) -> bool {
        self.day.is_some() || self.month.is_some()
    }

    /// Whether it limits something.
    #[must_use]
    pub const fn limits(&self) -> bool {
        self.limits_money() || self.tokens_day.is_some() || self.tokens_month.is_some()
    }
}

/// A kind of text that names somebody or opens something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// The number of a payment card.
    Card,
    /// An international bank account number.
    Iban,
    /// An address of the Internet Protocol.
    Ip,
    /// A password, key or token.
    Secret,
    /// A number that a state gives to a person.
    NationalId,
    /// The value of a field or variable that is declared as personal.
    Field,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::Iban,
        Self::Ip,
        Self::Secret,
        Self::NationalId,
        Self::Field,
    ];

    /// What the file calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ip => "ip",
            Self::Secret => "secret",
            Self::NationalId => "national_id",
            Self::Field => "field",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What is replaced by placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redact {
    /// Before a call is sent to a provider. Placeholders in the answer become the values again.
    pub sending: BTreeSet<Kind>,
    /// Before the text of a call is stored.
    pub logging: BTreeSet<Kind>,
}

impl Default for Redact {
    fn default() -> Self {
        Self { sending: BTreeSet::new(), logging: Kind::ALL.into() }
    }
}

impl Default for Gateway {
    fn default() -> Self {
        let mut feature = Feature::open(1);
        feature.routes = Allowed::Only(vec![EXTRACTIVE.to_owned()]);
        Self {
            routes: BTreeMap::from([(EXTRACTIVE.to_owned(), Route::extractive())]),
            prices: Prices::default(),
            features: BTreeMap::from([(DEFAULT_FEATURE.to_owned(), feature)]),
            tools: BTreeMap::new(),
            budget: Budget::default(),
            record_days: RECORD_DAYS,
        }
    }
}

impl Route {
    /// The route to the built-in model.
    #[must_use]
    pub fn extractive() -> Self {
        let (provider, model) = (BUILT_IN.to_owned(), EXTRACTIVE.to_owned());
        Self {
            targets: vec![Target { provider, model, weight: 1, line: 1 }],
            fallbacks: Vec::new(),
            retries: 0,
            context: None,
            timeout: Timeouts::default(),
            hedge: None,
            line: 1,
        }
    }
}

impl Gateway {
    /// The routes that a feature may use, in the order in which it lists them.
    #[must_use]
    pub fn routes_of<'a>(&'a self, feature: &'a Feature) -> Vec<(&'a str, &'a Route)> {
        let route = |name: &'a String| Some((name.as_str(), self.routes.get(name)?));
        match &feature.routes {
            Allowed::All => self.routes.keys().filter_map(route).collect(),
            Allowed::Only(names) => names.iter().filter_map(route).collect(),
        }
    }

    /// Whether money is limited for calls of a feature.
    #[must_use]
    pub fn limits_money(&self, feature: &Feature) -> bool {
        let budgets = [&feature.limits, &feature.per_key, &feature.per_user].map(|limits| &limits.budget);
        self.budget.limits_money() || budgets.into_iter().any(Budget::limits_money)
    }
}
