//! The edge of the running services: what is left of an allowance, and where a problem's type leads.

use fittrack_journeys::{Call, TestStack, problem};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_the_allowance_and_every_problem_leads_to_its_page() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Edge").await.unwrap();
    let bad = [
        ("command-api", "write", Call::post("/v1/workouts").json(&json!({"colour": "red"})), 422),
        ("query-api", "read", Call::get("/v1/workouts?colour=red"), 400),
    ];
    for (service, class, call, status) in bad {
        // The first may be the one that makes the token known; the second is counted for its athlete.
        athlete.send(&call).await.unwrap();
        let answer = athlete.send(&call).await.unwrap();
        problem::check(&answer, status).unwrap();
        let told = |name| answer.header(name).unwrap_or_else(|| panic!("no {name}: {answer}"));
        assert!(told("ratelimit-policy").starts_with(&format!("\"{class}\";q=")), "{answer}");
        assert!(told("ratelimit").starts_with(&format!("\"{class}\";r=")), "{answer}");

        let kind = answer.json()["type"].as_str().unwrap().to_owned();
        let path = kind.strip_prefix("https://fittrack.dev").unwrap();
        let page = reqwest::get(format!("{}{path}", stack.url(service).unwrap())).await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        let page: Value = page.json().await.unwrap();
        assert_eq!((&page["type"], &page["status"]), (&json!(kind), &json!(status)));
    }
}
