//! Webhooks: signed, tried again, bounded, and never sent where they must not go.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farol_notify::receivers::signature;
use farol_notify::{Failure, Settings};
use serde_json::{Value, json};

use crate::http_server::{Answer, HttpServer};
use crate::support::{Outcome, Route, certified, message, notification, plan, receiver};

const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

fn webhook(url: &str) -> Value {
    json!({"webhook": {"url": url, "secret": format!("whsec_{}", STANDARD.encode(KEY))}, "timeout": "2s"})
}

fn reason(failure: &Failure) -> &str {
    failure.reason()
}

#[tokio::test]
async fn the_signature_covers_id_time_and_body() {
    let server = HttpServer::start(vec![Answer::status(204)]).await;
    let notification = notification();
    receiver(&webhook(&server.url()))
        .send(&notification, None, 1_772_359_200_999)
        .await
        .unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.header("webhook-id"), notification.id);
    assert_eq!(request.header("webhook-timestamp"), "1772359200");
    let keys = std::iter::once(KEY.as_slice());
    let expected = signature(keys, &notification.id, 1_772_359_200, &request.body);
    assert_eq!(request.header("webhook-signature"), expected);
    // Another time or another byte, and it does not hold.
    let keys = std::iter::once(KEY.as_slice());
    assert_ne!(
        signature(keys, &notification.id, 1_772_359_201, &request.body),
        expected
    );
    let body = request.json();
    assert_eq!(body["type"], "farol.notification.firing");
    assert_eq!(body["data"]["notification"]["alerts"][0]["rule"], "errors");
    assert_eq!(body["data"]["title"], "[CRITICAL] errors: service shop");
}

#[tokio::test]
async fn two_keys_sign_while_one_follows_the_other() {
    let server = HttpServer::start(vec![Answer::status(200)]).await;
    let mut settings = webhook(&server.url());
    settings["webhook"]["previous_secret"] = json!("fedcba9876543210fedcba9876543210");
    receiver(&settings)
        .send(&notification(), None, 0)
        .await
        .unwrap();
    let requests = server.requests();
    let signed: Vec<&str> = requests[0].header("webhook-signature").split(' ').collect();
    assert_eq!(signed.len(), 2);
    assert!(
        signed.iter().all(|one| one.starts_with("v1,")),
        "{signed:?}"
    );
}

#[tokio::test]
async fn an_error_is_tried_again_with_the_same_id_and_bytes() {
    let answers = [500, 503, 200].map(Answer::status).to_vec();
    let server = HttpServer::start(answers).await;
    let mut route = Route::new(&plan(&webhook(&server.url()), &json!({})));
    route.publish(&message("errors", "shop", "alert"));
    route.pass(600).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|one| one.body == requests[0].body));
    assert!(
        requests
            .iter()
            .all(|one| one.header("webhook-id") == requests[0].header("webhook-id"))
    );
    assert!(matches!(route.outcomes.last(), Some(Outcome::Accepted(_))));
    assert!(route.is_done());
}

