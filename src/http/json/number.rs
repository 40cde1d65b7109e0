//! What whole number a JSON number stands for, without rounding it through a double.

/// A JSON number as a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Whole {
    /// This one.
    Is(i64),
    /// A whole number that does not fit.
    TooLarge,
    /// Not whole.
    Fraction,
}

/// Reads the digits of a JSON number by value, not by notation: `10`, `10.0` and `1e1` are the
/// same number to JSON, and `-0` is 0. Takes no memory and no time that grows with the exponent.
pub(in super::super) fn whole(digits: &str) -> Whole {
    let (negative, unsigned) =
        digits.strip_prefix('-').map_or((false, digits), |unsigned| (true, unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let significant = format!("{before}{after}");
    let significant = significant.trim_start_matches('0');
    let kept = significant.trim_end_matches('0');
    if kept.is_empty() {
        return Whole::Is(0);
    }
    let zeros = length(significant) - length(kept);
    let scale = power(exponent).saturating_sub(length(after)).saturating_add(zeros);
    let Ok(scale) = u32::try_from(scale) else {
        return if scale < 0 { Whole::Fraction } else { Whole::TooLarge };
    };
    let magnitude = 10_i64
        .checked_pow(scale)
        .zip(kept.parse::<i64>().ok())
        .and_then(|(power, kept)| kept.checked_mul(power));
    magnitude.map_or(Whole::TooLarge, |value| Whole::Is(if negative { -value } else { value }))
}

fn power(exponent: &str) -> i64 {
    let (negative, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    // Digits only, so the one way to fail is a value that does not fit.
    let size = digits.parse::<i64>().unwrap_or(i64::MAX);
    if negative { -size } else { size }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}
