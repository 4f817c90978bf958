//! Scores.
mod corpus;
use std::path::Path;
use farol_stats::series::windows::{Judged, PROFILES};

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let windows = corpus::windows(Path::new(&args[0]).join("labels/combined_windows.json").as_path())?;
    if args[1] == "published" {
        for detector in &args[2..] {
            let all = corpus::series(&Path::new(&args[0]).join("results").join(detector), &format!("{detector}_"))?;
            let mut judged = Judged::default();
            for s in &all { judged.add(&s.times, &s.values, windows.get(&s.name).ok_or("no windows")?); }
            for p in &PROFILES { let o = judged.optimum(p).ok_or("no")?; println!("{detector} {} {} {:?}", all.len(), p.name, o); }
        }
    }
    Ok(())
}
