//! The metrics by name. Each name with each set of dimensions is a metric that is paid for, so there are few of
//! both, and no name of a deployment is among the dimensions.

/// What a metric's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Seconds,
    Percent,
    /// A number of its own kind.
    None,
}

impl Unit {
    /// As CloudWatch calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Percent => "Percent",
            Self::None => "None",
        }
    }
}

/// What tells one metric of a name from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The name of the stack.
    Stack,
    /// What a request calls its service.
    Service,
    /// The name of the Lambda function, as in AWS's own metrics.
    FunctionName,
}

impl Dimension {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stack => "Stack",
            Self::Service => "Service",
            Self::FunctionName => "FunctionName",
        }
    }
}

/// One name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    CanaryWeight,
    CanaryTraffic,
    CanaryBadRequests,
    StableBadRequests,
    CanarySlowRequests,
    StableSlowRequests,
    Stage,
    Verdict,
    Sweeps,
    OverdueWork,
    UndeliveredNotices,
    AlarmToRoute,
    TransientFailures,
    UnexpectedFailures,
}

impl Metric {
    pub const ALL: [Self; 14] = [
        Self::CanaryWeight,
        Self::CanaryTraffic,
        Self::CanaryBadRequests,
        Self::StableBadRequests,
        Self::CanarySlowRequests,
        Self::StableSlowRequests,
        Self::Stage,
        Self::Verdict,
        Self::Sweeps,
        Self::OverdueWork,
        Self::UndeliveredNotices,
        Self::AlarmToRoute,
        Self::TransientFailures,
        Self::UnexpectedFailures,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::CanaryWeight => "CanaryWeight",
            Self::CanaryTraffic => "CanaryTraffic",
            Self::CanaryBadRequests => "CanaryBadRequests",
            Self::StableBadRequests => "StableBadRequests",
            Self::CanarySlowRequests => "CanarySlowRequests",
            Self::StableSlowRequests => "StableSlowRequests",
            Self::Stage => "Stage",
            Self::Verdict => "Verdict",
            Self::Sweeps => "Sweeps",
            Self::OverdueWork => "OverdueWork",
            Self::UndeliveredNotices => "UndeliveredNotices",
            Self::AlarmToRoute => "AlarmToRoute",
            Self::TransientFailures => "TransientFailures",
            Self::UnexpectedFailures => "UnexpectedFailures",
        }
    }

    pub const fn unit(self) -> Unit {
        match self {
            Self::CanaryWeight
            | Self::CanaryTraffic
            | Self::CanaryBadRequests
            | Self::StableBadRequests
            | Self::CanarySlowRequests
            | Self::StableSlowRequests => Unit::Percent,
            Self::Stage | Self::Verdict => Unit::None,
            Self::Sweeps | Self::TransientFailures | Self::UnexpectedFailures => Unit::Count,
            Self::OverdueWork | Self::UndeliveredNotices | Self::AlarmToRoute => Unit::Seconds,
        }
    }

    /// The sets of dimensions that it is kept by, each a metric of its own.
    pub const fn dimensions(self) -> &'static [&'static [Dimension]] {
        match self {
            Self::CanaryWeight
            | Self::CanaryTraffic
            | Self::CanaryBadRequests
            | Self::StableBadRequests
            | Self::CanarySlowRequests
            | Self::StableSlowRequests
            | Self::Stage
            | Self::Verdict => &[&[Dimension::Stack, Dimension::Service]],
            Self::Sweeps | Self::OverdueWork | Self::UndeliveredNotices | Self::AlarmToRoute => {
                &[&[Dimension::Stack]]
            }
            Self::TransientFailures | Self::UnexpectedFailures => {
                &[&[Dimension::Stack], &[Dimension::Stack, Dimension::FunctionName]]
            }
        }
    }
}
