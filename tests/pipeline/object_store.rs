//! A lake that is not on a local disk: everything ingest, SQL and maintenance do goes through the object store's API.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::harness::events::{ids, keyed_traces};
use crate::harness::farol::{Farol, Totals};
use crate::harness::kafka::RealKafka;
use crate::harness::{python, root};

/// A server that speaks S3. It ends with this process, however that ends.
struct S3 {
    address: String,
    /// Its standard input is what keeps the server alive.
    _serving: Child,
}

impl S3 {
    fn start() -> Self {
        let mut serving = Command::new(python())
            .arg(root().join("tests/services/s3.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python is there");
        let mut line = String::new();
        let output = serving.stdout.take().expect("it is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it can be read");
        assert!(line.starts_with("http://"), "the server did not start");
        Self {
            address: line.trim().to_owned(),
            _serving: serving,
        }
    }

    /// The lake's part of a configuration.
    fn lake(&self, folder: &str) -> String {
        format!(
            "lake:\n  uri: s3://farol/{folder}\n  storage_options: {{aws_endpoint_url: '{}', aws_region: us-east-1, \
             aws_access_key_id: farol, aws_secret_access_key: farol, aws_allow_http: 'true'}}\n",
            self.address
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
