//! AWS clients of the lab's own, as its root user or as somebody else.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use std::time::Duration;

use crate::local_aws::{REGION, ROOT_KEY};

/// Somebody with credentials.
#[derive(Clone, Debug)]
pub struct Person {
    pub key: String,
    pub secret: String,
    /// Of a session.
    pub token: Option<String>,
}

impl Person {
    /// The account's root user, who may do everything.
    pub fn root() -> Self {
        Self { key: ROOT_KEY.to_owned(), secret: ROOT_KEY.to_owned(), token: None }
    }
}

/// Clients for one endpoint.
#[derive(Clone, Debug)]
pub struct Clients {
    pub autoscaling: aws_sdk_applicationautoscaling::Client,
    pub cloudformation: aws_sdk_cloudformation::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub ecr: aws_sdk_ecr::Client,
    pub ecs: aws_sdk_ecs::Client,
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    pub iam: aws_sdk_iam::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub sfn: aws_sdk_sfn::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub sts: aws_sdk_sts::Client,
}

impl Clients {
    /// For the local AWS at this address.
    pub fn new(endpoint: &str) -> Self {
        Self::of(endpoint, &Person::root())
    }

    /// As this person.
    pub fn of(endpoint: &str, person: &Person) -> Self {
        let Person { key, secret, token } = person;
        let credentials = Credentials::new(key, secret, token.clone(), None, "lab");
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(20))
            .operation_timeout(Duration::from_secs(60))
            .build();
        let config = SdkConfig::builder()
            .behavior_version(aws_sdk_sfn::config::BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            // Plain HTTP: the local AWS is on loopback.
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Self {
            autoscaling: aws_sdk_applicationautoscaling::Client::new(&config),
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            ecr: aws_sdk_ecr::Client::new(&config),
            ecs: aws_sdk_ecs::Client::new(&config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            sfn: aws_sdk_sfn::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
        }
    }
}
