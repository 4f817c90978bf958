//! The cookbook's questions, asked of simulated traffic: each answer is the one that is kept beside the test, and the page
//! is made of the very files that were run.
//!
//! With `FAROL_WRITE_DOCS=1` the answers and the page are written instead of compared.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::farol::Farol;
use crate::harness::kafka::free_port;
use crate::harness::{python, root};

/// Two simulated days with what goes wrong in them. The same arguments make the same events.
const TRAFFIC: [&str; 18] = [
    "simulate",
    "--seed",
    "7",
    "--rate",
    "0.35",
    "--start",
    "2026-01-05T00:00:00Z",
    "--duration",
    "2d",
    "--incident",
    "error_burst@10h+1h:service=code-helper",
    "--incident",
    "latency_spike@13h+2h:service=travel-agent",
    "--incident",
    "provider_outage@30h+30m",
    "--incident",
    "quality_drop@34h+3h:service=support-assistant",
    "--quiet",
];

/// A question of the cookbook.
struct Recipe {
    /// The file's name without its ending, such as `01-traffic-by-hour`.
    name: String,
    section: String,
    question: String,
    columns: Vec<String>,
    pitfalls: String,
    query: String,
}

fn folder() -> PathBuf {
    root().join("docs/cookbook")
}

fn recipes() -> Vec<Recipe> {
    let mut files: Vec<_> = fs::read_dir(folder())
        .expect("the cookbook")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "sql"))
        .collect();
    files.sort();
    files.iter().map(|path| recipe(path)).collect()
}

/// Reads a file: `-- [Section] Question?`, then a line for each column, then the pitfalls, then the query.
fn recipe(path: &Path) -> Recipe {
    let name = path
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let text = fs::read_to_string(path).expect("a file of the cookbook");
    let (comments, query): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("--"));
    let comments = comments
        .iter()
        .map(|line| line.trim_start_matches('-').trim())
        .collect::<Vec<_>>()
        .join("\n");
    let parts: Vec<_> = comments.split("\n\n").collect();
    let [title, columns, pitfalls] = parts.as_slice() else {
        panic!(
            "{name}: a question, its columns and its pitfalls, with an empty comment line between them"
        );
    };
    let (section, question) = title
        .strip_prefix('[')
        .and_then(|title| title.split_once("] "))
        .expect("-- [Section] Question?");
    let pitfalls = pitfalls.strip_prefix("Pitfalls: ").expect("-- Pitfalls: …");
    Recipe {
        name,
        section: section.to_owned(),
        question: question.replace('\n', " "),
        columns: columns.lines().map(str::to_owned).collect(),
        pitfalls: pitfalls.replace('\n', " "),
        query: query.join("\n").trim().to_owned(),
    }
}

impl Recipe {
    /// The names of the columns that it explains.
    fn column_names(&self) -> Vec<&str> {
        let names = self.columns.iter().map(|line| {
            let what = line.split_once(": ").expect("column: meaning").0;
            what.split_once(" [").map_or(what, |(name, _)| name)
        });
        names.collect()
    }

    fn number(&self) -> &str {
        self.name.split('-').next().expect("a number")
    }

    fn section_of_page(&self) -> String {
        let mut text = format!(
            "### {}. {}\n\n```sql\n{}\n```\n\n",
            self.number(),
            self.question,
            self.query
        );
        for line in &self.columns {
            let (what, meaning) = line.split_once(": ").expect("column: meaning");
            let (name, unit) = what
                .split_once(" [")
                .map_or((what, String::new()), |(name, unit)| {
                    (name, format!(" ({})", unit.trim_end_matches(']')))
                });
            // Writing to a string cannot fail.
            let _ = writeln!(text, "* `{name}`{unit}: {meaning}");
        }
        let _ = writeln!(text, "\n*Pitfalls.* {}\n", self.pitfalls);
        text
    }
}

const INTRODUCTION: &str = "\
# Cookbook

Questions that analysts, product people and finance ask, each with SQL that answers it. The files are beside this page in
`cookbook/`; run one with `farol sql -f docs/cookbook/05-latency-by-model.sql`, or through any of the ways in. Each is run
over simulated traffic by the tests, and its answer is kept in `tests/pipeline/cookbook/`.

