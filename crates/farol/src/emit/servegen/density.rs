//! How a count or a ratio is distributed, as a `chunk-N-dataset.json` says it.

use std::{collections::BTreeMap, path::Path};

use crate::emit::error::EmitError;

/// A discrete distribution: values in ascending order, each with the probability up to it.
#[derive(Debug, PartialEq)]
pub struct Density {
    steps: Vec<(f64, f64)>,
    total: f64,
}

impl Density {
    /// Reads the form the files use, a Python dictionary in a string: `{9: 0.25, 163: 0.75}`.
    /// `None` where it is empty, which means that nothing is known for the time.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let inner = text
            .trim()
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let inner = inner.ok_or("expected a density like {9: 0.25, 163: 0.75}")?;
        let mut pairs = Vec::new();
        for pair in inner
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let (value, weight) = pair
                .split_once(':')
                .ok_or_else(|| format!("'{pair}' is no value and probability"))?;
            let number = |text: &str| match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
                _ => Err(format!("'{pair}' is no value and probability")),
            };
            pairs.push((number(value)?, number(weight)?));
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut total = 0.0;
        for (_, weight) in &mut pairs {
            total += *weight;
            *weight = total;
        }
        Ok((total > 0.0).then_some(Self {
            steps: pairs,
            total,
        }))
    }

    /// The `rank`-th of `count` values that are spread over the distribution evenly: its quantile
    /// at (rank + ½) / count.
    pub fn value(&self, rank: u64, count: u64) -> f64 {
        let target = (rank as f64 + 0.5) / count as f64 * self.total;
        let at = self
            .steps
            .partition_point(|(_, cumulative)| *cumulative < target);
        self.steps[at.min(self.steps.len() - 1)].0
    }

    /// The same, as a whole number.
    pub fn count(&self, rank: u64, count: u64) -> u64 {
        self.value(rank, count) as u64
    }
}

/// Every density of one client over one period of 6 h.
#[derive(Debug, Default)]
pub struct Densities {
    /// Tokens of the prompt.
    pub input_tokens: Option<Density>,
    /// Tokens of the prompt's text, where there are media.
    pub text_tokens: Option<Density>,
    /// Tokens generated.
    pub output_tokens: Option<Density>,
    /// The share of generated tokens that was reasoning.
    pub reason_ratio: Option<Density>,
    /// How many images a request has, and tokens of each.
    pub image: Option<(Density, Density)>,
    /// How many pieces of audio a request has, and tokens of each.
    pub audio: Option<(Density, Density)>,
    /// How many videos a request has, and tokens of each.
    pub video: Option<(Density, Density)>,
}

type Periods = BTreeMap<String, BTreeMap<String, String>>;

impl Densities {
    /// Reads the period that holds second `at_s` of the trace: the last one that starts at or
    /// before it. Only that one is kept. With it comes the second until which it holds.
    pub fn load(file: &Path, at_s: u64) -> Result<(Self, u64), EmitError> {
        let fault = |line: usize, reason: String| EmitError::Format {
            file: file.to_owned(),
            line: line as u64,
            reason,
        };
        let text = std::fs::read_to_string(file).map_err(|source| EmitError::Read {
            file: file.to_owned(),
            source,
        })?;
        let periods: Periods =
            serde_json::from_str(&text).map_err(|error| fault(error.line(), error.to_string()))?;
        let mut chosen = None;
        let mut until_s = u64::MAX;
        for (start, fields) in &periods {
            let start_s: u64 = start
                .parse()
                .map_err(|_| fault(1, format!("'{start}' is no start of a period in seconds")))?;
            if start_s > at_s {
                until_s = until_s.min(start_s);
            } else if chosen.is_none_or(|(latest, _)| start_s >= latest) {
                chosen = Some((start_s, fields));
            }
        }
        let Some((start_s, fields)) = chosen else {
            return Ok((Self::default(), until_s));
        };
        Self::parse(fields)
            .map(|densities| (densities, until_s))
            .map_err(|reason| fault(1, format!("period {start_s}: {reason}")))
    }

    fn parse(fields: &BTreeMap<String, String>) -> Result<Self, String> {
        let density = |name: &str| match fields.get(name) {
            Some(text) => Density::parse(text).map_err(|reason| format!("{name}: {reason}")),
            None => Ok(None),
        };
        let media = |name: &str| -> Result<_, String> {
            Ok(density(&format!("{name}_count"))?.zip(density(&format!("{name}_tokens"))?))
        };
        Ok(Self {
            input_tokens: density("input_tokens")?,
            text_tokens: density("text_tokens")?,
            output_tokens: density("output_tokens")?,
            reason_ratio: density("reason_ratio")?,
            image: media("image")?,
            audio: media("audio")?,
            video: media("video")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_spread_evenly() {
        let density = Density::parse("{163: 0.5, 9: 0.25, 1000: 0.25}")
            .expect("well formed")
            .expect("not empty");
        let values: Vec<u64> = (0..8).map(|rank| density.count(rank, 8)).collect();
        assert_eq!(values, [9, 9, 163, 163, 163, 163, 1000, 1000]);
        assert_eq!(density.count(0, 1), 163);
    }

    #[test]
    fn what_is_empty_or_broken() {
        assert_eq!(Density::parse("{}"), Ok(None));
        assert!(Density::parse("[1]").is_err());
        assert!(Density::parse("{1: x}").unwrap_err().contains("'1: x'"));
    }

    #[test]
    fn a_period_holds_until_the_next_one() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let file = directory.path().join("chunk-0-dataset.json");
        std::fs::write(
            &file,
            r#"{"0": {"input_tokens": "{5: 1.0}"}, "21600": {"input_tokens": "{}"}, "108000": {}}"#,
        )
        .expect("the test's file");
        let (first, until_s) = Densities::load(&file, 21_000).expect("well formed");
        assert_eq!(
            (
                first.input_tokens.map(|density| density.count(0, 1)),
                until_s
            ),
            (Some(5), 21_600)
        );
        let (second, until_s) = Densities::load(&file, 21_600).expect("well formed");
        assert_eq!((second.input_tokens, until_s), (None, 108_000));
    }
}
