use std::time::Duration;

use super::{Problem, Value};
use crate::config::{Code, LeastWeight};
use crate::health::StatusSet;

/// The longest time a directive takes.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a number as C's `strtol` does with base 0, except that nothing may follow it: decimal,
/// `0x` hexadecimal, octal with a leading 0; empty is 0.
pub(super) fn integer(text: &str) -> Result<i64, Problem> {
    let trimmed = text.trim_start();
    if trimmed.is_empty() {
        return Ok(0);
    }
    let (negative, unsigned) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (radix, digits) = radix(unsigned);
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(not_an_integer(text, unsigned));
    }
    let magnitude = i64::from_str_radix(digits, radix)
        .map_err(|_too_large| out_of_range(text, "less than 2 to the power of 63"))?;
    Ok(if negative { -magnitude } else { magnitude })
}

fn radix(digits: &str) -> (u32, &str) {
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return (16, hexadecimal);
    }
    match digits.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => (8, octal),
        _ => (10, digits),
    }
}

fn not_an_integer(text: &str, digits: &str) -> Problem {
    let problem = Problem::new(Code::InvalidInteger, format!("`{text}` is not an integer"));
    if digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let decimal = digits.trim_start_matches('0');
        return problem
            .help(format!("a leading 0 means octal, which has no 8 and 9: write `{decimal}`"));
    }
    problem
}

fn out_of_range(text: &str, allowed: &str) -> Problem {
    Problem::new(Code::OutOfRange, format!("`{text}` is out of range"))
        .help(format!("allowed is {allowed}"))
}

pub(super) fn integer_within(text: &str, least: i64, most: i64) -> Result<Value, Problem> {
    let value = integer(text)?;
    if (least..=most).contains(&value) {
        Ok(Value::Integer(value))
    } else {
        Err(out_of_range(text, &format!("{least} to {most}")))
    }
}

pub(super) fn quorum(text: &str) -> Result<LeastWeight, Problem> {
    let example = |problem: Problem| match problem.code {
        Code::OutOfRange => problem,
        _ => problem.help("write a sum of weights such as `3`, or a share of all such as `50%`"),
    };
    let (digits, most) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100),
        None => (text, i64::from(i32::MAX)),
    };
    let value = integer(digits).map_err(example)?;
    match u32::try_from(value) {
        Ok(value) if !(1..=most).contains(&i64::from(value)) => {
            Err(out_of_range(text, &format!("1 to {most}")))
        }
        Ok(value) if digits.len() < text.len() => Ok(LeastWeight::Percent(value)),
        Ok(value) => Ok(LeastWeight::Sum(value)),
        Err(_) => Err(out_of_range(text, &format!("1 to {most}"))),
    }
}

pub(super) fn boolean(text: &str) -> Result<Value, Problem> {
    let problem = || Problem::new(Code::InvalidBoolean, format!("`{text}` is neither 0 nor 1"));
    match integer(text) {
        Ok(0) => Ok(Value::Boolean(false)),
        Ok(1) => Ok(Value::Boolean(true)),
        Ok(_) => Err(problem().help("write `1` for yes or `0` for no")),
        Err(_) => Err(match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" => problem().help("write `1`"),
            "no" | "false" | "off" => problem().help("write `0`"),
            _ => problem().help("write `1` for yes or `0` for no"),
        }),
    }
}

pub(super) fn duration(text: &str, least: Duration) -> Result<Duration, Problem> {
    let millis = match unit(text) {
        Some((digits, unit)) => {
            let count = digits.parse::<u64>();
            let count = count.map_err(|_invalid| not_a_duration(text))?;
            count.checked_mul(unit)
        }
        None => {
            let seconds = integer(text).map_err(|problem| match problem.help {
                Some(_) => problem,
                None => not_a_duration(text),
            })?;
            u64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1000))
        }
    };
    millis
        .map(Duration::from_millis)
        .filter(|duration| (least..=LONGEST).contains(duration))
        .ok_or_else(|| out_of_range(text, &format!("{} ms to 365 days", least.as_millis())))
}

/// The digits and the unit, in milliseconds, of a duration that has one.
fn unit(text: &str) -> Option<(&str, u64)> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    Some((digits, unit))
}

fn not_a_duration(text: &str) -> Problem {
    Problem::new(Code::InvalidDuration, format!("`{text}` is not a duration"))
        .help("write whole seconds, or a whole number with ms, s, m, h or d, such as `1500ms`")
}

pub(super) fn port(text: &str, least: u16) -> Result<u16, Problem> {
    let starts_as_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c));
    if !starts_as_number && !text.is_empty() {
        return well_known(text).ok_or_else(|| {
            Problem::new(Code::InvalidPort, format!("unknown service name `{text}`"))
                .help("write the number of the port")
        });
    }
    let number = integer(text).map_err(|problem| Problem {
        code: Code::InvalidPort,
        message: format!("`{text}` is not a port"),
        ..problem
    })?;
    u16::try_from(number)
        .ok()
        .filter(|&port| port >= least)
        .ok_or_else(|| out_of_range(text, &format!("{least} to 65535")))
}

/// Ports by the name IANA gave them, of services that are balanced.
fn well_known(name: &str) -> Option<u16> {
    Some(match name {
        "ftp-data" => 20,
        "ftp" => 21,
        "ssh" => 22,
        "telnet" => 23,
        "smtp" => 25,
        "domain" => 53,
        "tftp" => 69,
        "http" | "www" => 80,
        "kerberos" => 88,
        "pop3" => 110,
        "nntp" => 119,
        "ntp" => 123,
        "imap" | "imap2" => 143,
        "snmp" => 161,
        "ldap" => 389,
        "https" => 443,
        "submissions" => 465,
        "syslog" => 514,
        "submission" => 587,
        "ldaps" => 636,
        "imaps" => 993,
        "pop3s" => 995,
        "radius" => 1812,
        "mysql" => 3306,
        "ms-wbt-server" => 3389,
        "sip" => 5060,
        "sips" => 5061,
        "postgresql" => 5432,
        "http-alt" | "webcache" => 8080,
        _ => return None,
    })
}

pub(super) fn status(text: &str) -> Result<StatusSet, Problem> {
    text.parse().map_err(|_reason: String| {
        let message = format!("`{text}` is not a range of HTTP status codes");
        Problem::new(Code::InvalidStatus, message).help(
            "write one from 100 to 599, two with a dash: `200-399`, or several with commas: \
             `200-299,304`",
        )
    })
}

/// A remark on a number that is read as octal.
pub(super) fn octal(text: &str) -> Option<Problem> {
    let digits = text.strip_prefix('0')?;
    let is_octal = !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let value = is_octal.then(|| integer(text).ok()).flatten()?;
    (value >= 8).then(|| {
        Problem::new(Code::Octal, format!("`{text}` is octal and means {value}")).help(format!(
            "write `{value}`, or `{}` if that was meant",
            text.trim_start_matches('0')
        ))
    })
}
