//! Scores.
mod corpus;
use std::path::Path;
use std::io::Write;
use farol_stats::series::windows::{Judged, PROFILES};
use farol_stats::series::*;

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
    if args[1] == "dump" {
        let all = corpus::series(&Path::new(&args[0]).join("data"), "")?;
        let mut out = std::io::BufWriter::new(std::fs::File::create(&args[2]).unwrap());
        for (i, s) in all.iter().enumerate() {
            let mut a = seasonal::SeasonalBaseline::default();
            let mut b = difference::SeasonalDifference::default();
            let mut c = autoregression::Autoregression::default();
            let mut d = neighbours::NearestSubsequences::default();
            let mut e = range::RangeNovelty::default();
            let mut f = shift::LevelShift::default();
            let mut g = shift::VarianceShift::default();
            let mut h = components::SubsequenceComponents::default();
            for (&t, &v) in s.times.iter().zip(&s.values) {
                let r = [a.observe(t, v, false), b.observe(t, v), c.observe(v), d.observe(v), e.observe(v), f.observe(v), g.observe(v), h.observe(v)];
                write!(out, "{i},{t},{v}").unwrap();
                for x in r { write!(out, ",{}", x.unwrap_or(-1.0)).unwrap(); }
                writeln!(out).unwrap();
            }
        }
    }
    Ok(())
}