#[tokio::test]
async fn the_receivers_word_on_when_to_come_back_is_kept() {
    let mut busy = Answer::status(429);
    busy.headers = vec![("retry-after", "120".to_owned())];
    let server = HttpServer::start(vec![busy, Answer::status(200)]).await;
    let mut route = Route::new(&plan(&webhook(&server.url()), &json!({})));
    route.publish(&message("errors", "shop", "alert"));
    route.pass(30 + 119).await;
    assert_eq!(server.requests().len(), 1);
    route.pass(1).await;
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_costs_the_timeout_and_no_more() {
    let mut never = Answer::status(200);
    never.after = Duration::from_hours(1);
    let mut slow = Answer::status(200);
    slow.after = Duration::from_millis(300);
    let server = HttpServer::start(vec![never, slow]).await;
    let mut settings = webhook(&server.url());
    settings["timeout"] = json!("1s");
    let receiver = receiver(&settings);
    let failure = receiver.send(&notification(), None, 0).await.unwrap_err();
    assert_eq!(reason(&failure), "no answer in time");
    assert!(matches!(failure, Failure::Temporary { .. }));
    receiver.send(&notification(), None, 0).await.unwrap();
}

#[tokio::test]
async fn what_is_refused_or_never_accepted_is_a_dead_letter() {
    let mut unknown = Answer::status(404);
    unknown.body = "no such\n hook: 0123456789abcdef0123456789abcdef".to_owned();
    let server = HttpServer::start(vec![unknown, Answer::status(500)]).await;
    let settings = json!({"webhook": {"url": server.url(), "bearer_token": "0123456789abcdef0123456789abcdef"}});
    let retry = json!({"retry": {"attempts": 4}, "group_by": ["alert_id"]});
    let mut route = Route::new(&plan(&settings, &retry));
    route.publish(&message("errors", "shop", "alert"));
    route.pass(60).await;
    let [Outcome::DeadLetter(reason)] = &route.outcomes[..] else {
        panic!("{:?}", route.outcomes)
    };
    // What the receiver said, without the secret that it repeated.
    assert_eq!(
        reason,
        "refused: the receiver answered 404 Not Found: no such hook: (secret)"
    );
    route.publish(&message("errors", "till", "alert"));
    route.pass(3_600).await;
    let Some(Outcome::DeadLetter(reason)) = route.outcomes.last() else {
        panic!("{:?}", route.outcomes)
    };
    assert!(
        reason.starts_with("given up after 4 attempts: the receiver answered 500"),
        "{reason}"
    );
    assert_eq!(server.requests().len(), 5);
    assert!(route.is_done());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = HttpServer::start(vec![Answer::status(200)]).await;
    let mut moved = Answer::status(307);
    moved.headers = vec![("location", elsewhere.url())];
    let server = HttpServer::start(vec![moved]).await;
    let failure = receiver(&webhook(&server.url()))
        .send(&notification(), None, 0)
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Refused { .. }), "{failure:?}");
    assert!(reason(&failure).contains("redirects are not followed"));
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn a_certificate_that_lies_gets_nothing() {
    let right = certified("localhost");
    let of_another = certified("elsewhere.example");
    let port = |server: &HttpServer| server.address.port();
    let send = async |server: &HttpServer, authority: Option<&std::path::Path>| {
        let mut settings = webhook(&format!("https://localhost:{}/", port(server)));
        settings["ca_file"] = json!(authority);
        receiver(&settings).send(&notification(), None, 0).await
    };
    let good = HttpServer::start_tls(vec![Answer::status(200)], right.server.clone()).await;
    send(&good, Some(&right.authority)).await.unwrap();
    assert_eq!(good.requests().len(), 1);
    // Nobody whom we trust has signed it.
    let unknown = send(&good, None).await.unwrap_err();
    assert!(matches!(unknown, Failure::Temporary { .. }));
    assert!(reason(&unknown).contains("certificate"), "{unknown:?}");
    assert_eq!(good.requests().len(), 1);
    // Signed, but for another name.
    let liar = HttpServer::start_tls(vec![Answer::status(200)], of_another.server.clone()).await;
    let lie = send(&liar, Some(&of_another.authority)).await.unwrap_err();
    assert!(matches!(lie, Failure::Temporary { .. }));
    assert!(reason(&lie).contains("certificate"), "{lie:?}");
    assert_eq!(liar.requests().len(), 0);
}

#[tokio::test]
async fn a_private_target_is_refused_also_behind_a_name() {
    let certified = certified("localhost");
    let server = HttpServer::start_tls(vec![Answer::status(200)], certified.server.clone()).await;
    let settings = json!({"receivers": {"ops": {
        "webhook": {"url": format!("https://localhost:{}/SECRET", server.address.port())},
        "ca_file": certified.authority,
    }}});
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let plan = settings.plan().unwrap();
    let sent = plan.receivers["ops"]
        .receiver
        .send(&notification(), None, 0)
        .await;
    let failure = sent.unwrap_err();
    assert!(matches!(failure, Failure::Refused { .. }), "{failure:?}");
    assert!(
        reason(&failure).contains("localhost is a loopback"),
        "{failure:?}"
    );
    assert!(!reason(&failure).contains("SECRET"));
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_flood_of_ten_thousand_ends_grouped_within_the_rate() {
    let server = HttpServer::start(vec![Answer::status(200)]).await;
    let terms = json!({
        "group_by": ["service"], "max_groups": 10, "rate_limit": {"count": 5, "per": "10m"},
    });
    let mut route = Route::new(&plan(&webhook(&server.url()), &terms));
    for number in 0..10_000 {
        route.publish(&message("errors", &format!("s{number}"), "alert"));
    }
    route.pass(599).await;
    assert_eq!(server.requests().len(), 5);
    route.pass(3_600).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 11);
    let count = |request: &crate::http_server::Request| {
        let counts = &request.json()["data"]["notification"]["counts"];
        counts["new"].as_u64().unwrap()
    };
    assert_eq!(requests.iter().map(count).sum::<u64>(), 10_000);
    assert!(requests.iter().all(|request| request.body.len() < 200_000));
    assert!(route.is_done());
}
