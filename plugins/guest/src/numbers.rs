//! Telephone numbers in the form that a CRM wants.
//!
//! A PBX hands numbers on as the provider writes them: with a plus, with `00`, in national form, or
//! with nothing in front. A full database of numbering plans would be larger than all else in a
//! plugin; these rules need the company's own country only.

/// The most digits that a number has, country code included (E.164, section 6).
const LONGEST: usize = 15;

/// The fewest that a number has with its country code; shorter ones are internal numbers and
/// services such as 112.
const SHORTEST: usize = 7;

/// The fewest behind a country code that is not marked as one by a plus or `00`.
const SHORTEST_NATIONAL: usize = 7;

/// `number` as `+`, country code and the rest, digits only. `country` is the country code of
/// numbers that have none, such as `420`; without it a number that has no mark of an international
/// one is believed to begin with its country code. None for what is no such number: an internal
/// number, a withheld one.
pub fn e164(number: &str, country: Option<&str>) -> Option<String> {
    let written = number.trim();
    if written.chars().any(char::is_alphabetic) {
        return None;
    }
    let all = digits(written);
    let international = if written.starts_with('+') {
        all
    } else if let Some(rest) = all.strip_prefix("00") {
        rest.to_owned()
    } else if let Some(country) = country.map(digits).filter(|code| !code.is_empty()) {
        with_country(&all, &country)?
    } else {
        all
    };
    let fits = (SHORTEST..=LONGEST).contains(&international.len());
    (fits && !international.starts_with('0')).then(|| format!("+{international}"))
}

/// A number without a mark of an international one, as an international one.
fn with_country(digits: &str, country: &str) -> Option<String> {
    if digits.len() < SHORTEST_NATIONAL {
        return None;
    }
    let rest = digits.strip_prefix(country).unwrap_or_default();
    if rest.len() >= SHORTEST_NATIONAL {
        return Some(digits.to_owned());
    }
    let trunk = trunk_prefix(country);
    let national = digits.strip_prefix(trunk).filter(|_| !trunk.is_empty()).unwrap_or(digits);
    Some(format!("{country}{national}"))
}

/// What stands in front of a national number and is left out behind the country code.
fn trunk_prefix(country: &str) -> &'static str {
    match country {
        // Italy and San Marino keep their zero.
        "39" | "378" => "",
        "1" => "1",
        "7" => "8",
        "36" => "06",
        _ => "0",
    }
}

/// The digits of `number` alone.
pub fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// The last `count` digits of `number`, or all if there are fewer: what CRMs match on that do not
/// know how their users wrote the number.
pub fn last(number: &str, count: usize) -> String {
    let digits = digits(number);
    digits.get(digits.len().saturating_sub(count)..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form_however_it_was_written() {
        for written in [
            "+420 774 852 629",
            "00420774852629",
            "420774852629",
            "774852629",
            "0774852629",
            "(774) 852-629",
        ] {
            assert_eq!(e164(written, Some("420")).as_deref(), Some("+420774852629"), "{written}");
        }
        assert_eq!(e164("420774852629", None).as_deref(), Some("+420774852629"));
        assert_eq!(e164("774852629", Some("+420")).as_deref(), Some("+420774852629"));
    }

    #[test]
    fn countries_have_their_own_way_with_national_numbers() {
        for (written, country, meant) in [
            ("0301234567", "49", "+49301234567"),
            ("0612345678", "39", "+390612345678"),
            ("5551234567", "1", "+15551234567"),
            ("15551234567", "1", "+15551234567"),
            ("84951234567", "7", "+74951234567"),
            ("0611234567", "36", "+3611234567"),
        ] {
            assert_eq!(e164(written, Some(country)).as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn what_is_no_outside_number_has_no_form() {
        for written in
            ["", "106", "112", "anonymous", "Private", "+", "000000000", "12345678901234567"]
        {
            assert_eq!(e164(written, None), None, "{written}");
        }
        assert_eq!(e164("106", Some("420")), None);
    }

    #[test]
    fn the_last_digits_are_what_two_spellings_share() {
        assert_eq!(last("+420 774 852 629", 9), "774852629");
        assert_eq!(last("106", 9), "106");
        assert_eq!(last("", 9), "");
        assert_eq!(digits("+420 (774)"), "420774");
    }
}
