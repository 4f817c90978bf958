//! How alike texts are by the words that they use: the Jaccard index of their sets of words.
//!
//! ```text
//! text ──lower case, runs of letters, digits and _──▶ set of words ──▶ |A ∩ B| / |A ∪ B|
//! ```
//!
//! Source: P. Jaccard, "The distribution of the flora in the alpine zone", New Phytologist 11 (1912). It looks neither at
//! the order of words nor at how often they come, so it is a measure of saying the same, not of meaning the same: answers
//! that agree in other words have little overlap.

use std::collections::HashSet;

/// The set of a text's words: runs of letters, digits and underscores, in lower case.
pub fn words(text: &str) -> HashSet<String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// The Jaccard index of two sets of words, 0 to 1; `None` where both are empty.
fn jaccard(a: &HashSet<String>, b: &HashSet<String>) -> Option<f64> {
    let shared = a.intersection(b).count();
    let all = a.len() + b.len() - shared;
    (all > 0).then(|| shared as f64 / all as f64)
}

/// How alike two texts are by their words, 0 to 1; `None` where neither has a word.
pub fn word_overlap(a: &str, b: &str) -> Option<f64> {
    jaccard(&words(a), &words(b))
}

/// How much several texts agree: the mean overlap of all pairs. `None` where there are no two texts to compare, or a pair
/// without any word among them.
///
/// Source: the mean pairwise similarity that self-consistency methods score by, such as X. Wang et al.,
/// "Self-Consistency Improves Chain of Thought Reasoning in Language Models" (2022), with words in the place of answers.
pub fn mean_pairwise_overlap(texts: &[&str]) -> Option<f64> {
    let sets: Vec<_> = texts.iter().map(|text| words(text)).collect();
    let mut sum = 0.0;
    let mut pairs = 0_u32;
    for (place, set) in sets.iter().enumerate() {
        for other in &sets[place + 1..] {
            sum += jaccard(set, other)?;
            pairs += 1;
        }
    }
    (pairs > 0).then(|| sum / f64::from(pairs))
}

/// How much an answer agrees with other texts: the mean of its overlap with each. `None` where there are none, or a pair
/// has no word.
pub fn mean_overlap(answer: &str, others: &[&str]) -> Option<f64> {
    let answer = words(answer);
    let mut sum = 0.0;
    for other in others {
        sum += jaccard(&answer, &words(other))?;
    }
    (!others.is_empty()).then(|| sum / others.len() as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_told_apart_without_case_and_punctuation() {
        assert_eq!(word_overlap("Yes, 30 days.", "yes: 30 DAYS"), Some(1.0));
        assert_eq!(
            word_overlap("30 days from delivery", "30 days from order"),
            Some(0.6)
        );
        assert_eq!(word_overlap("São Paulo", "são paulo"), Some(1.0));
        assert_eq!(word_overlap("one", "two"), Some(0.0));
        assert_eq!(word_overlap("one", ""), Some(0.0));
    }

    #[test]
    fn nothing_to_compare_is_not_known() {
        assert_eq!(word_overlap("", "…"), None);
        assert_eq!(mean_pairwise_overlap(&["alone"]), None);
        assert_eq!(mean_pairwise_overlap(&[]), None);
        assert_eq!(mean_overlap("alone", &[]), None);
    }

    #[test]
    fn agreement_is_the_mean_of_all_pairs() {
        // a b, a c: 1/3 each of the three pairs but the equal one.
        let texts = ["a b", "a b", "a c"];
        let expected = (1.0 + 1.0 / 3.0 + 1.0 / 3.0) / 3.0;
        assert!((mean_pairwise_overlap(&texts).unwrap() - expected).abs() < 1e-15);
        assert_eq!(mean_overlap("a b", &["a b", "c d"]), Some(0.5));
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_and_within_its_range(a in ".{0,40}", b in ".{0,40}") {
            let there = word_overlap(&a, &b);
            prop_assert_eq!(there, word_overlap(&b, &a));
            prop_assert!(there.is_none_or(|value| (0.0..=1.0).contains(&value)));
            prop_assert!(word_overlap(&a, &a).is_none_or(|value| (value - 1.0).abs() < 1e-15));
        }
    }
}
