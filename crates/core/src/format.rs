//! Formats numbers, sizes, shares and names as text.

use std::borrow::Cow;

/// A text that is safe to show on a terminal: control characters, which files may hold and terminals obey, are escaped as
/// `\x1b`, and those that change the direction of text as `\u{202e}`; line ends and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| letter.is_control() && letter != '\n' && letter != '\t')
}

/// A name as a field of a line: as [`printable`], with line ends and tabs escaped too.
pub fn field(name: &str) -> Cow<'_, str> {
    escaped(name, char::is_control)
}

fn escaped(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    let turns_text =
        |letter| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_unsafe = |letter| is_unsafe(letter) || turns_text(letter);
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match u32::from(letter) {
            _ if !is_unsafe(letter) => safe.push(letter),
            code @ ..256 => safe.push_str(&format!("\\x{code:02x}")),
            code => safe.push_str(&format!("\\u{{{code:x}}}")),
        }
    }
    Cow::Owned(safe)
}

/// A count with thousands separators: 30000 is `30,000`.
pub fn thousands(count: usize) -> String {
    grouped(count as u64)
}

/// A count with its noun in the singular or plural: `1 site`, `1,200 sites`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes as whole MiB or tenths of GiB or TiB: `512 MiB`, `1.5 GiB`.
pub fn bytes(bytes: u128) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    match mib {
        ..1024.0 => format!("{mib:.0} MiB"),
        ..1_048_576.0 => format!("{:.1} GiB", mib / 1024.0),
        _ => format!("{:.1} TiB", mib / 1_048_576.0),
    }
}

/// A duration in seconds with one decimal, or in minutes from two minutes on.
pub fn duration(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.1} seconds") } else { format!("{:.1} minutes", seconds / 60.0) }
}

/// The value of a metric: four decimals if it is small, fewer if it is large, since errors are in the unit of the
/// values.
pub fn metric(value: f64) -> String {
    match value.abs() {
        ..0.000_05 => "0.0000".into(), // without a sign
        size if size < 10.0 => format!("{value:.4}"),
        size if size < 1000.0 => format!("{value:.2}"),
        size if size < 1e7 => format!("{value:.0}"),
        _ => format!("{value:.3e}"),
    }
}

/// A number to three significant digits and at most six decimals.
pub fn three_digits(value: f64) -> String {
    let decimals = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).clamp(0, 6) };
    let text = format!("{value:.*}", decimals as usize);
    if text.trim_start_matches(['-', '0', '.']).is_empty() { "0".into() } else { text }
}

/// A p- or q-value, given its natural logarithm, to three significant digits; it may be too small for an `f64`.
pub fn p_value(ln_p: f64) -> String {
    if !ln_p.is_finite() {
        return if ln_p < 0.0 { "0".into() } else { "1".into() };
    }
    let log10 = ln_p / std::f64::consts::LN_10;
    if log10 >= -3.0 {
        let p = ln_p.exp();
        // Rounded first, as 0.9996 has three digits as 1.00.
        let decimals = if p < 0.009_995 {
            5
        } else if p < 0.099_95 {
            4
        } else if p < 0.999_5 {
            3
        } else {
            2
        };
        return format!("{p:.decimals$}");
    }
    let mut exponent = log10.floor();
    let mut digits = 10f64.powf(log10 - exponent);
    if digits >= 9.995 {
        (digits, exponent) = (1.0, exponent + 1.0);
    }
    format!("{digits:.2}e{exponent:.0}")
}

/// A share, 0 to 1, in percent without the sign: whole numbers, with a decimal below ten.
pub fn percent(share: f64) -> String {
    if share >= 0.0995 { format!("{:.0}", share * 100.0) } else { format!("{:.1}", share * 100.0) }
}

/// A name of a class, label or motif, cut to at most 24 characters for legends and tables.
pub fn short_name(name: &str) -> String {
    shortened(name, 24)
}

/// A text cut to `most` characters, the last of them an ellipsis where it was longer.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// The first `most` names of a list, with their total number if there are more.
pub fn list_first(names: &[String], most: usize) -> String {
    match names.len() {
        n if n > most => format!("{}, ... ({n} in all)", names[..most].join(", ")),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_not_sent() {
        assert_eq!(printable("a\tb\nc é"), "a\tb\nc é");
        assert_eq!(printable("\u{1b}[31mred\u{7}\r\u{9b}\u{7f}\0"), r"\x1b[31mred\x07\x0d\x9b\x7f\x00");
        assert_eq!(printable("gpj\u{202e}exe"), r"gpj\u{202e}exe");
        assert_eq!(field("a\tb\nc"), r"a\x09b\x0ac");
    }

    #[test]
    fn counts_are_grouped_by_threes() {
        assert_eq!([0, 999, 1000, 30_000, 1_234_567].map(thousands), ["0", "999", "1,000", "30,000", "1,234,567"]);
        assert_eq!([0, 1, 1200].map(|n| counted(n, "site")), ["0 sites", "1 site", "1,200 sites"]);
    }

    #[test]
    fn sizes_are_in_units_that_suit_them() {
        let sizes = [0, 1 << 20, (1 << 30) - (1 << 20), 3 << 29, 1 << 40].map(bytes);
        assert_eq!(sizes, ["0 MiB", "1 MiB", "1023 MiB", "1.5 GiB", "1.0 TiB"]);
    }

    #[test]
    fn numbers_have_the_digits_that_count() {
        assert_eq!(
            [0.61234, -2.0, 12.345, 12345.6, 1e9].map(metric),
            ["0.6123", "-2.0000", "12.35", "12346", "1.000e9"]
        );
        let of = [0.0, 1.0, -2.345678, 0.01234, 1234.5, 1e-9].map(three_digits);
        assert_eq!(of, ["0", "1.00", "-2.35", "0.0123", "1234", "0"]);
        assert_eq!([0.5, 0.0995, 0.0512, 0.0].map(percent), ["50", "10", "5.1", "0.0"]);
        assert_eq!([1.0, 119.94, 120.0].map(duration), ["1.0 seconds", "119.9 seconds", "2.0 minutes"]);
    }

    #[test]
    fn p_values_may_be_too_small_for_a_number() {
        let of = [1.0, 0.9996, 0.5, 0.0999, 0.09996, 0.0123, 0.009996, 0.00123].map(|p: f64| p_value(p.ln()));
        assert_eq!(of, ["1.00", "1.00", "0.500", "0.0999", "0.100", "0.0123", "0.0100", "0.00123"]);
        assert_eq!([1.234e-7f64.ln(), 9.999e-7f64.ln()].map(p_value), ["1.23e-7", "1.00e-6"]);
        assert_eq!(p_value(-500.0 * std::f64::consts::LN_10 + 2f64.ln()), "2.00e-500");
        assert_eq!([f64::NEG_INFINITY, f64::NAN].map(p_value), ["0", "1"]);
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(["abc", "abcd", "äöüß"].map(|name| shortened(name, 3)), ["abc", "ab…", "äö…"]);
        let names = ["a", "b", "c"].map(String::from);
        assert_eq!([list_first(&names, 3), list_first(&names, 2)], ["a, b, c", "a, b, ... (3 in all)"]);
    }
}
