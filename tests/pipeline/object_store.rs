//! A lake that is not on a local disk: everything ingest, SQL and maintenance do goes through the object store's API.

use std::process::{Command, Stdio};

use crate::harness::events::{ids, keyed_traces};
use crate::harness::farol::{Farol, Totals};
use crate::harness::kafka::RealKafka;
use crate::harness::{Served, python, root, serve};

/// A server that speaks S3.
struct S3(Served);

impl S3 {
    fn start() -> Self {
        Self(serve(
            Command::new(python())
                .arg(root().join("tests/services/s3.py"))
                .stderr(Stdio::null()),
        ))
    }

    /// The lake's part of a configuration.
    fn lake(&self, folder: &str) -> String {
        format!(
            "lake:\n  uri: s3://farol/{folder}\n  storage_options: {{aws_endpoint_url: '{}', aws_region: us-east-1, \
             aws_access_key_id: farol, aws_secret_access_key: farol, aws_allow_http: 'true'}}\n",
            self.0.said
        )
    }
}

#[test]
fn a_lake_on_s3_is_a_lake_like_any_other() {
    let (kafka, s3) = (RealKafka::shared(), S3::start());
    let lake = s3.lake("lake");
    let farol = Farol::new(&kafka.brokers(), &[("s3.traces", "trace", 2)], &lake);
    kafka.create_topic("s3.traces", 2, &[]);
    let sent = ids("s3", 0..300);
    for part in sent.chunks(100) {
        kafka.send("s3.traces", keyed_traces(part));
        let drained = farol.call(&["run", "--roles", "ingest", "--drain"]);
        assert_eq!(drained.code, Some(0), "{}", drained.stderr);
        assert!(!drained.stderr.contains("ERROR"), "{}", drained.stderr);
    }
    assert_eq!(farol.event_ids("traces"), sent);
    assert_eq!(
        farol.totals(),
        Totals {
            read: 300,
            stored: 300,
            ..Totals::default()
        }
    );
    farol.ok(&["lake", "compact"]);
    farol.ok(&["lake", "vacuum"]);
    farol.verify();
    assert_eq!(farol.event_ids("traces"), sent);
    assert!(
        !farol.lake().exists(),
        "nothing of the lake is on the local disk"
    );
}
