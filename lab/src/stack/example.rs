//! The CloudFormation template of an example service. It is generated, because a static template
//! cannot have as many routes, versions and bystanders as a scenario asks for.

use serde_json::{Map, Value, json};

use super::authentication::authentication;
use super::names::{MAIN_PORT, alarm_output, further_output, task_definition_id};
use super::resources::ServiceResources;
use crate::scenario::{AlarmName, Route, RouteKind, Service, Slot};

/// Below the ports of the listeners that are nobody's business.
const BYSTANDER_PORT: usize = 9000;

const CONTAINER_PORT: usize = 8080;

/// Where the images of all versions are.
pub(super) const REPOSITORY: &str = "example";

/// The function that a service's hooks may name: the stack's own pattern allows it.
pub(super) fn hook_name(prefix: &str) -> String {
    format!("glidepath-hook-{prefix}")
}

pub(super) fn template(prefix: &str, service: &Service, alarm_action: Option<&str>) -> Value {
    let (resources, outputs) = (Map::new(), Map::new());
    let mut builder = Builder { prefix, service, alarm_action, resources, outputs };
    builder.network();
    builder.groups();
    builder.routes();
    builder.bystanders();
    builder.containers();
    builder.alarms();
    builder.hook();
    builder.further_resources();
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "An example service for Glidepath's lab",
        "Resources": builder.resources,
        "Outputs": builder.outputs,
    })
}

struct Builder<'a> {
    prefix: &'a str,
    service: &'a Service,
    alarm_action: Option<&'a str>,
    resources: Map<String, Value>,
    outputs: Map<String, Value>,
}

