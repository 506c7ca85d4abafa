//! A headless Chromium of a test's own, which notes what it asks for and what its pages may not do.
//! Without one the test is skipped, and says so; in CI it fails.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fittrack_journeys::patience::until;
use fittrack_local::process::find_program;
use serde_json::{Value, json};

use super::webdriver::WebDriver;

/// When a click is taken for lost; far longer than a page takes to show what it makes.
const AGAIN: Duration = Duration::from_secs(10);
/// Notes what the policy of a page forbids, from before its first line on.
const NOTES: &str = "window.violations = []; document.addEventListener('securitypolicyviolation', event => \
                     window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));";

pub struct Browser {
    /// Ends first: what it would be asked for at the end goes with it.
    _chromedriver: Chromedriver,
    driver: WebDriver,
    requested: Vec<String>,
    /// Of its profile, fresh for each; goes when it has gone.
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Nothing, said on stderr, where the machine has no browser.
    pub async fn start() -> Option<Self> {
        let (chromium, chromedriver) = match programs() {
            Ok(programs) => programs,
            Err(reason) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI nothing is skipped: {reason}");
                eprintln!("SKIPPED: {reason}");
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("chromedriver.log");
        let mut chromedriver = Command::new(chromedriver);
        chromedriver.args(["--port=0", "--enable-chrome-logs"]).stdin(Stdio::null());
        chromedriver.stdout(std::fs::File::create(&log).unwrap()).stderr(Stdio::null()).process_group(0);
        let chromedriver = Chromedriver(chromedriver.spawn().unwrap());
        let port = until("chromedriver says its port", async || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let port = said.split_once("successfully on port ").and_then(|(_, rest)| rest.split_once('.'));
            port.and_then(|(port, _)| port.parse::<u16>().ok()).ok_or(said)
        });
        let port = port.await.unwrap();
        let capabilities = capabilities(&chromium, &folder.path().join("profile"));
        let driver = WebDriver::begin(port, capabilities).await.unwrap();
        driver.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": NOTES })).await.unwrap();
        Some(Self { _chromedriver: chromedriver, driver, requested: Vec::new(), _folder: folder })
    }

    pub async fn open(&self, url: &str) {
        self.driver.go_to(url).await.unwrap();
    }

