//! Floating-point numbers as Go's `strconv` prints them.

/// Prints as `%e`, with this number of digits after the point, or as few as identify the value.
pub(crate) fn exponent(value: f64, precision: Option<usize>, mark: char) -> String {
    let text = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}{mark}{sign}{digits:0>2}")
}

/// Prints as `%f`, with this number of digits after the point, or as few as identify the value.
pub(crate) fn fixed(value: f64, precision: Option<usize>) -> String {
    match precision {
        Some(precision) => format!("{value:.precision$}"),
        None => format!("{value}"),
    }
}

/// Prints as `%g`: `%e` for large exponents, `%f` otherwise; `%v` is `%g` with fewest digits.
pub(crate) fn general(value: f64, precision: Option<usize>, mark: char) -> String {
    let precision = precision.map(|precision| precision.max(1));
    let scientific = exponent(value, precision.map(|precision| precision - 1), 'e');
    let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i64 = power.parse().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let n_digits = digits.trim_end_matches('0').len().max(1);
    // With fewest digits, Go compares the exponent with 6.
    let limit = match precision {
        None => 6,
        Some(precision) if precision > n_digits && as_i64(n_digits) > power => as_i64(n_digits),
        Some(precision) => as_i64(precision),
    };
    if power < -4 || power >= limit {
        return exponent(value, Some(n_digits - 1), mark);
    }
    let decimals = (as_i64(n_digits) - 1 - power).max(0);
    fixed(value, usize::try_from(decimals).ok())
}

/// Prints as JSON: `%f`, or `%e` for very small and very large values.
pub(crate) fn json(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        // `e-09` is written as `e-9`.
        return exponent(value, None, 'e').replace("e-0", "e-");
    }
    fixed(value, None)
}

fn as_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
