//! Where what a notice is about is to be seen in AWS's console.

use serde::Serialize;

use crate::ids::ExecutionArn;
use crate::record::Deployment;

/// A place in the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// What is there, in a word or two.
    pub title: String,
    /// Its address.
    pub url: String,
}

/// The console of the Region of an execution. Each partition has its own.
struct Console<'a> {
    region: &'a str,
    host: String,
}

impl<'a> Console<'a> {
    fn of(execution: &'a ExecutionArn) -> Option<Self> {
        let parts: Vec<_> = execution.as_str().split(':').collect();
        let [_, partition, _, region, ..] = parts.as_slice() else { return None };
        let host = match *partition {
            "aws" => format!("https://{region}.console.aws.amazon.com"),
            "aws-us-gov" => "https://console.amazonaws-us-gov.com".to_owned(),
            "aws-cn" => "https://console.amazonaws.cn".to_owned(),
            _ => return None,
        };
        Some(Self { region, host })
    }

    fn execution(&self, execution: &ExecutionArn) -> String {
        let Self { region, host } = self;
        format!("{host}/states/home?region={region}#/v2/executions/details/{execution}")
    }
}

/// Where an execution is to be seen.
pub fn console(execution: &ExecutionArn) -> Option<String> {
    Console::of(execution).map(|console| console.execution(execution))
}

/// Everything that a deployment is about: the version's service, its logs and targets, and the stack's dashboard of
/// services. Empty where the console is not known.
pub fn links(deployment: &Deployment, stack: &str) -> Vec<Link> {
    let Deployment { plan, execution, .. } = deployment;
    let Some(console) = Console::of(execution) else { return Vec::new() };
    let Console { region, host } = &console;
    let service =
        format!("{host}/ecs/v2/clusters/{}/services/{}", plan.cluster.short(), plan.canary.service);
    let link = |title: &str, url: String| Link { title: title.to_owned(), url };
    let slot = plan.canary.slot;
    let mut links = vec![
        link("The execution", console.execution(execution)),
        link(&format!("The {slot} service"), format!("{service}/health?region={region}")),
        link(&format!("Logs of {slot}"), format!("{service}/logs?region={region}")),
    ];
    let mut groups = Vec::new();
    for route in &plan.routes {
        if !groups.contains(&&route.pair.canary) {
            groups.push(&route.pair.canary);
        }
    }
    links.extend(groups.iter().map(|group| {
        let url = format!("{host}/ec2/home?region={region}#TargetGroup:targetGroupArn={group}");
        let which = if groups.len() > 1 { format!(" ({})", group.short()) } else { String::new() };
        link(&format!("Targets of {slot}{which}"), url)
    }));
    let dashboard = format!(
        "{host}/cloudwatch/home?region={region}#dashboards/dashboard/{stack}-{region}-services"
    );
    links.push(link("The dashboard", dashboard));
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{deployment, group};

    #[test]
    fn each_link_leads_to_the_version_that_is_deployed() {
        let deployment = deployment();
        let found = links(&deployment, "glidepath");
        let region = deployment.execution.as_str().split(':').nth(3).unwrap();
        for link in &found {
            assert!(
                link.url.starts_with(&format!("https://{region}.console.aws.amazon.com/")),
                "{link:?}"
            );
            assert!(!link.url.contains([' ', '<', '>', '|']), "{link:?}");
        }
        let urls: String = found.iter().map(|link| link.url.as_str()).collect();
        assert!(urls.contains(deployment.plan.canary.service.as_str()));
        assert!(urls.contains(deployment.plan.routes[0].pair.canary.as_str()));
        assert!(!urls.contains(deployment.plan.routes[0].pair.stable.as_str()));
        assert_eq!(console(&deployment.execution).as_ref(), Some(&found[0].url));
    }

    #[test]
    fn a_console_that_is_not_known_is_not_made_up() {
        let mut elsewhere = deployment();
        elsewhere.execution = ExecutionArn::new("arn:aws-iso:states:us-iso-east-1:1:execution:m:n");
        assert_eq!(links(&elsewhere, "glidepath"), []);
    }

    #[test]
    fn each_partition_has_its_own_console() {
        for (partition, region, host) in [
            ("aws-us-gov", "us-gov-west-1", "https://console.amazonaws-us-gov.com/"),
            ("aws-cn", "cn-north-1", "https://console.amazonaws.cn/"),
        ] {
            let mut there = deployment();
            let arn = format!("arn:{partition}:states:{region}:1:execution:m:n");
            there.execution = ExecutionArn::new(arn);
            let found = links(&there, "glidepath");
            assert_eq!(found.len(), 5);
            for link in found {
                assert!(link.url.starts_with(host) && link.url.contains(region), "{link:?}");
            }
        }
    }

    #[test]
    fn the_targets_behind_every_route_are_found() {
        let mut two = deployment();
        let mut other = two.plan.routes[0].clone();
        other.pair.canary = group("green-admin");
        two.plan.routes.extend([two.plan.routes[0].clone(), other]);
        let found = links(&two, "glidepath");
        let targets = found.iter().filter(|link| link.title.starts_with("Targets of green"));
        let targets: Vec<_> = targets.collect();
        let [first, second] = targets[..] else { panic!("one for each group: {found:?}") };
        assert_eq!(
            (first.title.as_str(), second.title.as_str()),
            ("Targets of green (green)", "Targets of green (green-admin)")
        );
        assert!(second.url.ends_with(group("green-admin").as_str()));
    }
}
