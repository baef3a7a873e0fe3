//! Which deployments of all are asked for.

use glidepath_core::document::nearest;
use glidepath_core::record::{Deployment, Outcome, Phase};
use glidepath_engine::ports::Recent;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter<'a> {
    /// Only of this one.
    pub(crate) service: Option<&'a str>,
    /// Only those that did not come to a good end, or will not.
    pub(crate) failed: bool,
}

impl Filter<'_> {
    pub(crate) const fn is_for_all(self) -> bool {
        self.service.is_none() && !self.failed
    }

    pub(crate) fn takes(self, deployment: &Deployment) -> bool {
        let failed = match deployment.phase {
            Phase::RollingBack
            | Phase::Held
            | Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => true,
            Phase::Open | Phase::Committed | Phase::Closed(Outcome::Succeeded) => false,
        };
        self.service.is_none_or(|service| deployment.plan.service.as_str() == service)
            && (failed || !self.failed)
    }

    /// Those that are asked for, of the ended ones so many. What cannot be read may be among them.
    pub(crate) fn of(self, known: &Recent, limit: u32) -> Recent {
        let mut left = limit;
        let wanted = known.deployments.iter().filter(|deployment| self.takes(deployment));
        let wanted = wanted.filter(|deployment| match deployment.phase {
            Phase::Closed(_) if left == 0 => false,
            Phase::Closed(_) => {
                left -= 1;
                true
            }
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => true,
        });
        Recent { deployments: wanted.cloned().collect(), ..known.clone() }
    }

    /// What is asked for, after "deployments".
    pub(crate) fn in_words(self) -> String {
        let of =
            self.service.map_or_else(String::new, |service| format!(" of the service `{service}`"));
        let failed = if self.failed { " that failed" } else { "" };
        format!("{of}{failed}")
    }

    /// The service that may have been meant where none of this name is known, as a question.
    pub(crate) fn offered(self, known: &Recent) -> Option<String> {
        let asked = self.service?;
        let services =
            || known.deployments.iter().map(|deployment| deployment.plan.service.as_str());
        if services().any(|known| known == asked) {
            return None;
        }
        nearest(asked, services()).map(|meant| format!("did you mean `{meant}`?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn what_runs_is_always_there_and_what_has_ended_as_far_as_the_limit() {
        let known = Recent { deployments: fixtures::all(), ..Recent::default() };
        let count = |filter: Filter<'_>, limit| {
            let found = filter.of(&known, limit).deployments;
            let ended =
                found.iter().filter(|found| matches!(found.phase, Phase::Closed(_))).count();
            (found.len() - ended, ended)
        };
        let all = Filter::default();
        let failed = Filter { failed: true, ..all };
        assert_eq!(count(all, 20), (11, 3));
        assert_eq!(count(all, 1), (11, 1));
        assert_eq!(count(failed, 20), (2, 2));
        assert_eq!(count(Filter { service: Some("cart"), ..failed }, 20), (0, 0));
        let service = known.deployments[0].plan.service.as_str();
        assert_eq!(count(Filter { service: Some(service), ..all }, 2), (11, 2));
    }

    #[test]
    fn a_service_that_is_not_there_is_asked_about() {
        let known = Recent { deployments: fixtures::all(), ..Recent::default() };
        let offered = |service| Filter { service: Some(service), failed: false }.offered(&known);
        assert_eq!(offered("shpo").as_deref(), Some("did you mean `shop`?"));
        assert_eq!(offered("shop"), None);
        assert_eq!(offered("xyz"), None);
        let asked = Filter { service: Some("shop"), failed: true };
        assert_eq!(asked.in_words(), " of the service `shop` that failed");
    }
}
