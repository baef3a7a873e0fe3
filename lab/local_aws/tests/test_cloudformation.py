"""Stacks of what the project's template and the example services use."""

from __future__ import annotations

import json
from typing import Any

from local_aws.tests.balancing import Balancer, weights
from local_aws.tests.functions import probe_zip
from local_aws.tests.support import Lab, wait_for

TERMINAL = ("_COMPLETE", "_FAILED")

EXAMPLE = """
Parameters:
  Weights: {Type: CommaDelimitedList, Default: '900,100'}
  Zones: {Type: List<String>, Default: 'eu-west-1a,eu-west-1b'}
  Image: {Type: String, Default: 'demo:v1'}
  Scaling: {Type: String, Default: 'yes'}
Conditions:
  Scaled: !Equals [!Ref Scaling, 'yes']
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  First: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.1.0/24, AvailabilityZone: !Select [0, !Ref Zones]}}
  Second: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.2.0/24, AvailabilityZone: !Select [1, !Ref Zones]}}
  Balancer: {Type: AWS::ElasticLoadBalancingV2::LoadBalancer, Properties: {Subnets: [!Ref First, !Ref Second]}}
  Blue: &group
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      Port: 8080
      Protocol: HTTP
      TargetType: ip
      VpcId: !Ref Vpc
      HealthCheckPath: /health
      HealthCheckIntervalSeconds: 1
      TargetGroupAttributes: [{Key: deregistration_delay.timeout_seconds, Value: '0'}]
  Green: *group
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref Balancer
      Port: 80
      Protocol: HTTP
      DefaultActions: [{Type: forward, ForwardConfig: {TargetGroups: [{TargetGroupArn: !Ref Blue, Weight: 1}]}}]
  Rule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: 10
      Conditions: [{Field: path-pattern, PathPatternConfig: {Values: ['/*']}}]
      Actions:
        - Type: forward
          ForwardConfig:
            TargetGroups:
              - {TargetGroupArn: !Ref Blue, Weight: !Select [0, !Ref Weights]}
              - {TargetGroupArn: !Ref Green, Weight: !Select [1, !Ref Weights]}
            TargetGroupStickinessConfig: {Enabled: true, DurationSeconds: 60}
  Cluster: {Type: AWS::ECS::Cluster}
  Definition:
    Type: AWS::ECS::TaskDefinition
    Properties:
      NetworkMode: awsvpc
      RequiresCompatibilities: [FARGATE]
      Cpu: '256'
      Memory: '512'
      ContainerDefinitions:
        - {Name: web, Image: !Ref Image, Essential: true, PortMappings: [{ContainerPort: 8080}], Environment: [{Name: SLOT, Value: blue}]}
  Service:
    Type: AWS::ECS::Service
    DependsOn: Rule
    Properties:
      Cluster: !Ref Cluster
      TaskDefinition: !Ref Definition
      DesiredCount: 1
      LaunchType: FARGATE
      HealthCheckGracePeriodSeconds: 3
      DeploymentConfiguration: {MinimumHealthyPercent: 100, MaximumPercent: 200, DeploymentCircuitBreaker: {Enable: true, Rollback: true}}
      LoadBalancers: [{TargetGroupArn: !Ref Blue, ContainerName: web, ContainerPort: 8080}]
      NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [!Ref First]}}
  Target:
    Type: AWS::ApplicationAutoScaling::ScalableTarget
    Condition: Scaled
    Properties: {MinCapacity: 1, MaxCapacity: 4, ServiceNamespace: ecs, ScalableDimension: ecs:service:DesiredCount, ResourceId: !Sub 'service/${Cluster}/${Service.Name}'}
  Archive: {Type: AWS::Events::Archive}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      ComparisonOperator: GreaterThanThreshold
      Threshold: 5
      EvaluationPeriods: 2
      DatapointsToAlarm: 1
      TreatMissingData: notBreaching
      Metrics:
        - {Id: rate, Expression: 100 * bad / requests, ReturnData: true}
        - Id: bad
          ReturnData: false
          MetricStat:
            Metric: {Namespace: AWS/ApplicationELB, MetricName: HTTPCode_Target_5XX_Count, Dimensions: [{Name: TargetGroup, Value: !GetAtt Green.TargetGroupFullName}, {Name: LoadBalancer, Value: !GetAtt Balancer.LoadBalancerFullName}]}
            Period: !If [Scaled, 60, 1]
            Stat: Sum
        - Id: requests
          ReturnData: false
          MetricStat:
            Metric: {Namespace: AWS/ApplicationELB, MetricName: RequestCount, Dimensions: [{Name: TargetGroup, Value: !GetAtt Green.TargetGroupFullName}, {Name: LoadBalancer, Value: !GetAtt Balancer.LoadBalancerFullName}]}
            Period: 60
            Stat: Sum
  Composite:
    Type: AWS::CloudWatch::CompositeAlarm
    Properties: {AlarmName: !Sub '${AWS::StackName}-all', AlarmRule: !Sub 'ALARM("${Alarm}")'}
Outputs:
  Url: {Value: !GetAtt Balancer.DNSName, Export: {Name: !Sub '${AWS::StackName}-url'}}
  BalancerArn: {Value: !Ref Balancer}
  RuleArn: {Value: !Ref Rule}
  GreenArn: {Value: !Ref Green}
  GreenFullName: {Value: !GetAtt Green.TargetGroupFullName}
  BlueArn: {Value: !Ref Blue}
  ClusterName: {Value: !Ref Cluster}
  ServiceName: {Value: !GetAtt Service.Name}
  AlarmName: {Value: !Ref Alarm}
  CompositeArn: {Value: !GetAtt Composite.Arn}
"""