    /// Gives the page a window of this size, in CSS pixels, as a phone would.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.driver.command("Emulation.setDeviceMetricsOverride", size).await.unwrap();
    }

    /// How wide the page is, with what one would have to scroll to.
    pub async fn page_width(&self) -> u64 {
        let script = "return document.documentElement.scrollWidth;";
        self.driver.run(script).await.unwrap().as_u64().unwrap()
    }

    /// How many there are, as soon as there are any.
    pub async fn count_when_there(&self, selector: &str) -> usize {
        self.found(selector).await;
        self.driver.find(selector).await.unwrap().len()
    }

    /// Clicks on one thing until there is another, which the click makes: a page that still moves loses clicks.
    pub async fn click(&self, selector: &str, makes: &str) {
        let what = format!("a click on {selector} makes {makes}");
        let mut clicked: Option<Instant> = None;
        let made = until(&what, async || {
            if self.first(makes).await.is_ok() {
                return Ok(());
            }
            if clicked.is_none_or(|at| at.elapsed() > AGAIN) {
                let element = self.first(selector).await?;
                self.driver.click(&element).await.map_err(|error| error.to_string())?;
                clicked = Some(Instant::now());
            }
            Err("there is none".to_owned())
        });
        made.await.unwrap();
    }

    pub async fn fill(&self, selector: &str, text: &str) {
        self.driver.type_into(&self.found(selector).await, text).await.unwrap();
    }

    /// The text of what is there, as soon as it has some.
    pub async fn text(&self, selector: &str) -> String {
        let what = format!("{selector} says something");
        let text = until(&what, async || {
            let text = self.driver.text(&self.first(selector).await?).await.map_err(|error| error.to_string())?;
            if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text) }
        });
        text.await.unwrap()
    }

    pub async fn run(&self, script: &str) {
        self.driver.run(script).await.unwrap();
    }

    /// Every address its pages have asked for.
    pub async fn requested(&mut self) -> Vec<String> {
        for entry in self.driver.log("performance").await.unwrap() {
            let event: Value = serde_json::from_str(&entry.message).unwrap();
            let (method, sent) = (&event["message"]["method"], &event["message"]["params"]);
            // Its own page, which it begins with, is of `chrome:` and asks for itself.
            let is_its_own = sent["documentURL"].as_str().is_some_and(|url| url.starts_with("chrome:"));
            if method == "Network.requestWillBeSent" && !is_its_own {
                self.requested.push(sent["request"]["url"].as_str().unwrap().to_owned());
            }
        }
        self.requested.clone()
    }

    /// What the page did that its policy forbids.
    pub async fn violations(&self) -> Vec<String> {
        serde_json::from_value(self.driver.run("return window.violations;").await.unwrap()).unwrap()
    }

    /// What the console says in red. In yellow it says what a later Chromium will no longer do, which is not for a test to find.
    pub async fn complaints(&self) -> Vec<String> {
        let said = self.driver.log("browser").await.unwrap();
        let complaints = said.into_iter().filter(|entry| entry.level == "SEVERE");
        complaints.map(|entry| entry.message).collect()
    }

    /// Keeps a picture of the page where `FITTRACK_PICTURES` names a folder.
    pub async fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("FITTRACK_PICTURES") {
            let png = STANDARD.decode(self.driver.screenshot().await.unwrap()).unwrap();
            std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), png).unwrap();
        }
    }

    async fn found(&self, selector: &str) -> String {
        until(&format!("there is {selector}"), async || self.first(selector).await).await.unwrap()
    }

    async fn first(&self, selector: &str) -> Result<String, String> {
        let found = self.driver.find(selector).await.map_err(|error| error.to_string())?;
        found.into_iter().next().ok_or_else(|| format!("there is no {selector}"))
    }
}

struct Chromedriver(Child);

impl Drop for Chromedriver {
    /// Asked to end it usually takes its browser along; what is left of its group is killed.
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let signal = |name: &str| Command::new("kill").args([name, "--", &group]).stderr(Stdio::null()).status();
        if !signal("-TERM").is_ok_and(|status| status.success()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
        // It fails where nothing is left, as it should be.
        let _ = signal("-KILL");
    }
}

/// Chromium and chromedriver, or why there is no using them.
fn programs() -> Result<(PathBuf, PathBuf), String> {
    let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(find_program);
    let (Some(chromium), Some(chromedriver)) = (chromium, find_program("chromedriver")) else {
        return Err("there is no Chromium with chromedriver, which `deploy/fittrack test` offers to install".to_owned());
    };
    let [browser, driver] = [&chromium, &chromedriver].map(|program| version(program));
    if major(&browser).is_none() || major(&browser) != major(&driver) {
        let (at, driver_at) = (chromium.display(), chromedriver.display());
        return Err(format!(
            "{at} is \"{browser}\" and {driver_at} is \"{driver}\": install both of one major version"
        ));
    }
    Ok((chromium, chromedriver))
}

/// What a program says its version is.
fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    said.map_or_else(|error| error.to_string(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// The 156 of `Chromium 156.0.8078.108 built on Debian`.
fn major(version: &str) -> Option<u32> {
    version.split_whitespace().find_map(|word| word.split_once('.')?.0.parse().ok())
}

/// Headless, without a sandbox (which root and most containers cannot have), and deaf to every name but this machine's address.
fn capabilities(chromium: &Path, profile: &Path) -> Value {
    let profile = format!("--user-data-dir={}", profile.display());
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        &profile,
    ];
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": chromium, "args": flags },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    })
}
