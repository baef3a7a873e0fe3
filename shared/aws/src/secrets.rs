//! Secrets of the account, read as they are now. Whoever keeps one says for how long.

use aws_sdk_secretsmanager::Client;
use glidepath_engine::ports::PortResult;

use crate::error::port_error;

/// The call, as IAM names it.
pub(crate) const READ: &str = "secretsmanager:GetSecretValue";

/// The text that a secret holds; `None`: it holds something else.
pub(crate) async fn text(secrets: &Client, arn: &str) -> PortResult<Option<String>> {
    let read = secrets.get_secret_value().secret_id(arn).send().await;
    Ok(read.map_err(|error| port_error(READ, error))?.secret_string)
}
