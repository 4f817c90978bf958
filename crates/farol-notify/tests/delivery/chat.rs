//! Slack, PagerDuty and Teams, as their documentation says they answer.

use serde_json::json;

use crate::http_server::{Answer, HttpServer};
use crate::support::{Route, message, notification, plan, receiver};

#[tokio::test]
async fn a_recovery_goes_into_the_thread_of_its_alert() {
    let mut posted = Answer::status(200);
    posted.body = json!({"ok": true, "channel": "C1", "ts": "1503435956.000247"}).to_string();
    let server = HttpServer::start(vec![posted]).await;
    let api = format!("http://{}/api/", server.address);
    let slack = json!({"slack": {"token": "xoxb-token", "channel": "C1", "api_url": api}});
    let mut route = Route::new(&plan(&slack, &json!({})));
    route.publish(&message("errors", "shop", "alert"));
    route.pass(60).await;
    route.publish(&message("errors", "shop", "recovered"));
    route.pass(600).await;
    route.publish(&message("errors", "shop", "alert"));
    route.pass(600).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].path, "/api/chat.postMessage");
    assert_eq!(requests[0].header("authorization"), "Bearer xoxb-token");
    let [opened, closed, again] = [0, 1, 2].map(|at: usize| requests[at].json());
    assert_eq!(
        (&opened["channel"], &opened["thread_ts"]),
        (&json!("C1"), &json!(null))
    );
    assert_eq!(closed["thread_ts"], "1503435956.000247");
    assert!(
        closed["text"]
            .as_str()
            .unwrap()
            .starts_with("*[RESOLVED] errors")
    );
    // What begins after it is another thread.
    assert_eq!(again["thread_ts"], json!(null));
    assert!(route.is_done());
}

#[tokio::test]
async fn slack_refuses_with_two_hundred() {
    let mut refused = Answer::status(200);
    refused.body = json!({"ok": false, "error": "invalid_auth"}).to_string();
    let server = HttpServer::start(vec![refused]).await;
    let api = format!("http://{}", server.address);
    let slack = json!({"slack": {"token": "xoxb-token", "channel": "C1", "api_url": api}});
    let failure = receiver(&slack)
        .send(&notification(), None, 0)
        .await
        .unwrap_err();
    assert_eq!(failure.reason(), "Slack says invalid_auth");
}

#[tokio::test]
async fn a_recovery_resolves_what_pagerduty_was_told_of() {
    let server = HttpServer::start(vec![Answer::status(202)]).await;
    let pagerduty = json!({"pagerduty": {"routing_key": "key", "url": server.url()}});
    let mut route = Route::new(&plan(&pagerduty, &json!({})));
    route.publish(&message("errors", "shop", "alert"));
    route.pass(60).await;
    route.publish(&message("errors", "till", "alert"));
    route.pass(600).await;
    route.publish(&message("errors", "shop", "recovered"));
    route.pass(600).await;
    route.publish(&message("errors", "till", "recovered"));
    route.pass(600).await;
    let events: Vec<_> = server
        .requests()
        .iter()
        .map(crate::http_server::Request::json)
        .collect();
    let actions: Vec<_> = events
        .iter()
        .map(|event| event["event_action"].as_str().unwrap())
        .collect();
    // While one of the group is open, so is the incident.
    assert_eq!(actions, ["trigger", "trigger", "trigger", "resolve"]);
    assert!(
        events
            .iter()
            .all(|event| event["dedup_key"] == "errors/shop")
    );
    assert!(events.iter().all(|event| event["routing_key"] == "key"));
}

#[tokio::test]
async fn an_acknowledged_alert_is_acknowledged() {
    let server = HttpServer::start(vec![Answer::status(202)]).await;
    let pagerduty = json!({"pagerduty": {"routing_key": "key", "url": server.url()}});
    let mut route = Route::new(&plan(&pagerduty, &json!({})));
    route.publish(&message("errors", "shop", "alert"));
    route.pass(60).await;
    let mut acknowledged = message("errors", "shop", "alert");
    acknowledged["payload"]["acknowledged"] = json!({"by": "ana", "comment": null});
    acknowledged["action_id"] = json!("another");
    route.publish(&acknowledged);
    route.pass(600).await;
    assert_eq!(server.requests()[1].json()["event_action"], "acknowledge");
}

#[tokio::test]
async fn teams_gets_a_card() {
    let server = HttpServer::start(vec![Answer::status(202)]).await;
    let teams = json!({"teams": {"webhook_url": server.url()}});
    receiver(&teams)
        .send(&notification(), None, 0)
        .await
        .unwrap();
    let card = server.requests()[0].json();
    let attachment = &card["attachments"][0];
    assert_eq!(
        attachment["contentType"],
        "application/vnd.microsoft.card.adaptive"
    );
    assert_eq!(
        attachment["content"]["body"][0]["text"],
        "[CRITICAL] errors: service shop"
    );
}
