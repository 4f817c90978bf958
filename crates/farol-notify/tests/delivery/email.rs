//! E-mail: encrypted or not at all, and in threads.

use farol_notify::Failure;
use serde_json::{Value, json};

use crate::smtp_server::{Manners, SmtpServer};
use crate::support::{Certified, Outcome, Route, certified, message, notification, plan, receiver};

fn email(server: &SmtpServer, certified: &Certified) -> Value {
    json!({
        "email": {
            "host": "localhost", "port": server.address.port(), "username": "farol", "password": "hunter2",
            "from": "Farol <farol@example.org>", "to": ["ops@example.org", "Ana <ana@example.org>"],
        },
        "ca_file": certified.authority,
        "timeout": "5s",
    })
}

fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let line = mail.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {mail}")).trim()
}

#[tokio::test]
async fn a_recovery_refers_to_the_mail_of_its_alert() {
    let certified = certified("localhost");
    let tls = Some(certified.server.clone());
    let server = SmtpServer::start(Manners {
        tls,
        ..Manners::default()
    })
    .await;
    let mut route = Route::new(&plan(&email(&server, &certified), &json!({})));
    route.publish(&message("errors", "shop", "alert"));
    route.pass(60).await;
    route.publish(&message("errors", "shop", "recovered"));
    route.pass(600).await;
    let accepted = |outcome: &Outcome| matches!(outcome, Outcome::Accepted(_));
    assert!(route.outcomes.iter().all(accepted), "{:?}", route.outcomes);
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    let first = header(&mails[0], "Message-ID:");
    assert!(first.ends_with("@example.org>"), "{first}");
    assert_eq!(header(&mails[1], "References:"), first);
    assert_eq!(header(&mails[1], "In-Reply-To:"), first);
    assert_eq!(
        header(&mails[1], "Subject:"),
        "[RESOLVED] errors: service shop"
    );
    assert_eq!(header(&mails[0], "Auto-Submitted:"), "auto-generated");
    assert!(mails[0].contains("ana@example.org"));
    // Nothing but the wish for encryption was said in the clear.
    for said in server.in_the_clear() {
        assert!(said.starts_with("EHLO") || said == "STARTTLS", "{said}");
    }
}

#[tokio::test]
async fn tls_may_begin_at_once() {
    let certified = certified("localhost");
    let tls = Some(certified.server.clone());
    let server = SmtpServer::start(Manners {
        tls,
        implicit: true,
        ..Manners::default()
    })
    .await;
    let mut settings = email(&server, &certified);
    settings["email"]["encryption"] = json!("implicit");
    receiver(&settings)
        .send(&notification(), None, 0)
        .await
        .unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn without_encryption_or_with_a_lie_nothing_is_said() {
    let liar = certified("elsewhere.example");
    let tls = Some(liar.server.clone());
    for manners in [
        Manners::default(),
        Manners {
            tls,
            ..Manners::default()
        },
    ] {
        let server = SmtpServer::start(manners).await;
        let failure = receiver(&email(&server, &liar))
            .send(&notification(), None, 0)
            .await
            .unwrap_err();
        assert!(matches!(failure, Failure::Temporary { .. }), "{failure:?}");
        assert_eq!(server.mails().len(), 0);
        let said = server.in_the_clear().join("\n");
        assert!(!said.contains("AUTH") && !said.contains("MAIL"), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let certified = certified("localhost");
    for (answer, is_temporary) in [("450 later", true), ("550 who?", false)] {
        let tls = Some(certified.server.clone());
        let recipient = Some(answer);
        let server = SmtpServer::start(Manners {
            tls,
            recipient,
            ..Manners::default()
        })
        .await;
        let failure = receiver(&email(&server, &certified))
            .send(&notification(), None, 0)
            .await
            .unwrap_err();
        assert_eq!(
            matches!(failure, Failure::Temporary { .. }),
            is_temporary,
            "{failure:?}"
        );
        assert!(!failure.reason().contains("hunter2"));
    }
}