PROJECT = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Bucket: {Type: String}
  AlarmNames: {Type: CommaDelimitedList, Default: 'one,two'}
Resources:
  Dead: {Type: AWS::SQS::Queue}
  Topic: {Type: AWS::SNS::Topic}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: provided.al2023
      Handler: bootstrap
      CodeUri: {Bucket: !Ref Bucket, Key: probe.zip}
      Timeout: 5
      ReservedConcurrentExecutions: 7
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Dead.Arn}
      Environment: {Variables: {NAMES: !Join [';', !Ref AlarmNames]}}
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        MaximumEventAgeInSeconds: 300
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Dead.Arn}}
      Events:
        Alarms:
          Type: EventBridgeRule
          Properties:
            Pattern: {source: [aws.cloudwatch], detail-type: [CloudWatch Alarm State Change]}
            RetryPolicy: {MaximumRetryAttempts: 5, MaximumEventAgeInSeconds: 900}
            DeadLetterConfig: {Arn: !GetAtt Dead.Arn}
        Sweep:
          Type: ScheduleV2
          Properties: {ScheduleExpression: rate(5 minutes)}
        Topic: {Type: SNS, Properties: {Topic: !Ref Topic}}
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !Ref Function
      Action: lambda:InvokeFunction
      Principal: lambda.alarms.cloudwatch.amazonaws.com
      SourceAccount: !Ref AWS::AccountId
      SourceArn: !Sub 'arn:aws:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*'
Outputs:
  Function: {Value: !Ref Function}
  Dead: {Value: !GetAtt Dead.Arn}
"""


class Stack:
    """A stack that is created, updated and deleted."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.cloudformation = lab.client("cloudformation")
        self.name = name

    def _arguments(self, template: str, parameters: dict[str, str]) -> dict[str, Any]:
        return {
            "StackName": self.name,
            "TemplateBody": template,
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        }

    def create(self, template: str, **parameters: str) -> dict[str, str]:
        """CreateStack; the outputs."""
        self.cloudformation.create_stack(**self._arguments(template, parameters))
        return self._outputs("CREATE_COMPLETE")

    def update(self, template: str, **parameters: str) -> dict[str, str]:
        """UpdateStack; the outputs."""
        self.cloudformation.update_stack(**self._arguments(template, parameters))
        return self._outputs("UPDATE_COMPLETE")

    def delete(self) -> None:
        """DeleteStack, waiting for its end."""
        identifier = self._describe(self.name)["StackId"]
        self.cloudformation.delete_stack(StackName=self.name)
        wait_for(lambda: self._describe(identifier)["StackStatus"] == "DELETE_COMPLETE", what="the deletion")

    def events(self) -> list[dict[str, Any]]:
        """DescribeStackEvents."""
        found: list[dict[str, Any]] = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return found

    def _describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return found

    def _outputs(self, wanted: str) -> dict[str, str]:
        stack = wait_for(
            lambda: (s := self._describe(self.name)) and s["StackStatus"].endswith(TERMINAL) and s,
            what="the end of the stack operation",
        )
        reasons = [event for event in self.events() if event["ResourceStatus"].endswith("FAILED")]
        assert stack["StackStatus"] == wanted, reasons
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def weights_of(lab: Lab, outputs: dict[str, str]) -> tuple[int, int]:
    """The weights of blue and green in the example's rule."""
    action = lab.client("elbv2").describe_rules(RuleArns=[outputs["RuleArn"]])["Rules"][0]["Actions"][0]
    found = weights(action)
    return found[outputs["BlueArn"]], found[outputs["GreenArn"]]


