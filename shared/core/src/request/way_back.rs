//! The way back as a request, for whoever starts executions without the command line.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ApiVersion, is_line, reason, started_by};
use crate::document::{Decode, Node};
use crate::ids::ServiceLabel;

/// Brings a version back that has served before: everything at once, as soon as its tasks are healthy,
/// and unjudged. Where it runs and what scales and routes it is known from its deployments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WayBackRequest {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// Your name for what is deployed, or the name of the deployment whose version serves.
    pub service: ServiceLabel,
    /// The version to bring back.
    pub release: WayBackRelease,
    /// Who starts it, for those who are told: said, and proven by nobody. Whom AWS has recognised stands
    /// before it; where `glidepath start` cannot have that, it writes the caller's ARN here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 256),
        extend("pattern" = r"^(?=.*\S)[^\u0000-\u001f\u007f-\u009f]*$")
    )]
    pub started_by: Option<String>,
    /// Why, for those who are told; the version that is left is refused from then on, with this reason.
    #[schemars(
        length(min = 1, max = 2000),
        extend("pattern" = r"^(?=.*\S)[^\u0000-\u001f\u007f-\u009f]*$")
    )]
    pub reason: String,
}

impl Decode for WayBackRequest {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let api_version = fields.required("apiVersion");
            let service = fields.required("service");
            let release = fields.required("release");
            let started_by = fields.optional_with("startedBy", started_by);
            let reason = fields.required_with("reason", reason);
            Some(Self {
                api_version: api_version?,
                service: service?,
                release: release?,
                started_by: started_by?,
                reason: reason?,
            })
        })
    }
}

/// The version to bring back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WayBackRelease {
    /// `previous`, or a deployment, a version (`shop:41`) or the tag of an image that has served before.
    #[schemars(
        length(min = 1, max = 256),
        extend("pattern" = r"^(?=.*\S)[^\u0000-\u001f\u007f-\u009f]*$")
    )]
    pub rollback_to: String,
    /// Brings it back whatever its tasks run, also where its tags have been moved since it served or ECR does not
    /// have its images, and asks nothing of it afterwards. Whoever is told hears of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_validation: bool,
}

impl Decode for WayBackRelease {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let rollback_to = fields.required_with("rollbackTo", |node| {
                node.text_like("a version in one line of at most 256 characters", |text| {
                    is_line(text, 256)
                })
            });
            let skip_validation =
                fields.defaulted_with("skipValidation", |node| node.flag(), || false);
            Some(Self { rollback_to: rollback_to?, skip_validation: skip_validation? })
        })
    }
}
