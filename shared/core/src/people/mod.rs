//! Who somebody is whom AWS names by an ARN, and who may approve.

mod approvers;
mod identity;
mod person;
mod policy;

pub use approvers::{Approvers, UnfitApprover};
pub use identity::Naming;
pub use person::{LINK_HOLDER, Person, people};
pub use policy::{ApprovalPolicy, MOST_PEOPLE};
