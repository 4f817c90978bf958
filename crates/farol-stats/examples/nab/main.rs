//! Scores.
mod corpus;
use std::path::Path;
use std::io::Write;
use farol_stats::series::windows::{Judged, PROFILES};
use farol_stats::series::*;

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let windows = corpus::windows(Path::new(&args[0]).join("labels/combined_windows.json").as_path())?;
    let all = corpus::series(&Path::new(&args[0]).join("data"), "")?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(&args[1]).unwrap());
    let mut judged = Judged::default();
    for (i, s) in all.iter().enumerate() {
        let mut e = ensemble::Ensemble::default();
        let mut alarms = Vec::new();
        for (&t, &v) in s.times.iter().zip(&s.values) {
            let x = e.observe(t, Some(v)).ok_or("missing")?;
            writeln!(out, "{i},{t},{v},{},{},{},{}", x.surprise, x.level, x.motion, x.score).unwrap();
            alarms.push(x.alarm.unwrap_or(0.0));
        }
        judged.add(&s.times, &alarms, windows.get(&s.name).ok_or("no windows")?);
    }
    for p in &PROFILES { println!("{} {:?}\n   {:?}", p.name, judged.optimum(p), judged.at(p, 1.5)); }
    Ok(())
}