The times in them are those of that traffic (`farol simulate --seed 7 --start 2026-01-05T00:00:00Z`). Of your own data ask, say,
`window_start >= now() - INTERVAL '1 day'`. What columns of tables and views mean is in the [dictionary](dictionary.md).
Three habits keep answers right:

* **Ask measures, not rows, where there is a measure.** `measures('performance', '1 day', 'service')` merges what is kept
  for each minute: it is right at any grain, and does not read the events again.
* **Never average averages, nor add up distinct counts or quantiles.** Ask for the grain that you want.
* **Tokens and cost count where a model is called.** Over `traces`, write `calls_model(operation)`: chains and agents repeat what
  their calls used. And amounts of different currencies are never added: keep `currency` in GROUP BY.
";

fn page(recipes: &[Recipe]) -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut section = "";
    for recipe in recipes {
        if recipe.section != section {
            section = &recipe.section;
            let _ = write!(text, "\n## {section}\n\n");
        }
        text.push_str(&recipe.section_of_page());
    }
    format!("{}\n", text.trim_end())
}

/// Compares, or writes where that is asked for; what differs.
fn held(place: &Path, found: &str) -> Option<String> {
    if std::env::var_os("FAROL_WRITE_DOCS").is_some() {
        fs::write(place, found).expect("it can be written");
    }
    let kept = fs::read_to_string(place).unwrap_or_default();
    if kept == found {
        return None;
    }
    let differs = found
        .lines()
        .zip(kept.lines())
        .find(|(new, old)| new != old);
    Some(match differs {
        Some((new, old)) => format!("{}:\n  now  {new}\n  kept {old}", place.display()),
        None => format!(
            "{}: {} lines now, {} kept",
            place.display(),
            found.lines().count(),
            kept.lines().count()
        ),
    })
}

#[test]
fn the_page_is_made_of_the_files_that_are_run() {
    let recipes = recipes();
    assert!(recipes.len() >= 30, "{} questions", recipes.len());
    let differs = held(&root().join("docs/cookbook.md"), &page(&recipes));
    assert_eq!(differs, None, "write it with FAROL_WRITE_DOCS=1");
}

#[test]
fn every_question_has_its_answer() {
    let farol = Farol::with_config(&format!(
        "kafka: {{embedded: '127.0.0.1:{}'}}\nserver: {{http: '127.0.0.1:0', postgres: '127.0.0.1:0', flight: '127.0.0.1:0'}}\n\
         ingest: {{flush_interval: 200ms, idle_timeout: 2s}}\njobs: {{interval: 100ms}}\n",
        free_port()
    ));
    farol.ok(&TRAFFIC);
    // Rules and their messages are not asked about.
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    let mut differ = Vec::new();
    for recipe in recipes() {
        let answer = farol.ok(&["sql", &recipe.query, "--format", "ndjson"]);
        let first = answer.lines().next().unwrap_or_default();
        assert!(!first.is_empty(), "{}: there are no rows", recipe.name);
        let names = answer_columns(first);
        assert_eq!(
            names,
            recipe.column_names(),
            "{}: what columns mean",
            recipe.name
        );
        let kept = root().join(format!("tests/pipeline/cookbook/{}.ndjson", recipe.name));
        differ.extend(held(&kept, &answer));
    }
    agree_with_the_rows(&farol);
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    ask_through_every_way_in(&farol);
}

/// Asks psql, a driver, Flight SQL and HTTP the same; `tests/cookbook.py` compares their answers with those that are kept.
fn ask_through_every_way_in(farol: &Farol) {
    let (_process, addresses) = farol.up();
    let address = |key: &str| addresses[key].as_str().expect("an address");
    let (host, port) = address("postgres").rsplit_once(':').expect("a port");
    let database = format!("host={host} port={port} dbname=farol user=anybody");
    let asked = Command::new(python())
        .arg(root().join("tests/cookbook.py"))
        .args(["--psql", &database, "--postgres", &database])
        .args(["--flight", &format!("grpc://{}", address("flight"))])
        .args(["--http", &format!("http://{}", address("http"))])
        .arg("--kept")
        .arg(root().join("tests/pipeline/cookbook"))
        .output()
        .expect("python is there");
    let told = String::from_utf8_lossy(&asked.stdout);
    let failed = String::from_utf8_lossy(&asked.stderr);
    let wrong: Vec<_> = told
        .lines()
        .filter(|line| line.contains("\"error\"") || line.contains("\"differs\""))
        .collect();
    assert!(asked.status.success(), "{}{failed}", wrong.join("\n"));
}

