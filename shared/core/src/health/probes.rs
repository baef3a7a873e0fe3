//! What the probed URLs answered.

use serde::{Deserialize, Serialize};

use super::verdict::{Reason, fail, inconclusive, pass, suspect};
use crate::plan::Probe;

/// The attempts of one probe at one look, up to the first good one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeReading {
    /// Which, by its place in the plan.
    pub probe: usize,
    pub attempts: Vec<ProbeAttempt>,
}

/// What came of asking once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeAttempt {
    Good,
    /// Otherwise: how.
    Bad(String),
    /// Not at all: why.
    Unanswered(String),
}

/// What an answer is worth.
pub fn probed(probe: &Probe, status: u16, body: &str) -> ProbeAttempt {
    if status != probe.status {
        return ProbeAttempt::Bad(format!("{status} instead of {}", probe.status));
    }
    match &probe.contains {
        Some(text) if !body.contains(text) => {
            ProbeAttempt::Bad(format!("{status}, but without `{text}`"))
        }
        Some(_) | None => ProbeAttempt::Good,
    }
}

/// Adds a reason for every probe. One that is never answered is no sickness: what asks may be cut
/// off itself, and a canary that answers nobody has no healthy targets.
pub(super) fn judge(probes: &[Probe], readings: &[ProbeReading], reasons: &mut Vec<Reason>) {
    for ProbeReading { probe, attempts } in readings {
        let url = probes.get(*probe).map_or("", |probe| probe.url.as_str());
        let count = attempts.len();
        let unanswered = attempts.iter().rev().find_map(|attempt| match attempt {
            ProbeAttempt::Unanswered(why) => Some(why),
            ProbeAttempt::Good | ProbeAttempt::Bad(_) => None,
        });
        let bad = attempts.iter().any(|attempt| matches!(attempt, ProbeAttempt::Bad(_)));
        reasons.push(match (attempts.last(), unanswered) {
            (Some(ProbeAttempt::Good), _) => pass(format!("probe {url} answers as it must")),
            (Some(_), Some(why)) => {
                let text = format!("probe {url} was not answered every time of {count}: {why}");
                if bad { suspect(text) } else { inconclusive(text) }
            }
            (Some(ProbeAttempt::Bad(how) | ProbeAttempt::Unanswered(how)), None) => {
                fail(format!("probe {url} answered {how}, {count} times in a row"))
            }
            (None, _) => inconclusive(format!("probe {url} was not asked")),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::verdict::Judgement;
    use crate::time::Span;

    fn probe() -> Probe {
        Probe {
            url: "https://green.example.com/".to_owned(),
            status: 200,
            contains: Some("ready".to_owned()),
            attempts: 3,
            timeout: Span::from_secs(5),
        }
    }

    fn judged(attempts: &[ProbeAttempt]) -> Reason {
        let mut reasons = Vec::new();
        let reading = ProbeReading { probe: 0, attempts: attempts.to_vec() };
        judge(&[probe()], &[reading], &mut reasons);
        reasons.remove(0)
    }

    #[test]
    fn an_answer_has_the_status_and_the_text() {
        assert_eq!(probed(&probe(), 200, "all ready"), ProbeAttempt::Good);
        let bad = |status, body| match probed(&probe(), status, body) {
            ProbeAttempt::Bad(how) => how,
            other @ (ProbeAttempt::Good | ProbeAttempt::Unanswered(_)) => panic!("{other:?}"),
        };
        assert_eq!(bad(503, "ready"), "503 instead of 200");
        assert_eq!(bad(200, "starting"), "200, but without `ready`");
    }

    #[test]
    fn only_wrong_answers_without_a_gap_fail() {
        let bad = ProbeAttempt::Bad("503 instead of 200".to_owned());
        let late = ProbeAttempt::Unanswered("timed out".to_owned());
        let failed = judged(&[bad.clone(), bad.clone(), bad.clone()]);
        assert_eq!(failed.judgement, Judgement::Fail);
        assert!(failed.text.ends_with("answered 503 instead of 200, 3 times in a row"));
        assert_eq!(judged(&[bad.clone(), late.clone(), bad.clone()]).judgement, Judgement::Suspect);
        assert_eq!(judged(&[late.clone(), late.clone()]).judgement, Judgement::Inconclusive);
        assert_eq!(judged(&[bad, late, ProbeAttempt::Good]).judgement, Judgement::Pass);
        assert_eq!(judged(&[]).judgement, Judgement::Inconclusive);
    }
}
