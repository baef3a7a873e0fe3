//! Signing in on the page, by the login form of an issuer of authlib's.

use fantoccini::Locator;

use super::browser::Browser;
use super::tools::{Issuer, has_no_obstacle};
use super::*;

const PASSWORD: &str = "correct horse";

/// What a browser would keep of an answer.
fn cookies(answer: &Fetched) -> Vec<String> {
    let set = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let kept = set.filter(|cookie| !cookie.contains("Max-Age=0"));
    kept.map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect()
}

async fn with_cookie(method: &str, url: &str, cookie: &str, form: &str) -> Fetched {
    ask(method, url, &[FORM, ("sec-fetch-site", "same-origin"), ("cookie", cookie)], form).await
}

fn host(url: &str) -> &str {
    url.split("/approve/").next().unwrap()
}

/// Where somebody begins to sign in for a question.
fn begin(url: &str) -> String {
    url.replacen("/approve/", "/sign-in/approve/", 1)
}

/// Somebody begins, and fills in the issuer's form: where it sends them, and what their browser keeps.
async fn returns(url: &str, name: &str) -> (String, String) {
    let begun = ask("GET", &begin(url), &[], "").await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let kept = cookies(&begun).join("; ");
    let form = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
    let sent = ask("POST", begun.header("location").unwrap(), &[FORM], &form).await;
    assert_eq!(sent.status, 302, "{}", sent.body);
    (sent.header("location").unwrap().to_owned(), kept)
}

/// What the browser of somebody keeps who has signed in.
async fn session(url: &str, name: &str) -> String {
    let (back, kept) = returns(url, name).await;
    let signed = with_cookie("GET", &back, &kept, "").await;
    assert_eq!(signed.status, 303, "{}", signed.body);
    assert!(url.ends_with(signed.header("location").unwrap()), "{signed:?}");
    cookies(&signed).join("; ")
}

/// What the forms of a page show.
fn token(page: &str) -> String {
    let (_, from) = page.split_once("name=\"token\" value=\"").unwrap();
    from.split('"').next().unwrap().to_owned()
}

#[test]
fn nobody_is_whom_the_issuer_does_not_name() {
    block_on(async {
        let approvers = json!(["oidc-group:release"]);
        let mut stage = Stage::asking(json!({ "timeout": "1h", "approvers": approvers })).await;
        let mut issuer = Issuer::of(&mut stage.lab).await;
        played(&stage, async {
            let url = asks(&stage, "s-1").await;
            // A link that is only looked at keeps a cookie and changes nothing.
            let page = get(&url).await;
            assert!(
                page.body.contains("Sign in to answer") && !page.body.contains("<form"),
                "{}",
                page.body
            );
            for forged in
                [begin(&url).replace("/2/", "/3/"), format!("{}/sign-in//evil.example", host(&url))]
            {
                assert_eq!(get(&forged).await.status, 404, "{forged}");
            }
            attempts_belong_to_their_browser(&url, &issuer).await;
            neither_strays_nor_latecomers_are_signed_in(&stage, &url).await;
            sessions_belong_to_their_question(&url).await;
            strangers_are_told(&url).await;

            let ada = session(&url, "ada").await;
            let page = with_cookie("GET", &url, &ada, "").await;
            assert!(
                page.body.contains("You have signed in as <strong><bdi>oidc:ada</bdi></strong>"),
                "{}",
                page.body
            );
            let (own, eve) = (token(&page.body), session(&url, "eve").await);
            let approve = |token: &str| format!("decision=approve&token={token}");
            // Another site's, nobody's, and somebody else's form.
            let site = [FORM, ("sec-fetch-site", "cross-site"), ("cookie", ada.as_str())];
            assert_eq!(ask("POST", &url, &site, &approve(&own)).await.status, 403);
            for (cookie, token, status) in
                [(ada.as_str(), "", 403), (&eve, &own, 403), ("", &own, 403), ("a=b", "x", 403)]
            {
                let answer = with_cookie("POST", &url, cookie, &approve(token)).await;
                assert_eq!(answer.status, status, "{cookie} {token}: {}", answer.body);
            }
            let without = with_cookie("POST", &url, &ada, "decision=approve").await;
            assert!(
                without.status == 409 && without.body.contains("a link names nobody"),
                "{}",
                without.body
            );
            let out = with_cookie("POST", &url, &ada, "decision=sign-out").await;
            assert_eq!((out.status, cookies(&out)), (303, Vec::new()));

            let begun = ask("GET", &begin(&url), &[], "").await;
            let state = begun.header("location").unwrap().split("state=").nth(1).unwrap();
            let state = state.split('&').next().unwrap();
            let iss = issuer.url.replace(':', "%3A").replace('/', "%2F");
            let back = format!("{}/signed-in?code=c&state={state}&iss={iss}", host(&url));
            issuer.end().await;
            let told = with_cookie("GET", &back, &cookies(&begun).join("; "), "").await;
            assert!(
                told.status == 503 && told.body.contains("Try again in a while"),
                "{}",
                told.body
            );
            // Who has signed in before answers all the same.
            let answered = with_cookie("POST", &url, &ada, &approve(&own)).await;
            assert_eq!(answered.status, 303, "{}", answered.body);
            let gone = get(&url).await.body;
            assert!(gone.contains("By <bdi>oidc:ada</bdi> at "), "{gone}");
            stage.runs(&Person::root(), &["rollback", "s-1", "--reason", "seen enough"]).await;
        })
        .await;
    });
}

