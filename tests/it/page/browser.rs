//! The page in a real browser: in light and dark, on a telephone, by keyboard. Its pictures stay below `target/`.

mod packages;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
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

/// What is said of a test that is left out; where a browser is asked for, none is.
fn left_out(test: &str, asked: &str) -> String {
    assert!(asked != "required", "there is no browser, and GLIDEPATH_BROWSER asks for one");
    format!(
        "left out, for want of a browser: page::{test} (install the packages chromium and chromium-driver)"
    )
}

#[test]
fn a_test_without_a_browser_is_named_and_where_one_is_required_it_fails() {
    let said = left_out(TEST, "");
    assert!(said.contains(&format!(": page::{TEST} (")), "{said}");
    assert!(said.contains("chromium and chromium-driver"), "{said}");
    let refused = std::panic::catch_unwind(|| left_out(TEST, "required"));
    assert!(refused.is_err(), "{refused:?}");
}

/// A browser and what drives it, until it is dropped.
pub(super) struct Browser {
    pub(super) client: Client,
    _driver: Child,
}

impl Browser {
    /// For this test; `None`: the machine has none, which is said.
    pub(super) async fn start(test: &str, arguments: &[&str]) -> Option<Self> {
        Self::set_up(test, arguments, json!({})).await
    }

    /// The same with these of Chrome's options.
    async fn set_up(test: &str, arguments: &[&str], mut options: Value) -> Option<Self> {
        let found = program(&["chromedriver"]).zip(program(&[
            "chromium",
            "chromium-browser",
            "google-chrome",
        ]));
        let found = match found {
            None => packages::programs().await,
            found => found,
        };
        let Some((driver, browser)) = found else {
            let asked = std::env::var("GLIDEPATH_BROWSER").unwrap_or_default();
            glidepath_lab::say(left_out(test, &asked));
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
        (options["binary"], options["args"]) = (json!(browser), json!(all));
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

    /// Shows a question with its chart: what looks at a page without one proves little. No look waits long for its counts
    /// to be kept, so that the chart may come with the next one.
    pub(super) async fn shows_chart(&self, url: &str) {
        for _ in 0..300 {
            self.client.goto(url).await.unwrap();
            if self.client.find(Locator::Css("figure svg")).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("no chart in {}", self.text().await);
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

    /// Waits until the page says so.
    pub(super) async fn until(&self, wanted: &str) {
        for _ in 0..300 {
            if self.text().await.contains(wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("no `{wanted}` in {}", self.text().await);
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

const TEST: &str = "browser::a_person_reads_the_question_and_answers_it_by_keyboard_on_any_screen_and_without_scripts";

#[test]
fn a_person_reads_the_question_and_answers_it_by_keyboard_on_any_screen_and_without_scripts() {
    block_on(async {
        let approval = json!({ "timeout": "2h", "notBefore": "1h", "anyoneWithLink": true });
        let stage = Stage::asking(approval).await;
        played(&stage, async {
            let url = asks(&stage, "b-1").await;
            let Some(()) = is_read(&url).await else { return };
            let Some(()) = is_answered_by_keyboard(&url).await else { return };
            let url = asks_again(
                &stage,
                "b-2",
                "b-1",
                json!({ "timeout": "1h", "anyoneWithLink": true }),
            );
            let url = url.await;
            let Some(()) = is_approved_without_scripts(&url).await else { return };
            let root = Person::root();
            stage.runs(&root, &["rollback", "b-2", "--reason", "seen enough"]).await;
            let Some(browser) = Browser::start(TEST, &[WIDE]).await else { return };
            browser.client.goto(&url).await.unwrap();
            has_no_obstacle(&browser, "over").await;
            browser.client.goto(&url.replace("/b-2/", "/b-3/")).await.unwrap();
            assert!(browser.text().await.contains("This link leads nowhere"));
            has_no_obstacle(&browser, "a link that leads nowhere").await;
            browser.client.clone().close().await.unwrap();
        })
        .await;
    });
}

const WIDE: &str = "--window-size=1200,1600";
const LIGHT: &str = "--blink-settings=preferredColorScheme=1";
const DARK: &str = "--blink-settings=preferredColorScheme=0";

/// A telephone of today, held upright.
fn telephone() -> Value {
    let metrics = json!({ "width": 360, "height": 740, "pixelRatio": 3.0, "touch": true });
    json!({ "mobileEmulation": { "deviceMetrics": metrics } })
}

async fn is_read(url: &str) -> Option<()> {
    for (name, arguments, options) in [
        ("light", [WIDE, LIGHT], json!({})),
        ("dark", [WIDE, DARK], json!({})),
        ("narrow", ["--window-size=500,1800", DARK], json!({})),
        ("telephone", [WIDE, DARK], telephone()),
    ] {
        let browser = Browser::set_up(TEST, &arguments, options).await?;
        browser.shows_chart(url).await;
        browser.picture(name).await;
        is_readable(&browser).await;
        has_no_obstacle(&browser, name).await;
        let prefers = "return matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(browser.evaluate(prefers).await, json!(name != "light"));
        if name == "telephone" {
            let size = "return [window.innerWidth, window.innerHeight]";
            assert_eq!(browser.evaluate(size).await, json!([360, 740]));
        }
        assert!(browser.text().await.contains("It waits for an answer"));
        browser.client.clone().close().await.unwrap();
    }
    Some(())
}

/// Approved on a wide screen, and on a second thought refused on a telephone.
async fn is_answered_by_keyboard(url: &str) -> Option<()> {
    let browser = Browser::start(TEST, &["--window-size=500,1800"]).await?;
    browser.client.goto(url).await.unwrap();
    // The reason, then the button that approves.
    says_why(&browser, "the graphs look good").await;
    browser.tabs_to("button[value=approve]").await;
    browser.press(Key::Enter).await;
    browser.until("It was approved").await;
    let told = browser.text().await;
    assert!(told.contains("the graphs look good") && told.contains("at the earliest"), "{told}");
    browser.picture("approved").await;
    has_no_obstacle(&browser, "approved").await;
    // Loaded again, nothing is posted again.
    browser.client.refresh().await.unwrap();
    assert!(browser.text().await.contains("It was approved"));
    browser.client.clone().close().await.unwrap();

    let browser = Browser::set_up(TEST, &[DARK], telephone()).await?;
    browser.client.goto(url).await.unwrap();
    is_readable(&browser).await;
    says_why(&browser, "on second thought").await;
    browser.tabs_to("button[value=reject]").await;
    browser.press(Key::Enter).await;
    browser.until("It was refused").await;
    let told = browser.text().await;
    assert!(told.contains("on second thought") && !told.contains("Approve"), "{told}");
    browser.picture("refused").await;
    has_no_obstacle(&browser, "refused").await;
    browser.client.clone().close().await.unwrap();
    Some(())
}

async fn says_why(browser: &Browser, why: &str) {
    browser.tabs_to("#reason").await;
    browser.client.active_element().await.unwrap().send_keys(why).await.unwrap();
}

/// Whoever has switched scripts off, as some do everywhere, misses nothing.
async fn is_approved_without_scripts(url: &str) -> Option<()> {
    // A preference would do nothing in the packages' browser.
    let off = "--blink-settings=scriptEnabled=false";
    let browser = Browser::start(TEST, &[WIDE, off]).await?;
    let scripted = "data:text/html,<p>none</p><script>document.body.innerHTML='one'</script>";
    browser.client.goto(scripted).await.unwrap();
    let source = browser.client.source().await.unwrap();
    assert!(source.contains("<p>none</p>"), "scripts run: {source}");
    browser.client.goto(url).await.unwrap();
    let field = browser.client.find(Locator::Id("reason")).await.unwrap();
    field.send_keys("without a script").await.unwrap();
    let button = browser.client.find(Locator::Css("button[value=approve]")).await.unwrap();
    button.click().await.unwrap();
    browser.client.wait().for_element(Locator::Css("time")).await.unwrap();
    let mut source = String::new();
    for _ in 0..100 {
        source = browser.client.source().await.unwrap();
        if source.contains("It was approved") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(source.contains("It was approved") && source.contains("without a script"), "{source}");
    browser.client.clone().close().await.unwrap();
    Some(())
}
