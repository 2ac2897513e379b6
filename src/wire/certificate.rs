//! The two facts a check wants of an X.509 certificate (RFC 5280): when it expires, and its key.
//! Nothing is verified here.

use super::ber::{Malformed, Reader, tag};

/// What was read of a certificate.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Certificate<'a> {
    /// The last second it is valid, since 1970; 0 for a time before.
    pub not_after: u64,
    /// Its `SubjectPublicKeyInfo` in DER, what pins are made of.
    pub public_key: &'a [u8],
}

/// The tag of the version, which only version 1 leaves out.
const VERSION: u8 = 0xa0;

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn parse(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut certificate = Reader::new(Reader::new(der).expect(tag::SEQUENCE)?);
        let mut fields = Reader::new(certificate.expect(tag::SEQUENCE)?);
        if fields.peek() == Some(VERSION) {
            fields.value()?;
        }
        fields.expect(tag::INTEGER)?;
        for _signature_and_issuer in 0..2 {
            fields.expect(tag::SEQUENCE)?;
        }
        let mut validity = Reader::new(fields.expect(tag::SEQUENCE)?);
        validity.value()?;
        let not_after = validity.value()?;
        let _subject = fields.expect(tag::SEQUENCE)?;
        let key = fields.value()?;
        if key.tag != tag::SEQUENCE {
            return Err(Malformed);
        }
        Ok(Self { not_after: time(not_after.tag, not_after.content)?, public_key: key.whole })
    }
}

/// `YYMMDDHHMMSSZ` with years from 1950, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Result<u64, Malformed> {
    let (year, rest) = match (tag, text.len()) {
        (tag::UTC_TIME, 13) => match number(&text[..2])? {
            year @ 50.. => (1900 + year, &text[2..]),
            year => (2000 + year, &text[2..]),
        },
        (tag::GENERALIZED_TIME, 15) => (number(&text[..4])?, &text[4..]),
        _ => return Err(Malformed),
    };
    if rest[10] != b'Z' {
        return Err(Malformed);
    }
    let mut parts = [0; 5];
    for (part, digits) in parts.iter_mut().zip(rest[..10].chunks_exact(2)) {
        *part = number(digits)?;
    }
    let [month, day, hour, minute, second] = parts;
    if !(1..=12).contains(&month) || day == 0 {
        return Err(Malformed);
    }
    let days = days_since_1970(year, month, day);
    Ok(days.map_or(0, |days| days * 86_400 + hour * 3600 + minute * 60 + second))
}

fn number(digits: &[u8]) -> Result<u64, Malformed> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Ok(number * 10 + u64::from(digit - b'0')),
        _ => Err(Malformed),
    })
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March, so that
/// the leap day is the last one.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1;
    const MARCH_OF_YEAR_0_TO_1970: u64 = 719_468;
    days.checked_sub(MARCH_OF_YEAR_0_TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_forms_are_read() {
        let utc = |text: &str| time(tag::UTC_TIME, text.as_bytes());
        let general = |text: &str| time(tag::GENERALIZED_TIME, text.as_bytes());
        assert_eq!(utc("700101000000Z"), Ok(0));
        assert_eq!(utc("000229120000Z"), Ok(951_825_600));
        assert_eq!(utc("491231235959Z"), Ok(2_524_607_999));
        assert_eq!(utc("500101000000Z"), Ok(0));
        assert_eq!(general("20380119031408Z"), Ok(1 << 31));
        assert_eq!(general("99991231235959Z"), Ok(253_402_300_799));
        for bad in ["", "700101000000", "7001010000000", "701301000000Z", "70010100000xZ"] {
            assert_eq!(utc(bad), Err(Malformed), "{bad}");
        }
    }
}
