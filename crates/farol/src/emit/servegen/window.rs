//! One window of one client: when its requests arrive.

use super::{
    quantile,
    stride::{Deal, Stride},
};

/// How the time between requests is distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// Gamma of this shape.
    Gamma(f64),
    /// Weibull of this shape.
    Weibull(f64),
    /// The file names no distribution: evenly.
    Even,
}

/// One line of a `chunk-N-trace.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Start of the window, seconds since the start of the trace.
    pub start_s: u64,
    /// Mean requests per second.
    pub requests_per_s: f64,
    /// Time between requests.
    pub arrivals: Arrivals,
}

impl Parameters {
    /// Reads `t_s,requests_per_s,coefficient_of_variation,arrival distribution,p1,p2`.
    pub fn parse(line: &str) -> Result<Self, String> {
        let values: Vec<&str> = line.split(',').map(str::trim).collect();
        let [start, rate, variation, distribution, shape, scale] = values[..] else {
            return Err(format!(
                "{} columns, expected six: t_s,requests_per_s,coefficient_of_variation,distribution,p1,p2",
                values.len()
            ));
        };
        let number = |text: &str, name: &str| match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err(format!("{name} is '{text}', expected a number from 0")),
        };
        let start_s = start
            .parse()
            .map_err(|_| format!("t_s is '{start}', expected whole seconds from 0"))?;
        let requests_per_s = number(rate, "requests_per_s")?;
        number(variation, "coefficient_of_variation")?;
        number(scale, "p2")?;
        let shape_given = number(shape, "p1")?;
        let arrivals = match distribution {
            "" => Arrivals::Even,
            "Gamma" | "Weibull" if shape_given == 0.0 => {
                return Err("p1, the shape, is 0".to_owned());
            }
            "Gamma" => Arrivals::Gamma(shape_given),
            "Weibull" => Arrivals::Weibull(shape_given),
            other => {
                return Err(format!(
                    "the distribution is '{other}', expected Gamma or Weibull"
                ));
            }
        };
        Ok(Self {
            start_s,
            requests_per_s,
            arrivals,
        })
    }

    /// How many requests a window of this length has.
    pub fn requests(&self, length_s: u64) -> u64 {
        (self.requests_per_s * length_s as f64).round() as u64
    }
}

/// The arrivals of one window, in order. Memory is bounded by [`STRATA_MAX`], not by the requests.
#[derive(Debug)]
pub struct Window {
    start_us: i64,
    length_us: f64,
    requests: u64,
    next: u64,
    order: Stride,
    gaps: Vec<f64>,
    gaps_sum: f64,
    passed: f64,
}

/// Times between requests are quantiles at no more than so many points.
pub const STRATA_MAX: u64 = 1_024;

impl Window {
    /// A window of `requests` requests, at least one, from `start_us` on.
    pub fn new(parameters: &Parameters, start_us: i64, length_s: u64, requests: u64) -> Self {
        let strata = requests.clamp(1, STRATA_MAX);
        let gap = |stratum: u64| {
            let probability = (stratum as f64 + 0.5) / strata as f64;
            match parameters.arrivals {
                Arrivals::Gamma(shape) => quantile::gamma(shape, probability),
                Arrivals::Weibull(shape) => quantile::weibull(shape, probability),
                Arrivals::Even => 1.0,
            }
        };
        let mut gaps: Vec<f64> = (0..strata).map(gap).collect();
        let order = Stride::new(Deal::Gaps, requests.max(1));
        let mut gaps_sum = sum_in_order(&gaps, order, requests);
        if !(gaps_sum.is_finite() && gaps_sum > 0.0) {
            // All quantiles vanish in the arithmetic: nothing is left of the distribution.
            gaps.fill(1.0);
            gaps_sum = requests as f64;
        }
        let length_us = length_s as f64 * 1e6;
        Self {
            start_us,
            length_us,
            requests,
            next: 0,
            order,
            gaps,
            gaps_sum,
            passed: 0.0,
        }
    }
}

fn gap_at(gaps: &[f64], order: Stride, index: u64, requests: u64) -> f64 {
    let stratum = u128::from(order.at(index)) * gaps.len() as u128 / u128::from(requests);
    gaps[stratum as usize]
}

fn sum_in_order(gaps: &[f64], order: Stride, requests: u64) -> f64 {
    (0..requests)
        .map(|index| gap_at(gaps, order, index, requests))
        .sum()
}

impl Iterator for Window {
    /// Microseconds since 1970 of the next arrival, a whole number of milliseconds past the
    /// window's start: parameters of 600 s tell no more.
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        if self.next == self.requests {
            return None;
        }
        let gap = gap_at(&self.gaps, self.order, self.next, self.requests);
        let share = ((self.passed + gap / 2.0) / self.gaps_sum).min(1.0);
        self.passed += gap;
        self.next += 1;
        let offset_us = (self.length_us * share / 1_000.0).floor() as i64 * 1_000;
        Some(self.start_us + offset_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(line: &str) -> Vec<i64> {
        let parameters = Parameters::parse(line).expect("a good line");
        Window::new(&parameters, 0, 600, parameters.requests(600)).collect()
    }

    #[test]
    fn the_rate_gives_the_number_and_the_window_is_kept() {
        for line in [
            "0,3.5,8.59,Weibull,0.375,0.39",
            "0,0.8,9.7,Gamma,0.0104,3",
            "0,5,0.1,Gamma,129,1",
            "0,0.5,0,,0,0",
        ] {
            let found = arrivals(line);
            let requests = Parameters::parse(line).expect("a good line").requests(600);
            assert_eq!(found.len() as u64, requests, "{line}");
            assert!(requests >= 300, "{line}");
            assert!(
                found.is_sorted() && found[0] >= 0 && *found.last().expect("some") <= 600_000_000,
                "{line}"
            );
        }
    }

    #[test]
    fn a_bursty_client_is_bursty_and_a_steady_one_is_not() {
        let variation = |line: &str| {
            let found = arrivals(line);
            let gaps: Vec<f64> = found
                .windows(2)
                .map(|pair| (pair[1] - pair[0]) as f64)
                .collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance =
                gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            variance.sqrt() / mean
        };
        assert!(variation("0,10,3,Weibull,0.4,1") > 1.5);
        assert!(variation("0,10,0.1,Gamma,100,1") < 0.2);
    }

    #[test]
    fn bad_lines_say_what_was_expected() {
        assert!(
            Parameters::parse("0,1,1")
                .unwrap_err()
                .contains("3 columns")
        );
        assert!(
            Parameters::parse("0,-1,1,Gamma,1,1")
                .unwrap_err()
                .contains("requests_per_s is '-1'")
        );
        assert!(
            Parameters::parse("0,1,1,Normal,1,1")
                .unwrap_err()
                .contains("Gamma or Weibull")
        );
        assert!(
            Parameters::parse("x,1,1,Gamma,1,1")
                .unwrap_err()
                .contains("t_s is 'x'")
        );
    }
}
