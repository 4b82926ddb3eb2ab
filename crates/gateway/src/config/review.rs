//! From the file to rules about which calls people look at.

use std::{collections::BTreeMap, sync::Arc};

use toml::Spanned;

use super::{
    RECORD_DAYS_MAX,
    raw::{Number, RawFeature},
    read::Reading,
};
use crate::{
    review::{HighRisk, KEEP_DAYS, LowConfidence, REVIEWERS_MAX, ReviewRules},
    tools::Tool,
};

impl Reading<'_> {
    pub(super) fn review(
        &mut self,
        feature: &RawFeature,
        tools: &BTreeMap<String, Tool>,
    ) -> Option<Arc<ReviewRules>> {
        let spanned = feature.review.as_ref()?;
        let raw = spanned.get_ref();
        if feature.text.keep_days.as_ref().is_none_or(|days| *days.get_ref() <= 0) {
            let message = "The feature has `review` and does not store the text of calls.".to_owned();
            self.wrong(&spanned.span(), message, "add text = { keep_days = 30 }, or remove `review`");
        }
        if raw.share.is_none() && raw.low_confidence.is_none() && raw.high_risk.is_none() {
            let help = "add share, low_confidence or high_risk";
            self.wrong(&spanned.span(), "`review` chooses no calls.".to_owned(), help);
        }
        let low_confidence = raw.low_confidence.as_ref().map(|raw| LowConfidence {
            below: self.share("below", raw.below.as_ref(), LowConfidence::BELOW),
            share: self.share("share", raw.share.as_ref(), 1.0),
        });
        let high_risk = raw.high_risk.as_ref().map(|spanned| {
            let raw = spanned.get_ref();
            if !raw.effects && raw.indexes.is_empty() && raw.prompts.is_empty() {
                let help = "add effects = true, indexes or prompts";
                self.wrong(&spanned.span(), "`high_risk` names nothing.".to_owned(), help);
            }
            let risky = tools.iter().filter(|(_, tool)| raw.effects && tool.effects);
            HighRisk {
                tools: risky.map(|(name, _)| name.clone()).collect(),
                indexes: self.names("an index", &raw.indexes).into_iter().collect(),
                prompts: self.names("a prompt", &raw.prompts).into_iter().collect(),
                share: self.share("share", raw.share.as_ref(), 1.0),
            }
        });
        let (reviewers, days) = (raw.reviewers.as_ref(), raw.keep_days.as_ref());
        Some(Arc::new(ReviewRules {
            share: self.share("share", raw.share.as_ref(), 0.0),
            low_confidence,
            high_risk,
            reviewers: reviewers
                .map_or(1, |n| self.whole("reviewers", n, 1, u64::from(REVIEWERS_MAX)) as u32),
            keep_days: days
                .map_or(KEEP_DAYS, |n| self.whole("keep_days", n, 1, u64::from(RECORD_DAYS_MAX)) as u32),
        }))
    }

    /// A number from 0 to 1.
    fn share(&mut self, name: &str, value: Option<&Spanned<Number>>, usual: f64) -> f64 {
        let Some(value) = value else { return usual };
        let share = value.get_ref().value();
        if (0.0..=1.0).contains(&share) {
            return share;
        }
        let message = format!("`{name} = {share}` is not a share.");
        self.wrong(&value.span(), message, "write a number from 0 to 1, such as 0.05");
        usual
    }
}