def test_an_example_service_is_created_updated_and_deleted(lab: Lab, unique: str) -> None:
    stack = Stack(lab, unique)
    outputs = stack.create(EXAMPLE)
    elb, ecs = lab.client("elbv2"), lab.client("ecs")
    # The dimension of the metrics that the load balancer publishes.
    assert outputs["GreenFullName"] == outputs["GreenArn"].rsplit(":", 1)[-1]
    rule = elb.describe_rules(RuleArns=[outputs["RuleArn"]])["Rules"][0]
    config = rule["Actions"][0]["ForwardConfig"]
    assert weights_of(lab, outputs) == (900, 100)
    assert config["TargetGroupStickinessConfig"] == {"Enabled": True, "DurationSeconds": 60}

    def states() -> list[str]:
        found = elb.describe_target_health(TargetGroupArn=outputs["BlueArn"])["TargetHealthDescriptions"]
        return [target["TargetHealth"]["State"] for target in found]

    wait_for(lambda: states() == ["healthy"])
    described = ecs.describe_services(cluster=outputs["ClusterName"], services=[outputs["ServiceName"]])["services"][0]
    assert described["healthCheckGracePeriodSeconds"] == 3
    assert described["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert described["loadBalancers"][0]["targetGroupArn"] == outputs["BlueArn"]
    alarm = lab.client("cloudwatch").describe_alarms(AlarmNames=[outputs["AlarmName"]])["MetricAlarms"][0]
    assert [query["Id"] for query in alarm["Metrics"]] == ["rate", "bad", "requests"]
    assert (alarm["DatapointsToAlarm"], alarm["Metrics"][1]["MetricStat"]["Period"]) == (1, 60)
    warnings = [event for event in stack.events() if "WARNING" in event.get("ResourceStatusReason", "")]
    assert [event["ResourceType"] for event in warnings] == ["AWS::Events::Archive"]
    exports = stack.cloudformation.list_exports()["Exports"]
    assert {"Name": f"{unique}-url", "Value": outputs["Url"]}.items() <= next(
        export for export in exports if export["Name"] == f"{unique}-url"
    ).items()

    updated = stack.update(EXAMPLE, Weights="0,999", Image="demo:v2", Scaling="no")
    assert updated["RuleArn"] == outputs["RuleArn"]
    assert weights_of(lab, outputs) == (0, 999)

    def version() -> str:
        service = ecs.describe_services(cluster=outputs["ClusterName"], services=[outputs["ServiceName"]])["services"][0]
        (first, *others) = service["deployments"]
        return first["taskDefinition"] if first["rolloutState"] == "COMPLETED" and not others else ""

    wait_for(lambda: version().endswith(":2"))
    stack.delete()
    wait_for(lambda: not ecs.list_tasks(cluster=outputs["ClusterName"])["taskArns"] if _exists(ecs, outputs) else True)
    assert elb.describe_load_balancers()["LoadBalancers"] == [
        balancer
        for balancer in elb.describe_load_balancers()["LoadBalancers"]
        if balancer["LoadBalancerArn"] != outputs["BalancerArn"]
    ]


def _exists(ecs: Any, outputs: dict[str, str]) -> bool:
    clusters = ecs.describe_clusters(clusters=[outputs["ClusterName"]])["clusters"]
    return bool(clusters) and clusters[0]["status"] == "ACTIVE"


def test_a_refused_resource_fails_the_stack_with_its_reason(lab: Lab, unique: str) -> None:
    balancer = Balancer(lab, unique)
    group = balancer.group()
    actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1000}]}}]
    properties = {"LoadBalancerArn": balancer.arn, "Port": 8081, "Protocol": "HTTP", "DefaultActions": actions}
    resource = {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": properties}
    cloudformation = lab.client("cloudformation")
    cloudformation.create_stack(StackName=unique, TemplateBody=json.dumps({"Resources": {"Listener": resource}}))

    def failed() -> str | None:
        events = cloudformation.describe_stack_events(StackName=unique)["StackEvents"]
        return next((e["ResourceStatusReason"] for e in events if e["ResourceStatus"] == "CREATE_FAILED"), None)

    assert "Weight must be between 0 and 999" in wait_for(failed)


def test_the_project_s_kind_of_functions(lab: Lab, unique: str) -> None:
    bucket = f"{unique}-code"
    s3 = lab.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key="probe.zip", Body=probe_zip())
    stack = Stack(lab, unique)
    outputs = stack.create(PROJECT, Bucket=bucket)
    functions, events = lab.client("lambda"), lab.client("events")
    name = outputs["Function"]
    configuration = functions.get_function_configuration(FunctionName=name)
    assert configuration["DeadLetterConfig"] == {"TargetArn": outputs["Dead"]}
    assert configuration["Environment"]["Variables"]["NAMES"] == "one;two"
    assert functions.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 7
    invoke = functions.get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")
    assert (invoke["MaximumRetryAttempts"], invoke["MaximumEventAgeInSeconds"]) == (1, 300)
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"] == outputs["Dead"]
    policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    principals = {statement["Principal"]["Service"] for statement in policy}
    assert principals == {"lambda.alarms.cloudwatch.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com"}
    rule = next(rule for rule in events.list_rules()["Rules"] if rule["Name"].startswith(unique))
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 5, "MaximumEventAgeInSeconds": 900}
    assert target["DeadLetterConfig"] == {"Arn": outputs["Dead"]}
    schedules = lab.client("scheduler").list_schedules()["Schedules"]
    assert any(schedule["Target"]["Arn"].endswith(f":{name}") for schedule in schedules)
    stack.update(PROJECT.replace("ReservedConcurrentExecutions: 7", "ReservedConcurrentExecutions: 3"), Bucket=bucket)
    assert functions.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 3
    stack.delete()
    assert not [rule for rule in events.list_rules()["Rules"] if rule["Name"].startswith(unique)]


