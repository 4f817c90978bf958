//! Ids made of what they are about, so that the same thing has the same id wherever and however often it is said.

use xxhash_rust::xxh3::xxh3_128;

/// 128 bits over the parts, as hexadecimal digits. Parts cannot run into each other.
pub fn of_parts(parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    format!("{:032x}", xxh3_128(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_eq!(of_parts(&["a", "bc"]), of_parts(&["a", "bc"]));
        assert_ne!(of_parts(&["a", "bc"]), of_parts(&["ab", "c"]));
        assert_ne!(of_parts(&["a", ""]), of_parts(&["a"]));
        assert_eq!(of_parts(&[]).len(), 32);
    }
}
