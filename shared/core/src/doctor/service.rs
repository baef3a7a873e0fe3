//! What depends on one service: its routes and its metrics as this account answers them.

use super::{About, Row};
use crate::route::{ActionKind, RouteActions, RouteRef};
use crate::world::FoundRoute;

/// One route, read several times. The order of target groups and the weight of a lone one may differ
/// from one answer to the next; what they mean may not.
pub fn routes(route: &RouteRef, raw: &[Vec<(String, Option<i32>)>], read: &[FoundRoute]) -> Row {
    let name = route.arn().rsplit(['/', ':']).next().unwrap_or_default();
    let about = About::new(
        format!("route.{name}"),
        format!("route …/{name} means the same however it is answered"),
    );
    let Some(first) = read.first() else {
        return about.not_checked("it was never read", "run doctor again");
    };
    let actions = match first {
        FoundRoute::Found { actions, .. } => actions,
        FoundRoute::Missing => {
            return about.not_ok("it does not exist", "name a rule or listener that exists");
        }
        FoundRoute::DefaultRule => {
            return about.not_ok(
                "it is the default rule of a listener",
                "name the listener itself: `{listener: …}`",
            );
        }
        FoundRoute::Unsupported(what) => {
            return about.not_ok(
                format!("it has {what}"),
                "let the rule have one forward action with the service's two target groups",
            );
        }
    };
    if read.iter().any(|other| other != first) {
        return about.not_ok(
            "it was read differently from one answer to the next",
            "look whether somebody changes it right now, and run doctor again; if nobody does, \
             please report it with the output of `aws elbv2 describe-rules`",
        );
    }
    if !has_forward(actions) {
        return about.not_ok(
            "it forwards to no target group",
            "let the rule forward to the service's two target groups",
        );
    }
    about.ok(answered(raw))
}

fn has_forward(actions: &RouteActions) -> bool {
    actions.0.iter().any(|action| match &action.kind {
        ActionKind::Forward(_) => true,
        ActionKind::AuthenticateOidc(_)
        | ActionKind::AuthenticateCognito(_)
        | ActionKind::JwtValidation(_) => false,
    })
}

fn answered(raw: &[Vec<(String, Option<i32>)>]) -> String {
    let first = raw.first().map(Vec::as_slice).unwrap_or_default();
    if let [(_, weight)] = first {
        let mut weights: Vec<_> = raw
            .iter()
            .flatten()
            .map(|(_, weight)| weight.map_or("none".to_owned(), |weight| weight.to_string()))
            .collect();
        weights.sort_unstable();
        weights.dedup();
        return match weight {
            Some(_) | None => {
                format!("one group, its lone weight answered as {}", weights.join(", "))
            }
        };
    }
    let order = |answer: &[(String, Option<i32>)]| -> Vec<String> {
        answer.iter().map(|(group, _)| group.clone()).collect()
    };
    let mut sorted = order(first);
    sorted.sort_unstable();
    let same = raw.iter().all(|answer| order(answer) == order(first));
    let words = match (same, order(first) == sorted) {
        (true, true) => "always in the order of their ARNs",
        (true, false) => "always in the same order, not that of their ARNs",
        (false, _) => "in an order that changes",
    };
    format!("{} groups, {words}, in {} answers", first.len(), raw.len())
}

/// What CloudWatch answered for the response times of the service's requests, of one hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// `SampleCount`: how many requests there were.
    pub count: f64,
    /// `TC(1:)`: how many of them took a second or longer.
    pub slow: Option<f64>,
    /// `PR(1:)`: the same in percent.
    pub percent: Option<f64>,
}