impl Builder<'_> {
    fn resource(&mut self, id: impl Into<String>, kind: &str, properties: Value) {
        let resource = json!({ "Type": kind, "Properties": properties });
        self.resources.insert(id.into(), resource);
    }

    fn output(&mut self, id: impl Into<String>, value: Value) {
        self.outputs.insert(id.into(), json!({ "Value": value }));
    }

    fn network(&mut self) {
        self.resource("Network", "AWS::EC2::VPC", json!({ "CidrBlock": "10.0.0.0/16" }));
        for (id, block, zone) in [("SubnetA", "10.0.1.0/24", "a"), ("SubnetB", "10.0.2.0/24", "b")]
        {
            let zone = json!({ "Fn::Sub": format!("${{AWS::Region}}{zone}") });
            let properties = json!({ "VpcId": reference("Network"), "CidrBlock": block, "AvailabilityZone": zone });
            self.resource(id, "AWS::EC2::Subnet", properties);
        }
        let subnets = json!([reference("SubnetA"), reference("SubnetB")]);
        self.resource(
            "LoadBalancer",
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            json!({ "Name": self.prefix, "Type": "application", "Subnets": subnets }),
        );
        self.output("LoadBalancer", reference("LoadBalancer"));
        self.output("Address", attribute("LoadBalancer", "DNSName"));
        self.listener("MainListener", MAIN_PORT, fixed_response("404"));
    }

    fn listener(&mut self, id: &str, port: usize, actions: Value) {
        self.resource(
            id,
            "AWS::ElasticLoadBalancingV2::Listener",
            json!({
                "LoadBalancerArn": reference("LoadBalancer"),
                "Port": port,
                "Protocol": "HTTP",
                "DefaultActions": actions,
            }),
        );
    }

    fn groups(&mut self) {
        for number in 1..=self.service.routes.len() {
            for slot in Slot::BOTH {
                let id = group_id(slot, number);
                let name = format!("{}-{slot}-{number}", self.prefix);
                self.group(&id, &name);
                self.output(id.clone(), reference(&id));
            }
        }
    }

    fn group(&mut self, id: &str, name: &str) {
        // Health checks as fast as they get: the whole lab lives in seconds.
        self.resource(
            id,
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            json!({
                "Name": name,
                "Port": CONTAINER_PORT,
                "Protocol": "HTTP",
                "TargetType": "ip",
                "VpcId": reference("Network"),
                "HealthCheckPath": "/health",
                "HealthCheckIntervalSeconds": 1,
                "HealthCheckTimeoutSeconds": 1,
                "HealthyThresholdCount": 2,
                "UnhealthyThresholdCount": 2,
                "TargetGroupAttributes": [
                    { "Key": "deregistration_delay.timeout_seconds", "Value": "1" },
                ],
            }),
        );
    }

    fn routes(&mut self) {
        for (route, number) in self.service.routes.iter().zip(1..) {
            let id = format!("Route{number}");
            let actions = self.route_actions(route, number);
            match route.kind {
                RouteKind::Listener => self.listener(&id, MAIN_PORT + number, actions),
                RouteKind::Rule => {
                    // The first takes whatever no other rule wants.
                    let (priority, path) = match number {
                        1 => (1_000, "/*".to_owned()),
                        _ => (number, format!("/route{number}/*")),
                    };
                    self.rule(&id, priority, &path, actions);
                    if route.transform {
                        self.transform(&id);
                    }
                }
            }
            self.output(id.clone(), reference(&id));
        }
    }

    fn rule(&mut self, id: &str, priority: usize, path: &str, actions: Value) {
        self.resource(
            id,
            "AWS::ElasticLoadBalancingV2::ListenerRule",
            json!({
                "ListenerArn": reference("MainListener"),
                "Priority": priority,
                "Conditions": [{ "Field": "path-pattern", "PathPatternConfig": { "Values": [path] } }],
                "Actions": actions,
            }),
        );
    }

    /// Every request reaches the tasks under another host name and below another path.
    fn transform(&mut self, id: &str) {
        let rewrite = |regex: &str, replace: &str| json!([{ "Regex": regex, "Replace": replace }]);
        let transforms = json!([
            {
                "Type": "host-header-rewrite",
                "HostHeaderRewriteConfig": { "Rewrites": rewrite("^(.*)$", "inside.example") },
            },
            {
                "Type": "url-rewrite",
                "UrlRewriteConfig": { "Rewrites": rewrite("^/(.*)$", "/rewritten/$1") },
            },
        ]);
        let properties = self.resources.get_mut(id).and_then(|rule| rule.get_mut("Properties"));
        if let Some(properties) = properties.and_then(Value::as_object_mut) {
            properties.insert("Transforms".to_owned(), transforms);
        }
    }

    fn route_actions(&self, route: &Route, number: usize) -> Value {
        let weight = |slot: Slot| if slot == self.service.serving { 999 } else { 0 };
        let groups: Vec<Value> = Slot::BOTH
            .into_iter()
            .map(|slot| {
                json!({ "TargetGroupArn": reference(&group_id(slot, number)), "Weight": weight(slot) })
            })
            .collect();
        let mut forward = json!({ "TargetGroups": groups });
        if let (Some(stickiness), Some(forward)) = (route.stickiness, forward.as_object_mut()) {
            let seconds = stickiness.duration().as_secs().max(1);
            let config = json!({ "Enabled": true, "DurationSeconds": seconds });
            forward.insert("TargetGroupStickinessConfig".to_owned(), config);
        }
        let mut forward = json!({ "Type": "forward", "ForwardConfig": forward });
        let Some(authenticate) = route.authenticate else { return json!([forward]) };
        if let Some(members) = forward.as_object_mut() {
            members.insert("Order".to_owned(), json!(2));
        }
        json!([authentication(authenticate), forward])
    }

    fn bystanders(&mut self) {
        for number in 1..=self.service.bystanders.rules as usize {
            let path = format!("/bystander{number}/*");
            self.rule(
                &format!("BystanderRule{number}"),
                500 + number,
                &path,
                fixed_response("200"),
            );
        }
        for number in 1..=self.service.bystanders.listeners as usize {
            let id = format!("BystanderListener{number}");
            self.listener(&id, BYSTANDER_PORT + number, fixed_response("200"));
        }
    }

    fn containers(&mut self) {
        self.resource("Cluster", "AWS::ECS::Cluster", json!({ "ClusterName": self.prefix }));
        for version in self.service.versions.keys() {
            let id = task_definition_id(version);
            self.task_definition(&id, version);
            self.output(id.clone(), reference(&id));
        }
        let running = task_definition_id(&self.service.running);
        for slot in Slot::BOTH {
            let count = if slot == self.service.serving { self.service.tasks } else { 0 };
            self.ecs_service(slot, &running, count);
        }
    }

    fn task_definition(&mut self, id: &str, version: &str) {
        let image = format!("{REPOSITORY}:{}", ServiceResources::tag_of(self.prefix, version));
        let image = if self.service.ecr {
            let registry = "${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com";
            json!({ "Fn::Sub": format!("{registry}/{image}") })
        } else {
            json!(image)
        };
        self.resource(
            id,
            "AWS::ECS::TaskDefinition",
            json!({
                "Family": self.prefix,
                "NetworkMode": "awsvpc",
                "RequiresCompatibilities": ["FARGATE"],
                "Cpu": "256",
                "Memory": "512",
                "ContainerDefinitions": [{
                    "Name": "web",
                    "Image": image,
                    "Essential": true,
                    "PortMappings": [{ "ContainerPort": CONTAINER_PORT }],
                }],
            }),
        );
    }

    fn ecs_service(&mut self, slot: Slot, task_definition: &str, count: u32) {
        let numbers = 1..=self.service.routes.len();
        let load_balancers: Vec<Value> = numbers
            .clone()
            .map(|number| {
                json!({
                    "TargetGroupArn": reference(&group_id(slot, number)),
                    "ContainerName": "web",
                    "ContainerPort": CONTAINER_PORT,
                })
            })
            .collect();
        let properties = json!({
            "ServiceName": format!("{}-{slot}", self.prefix),
            "Cluster": reference("Cluster"),
            "TaskDefinition": reference(task_definition),
            "DesiredCount": count,
            "LaunchType": "FARGATE",
            "LoadBalancers": load_balancers,
            "DeploymentConfiguration": {
                "MinimumHealthyPercent": 100,
                "MaximumPercent": 200,
                "DeploymentCircuitBreaker": { "Enable": true, "Rollback": false },
            },
            "NetworkConfiguration": {
                "AwsvpcConfiguration": { "Subnets": [reference("SubnetA"), reference("SubnetB")] },
            },
        });
        // ECS refuses a service whose target groups no listener uses yet.
        let routes: Vec<String> = numbers.map(|number| format!("Route{number}")).collect();
        let id = format!("{}Service", title(slot));
        self.resource(id.clone(), "AWS::ECS::Service", properties);
        if let Some(service) = self.resources.get_mut(&id).and_then(Value::as_object_mut) {
            service.insert("DependsOn".to_owned(), json!(routes));
        }
    }

    fn alarms(&mut self) {
        for alarm in AlarmName::ALL {
            let id = alarm_output(alarm);
            let properties = self.alarm(alarm);
            self.resource(id, "AWS::CloudWatch::Alarm", properties);
            self.output(id, attribute(id, "Arn"));
        }
    }

    /// A hook that answers what its details say, one after the other: `answers: [IN_PROGRESS, ...]`.
    fn hook(&mut self) {
        if !self.service.hook {
            return;
        }
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "lambda.amazonaws.com" },
                "Action": "sts:AssumeRole",
            }],
        });
        self.resource("HookRole", "AWS::IAM::Role", json!({ "AssumeRolePolicyDocument": trust }));
        self.resource(
            "Hook",
            "AWS::Lambda::Function",
            json!({
                "FunctionName": hook_name(self.prefix),
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": attribute("HookRole", "Arn"),
                "Code": { "ZipFile": include_str!("hook.py") },
            }),
        );
    }

    /// What the scenario adds to the stack or changes in it. What is new can be named in requests.
    fn further_resources(&mut self) {
        for (id, resource) in &self.service.resources {
            if !self.resources.contains_key(id) {
                self.output(further_output(id), reference(id));
            }
            merge(self.resources.entry(id.clone()).or_insert(Value::Null), resource);
        }
    }

    /// Percent of bad requests. FILL makes it dense: the load balancer reports no 5xx metric at all
    /// while there is none, and an alarm over gaps would lag behind.
    fn alarm(&self, alarm: AlarmName) -> Value {
        let slots: &[Slot] = match alarm {
            AlarmName::Blue => &[Slot::Blue],
            AlarmName::Green => &[Slot::Green],
            AlarmName::Service => &Slot::BOTH,
        };
        let mut metrics = Vec::new();
        let (mut bad, mut all) = (Vec::new(), Vec::new());
        for number in 1..=self.service.routes.len() {
            for slot in slots {
                let group = attribute(&group_id(*slot, number), "TargetGroupFullName");
                let (bad_id, all_id) = (format!("{slot}Bad{number}"), format!("{slot}All{number}"));
                metrics.push(metric(&bad_id, "HTTPCode_Target_5XX_Count", &group));
                metrics.push(metric(&all_id, "RequestCount", &group));
                bad.push(format!("FILL({bad_id},0)"));
                all.push(format!("FILL({all_id},0)"));
            }
        }
        let (bad, all) = (bad.join("+"), all.join("+"));
        metrics.push(json!({
            "Id": "percent",
            "Expression": format!("IF(({all})>0,100*({bad})/({all}),0)"),
            "Label": "bad requests in percent",
            "ReturnData": true,
        }));
        json!({
            "AlarmName": format!("{}-{}-errors", self.prefix, alarm.name()),
            "AlarmDescription": "Share of requests with a 5xx status",
            "Metrics": metrics,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": self.service.alarms.above_percent,
            "EvaluationPeriods": self.service.alarms.for_seconds,
            "DatapointsToAlarm": self.service.alarms.for_seconds,
            "TreatMissingData": "notBreaching",
            "AlarmActions": self.alarm_action.into_iter().collect::<Vec<_>>(),
        })
    }
}

