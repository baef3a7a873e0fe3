//! One service whose releases follow each other.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::Deployment;
use glidepath_engine::testing::example::{version, world};
use glidepath_engine::testing::{Bed, Machine, MemoryRegistry, World};
use serde_json::{Value, json};

use crate::planning::{named, plan, request};

pub(crate) fn release(number: u32) -> Value {
    let mut request = request();
    request["release"]["taskDefinition"] = json!(version(number).as_str());
    request["strategy"] = json!({ "allAtOnce": { "bake": "1m" } });
    request
}

pub(crate) fn back(service: &str, to: &str) -> Value {
    json!({
        "apiVersion": "glidepath/v1",
        "service": service,
        "release": { "rollbackTo": to },
        "reason": "checkout is slow",
    })
}

pub(crate) struct Shop {
    pub(crate) registry: MemoryRegistry,
    pub(crate) world: World,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self { registry: MemoryRegistry::default(), world: world() }
    }

    pub(crate) async fn planned(&self, name: &str, request: Value) -> Result<Machine<'_>, Failure> {
        plan(&self.registry, &self.world, &named(name, request)).await?;
        let bed = Bed::new(&self.registry, &self.world);
        Ok(Machine::after_plan(bed, &DeploymentId::new(name)))
    }

    pub(crate) async fn succeeds(&self, name: &str, request: Value) {
        self.planned(name, request).await.unwrap().run().await.unwrap();
    }

    /// Until its rollback is on the way, for what was caught.
    pub(crate) async fn caught(
        &self,
        name: &str,
        request: Value,
        code: FailureCode,
    ) -> Machine<'_> {
        let mut machine = self.planned(name, request).await.unwrap();
        machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
        machine.step(Some(Failure::new(code, "5xx"))).await;
        machine
    }

    pub(crate) async fn fails(&self, name: &str, request: Value, code: FailureCode) {
        self.caught(name, request, code).await.run().await.unwrap_err();
    }

    pub(crate) fn record(&self, name: &str) -> Deployment {
        self.registry.items().deployments[&DeploymentId::new(name)].clone()
    }
}
