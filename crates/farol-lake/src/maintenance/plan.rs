//! Which files to merge, as a pure function of the files that are there.
//!
//! Files of one partition fall into tiers by size: each tier holds files eight times smaller than the one
//! above it, and those of half the target or more are left alone. A tier is merged when it has
//! [`PlanOptions::files_per_tier`] files, and what comes out belongs to a higher tier. So a byte is rewritten
//! at most once a tier, however long its partition grows, and a partition has few files at any time.
//!
//! A partition that has seen no new file for a while is merged further, down to one small file. A late file
//! alone does not cause a large one to be rewritten: a file joins only smaller ones that weigh a quarter of it.

use std::collections::BTreeMap;
use std::time::Duration;

use object_store::path::Path;

/// Each tier's files are so many times smaller than the next one's.
const TIER_RATIO: u64 = 8;
/// The number of tiers; the last holds everything that is smaller.
const TIERS: u32 = 5;
/// In a settled partition a file is merged with smaller ones that sum up to this part of it.
const SETTLED_RATIO: u64 = 4;
/// Most files in one merge: each is opened once.
const FILES_MAX: usize = 1_000;
/// Most bytes in one merge, in target files: what is sorted, and spilled, at once.
const TARGETS_MAX: u64 = 4;

/// A file of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// Its path below the table's root.
    pub path: Path,
    /// The value of the partition column; `None` where there is none.
    pub partition: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// Its rows, where the log knows them.
    pub rows: Option<u64>,
    /// When it was written, milliseconds since the epoch.
    pub written_ms: i64,
}

/// Files of one partition to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The partition's value.
    pub partition: Option<String>,
    /// The files, smallest first.
    pub files: Vec<LiveFile>,
}

impl Group {
    /// The files' bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// What the plan aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// The size of a file that is large enough.
    pub target_file_bytes: u64,
    /// So many files of a tier are merged.
    pub files_per_tier: usize,
    /// More files than this in a table, and tiers are merged sooner.
    pub live_files_max: usize,
    /// A partition without a new file for so long is settled.
    pub settled_after: Duration,
}

/// Plans merges over a table's live files, those that do away with the most files first.
pub fn plan(files: &[LiveFile], options: PlanOptions, now_ms: i64) -> Vec<Group> {
    let mut partitions = BTreeMap::<Option<&str>, Vec<&LiveFile>>::new();
    for file in files {
        partitions
            .entry(file.partition.as_deref())
            .or_default()
            .push(file);
    }
    let mut files_per_tier = options.files_per_tier.max(2);
    loop {
        let options = PlanOptions {
            files_per_tier,
            ..options
        };
        let mut groups: Vec<_> = partitions
            .values()
            .flat_map(|files| plan_partition(files, options, now_ms))
            .collect();
        let merged_away: usize = groups.iter().map(|group| group.files.len() - 1).sum();
        if files_per_tier == 2 || files.len() - merged_away <= options.live_files_max {
            groups.sort_by_key(|group| std::cmp::Reverse(group.files.len()));
            return groups;
        }
        files_per_tier = (files_per_tier / 2).max(2);
    }
}

fn plan_partition(files: &[&LiveFile], options: PlanOptions, now_ms: i64) -> Vec<Group> {
    let large = options.target_file_bytes / 2;
    let mut small: Vec<_> = files
        .iter()
        .copied()
        .filter(|file| file.bytes < large)
        .collect();
    small.sort_by(|a, b| (a.bytes, &a.path).cmp(&(b.bytes, &b.path)));
    let newest_ms = files
        .iter()
        .map(|file| file.written_ms)
        .max()
        .unwrap_or(now_ms);
    let settled_ms = i64::try_from(options.settled_after.as_millis()).unwrap_or(i64::MAX);
    let chosen = if now_ms.saturating_sub(newest_ms) >= settled_ms {
        settled_prefix(&small).max(full_tiers(&small, large, options.files_per_tier))
    } else {
        full_tiers(&small, large, options.files_per_tier)
    };
    cut(&small[..chosen], options.target_file_bytes)
}

