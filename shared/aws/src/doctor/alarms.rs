//! Alarms that watch nothing and say what they are told.

use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
use aws_sdk_cloudwatch::types::{
    AlarmType, ComparisonOperator, CompositeAlarm, MetricAlarm, StateValue, Statistic,
};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::PortResult;

use super::Instruments;
use crate::error::{incomplete, port_error};

/// What people read who get to see such an alarm.
const DESCRIPTION: &str = "Made by `glidepath doctor` for some seconds; it watches nothing, and \
                           deleting it harms nobody.";

impl Instruments {
    /// Makes an alarm whose metric nobody publishes, so that its state is the one that it was given.
    pub async fn make_alarm(&self, name: &str, action: Option<&str>) -> PortResult<()> {
        let made = self
            .cloudwatch
            .put_metric_alarm()
            .alarm_name(name)
            .alarm_description(DESCRIPTION)
            .set_alarm_actions(action.map(|action| vec![action.to_owned()]))
            .namespace("GlidepathDoctor")
            .metric_name(name)
            .statistic(Statistic::Sum)
            .period(60)
            .evaluation_periods(1)
            .threshold(0.0)
            .comparison_operator(ComparisonOperator::GreaterThanThreshold)
            // Its state stays what it is while there is no data.
            .treat_missing_data("ignore")
            .send();
        made.await.map(|_| ()).map_err(|error| port_error("cloudwatch:PutMetricAlarm", error))
    }

    /// Makes a composite alarm that fires with another one.
    pub async fn make_composite(
        &self,
        name: &str,
        child: &str,
        action: Option<&str>,
    ) -> PortResult<()> {
        let made = self
            .cloudwatch
            .put_composite_alarm()
            .alarm_name(name)
            .alarm_description(DESCRIPTION)
            .alarm_rule(format!("ALARM(\"{child}\")"))
            .set_alarm_actions(action.map(|action| vec![action.to_owned()]))
            .send();
        made.await.map(|_| ()).map_err(|error| port_error("cloudwatch:PutCompositeAlarm", error))
    }

    /// Sets an alarm to ALARM.
    pub async fn fire(&self, name: &str) -> PortResult<()> {
        let set = self
            .cloudwatch
            .set_alarm_state()
            .alarm_name(name)
            .state_value(StateValue::Alarm)
            .state_reason("set by `glidepath doctor`")
            .send();
        set.await.map(|_| ()).map_err(|error| port_error("cloudwatch:SetAlarmState", error))
    }

    /// When the state of a metric alarm changed, by CloudWatch's clock.
    pub async fn fired_at(&self, name: &str) -> PortResult<Timestamp> {
        let call = self.cloudwatch.describe_alarms().alarm_names(name);
        let described = call.alarm_types(AlarmType::MetricAlarm).send().await;
        let described = described.map_err(|error| port_error(DESCRIBE, error))?;
        let alarm = described.metric_alarms().first();
        let at = alarm.and_then(MetricAlarm::state_updated_timestamp);
        let millis = at.and_then(|at| at.to_millis().ok());
        millis
            .map(Timestamp::from_millis)
            .ok_or_else(|| incomplete(DESCRIBE, "StateUpdatedTimestamp"))
    }

    /// The ARNs of all alarms whose name begins so: composite ones first, as they must go first.
    pub async fn alarms_beginning(&self, prefix: &str) -> PortResult<Vec<String>> {
        let mut composite: Vec<String> = Vec::new();
        let mut metric: Vec<String> = Vec::new();
        let mut following = None;
        loop {
            let call = self.cloudwatch.describe_alarms().alarm_name_prefix(prefix);
            let call = call.alarm_types(AlarmType::MetricAlarm);
            let call = call.alarm_types(AlarmType::CompositeAlarm).set_next_token(following);
            let described: DescribeAlarmsOutput =
                call.send().await.map_err(|error| port_error(DESCRIBE, error))?;
            let arns = described.composite_alarms().iter().filter_map(CompositeAlarm::alarm_arn);
            composite.extend(arns.map(str::to_owned));
            let arns = described.metric_alarms().iter().filter_map(MetricAlarm::alarm_arn);
            metric.extend(arns.map(str::to_owned));
            following = described.next_token;
            if following.is_none() {
                break;
            }
        }
        composite.extend(metric);
        Ok(composite)
    }

    /// Deletes an alarm; one that is gone is as good. One at a time: a call takes one composite alarm.
    pub async fn delete_alarm(&self, name: &str) -> PortResult<()> {
        let deleted = self.cloudwatch.delete_alarms().alarm_names(name).send().await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if crate::error::code(&error) == Some("ResourceNotFound") => Ok(()),
            Err(error) => Err(port_error("cloudwatch:DeleteAlarms", error)),
        }
    }
}

const DESCRIBE: &str = "cloudwatch:DescribeAlarms";