async fn attempts_belong_to_their_browser(url: &str, issuer: &Issuer) {
    let (back, kept) = returns(url, "ada").await;
    let (_, others) = returns(url, "eve").await;
    assert!(
        back.contains("iss=") && !kept.contains("; ") && kept.starts_with("__Host-signing-in-"),
        "{back} {kept}"
    );
    for cookie in ["", &others] {
        let told = with_cookie("GET", &back, cookie, "").await;
        assert!(told.status == 400 && cookies(&told).is_empty(), "{}", told.body);
    }
    for changed in [
        back.replace("iss=", "is="),
        back.replace(
            &issuer.url.replace(':', "%3A").replace('/', "%2F"),
            "https%3A%2F%2Fevil.example",
        ),
        back.replace("state=", "state=x"),
        format!("{back}&code=another"),
        back.replace("code=", "code=x"),
        back.replace("code=", "error=access_denied&x="),
    ] {
        let told = with_cookie("GET", &changed, &kept, "").await;
        assert!(
            matches!(told.status, 400 | 403) && cookies(&told).is_empty(),
            "{changed}: {}",
            told.body
        );
    }
    // Two tabs at once, and each code once.
    let both = format!("{others}; {kept}");
    let signed = with_cookie("GET", &back, &both, "").await;
    assert_eq!((signed.status, cookies(&signed).len()), (303, 1), "{}", signed.body);
    let again = with_cookie("GET", &back, &both, "").await;
    assert!(again.status == 403 && again.body.contains("invalid_grant"), "{}", again.body);
}

/// A token for another client, and a code that has expired before it is brought.
async fn neither_strays_nor_latecomers_are_signed_in(stage: &Stage, url: &str) {
    for (name, why) in [
        ("stray", "Why: the token is not taken: it was made for another client."),
        ("late", "Why: the issuer does not take the code that it has sent: `invalid_grant`."),
    ] {
        let (back, kept) = returns(url, name).await;
        let told = with_cookie("GET", &back, &kept, "").await;
        assert!(told.status == 403 && cookies(&told).is_empty(), "{name}: {}", told.body);
        assert!(
            told.body.contains("You are not signed in") && told.body.contains(why),
            "{name}: {}",
            told.body
        );
        let page = with_cookie("GET", url, &kept, "").await;
        assert!(page.body.contains("Sign in to answer"), "{name}: {}", page.body);
    }
    assert_eq!(written(stage, "PageRole", 0), [] as [&str; 0]);
    assert_eq!(decided(&status(stage, "s-1").await), 0);
}

async fn sessions_belong_to_their_question(url: &str) {
    let kept = session(url, "ada").await;
    let (name, value) = kept.split_once('=').unwrap();
    assert!(name.starts_with("__Host-signed-in-"), "{kept}");
    let (start, end) = value.split_at(value.len() / 2);
    let swapped = if end.starts_with('A') { "B" } else { "A" };
    for cookie in [
        format!("{name}x={value}"),
        format!("{name}={start}"),
        format!("{name}={start}{swapped}{}", &end[1..]),
    ] {
        let page = with_cookie("GET", url, &cookie, "").await;
        assert!(page.body.contains("Sign in to answer"), "{cookie}: {}", page.body);
    }
}

