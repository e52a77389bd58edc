//! Numbers as people read them.
//!
//! Invariants: sizes and rates are binary (KiB, MiB/s), so that one line does not mix two systems.
//! What it is not: for JSON, where numbers stay bytes and milliseconds.

use std::fmt::Display;

/// Bytes as `512 B`, `1.5 KiB`, `12.0 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut unit = 0;
    // What would be printed as 1024.0 belongs to the next unit.
    while value >= 1_023.95 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Bytes in a time as `12.3 MiB/s`.
pub(super) fn rate(bytes: u64, elapsed_ms: u64) -> String {
    let each_second = u128::from(bytes) * 1_000 / u128::from(elapsed_ms.max(1));
    format!("{}/s", size(u64::try_from(each_second).unwrap_or(u64::MAX)))
}

/// A time as `850 ms`, `12.3 s`, `2 min 05 s`, `3 h 07 min`.
pub(super) fn duration(ms: u64) -> String {
    let seconds = (ms + 500) / 1_000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..59_950 => format!("{:.1} s", ms as f64 / 1e3),
        _ if seconds < 3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A share of one as `97.3 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Millionths as a decimal number.
pub(super) fn micro(millionths: u64) -> String {
    format!("{:.3}", millionths as f64 / 1e6)
}

/// The first ten digits of an id or key, as the rest of the program shows them too.
pub(super) fn short(id: impl Display) -> String {
    id.to_string().chars().take(10).collect()
}

/// Several short ids, or a dash.
pub(super) fn shorts<T: Display>(ids: &[T]) -> String {
    let ids: Vec<String> = ids.iter().map(short).collect();
    if ids.is_empty() { "-".to_owned() } else { ids.join(", ") }
}

/// A number and what is counted: `1 file`, `2 files`.
pub(super) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_rates_and_times_read_well() {
        let sizes = [0, 1_023, 1_024, 1_536, 1_048_575, 1_048_576, 12 << 20, 5 << 30, u64::MAX];
        let read = sizes.map(size);
        let expected = [
            "0 B",
            "1023 B",
            "1.0 KiB",
            "1.5 KiB",
            "1.0 MiB",
            "1.0 MiB",
            "12.0 MiB",
            "5.0 GiB",
            "16384.0 PiB",
        ];
        assert_eq!(read, expected);
        assert_eq!(rate(12 << 20, 1_000), "12.0 MiB/s");
        assert_eq!((rate(5, 0), rate(0, 5)), ("4.9 KiB/s".into(), "0 B/s".into()));
        assert_eq!(rate(u64::MAX, 0), "16384.0 PiB/s");
        let times = [0, 999, 1_000, 59_949, 59_950, 125_000, 3_599_499, 3_599_500, 11_220_000];
        let expected = [
            "0 ms",
            "999 ms",
            "1.0 s",
            "59.9 s",
            "1 min 00 s",
            "2 min 05 s",
            "59 min 59 s",
            "1 h 00 min",
            "3 h 07 min",
        ];
        assert_eq!(times.map(duration), expected);
        assert_eq!((percent(0.9731), micro(123_456)), ("97.3 %".into(), "0.123".into()));
        assert_eq!(count(1, "file") + &count(0, "file"), "1 file0 files");
        assert_eq!(shorts(&["0123456789ab", "cd"]), "0123456789, cd");
        assert_eq!(shorts::<u8>(&[]), "-");
    }
}
