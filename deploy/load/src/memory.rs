//! What the three services need when nobody asks anything of them.
use std::time::Duration;

use fittrack_local::Stack;

use crate::{
    Failure,
    figure::{Bound, Figure},
    measure::resident_megabytes,
};

/// How long the stack is left alone before it is looked at.
const IDLE: Duration = Duration::from_secs(10);

/// Resident memory of each service and of all together.
pub async fn run(stack: &Stack) -> Result<Vec<Figure>, Failure> {
    tokio::time::sleep(IDLE).await;
    let mut figures = Vec::new();
    let mut sum = 0.0;
    for service in ["command-api", "projectors", "query-api"] {
        let megabytes = resident_megabytes(stack.pid(service)?.ok_or("the service does not run")?)?;
        sum += megabytes;
        figures.push(figure(format!("idle memory of {service}"), megabytes, Bound::None));
    }
    figures.push(figure("idle memory of the three services".to_owned(), sum, Bound::AtMost(150.0)));
    Ok(figures)
}

fn figure(name: String, value: f64, bound: Bound) -> Figure {
    Figure { name, value, unit: "MB", baseline: None, bound, cpu_us: None }
}
