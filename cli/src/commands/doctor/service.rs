//! The routes and metrics of a request's service.

use glidepath_core::doctor::{About, Row, routes, statistics};
use glidepath_core::route::RouteRef;
use glidepath_core::world::FoundRoute;
use glidepath_engine::ports::{Clock, LoadBalancer, PortResult};

use super::context::{Doctor, unchecked};

/// How many answers are compared.
const ANSWERS: u32 = 5;

pub(super) async fn check(doctor: &Doctor) -> Vec<Row> {
    let Some(request) = &doctor.request else { return Vec::new() };
    let mut rows = Vec::new();
    let mut load_balancer = None;
    for route in &request.target.routes {
        match look(doctor, route).await {
            Ok((raw, read)) => {
                rows.push(routes(route, &raw, &read));
                load_balancer = load_balancer.or_else(|| read.iter().find_map(of));
            }
            Err(error) => {
                let name = route.arn().rsplit(['/', ':']).next().unwrap_or_default();
                let assumption = format!("route …/{name} means the same however it is answered");
                rows.push(unchecked(&About::new(format!("route.{name}"), assumption), &error));
            }
        }
    }
    let about = About::new("statistics", "CloudWatch counts slow requests (TC and PR statistics)");
    rows.push(match load_balancer {
        Some(load_balancer) => {
            let now = doctor.connection.ports.ambient.now();
            match doctor.instruments.response_times(&load_balancer, now).await {
                Ok(seen) => statistics(seen),
                Err(error) => unchecked(&about, &error),
            }
        }
        None => about.not_checked(
            "no route tells which load balancer it belongs to",
            "repair the routes first",
        ),
    });
    rows
}

/// Several answers: as they came, and as they were read.
async fn look(
    doctor: &Doctor,
    route: &RouteRef,
) -> PortResult<(Vec<Vec<(String, Option<i32>)>>, Vec<FoundRoute>)> {
    let load_balancers = &doctor.connection.ports.load_balancer;
    let (mut raw, mut read) = (Vec::new(), Vec::new());
    for _ in 0..ANSWERS {
        let found = load_balancers.routes(std::slice::from_ref(route)).await?;
        let there = found.iter().all(|found| match found {
            FoundRoute::Found { .. } => true,
            FoundRoute::DefaultRule | FoundRoute::Missing | FoundRoute::Unsupported(_) => false,
        });
        read.extend(found);
        if !there {
            break;
        }
        raw.push(doctor.instruments.answered_groups(route).await?);
    }
    Ok((raw, read))
}

fn of(route: &FoundRoute) -> Option<String> {
    match route {
        FoundRoute::Found { load_balancer, .. } => Some(load_balancer.clone()),
        FoundRoute::DefaultRule | FoundRoute::Missing | FoundRoute::Unsupported(_) => None,
    }
}
