//! An order that visits 0..n once each, evenly and without chance.

/// Fractions whose multiples spread evenly, one for each thing that is dealt in its own order.
#[derive(Clone, Copy)]
pub enum Deal {
    /// Times between requests: √3 − 1.
    Gaps,
    /// Tokens of the prompt, of its text where there are media: (√5 − 1)/2.
    Input,
    /// Tokens generated: √2 − 1.
    Output,
    /// Share of the generated tokens spent on reasoning: √5 − 2.
    ReasonRatio,
    /// Images in a request: √7 − 2.
    ImageCount,
    /// Tokens of an image: √10 − 3.
    Image,
    /// Pieces of audio in a request: √11 − 3.
    AudioCount,
    /// Tokens of a piece of audio: √13 − 3.
    Audio,
    /// Videos in a request: √14 − 3.
    VideoCount,
    /// Tokens of a video: √17 − 4.
    Video,
}

impl Deal {
    /// The fraction in millionths, so that no floating point enters the order.
    fn millionths(self) -> u64 {
        match self {
            Self::Gaps => 732_051,
            Self::Input => 618_034,
            Self::Output => 414_214,
            Self::ReasonRatio => 236_068,
            Self::ImageCount => 645_751,
            Self::Image => 162_278,
            Self::AudioCount => 316_625,
            Self::Audio => 605_551,
            Self::VideoCount => 741_657,
            Self::Video => 123_106,
        }
    }
}

/// The order: the i-th is `i × step mod count`.
#[derive(Clone, Copy, Debug)]
pub struct Stride {
    count: u64,
    step: u64,
}

impl Stride {
    /// The order of `count` things; the step is the first number from `count` times the deal's
    /// fraction (rounded down, at least 1) upwards that shares no divisor with `count`.
    pub fn new(deal: Deal, count: u64) -> Self {
        let mut step = (count * deal.millionths() / 1_000_000).max(1);
        while greatest_common_divisor(step, count) > 1 {
            step += 1;
        }
        Self { count, step }
    }

    /// The `index`-th, below `count`.
    pub fn at(self, index: u64) -> u64 {
        (u128::from(index) * u128::from(self.step) % u128::from(self.count)) as u64
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_once() {
        for count in [1, 2, 3, 6, 100, 997, 30_030] {
            for deal in [
                Deal::Gaps,
                Deal::Input,
                Deal::Output,
                Deal::ReasonRatio,
                Deal::Image,
            ] {
                let stride = Stride::new(deal, count);
                let mut seen: Vec<u64> = (0..count).map(|index| stride.at(index)).collect();
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..count), "{count}");
            }
        }
    }
}
