//! What is reserved for rollbacks, and what the account has.

use glidepath_core::doctor::{About, Concurrency, Row, concurrency};
use glidepath_engine::ports::PortResult;

use super::context::{Doctor, unchecked};

pub(super) async fn check(doctor: &Doctor) -> Vec<Row> {
    match look(doctor).await {
        Ok(seen) => concurrency(seen).into(),
        Err(error) => {
            let reserved = "other functions cannot starve rollbacks";
            let account = "the account lets the functions run at once";
            [("concurrency.reserved", reserved), ("concurrency.account", account)]
                .map(|(check, assumption)| unchecked(&About::new(check, assumption), &error))
                .into()
        }
    }
}

async fn look(doctor: &Doctor) -> PortResult<Concurrency> {
    let wanted = doctor.connection.stack.parameters.get("RollbackReservedConcurrency");
    let rollback = &doctor.connection.stack.rollback_function;
    let reserved = doctor.instruments.reserved(rollback).await?;
    let account = doctor.instruments.account_concurrency().await?;
    Ok(Concurrency {
        wanted: wanted.and_then(|wanted| wanted.parse().ok()),
        reserved,
        limit: account.limit,
        unreserved: account.unreserved,
    })
}
