//! Numbers as people read them; `live.js` writes them the same way.

/// `950`, `1.2k`, `34M`.
pub(crate) fn count(number: u64) -> String {
    scaled(number, 1000, ["", "k", "M", "G", "T"])
}

/// `950 B`, `1.2 kB`, `34 MB`.
pub(crate) fn bytes(number: u64) -> String {
    scaled(number, 1000, [" B", " kB", " MB", " GB", " TB"])
}

fn scaled(number: u64, base: u64, units: [&str; 5]) -> String {
    let mut unit = 1_u64;
    for (place, name) in units.iter().enumerate() {
        let last = place == units.len() - 1;
        if last || number < unit.saturating_mul(base) {
            let tenths = u128::from(number) * 10 / u128::from(unit);
            return if place == 0 || tenths >= 100 {
                format!("{}{name}", tenths / 10)
            } else {
                format!("{}.{}{name}", tenths / 10, tenths % 10)
            };
        }
        unit = unit.saturating_mul(base);
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_two_or_three_digits_and_a_unit() {
        let shown = [0, 7, 999, 1000, 1250, 9999, 10_000, 999_999, 34_000_000].map(count);
        assert_eq!(shown, ["0", "7", "999", "1.0k", "1.2k", "9.9k", "10k", "999k", "34M"]);
        assert_eq!(bytes(950), "950 B");
        assert_eq!(bytes(1_250_000), "1.2 MB");
        assert!(count(u64::MAX).ends_with('T'));
    }
}