/// JSON merge patch (RFC 7396).
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let Some(members) = into.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn metric(id: &str, name: &str, group: &Value) -> Value {
    json!({
        "Id": id,
        "ReturnData": false,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/ApplicationELB",
                "MetricName": name,
                "Dimensions": [
                    { "Name": "LoadBalancer", "Value": attribute("LoadBalancer", "LoadBalancerFullName") },
                    { "Name": "TargetGroup", "Value": group },
                ],
            },
            "Period": 1,
            "Stat": "Sum",
        },
    })
}

fn group_id(slot: Slot, number: usize) -> String {
    format!("{}Group{number}", title(slot))
}

fn title(slot: Slot) -> &'static str {
    match slot {
        Slot::Blue => "Blue",
        Slot::Green => "Green",
    }
}

fn reference(id: &str) -> Value {
    json!({ "Ref": id })
}

fn attribute(id: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": [id, name] })
}

fn fixed_response(status: &str) -> Value {
    json!([{ "Type": "fixed-response", "FixedResponseConfig": { "StatusCode": status } }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn resources_of_the_scenario_are_added_to_the_example_s_own_or_merged_into_them() {
        let text = r#"{ "title": "t", "services": { "shop": {
            "versions": { "v1": {} },
            "resources": {
                "Another": { "Type": "AWS::ECS::Cluster" },
                "BlueService": { "Properties": {
                    "LaunchType": null,
                    "DeploymentConfiguration": { "DeploymentCircuitBreaker": { "Rollback": true } }
                } }
            }
        } } }"#;
        let scenario = Scenario::parse(text, "test.json").unwrap();
        let template = template("shop", &scenario.services["shop"], None);
        let blue = &template["Resources"]["BlueService"]["Properties"];
        let configuration = &blue["DeploymentConfiguration"];
        assert_eq!(configuration["MinimumHealthyPercent"], 100);
        assert_eq!(
            configuration["DeploymentCircuitBreaker"],
            json!({ "Enable": true, "Rollback": true })
        );
        assert!(blue.get("LaunchType").is_none(), "{blue}");
        assert_eq!(template["Resources"]["Another"], json!({ "Type": "AWS::ECS::Cluster" }));
        assert_eq!(template["Outputs"]["FurtherAnother"]["Value"], reference("Another"));
        assert!(template["Outputs"].get("FurtherBlueService").is_none());
    }
}
