//! Who somebody is whom AWS, Slack or an issuer names, and who may approve.

mod approvers;
mod identity;
mod person;
mod policy;

pub use approvers::{Approvers, UnfitApprover};
pub use identity::{NamedBy, Naming, is_slack_group, signed_in, signed_in_group, slack_user};
pub use person::{LINK_HOLDER, Person, SAID, people};
pub use policy::{ApprovalPolicy, MOST_PEOPLE};
