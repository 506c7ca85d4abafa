//! The interactive documentation in a browser that reaches nothing but this machine: it shows every operation, asks no other
//! origin, keeps to its policy, and tries operations with a token.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

mod docs_page {
    pub mod browser;
    pub mod webdriver;
}

use docs_page::browser::Browser;
use fittrack_journeys::TestStack;
use fittrack_journeys::patience::until;

/// A desktop's window and a phone's, in CSS pixels.
const WINDOWS: [(u32, u32); 2] = [(1280, 900), (390, 844)];

/// One operation that is tried with what the page fills in.
struct Tried {
    service: &'static str,
    operation: &'static str,
    status: &'static str,
}

async fn works(tried: Tried) {
    let Some(mut browser) = Browser::start().await else { return };
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Reader").await.unwrap();
    let origin = stack.url(tried.service).unwrap();
    for (width, height) in WINDOWS {
        browser.resize(width, height).await;
        browser.open(&format!("{origin}/docs")).await;
        let shown = browser.count_when_there(".opblock").await;
        assert_eq!(shown, operations(&origin).await, "{}: not every operation is shown", tried.service);
        let page = browser.page_width().await;
        assert!(page <= u64::from(width), "{}: {page} pixels wide in a window of {width}", tried.service);
        browser.picture(&format!("{}-{width}", tried.service)).await;
    }

    browser.click(".auth-wrapper .authorize", ".modal-ux input").await;
    browser.fill(".modal-ux input", &athlete.renewed().await.unwrap()).await;
    browser.click(".modal-ux .auth-btn-wrapper .authorize", ".auth-wrapper .authorize.locked").await;
    browser.click(".modal-ux .btn-done", "body:not(:has(.modal-ux))").await;
    let block = format!("[id$='-{}']", tried.operation);
    let within = |part: &str| format!("{block} {part}");
    browser.click(&within(".opblock-summary-control"), &within(".try-out__btn")).await;
    browser.click(&within(".try-out__btn"), &within(".execute")).await;
    browser.click(&within(".execute"), &within(".live-responses-table")).await;
    let status = browser.text(&within(".live-responses-table .response .response-col_status")).await;
    assert!(status.starts_with(tried.status), "{} answered {status}", tried.operation);
    browser.picture(&format!("{}-tried", tried.service)).await;

    let asked = browser.requested().await;
    assert!(asked.iter().any(|url| url.ends_with("/openapi.json")), "no request was noted: {asked:?}");
    for url in asked {
        assert!(url.starts_with(&format!("{origin}/")) || url.starts_with("data:"), "{url} is elsewhere");
    }
    assert_eq!(browser.violations().await, Vec::<String>::new());
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

async fn operations(origin: &str) -> usize {
    let document: serde_json::Value =
        reqwest::get(format!("{origin}/openapi.json")).await.unwrap().json().await.unwrap();
    document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_read_and_tried_on_its_page() {
    works(Tried { service: "query-api", operation: "get_me", status: "200" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_read_and_tried_on_its_page() {
    works(Tried { service: "command-api", operation: "log_workout", status: "202" }).await;
}

/// That the test above would notice: a page under the same policy that does what it forbids.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_forbids_is_noticed() {
    let Some(browser) = Browser::start().await else { return };
    let stack = TestStack::shared().await.unwrap();
    browser.open(&format!("{}/docs", stack.url("query-api").unwrap())).await;
    browser.count_when_there(".opblock").await;
    browser.run("fetch('https://elsewhere.example/').catch(() => {});").await;
    until("the violation is noted", async || {
        let noted = browser.violations().await;
        if noted.iter().any(|one| one.contains("elsewhere.example")) { Ok(()) } else { Err(format!("{noted:?}")) }
    })
    .await
    .unwrap();
}
