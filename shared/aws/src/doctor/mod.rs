//! The instruments of `glidepath doctor`: alarms, an alias and messages of its own, and looks at what
//! the stack has. Everything that it makes begins with [`PREFIX`], by which it is found again.

mod alarms;
mod functions;
mod permissions;
mod queue;
mod service;

use crate::clients::Clients;
use crate::stack::Stack;
use crate::url::FunctionUrls;

pub use functions::{AccountConcurrency, Answered};

/// How the name of everything begins that doctor makes.
pub const PREFIX: &str = "glidepath-doctor-";

/// Calls on the account of a stack.
#[derive(Debug)]
pub struct Instruments {
    cloudwatch: aws_sdk_cloudwatch::Client,
    functions: aws_sdk_lambda::Client,
    /// For calls that take as long as a function does, and are made once.
    calling: aws_sdk_lambda::Client,
    machines: aws_sdk_sfn::Client,
    queues: aws_sdk_sqs::Client,
    identities: aws_sdk_iam::Client,
    containers: aws_sdk_ecs::Client,
    load_balancers: aws_sdk_elasticloadbalancingv2::Client,
    urls: FunctionUrls,
    stack: Stack,
}

impl Instruments {
    pub fn new(clients: &Clients, stack: Stack) -> Self {
        let reading = clients.reading();
        Self {
            cloudwatch: aws_sdk_cloudwatch::Client::new(reading),
            functions: aws_sdk_lambda::Client::new(reading),
            calling: aws_sdk_lambda::Client::new(clients.asking()),
            machines: aws_sdk_sfn::Client::new(reading),
            queues: aws_sdk_sqs::Client::new(reading),
            identities: aws_sdk_iam::Client::new(reading),
            containers: aws_sdk_ecs::Client::new(reading),
            load_balancers: aws_sdk_elasticloadbalancingv2::Client::new(reading),
            urls: FunctionUrls::new(clients),
            stack,
        }
    }
}
