//! The page in a real browser: in light and dark, on a telephone, by keyboard. Its pictures stay below `target/`.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::tools::has_no_obstacle;
use super::*;

/// Where programs are, as a shell looks for them.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places: Vec<_> = std::env::split_paths(&path).collect();
    let all = names.iter().flat_map(|name| places.iter().map(move |place| place.join(name)));
    all.into_iter().find(|found| found.is_file())
}

/// A browser and what drives it, until it is dropped.
pub(super) struct Browser {
    pub(super) client: Client,
    _driver: Child,
}

impl Browser {
    /// `None`: the machine has none, which is said.
    pub(super) async fn start(arguments: &[&str]) -> Option<Self> {
        let found = program(&["chromedriver"]).zip(program(&[
            "chromium",
            "chromium-browser",
            "google-chrome",
        ]));
        let Some((driver, browser)) = found else {
            let required =
                std::env::var("GLIDEPATH_BROWSER").is_ok_and(|asked| asked == "required");
            assert!(!required, "there is no browser, and GLIDEPATH_BROWSER asks for one");
            glidepath_lab::say(
                "left out, for want of a browser: page::browser (install the packages chromium and chromium-driver)",
            );
            return None;
        };
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut all =
            vec!["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        all.extend(arguments);
        let options = json!({ "binary": browser, "args": all });
        let wanted = [("goog:chromeOptions".to_owned(), options)].into_iter().collect();
        let mut builder =
            ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(wanted);
        for _ in 0..600 {
            if let Ok(client) = builder.connect(&format!("http://127.0.0.1:{port}")).await {
                return Some(Self { client, _driver: driver });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the browser does not start");
    }

    /// A picture of the whole page, for people.
    pub(super) async fn picture(&self, name: &str) {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
        std::fs::create_dir_all(&directory).unwrap();
        let picture = self.client.screenshot().await.unwrap();
        std::fs::write(directory.join(format!("{name}.png")), picture).unwrap();
    }

    pub(super) async fn evaluate(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Nothing while one page gives way to the next.
    pub(super) async fn text(&self) -> String {
        let script = "return document.body ? document.body.innerText : ''";
        let told = self.client.execute(script, Vec::new()).await.ok();
        told.and_then(|told| told.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// One press of the key of tabulators leads to this element. A page that has just been shown may not take the first
    /// one, which then leaves everything as it was.
    async fn tabs_to(&self, selector: &str) {
        let asked = format!(
            "const now = document.activeElement;
             return now.matches('{selector}') ? 'there' : now === window.left ? 'same' : 'elsewhere'"
        );
        for _ in 0..5 {
            self.evaluate("window.left = document.activeElement").await;
            self.press(Key::Tab).await;
            for _ in 0..30 {
                let found = self.evaluate(&asked).await;
                if found == "there" {
                    return;
                }
                assert_eq!(found, "same", "the focus is not on {selector}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        panic!("the focus does not come to {selector}");
    }

    async fn press(&self, key: Key) {
        let character: char = key.into();
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value: character });
        let keys = keys.then(KeyAction::Up { value: character });
        self.client.perform_actions(keys).await.unwrap();
    }
}

/// Contrast of two colours as browsers write them, by the rule of the Web Content Accessibility Guidelines.
const CONTRAST: &str = "
const light = text => {
  const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
  return 'rgb(255, 255, 255)';
};
const worst = [...document.querySelectorAll('h1,h2,p,li,dt,dd,button,label,pre,a,footer')]
  .filter(element => element.textContent.trim())
  .map(element => {
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
    return [(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), element.outerHTML.slice(0, 80)];
  }).sort((one, other) => one[0] - other[0])[0];
return worst;
";

async fn is_readable(browser: &Browser) {
    let worst = browser.evaluate(CONTRAST).await;
    assert!(worst[0].as_f64().unwrap() >= 4.5, "{worst}");
    let wide = "return document.documentElement.scrollWidth - window.innerWidth";
    assert!(browser.evaluate(wide).await.as_i64().unwrap() <= 0, "it is wider than the screen");
    let unnamed = "return [...document.querySelectorAll('textarea,button,svg[role=img],section')]
        .filter(one => !one.textContent.trim() && !one.ariaLabel && !one.labels?.length
            && !one.getAttribute('aria-labelledby')).length";
    assert_eq!(browser.evaluate(unnamed).await, json!(0));
    let small = "return [...document.querySelectorAll('button')]
        .filter(one => one.getBoundingClientRect().height < 44).length";
    assert_eq!(browser.evaluate(small).await, json!(0));
}

#[test]
fn a_person_reads_the_question_and_answers_it_by_keyboard_on_any_screen() {
    block_on(async {
        let stage = Stage::asking(json!({ "timeout": "1h", "anyoneWithLink": true })).await;
        played(&stage, async {
            let url = asks(&stage, "b-1").await;
            let dark = "--blink-settings=preferredColorScheme=0";
            for (name, size, scheme) in [
                ("light", "--window-size=1200,1600", "--blink-settings=preferredColorScheme=1"),
                ("dark", "--window-size=1200,1600", dark),
                ("telephone", "--window-size=500,1800", dark),
            ] {
                let Some(browser) = Browser::start(&[size, scheme]).await else { return };
                browser.client.goto(&url).await.unwrap();
                browser.picture(name).await;
                is_readable(&browser).await;
                has_no_obstacle(&browser, name).await;
                let prefers = "return matchMedia('(prefers-color-scheme: dark)').matches";
                assert_eq!(browser.evaluate(prefers).await, json!(name != "light"));
                assert!(browser.text().await.contains("It waits for an answer"));
                browser.client.clone().close().await.unwrap();
            }
            let Some(browser) = Browser::start(&["--window-size=500,1800"]).await else { return };
            browser.client.goto(&url).await.unwrap();
            // The reason, then the button that approves.
            browser.tabs_to("#reason").await;
            let field = browser.client.active_element().await.unwrap();
            field.send_keys("the graphs look good").await.unwrap();
            browser.tabs_to("button[value=approve]").await;
            browser.press(Key::Enter).await;
            for _ in 0..300 {
                if browser.text().await.contains("It was approved") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let told = browser.text().await;
            assert!(
                told.contains("It was approved") && told.contains("the graphs look good"),
                "{told}"
            );
            browser.picture("approved").await;
            has_no_obstacle(&browser, "approved").await;
            // Loaded again, nothing is posted again.
            browser.client.refresh().await.unwrap();
            assert!(browser.text().await.contains("It was approved"));
            let root = Person::root();
            stage.runs(&root, &["rollback", "b-1", "--reason", "seen enough"]).await;
            browser.client.refresh().await.unwrap();
            has_no_obstacle(&browser, "over").await;
            browser.client.goto(&url.replace("/b-1/", "/b-2/")).await.unwrap();
            assert!(browser.text().await.contains("This link leads nowhere"));
            has_no_obstacle(&browser, "a link that leads nowhere").await;
            browser.client.clone().close().await.unwrap();
        })
        .await;
    });
}