/// How many of the smallest files are up to and with the highest tier that is full.
fn full_tiers(small: &[&LiveFile], large: u64, files_per_tier: usize) -> usize {
    let tier_of = |file: &LiveFile| tier(file.bytes, large);
    (0..TIERS)
        .find(|tier| small.iter().filter(|file| tier_of(file) == *tier).count() >= files_per_tier)
        .map_or(0, |full| {
            small.iter().filter(|file| tier_of(file) >= full).count()
        })
}

/// The tier of a file: 0 is the highest.
fn tier(bytes: u64, large: u64) -> u32 {
    let mut floor = large / TIER_RATIO;
    let mut tier = 0;
    while bytes < floor && tier + 1 < TIERS {
        floor /= TIER_RATIO;
        tier += 1;
    }
    tier
}

/// How many of the smallest files may be merged such that each is worth it.
fn settled_prefix(small: &[&LiveFile]) -> usize {
    let mut before = 0_u64;
    let mut chosen = 0;
    for (index, file) in small.iter().enumerate() {
        if index > 0 && file.bytes <= before.saturating_mul(SETTLED_RATIO) {
            chosen = index + 1;
        }
        before += file.bytes;
    }
    chosen
}

/// Cuts a merge that would be too large into several.
fn cut(files: &[&LiveFile], target_file_bytes: u64) -> Vec<Group> {
    let bytes_max = target_file_bytes.saturating_mul(TARGETS_MAX);
    let mut groups = Vec::<Group>::new();
    let mut bytes = 0;
    for file in files {
        let open = groups
            .last_mut()
            .filter(|group| group.files.len() < FILES_MAX && bytes + file.bytes <= bytes_max);
        if let Some(group) = open {
            bytes += file.bytes;
            group.files.push((*file).clone());
        } else {
            bytes = file.bytes;
            groups.push(Group {
                partition: file.partition.clone(),
                files: vec![(*file).clone()],
            });
        }
    }
    groups.retain(|group| group.files.len() > 1);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const HOUR_MS: i64 = 3_600_000;
    const NOW_MS: i64 = 1_000 * HOUR_MS;

    fn options() -> PlanOptions {
        PlanOptions {
            target_file_bytes: 256 * MIB,
            files_per_tier: 8,
            live_files_max: 2_000,
            settled_after: Duration::from_hours(1),
        }
    }

    fn file(partition: &str, number: usize, bytes: u64, written_ms: i64) -> LiveFile {
        LiveFile {
            path: Path::from(format!("event_date={partition}/part-{number:06}.parquet")),
            partition: Some(partition.to_owned()),
            bytes,
            rows: Some(1),
            written_ms,
        }
    }

    fn sizes(sizes: &[u64], written_ms: i64) -> Vec<LiveFile> {
        let numbered = sizes.iter().enumerate();
        numbered
            .map(|(number, bytes)| file("2026-01-01", number, *bytes, written_ms))
            .collect()
    }

    fn merged(files: &[LiveFile], now_ms: i64) -> Vec<Vec<u64>> {
        let groups = plan(files, options(), now_ms);
        groups
            .iter()
            .map(|group| group.files.iter().map(|file| file.bytes).collect())
            .collect()
    }

    #[test]
    fn a_growing_partition_waits_for_a_full_tier() {
        let seven = sizes(&[MIB; 7], NOW_MS);
        assert_eq!(merged(&seven, NOW_MS), Vec::<Vec<u64>>::new());
        let eight = sizes(&[MIB; 8], NOW_MS);
        assert_eq!(merged(&eight, NOW_MS), [vec![MIB; 8]]);
    }

    #[test]
    fn smaller_tiers_ride_along_and_large_files_stay() {
        let mut files = vec![1000, 128 * MIB, 250 * MIB];
        files.extend([20 * MIB; 8]);
        let mut expected = vec![1000];
        expected.extend([20 * MIB; 8]);
        assert_eq!(merged(&sizes(&files, NOW_MS), NOW_MS), [expected]);
    }

    #[test]
    fn partitions_are_merged_apart() {
        let mut files: Vec<_> = (0..7).map(|n| file("2026-01-01", n, MIB, NOW_MS)).collect();
        files.extend((0..9).map(|n| file("2026-01-02", n, MIB, NOW_MS)));
        let groups = plan(&files, options(), NOW_MS);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].partition.as_deref(), Some("2026-01-02"));
    }

    #[test]
    fn a_settled_partition_is_merged_to_the_end() {
        let files = sizes(
            &[MIB, 2 * MIB, 5 * MIB, 30 * MIB, 100 * MIB],
            NOW_MS - 2 * HOUR_MS,
        );
        assert_eq!(
            merged(&files, NOW_MS),
            [vec![MIB, 2 * MIB, 5 * MIB, 30 * MIB, 100 * MIB]]
        );
    }

    #[test]
    fn a_late_file_alone_does_not_rewrite_a_large_one() {
        let files = sizes(&[1000, 100 * MIB], NOW_MS - 2 * HOUR_MS);
        assert_eq!(merged(&files, NOW_MS), Vec::<Vec<u64>>::new());
        let two = sizes(&[1000, 1000, 100 * MIB], NOW_MS - 2 * HOUR_MS);
        assert_eq!(merged(&two, NOW_MS), [vec![1000, 1000]]);
        assert_eq!(
            merged(&sizes(&[100 * MIB], NOW_MS - 2 * HOUR_MS), NOW_MS),
            Vec::<Vec<u64>>::new()
        );
    }

    #[test]
    fn a_merge_is_bounded() {
        let groups = plan(&sizes(&vec![MIB; 5_000], NOW_MS), options(), NOW_MS);
        assert!(groups.len() >= 5);
        assert!(
            groups
                .iter()
                .all(|group| group.bytes() <= 1024 * MIB && group.files.len() <= 1_000)
        );
        assert_eq!(
            groups.iter().map(|group| group.files.len()).sum::<usize>(),
            5_000
        );
    }

    #[test]
    fn too_many_files_are_merged_sooner() {
        let day = |day: usize| (0..7).map(move |n| file(&format!("day-{day}"), n, MIB, NOW_MS));
        let few: Vec<_> = (0..100).flat_map(day).collect();
        assert_eq!(plan(&few, options(), NOW_MS).len(), 0);
        let many: Vec<_> = (0..300).flat_map(day).collect();
        let groups = plan(&many, options(), NOW_MS);
        let left = many.len()
            - groups
                .iter()
                .map(|group| group.files.len() - 1)
                .sum::<usize>();
        assert!(left <= 2_000, "{left} files are left");
    }

    /// A day at two seconds a commit: what is rewritten in all, and how many files there are at the worst.
    #[test]
    fn bytes_are_rewritten_a_bounded_number_of_times() {
        let (mut files, mut number, mut written, mut rewritten, mut most) =
            (Vec::new(), 0, 0, 0, 0);
        for round in 0..288 {
            let now_ms = NOW_MS + round * 300_000;
            for _ in 0..150 {
                number += 1;
                written += MIB;
                files.push(file("2026-01-01", number, MIB, now_ms));
            }
            most = most.max(files.len());
            for group in plan(&files, options(), now_ms) {
                files.retain(|file| !group.files.contains(file));
                rewritten += group.bytes();
                let mut left = group.bytes();
                while left > 0 {
                    number += 1;
                    let bytes = left.min(256 * MIB);
                    files.push(file("2026-01-01", number, bytes, now_ms));
                    left -= bytes;
                }
            }
        }
        assert!(rewritten <= 3 * written, "{} times", rewritten / written);
        assert!(most < 500, "{most} files");
    }
}