/// The names in a row, in their order.
fn answer_columns(row: &str) -> Vec<String> {
    let columns: Columns = serde_json::from_str(row).expect("a row");
    columns.0
}

/// A JSON object's keys, in their order.
struct Columns(Vec<String>);

impl<'de> serde::Deserialize<'de> for Columns {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> serde::de::Visitor<'de> for Keys {
            type Value = Columns;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Columns, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(Columns(keys))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// What measures and views say, counted again over the rows in another way: each query gives the difference, which is 0.
fn agree_with_the_rows(farol: &Farol) {
    for (what, query) in [
        (
            "requests of an hour",
            "SELECT (SELECT sum(requests) FROM measures('performance', '1 hour', 'service')) - (SELECT count(*) FROM traces) AS n",
        ),
        (
            "sessions",
            "SELECT (SELECT count(*) FROM sessions) - (SELECT count(DISTINCT session_id) FROM traces) AS n",
        ),
        (
            "what sessions cost",
            "SELECT CAST((SELECT sum(cost_by_currency['USD']) FROM sessions) - (SELECT sum(cost) FROM traces WHERE currency = 'USD' \
             AND operation IN ('chat', 'embeddings')) AS BIGINT) AS n",
        ),
        (
            "failed traces",
            "SELECT (SELECT count(*) FROM failed_traces) - (SELECT count(DISTINCT trace_id) FROM traces WHERE status <> 'ok') AS n",
        ),
        (
            "spans in trees",
            "SELECT (SELECT count(*) FROM trace_tree) - (SELECT count(*) FROM traces) AS n",
        ),
        (
            "time in trees: of traces without parallel parts, what spans take themselves is what the root took",
            "SELECT CAST(round(abs((SELECT sum(self_ms) FROM trace_tree) - (SELECT sum(latency_ms) FROM traces WHERE \
             parent_span_id IS NULL))) AS BIGINT) AS n",
        ),
        (
            "feedback",
            "SELECT (SELECT count(*) FROM feedback_joined) - (SELECT count(*) FROM feedback) AS n",
        ),
        (
            "turns",
            "SELECT (SELECT count(*) FROM conversations) - (SELECT count(DISTINCT trace_id) FROM traces) AS n",
        ),
        (
            "calls of models",
            "SELECT CAST((SELECT sum(calls) FROM models) AS BIGINT) - (SELECT count(*) FROM traces WHERE operation IN ('chat', \
             'embeddings')) AS n",
        ),
        (
            "what days cost",
            "SELECT count(*) AS n FROM (SELECT (SELECT sum(cost) FROM daily_spend WHERE currency = 'USD') AS told, \
             (SELECT sum(cost) FROM traces WHERE currency = 'USD' AND calls_model(operation)) AS paid) sums \
             WHERE (told IS DISTINCT FROM paid) OR (told IS NULL)",
        ),
        (
            "the month to date of the last of its days",
            "SELECT count(*) AS n FROM (SELECT sum(cost) AS spent, max(month_to_date_cost) AS to_date FROM daily_spend \
             GROUP BY service, environment, provider, model, currency) series WHERE spent IS DISTINCT FROM to_date",
        ),
        (
            "shares of the time of an agent's steps",
            "SELECT count(*) AS n FROM (SELECT sum(time_share) AS whole FROM step_shares \
             GROUP BY day_start, service, environment, agent_name) agents WHERE (whole IS NULL) OR (abs(whole - 1) > 1e-9)",
        ),
        (
            "shares of what an agent's steps cost",
            "SELECT count(*) AS n FROM (SELECT sum(cost_share) AS whole FROM step_shares WHERE cost IS NOT NULL \
             GROUP BY day_start, service, environment, agent_name, currency) agents WHERE abs(whole - 1) > 1e-9",
        ),
        (
            "steps that there are",
            "SELECT CASE WHEN count(*) > 10 THEN 0 ELSE 1 END AS n FROM step_shares WHERE cost IS NOT NULL AND spans > 0",
        ),
    ] {
        assert_eq!(farol.number(query), 0, "{what}");
    }
}
