//! The layers, the defaults and the errors of the configuration.

use super::*;

fn parse(text: &str) -> Result<(Config, Vec<String>), String> {
    parse_with(text, &[], &[])
}

fn parse_with(
    text: &str,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Result<(Config, Vec<String>), String> {
    let sources = Sources {
        file: None,
        environment: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        arguments: arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect(),
    };
    read(text, Path::new("."), &sources)
        .map_err(|error| error.in_file("farol.yaml", text).to_string())
}

#[test]
fn the_example_holds_exactly_the_defaults() {
    let example = include_str!("../../../../farol.example.yaml");
    let (config, _) = parse(example).unwrap();
    assert_eq!(config, Config::default());
    let (config, not_in_effect) = parse("").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(not_in_effect, Vec::<String>::new());
}

#[test]
fn the_example_names_every_key() {
    let tree = Node::parse_file(include_str!("../../../../farol.example.yaml")).unwrap();
    // `Debug` of the defaults lists every field; each must be a key somewhere in the example.
    let mut keys = std::collections::BTreeSet::new();
    collect_keys(&tree, &mut keys);
    let printed = format!("{:#?}", Config::default());
    for line in printed.lines() {
        if let Some((field, _)) = line
            .trim()
            .split_once(':')
            .filter(|(field, _)| is_identifier(field))
        {
            assert!(
                keys.contains(field),
                "farol.example.yaml does not have `{field}`"
            );
        }
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

fn collect_keys(node: &Node, keys: &mut std::collections::BTreeSet<String>) {
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                keys.insert(key.name.clone());
                collect_keys(value, keys);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        Value::Null | Value::Scalar(_) => {}
    }
}

#[test]
fn later_layers_cover_earlier_ones() {
    let text = "kafka: {brokers: 'file:9092', group: one}\ningest: {flush_interval: 5s}\n";
    let (config, _) = parse_with(
        text,
        &[
            ("FAROL__KAFKA__BROKERS", "environment:9092"),
            ("FAROL__INGEST__MEMORY", "1GiB"),
            ("FAROL__SERVER__HTTP", "null"),
            ("FAROL__KAFKA__PROPERTIES__SASL_PASSWORD", "a: [b"),
            ("FAROL_FAILPOINT", "not ours"),
        ],
        &[
            "kafka.brokers=argument:9092",
            "kafka.properties.security.protocol=SSL",
            "ingest.dedup.horizon=1m",
        ],
    )
    .unwrap();
    assert_eq!(config.kafka.brokers.as_deref(), Some("argument:9092"));
    assert_eq!(config.kafka.group, "one");
    assert_eq!(config.ingest.flush_interval.to_string(), "5s");
    assert_eq!(config.ingest.memory, ByteSize(1 << 30));
    assert_eq!(config.ingest.dedup.horizon.to_string(), "1m");
    assert_eq!(config.server.http, None);
    assert_eq!(config.kafka.properties["sasl.password"], "a: [b");
    assert_eq!(config.kafka.properties["security.protocol"], "SSL");
}

#[test]
fn a_list_is_given_whole_or_item_by_item() {
    let (config, _) = parse_with("", &[], &["topics=[{name: t, kind: cost}]"]).unwrap();
    assert_eq!(config.topics.len(), 1);
    assert_eq!(config.topics[0].partitions, 1);
    let (config, _) = parse_with(
        "topics: [{name: t, kind: cost}]",
        &[],
        &["topics.0.partitions=8"],
    )
    .unwrap();
    assert_eq!(config.topics[0].partitions, 8);
    let error = parse_with("", &[], &["topics.0.partitions=8"]).unwrap_err();
    assert_eq!(
        error,
        "--set topics.0.partitions: there is nothing below which `0` could be set"
    );
}

#[test]
fn numbers_keep_their_text_where_text_is_asked() {
    let text = "kafka: {properties: {sasl.username: 0123, a: 1.10, b: true, c: 1e3}}";
    let (config, _) = parse(text).unwrap();
    let values: Vec<&str> = config
        .kafka
        .properties
        .values()
        .map(String::as_str)
        .collect();
    assert_eq!(values, ["1.10", "true", "1e3", "0123"]);
}

#[test]
fn mistakes_name_their_place() {
    for (text, expected) in [
        (
            "ingest:\n  flush_intervall: 2s\n",
            "farol.yaml:2:3: unknown key `flush_intervall`",
        ),
        ("nonsense: 1\n", "farol.yaml:1:1: unknown key `nonsense`"),
        (
            "ingest: {memory: much}\n",
            "farol.yaml:1:18: `much` is not a size",
        ),
        (
            "ingest:\n  idle_timeout: 10\n",
            "farol.yaml:2:17: `10` is not a duration",
        ),
        (
            "topics:\n  - {name: t, kind: tracer}\n",
            "farol.yaml:2:21: `tracer` is not one of",
        ),
        (
            "topics:\n  - {name: t}\n",
            "farol.yaml:2:5: `kind` is missing",
        ),
        (
            "topics: [{name: t, kind: cost, partitions: lots}]\n",
            "farol.yaml:1:44: expected a whole number (i32), found `lots`",
        ),
        (
            "kafka: [1]\n",
            "farol.yaml:1:8: expected a section with keys of its own, found a list",
        ),
        (
            "server: {http: nowhere}\n",
            "farol.yaml:1:16: invalid socket address syntax",
        ),
        (
            "kafka: {group: '${FAROL_TEST_UNSET}'}\n",
            "farol.yaml:1:16: environment variable FAROL_TEST_UNSET is not set",
        ),
        ("lake: {uri: a}\nlake: {uri: b}\n", "farol.yaml:2:1: "),
        ("lake: {uri: a\n", "farol.yaml:"),
        (
            "topics: [{name: t, kind: cost}, {name: t, kind: cost}]\n",
            "topics: `t` is listed twice",
        ),
        (
            "ingest: {memory: 0}\n",
            "ingest.memory must be more than nothing",
        ),
        (
            "jobs: {tags: [team, team]}\n",
            "farol.yaml:1:14: tag `team` is there twice",
        ),
        (
            "jobs:\n  tags: [Cost Centre]\n",
            "farol.yaml:2:9: tag `Cost Centre` cannot be a column",
        ),
    ] {
        let error = parse(text).expect_err(text);
        assert!(
            error.starts_with(expected),
            "{text:?} gave {error:?}, not {expected:?}"
        );
    }
}

#[test]
fn mistakes_outside_the_file_name_their_place_too() {
    let error = parse_with("", &[("FAROL__INGEST__FLUSH", "2s")], &[]).unwrap_err();
    assert_eq!(
        error,
        "environment variable FAROL__INGEST__FLUSH: unknown key `flush`"
    );
    let error = parse_with("", &[], &["ingest.memory=lots"]).unwrap_err();
    assert!(
        error.starts_with("--set ingest.memory: `lots` is not a size"),
        "{error}"
    );
    let error = parse_with("", &[], &["ingest.memory"]).unwrap_err();
    assert_eq!(error, "--set ingest.memory: expected KEY=VALUE");
}

#[test]
fn what_is_set_without_effect_is_named() {
    let text = "pipelines: {dir: mine}\nserver: {postgres: null, flight: '127.0.0.1:1'}\nretention: {text: 7d}\n\
                topics: [{name: a, kind: otlp_spans, format: otlp_proto}, {name: b, kind: trace, format: avro}]\n";
    let (_, not_in_effect) = parse(text).unwrap();
    assert_eq!(
        not_in_effect,
        [
            "retention.text",
            "topic a (kind otlp_spans is not read yet)",
            "topic b (format avro is not read yet)"
        ]
    );
}

#[test]
fn the_lake_is_not_opened_to_others_by_accident() {
    for text in [
        "server: {postgres: '0.0.0.0:5480'}",
        "server: {flight: '[::]:5481'}",
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains("server.tokens_file"), "{error}");
    }
    parse("server: {postgres: '0.0.0.0:5480', flight: '[::]:5481', tokens_file: tokens}").unwrap();
    // Health and metrics may be asked from elsewhere; SQL over HTTP is then refused by the server.
    parse("server: {http: '0.0.0.0:8480'}").unwrap();
    for text in [
        "server: {tls: {certificate: a.pem}}",
        "server: {query: {timeout: 0s}}",
        "server: {query: {max_concurrent: 0}}",
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with("server."), "{error}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let (config, _) = parse("kafka: {properties: {sasl.password: hunter2}}").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_time_zone_is_one_of_the_database() {
    let (config, _) = parse("jobs: {time_zone: Europe/London}").unwrap();
    assert_eq!(config.jobs.time_zone.to_string(), "Europe/London");
    let error = parse("jobs:\n  time_zone: Europe/Londn\n").unwrap_err();
    assert!(
        error.contains(":2:") && error.contains("did you mean `Europe/London`?"),
        "{error}"
    );
}