async fn strangers_are_told(url: &str) {
    for (name, says_groups) in [("eve", true), ("nia", false)] {
        let kept = session(url, name).await;
        let page = with_cookie("GET", url, &kept, "").await;
        assert!(
            page.body.contains(&format!("oidc:{name} may not approve stage 2")),
            "{}",
            page.body
        );
        assert_eq!(
            page.body.contains("says nothing of your groups"),
            !says_groups,
            "{}",
            page.body
        );
        assert!(!page.body.contains("value=\"approve\""), "{}", page.body);
        let form = format!("decision=approve&token={}", token(&page.body));
        let refused = with_cookie("POST", url, &kept, &form).await;
        assert_eq!(refused.status, 409, "{}", refused.body);
    }
}

/// Types a name and the password into the issuer's form.
async fn signs_in(browser: &Browser, name: &str) {
    browser.client.find(Locator::Css("a.button")).await.unwrap().click().await.unwrap();
    let field = browser.client.wait().for_element(Locator::Id("name")).await.unwrap();
    field.send_keys(name).await.unwrap();
    let field = browser.client.find(Locator::Css("[type=password]")).await.unwrap();
    field.send_keys(PASSWORD).await.unwrap();
    browser.client.find(Locator::Id("in")).await.unwrap().click().await.unwrap();
    browser.until(&format!("You have signed in as oidc:{name}")).await;
}

async fn press(browser: &Browser, button: &str) {
    let button = format!("button[value={button}]");
    browser.client.find(Locator::Css(&button)).await.unwrap().click().await.unwrap();
}

const TEST: &str = "signing_in::four_eyes_sign_in_by_a_form_and_approve_without_a_script";

#[test]
fn four_eyes_sign_in_by_a_form_and_approve_without_a_script() {
    block_on(async {
        let approval = json!({ "timeout": "1h", "count": 2, "approvers": ["oidc-group:release"] });
        let mut stage = Stage::asking(approval).await;
        let _issuer = Issuer::of(&mut stage.lab).await;
        played(&stage, async {
            let url = asks(&stage, "s-2").await;
            let (wide, narrow) = ("--window-size=1200,1600", "--window-size=500,1800");
            let dark = "--blink-settings=preferredColorScheme=0";
            let Some(ada) = Browser::start(TEST, &[wide]).await else { return };
            ada.shows_chart(&url).await;
            has_no_obstacle(&ada, "before signing in").await;
            // Somebody who changes their mind comes back.
            ada.client.find(Locator::Css("a.button")).await.unwrap().click().await.unwrap();
            let cancel = ada.client.wait().for_element(Locator::Id("cancel")).await.unwrap();
            cancel.click().await.unwrap();
            ada.until("access_denied").await;
            has_no_obstacle(&ada, "not signed in").await;
            ada.client.find(Locator::Css("main a")).await.unwrap().click().await.unwrap();
            ada.until("Sign in to answer").await;
            signs_in(&ada, "ada").await;
            // Neither code nor state stays in the address.
            assert_eq!(ada.client.current_url().await.unwrap().as_str(), url);
            ada.picture("signed-in").await;
            has_no_obstacle(&ada, "signed in").await;
            press(&ada, "approve").await;
            ada.until("Approved by oidc:ada; 1 person more must").await;
            ada.until("You cannot approve it: oidc:ada approved stage 2").await;
            has_no_obstacle(&ada, "has approved").await;

            let Some(eve) = Browser::start(TEST, &[narrow, dark]).await else { return };
            eve.client.goto(&url).await.unwrap();
            signs_in(&eve, "eve").await;
            eve.until("You cannot approve it: oidc:eve may not approve stage 2").await;
            eve.picture("stranger").await;
            has_no_obstacle(&eve, "a stranger").await;
            press(&eve, "sign-out").await;
            eve.until("Sign in to answer").await;
            signs_in(&eve, "bob").await;
            has_no_obstacle(&eve, "signed in, dark and narrow").await;
            press(&eve, "approve").await;
            eve.until("It was approved").await;
            has_no_obstacle(&eve, "approved").await;
            for browser in [ada, eve] {
                browser.client.clone().close().await.unwrap();
            }
            let root = Person::root();
            let half = |status: &serde_json::Value| status["now"]["traffic"][0]["canary"] == 50.0;
            stage.until(&root, "s-2", half).await;
            let told = stage.runs(&root, &["status", "s-2"]).await;
            assert!(told.contains("oidc:bob"), "{told}");
            stage.runs(&root, &["rollback", "s-2", "--reason", "seen enough"]).await;
        })
        .await;
    });
}