ALARMS = """
Parameters:
  Needed: {Type: String, Default: '1'}
Resources:
  First: &alarm
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: Lab/Stacks
      MetricName: nothing
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanThreshold
  Second: *alarm
  Either:
    Type: AWS::CloudWatch::CompositeAlarm
    Properties: {AlarmRule: !Sub 'AT_LEAST(${Needed}, ALARM, (${First}, ${Second}))'}
  Log:
    Type: AWS::CloudWatch::LogAlarm
    Properties:
      ScheduledQueryConfiguration:
        QueryString: fields @message
        AggregationExpression: count(*)
        LogGroupIdentifiers: [/ecs/app]
        ScheduledQueryRoleARN: !Sub 'arn:aws:iam::${AWS::AccountId}:role/query'
        ScheduleConfiguration: {ScheduleExpression: rate(5 minutes), StartTimeOffset: 300}
      QueryResultsToEvaluate: 3
      QueryResultsToAlarm: 2
      Threshold: 10
      ComparisonOperator: GreaterThanThreshold
Outputs:
  Either: {Value: !GetAtt Either.Arn}
  Log: {Value: !GetAtt Log.Arn}
"""


def test_composite_and_log_alarms_come_from_stacks_too(lab: Lab, unique: str) -> None:
    stack = Stack(lab, unique)
    outputs = stack.create(ALARMS)
    cloudwatch = lab.client("cloudwatch")

    def found() -> dict[str, Any]:
        types = ["CompositeAlarm", "LogAlarm"]
        answer = cloudwatch.describe_alarms(AlarmNamePrefix=unique, AlarmTypes=types)
        return {alarm["AlarmArn"]: alarm for kind in ("CompositeAlarms", "LogAlarms") for alarm in answer[kind]}

    assert set(found()) == {outputs["Either"], outputs["Log"]}
    assert found()[outputs["Log"]]["QueryResultsToAlarm"] == 2
    stack.update(ALARMS, Needed="2")
    assert found()[outputs["Either"]]["AlarmRule"].startswith("AT_LEAST(2, ALARM, (")
    stack.delete()
    assert found() == {}


SECRETS = """
Parameters: {About: {Type: String, Default: a key}}
Resources:
  Key:
    Type: AWS::SecretsManager::Secret
    Properties:
      Description: !Ref About
      GenerateSecretString: {PasswordLength: 64, ExcludePunctuation: true}
Outputs:
  Key: {Value: !Ref Key}
"""


def test_a_reference_to_a_secret_is_its_arn_and_what_is_generated_has_no_punctuation(lab: Lab, unique: str) -> None:
    """CloudFormation's reference of AWS::SecretsManager::Secret, "Return values"."""
    stack = Stack(lab, unique)
    arn = stack.create(SECRETS)["Key"]
    secrets = lab.client("secretsmanager")
    assert arn.startswith("arn:aws:secretsmanager:") and arn == secrets.describe_secret(SecretId=arn)["ARN"]
    key = secrets.get_secret_value(SecretId=arn)["SecretString"]
    assert len(key) == 64 and key.isalnum()
    stack.update(SECRETS, About="another text")
    assert secrets.describe_secret(SecretId=arn)["Description"] == "another text"
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == key
    stack.delete()
    assert all(secret["ARN"] != arn for secret in secrets.list_secrets()["SecretList"])
