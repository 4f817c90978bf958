//! Rows to Parquet on one thread: Farol's encoder beside the `parquet` crate's own writer, on traces of 25 fields.
//!
//! Events per second of processor time are criterion's throughput; the bytes of an event are printed first.

#[path = "../tests/support/rows.rs"]
#[allow(dead_code)]
mod rows;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use criterion::{Criterion, Throughput};
use farol_events::{Kind, table_schema};
use farol_lake::file::{Layout, Purpose, RowGroupLimits, encode};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

const ROWS: usize = 200_000;
const BATCH_ROWS: usize = 2_048;

fn layout(purpose: Purpose) -> Arc<Layout> {
    let layout = Layout::new(
        &table_schema(Kind::Trace),
        &["event_date".to_owned()],
        purpose,
    );
    Arc::new(layout.expect("the trace table's columns"))
}

fn farol(layout: &Arc<Layout>, batches: &[RecordBatch]) -> usize {
    let encoded = encode(layout, batches.iter().cloned(), RowGroupLimits::default());
    encoded.expect("rows of the table").bytes.len()
}

fn arrow_writer(properties: WriterProperties, batches: &[RecordBatch]) -> usize {
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties))
        .expect("a schema that Parquet holds");
    for batch in batches {
        writer.write(batch).expect("rows of the schema");
    }
    writer.into_inner().expect("a file in memory").len()
}

fn defaults() -> WriterProperties {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("level 1"));
    WriterProperties::builder().set_compression(zstd).build()
}

/// What `rounds` of `work` take of the processor: other programs then do not count. Where the system does not
/// tell, the time on the wall.
fn cpu_time_of(rounds: u64, work: &dyn Fn() -> usize) -> Duration {
    let (cpu, wall) = (cpu_time(), Instant::now());
    for _ in 0..rounds {
        black_box(work());
    }
    match (cpu, cpu_time()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => wall.elapsed(),
    }
}

/// The processor time of this thread so far, as Linux tells it.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

fn main() {
    let mut traces = rows::Traces::new(7);
    let batches: Vec<_> = (0..ROWS)
        .step_by(BATCH_ROWS)
        .map(|begin| traces.batch(BATCH_ROWS.min(ROWS - begin)))
        .collect();
    let (ingest, compacted) = (layout(Purpose::Ingest), layout(Purpose::Compacted));
    let tuned = ingest.properties().as_ref().clone();
    let bytes = |total: usize| total as f64 / ROWS as f64;
    println!(
        "bytes an event: farol {:.1}",
        bytes(farol(&ingest, &batches))
    );
    println!(
        "bytes an event: farol, compacted files {:.1}",
        bytes(farol(&compacted, &batches))
    );
    println!(
        "bytes an event: ArrowWriter, farol's properties {:.1}",
        bytes(arrow_writer(tuned.clone(), &batches))
    );
    println!(
        "bytes an event: ArrowWriter, defaults and zstd 1 {:.1}",
        bytes(arrow_writer(defaults(), &batches))
    );

    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(ROWS as u64));
    let mut bench = |name: &str, work: &dyn Fn() -> usize| {
        group.bench_function(name, |bench| {
            bench.iter_custom(|rounds| cpu_time_of(rounds, work));
        });
    };
    bench("farol", &|| farol(&ingest, &batches));
    bench("farol, compacted files", &|| farol(&compacted, &batches));
    bench("ArrowWriter, farol's properties", &|| {
        arrow_writer(tuned.clone(), &batches)
    });
    bench("ArrowWriter, defaults and zstd 1", &|| {
        arrow_writer(defaults(), &batches)
    });
    group.finish();
    criterion.final_summary();
}