/// Whether trimmed counts and percentile ranks are answered for the load balancer's metrics.
pub fn statistics(seen: Statistics) -> Row {
    let about = About::new("statistics", "CloudWatch counts slow requests (TC and PR statistics)");
    let Statistics { count, slow, percent } = seen;
    if count <= 0.0 {
        return about.not_checked(
            "the service had no request during the last three hours",
            "send it some requests, wait two minutes and run doctor again",
        );
    }
    let advice = "leave `health.slowRequests` out of requests: this account's CloudWatch does not \
                  count them";
    // The one does where the other is missing.
    let (slow, percent) = match (slow, percent) {
        (Some(slow), Some(percent)) => (slow, percent),
        (Some(slow), None) => (slow, 100.0 * slow / count),
        (None, Some(percent)) => (count * percent / 100.0, percent),
        (None, None) => {
            return about
                .not_ok(format!("{count} requests, but neither TC nor PR of them"), advice);
        }
    };
    let words = format!("{slow} of {count} requests took a second or longer ({percent:.1} %)");
    let fits = (0.0..=count).contains(&slow)
        && (0.0..=100.0).contains(&percent)
        // Both are rounded and taken minute by minute; only what cannot be true is a finding.
        && (slow == 0.0) == (percent == 0.0);
    if fits { about.ok(words) } else { about.not_ok(format!("{words}: they contradict"), advice) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    fn route() -> RouteRef {
        RouteRef::Rule("arn:aws:elasticloadbalancing:x:1:listener-rule/app/a/1/2/3".to_owned())
    }

    fn found() -> FoundRoute {
        use crate::ids::TargetGroupArn;
        use crate::route::{Forward, RouteAction, WeightedGroup};
        use crate::weight::AlbWeight;
        let group = |name: &str, weight| WeightedGroup {
            group: TargetGroupArn::new(name),
            weight: AlbWeight::new(weight),
        };
        let forward = Forward::new(vec![group("a", 1), group("b", 0)], None);
        let action = RouteAction { order: None, kind: ActionKind::Forward(forward) };
        FoundRoute::Found { actions: RouteActions(vec![action]), load_balancer: "app/a/1".into() }
    }

    fn raw(groups: &[(&str, Option<i32>)]) -> Vec<(String, Option<i32>)> {
        groups.iter().map(|(group, weight)| ((*group).to_owned(), *weight)).collect()
    }

    #[test]
    fn order_and_lone_weight_are_told_and_only_a_meaning_that_changes_is_wrong() {
        let both = [raw(&[("a", Some(1)), ("b", Some(0))]), raw(&[("b", Some(0)), ("a", Some(1))])];
        let row = routes(&route(), &both, &[found(), found()]);
        assert_eq!(row.outcome, Outcome::Ok);
        assert!(row.seen.contains("an order that changes"), "{row:?}");
        let lone = [raw(&[("a", Some(1))]), raw(&[("a", None)])];
        let row = routes(&route(), &lone, &[found()]);
        assert!(row.seen.contains("lone weight answered as 1, none"), "{row:?}");
        let other = FoundRoute::Unsupported("two forward actions".to_owned());
        for read in [
            vec![found(), other.clone()],
            vec![other],
            vec![FoundRoute::Missing],
            vec![FoundRoute::DefaultRule],
        ] {
            assert_eq!(routes(&route(), &both, &read).outcome, Outcome::NotOk, "{read:?}");
        }
    }

    #[test]
    fn statistics_that_contradict_or_are_missing_are_told() {
        let outcome =
            |count, slow, percent| statistics(Statistics { count, slow, percent }).outcome;
        assert_eq!(outcome(100.0, Some(0.0), Some(0.0)), Outcome::Ok);
        assert_eq!(outcome(100.0, Some(3.0), Some(3.0)), Outcome::Ok);
        assert_eq!(outcome(100.0, None, Some(3.0)), Outcome::Ok);
        assert_eq!(outcome(0.0, None, None), Outcome::NotChecked);
        assert_eq!(outcome(100.0, None, None), Outcome::NotOk);
        assert_eq!(outcome(100.0, Some(200.0), Some(3.0)), Outcome::NotOk);
        assert_eq!(outcome(100.0, Some(0.0), Some(40.0)), Outcome::NotOk);
    }
}
