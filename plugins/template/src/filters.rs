//! What CRMs want done to a value: numbers in their form, times and durations in their unit, their
//! own id of a person.
//!
//! A value that is not known stays so through every filter.

use callhook_plugin::{directory, numbers};
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};

use crate::names::nearest;
use crate::page::plain;

/// The filters of this plugin.
pub(crate) const OWN: &[&str] = &[
    "e164",
    "digits",
    "last",
    "epoch",
    "epoch_ms",
    "utc",
    "local",
    "seconds",
    "minutes",
    "clock",
    "directory",
];

/// Those of the engine.
pub(crate) const BUILT_IN: &[&str] = &[
    "safe",
    "lower",
    "upper",
    "title",
    "capitalize",
    "replace",
    "length",
    "count",
    "dictsort",
    "items",
    "reverse",
    "trim",
    "join",
    "split",
    "lines",
    "default",
    "d",
    "round",
    "abs",
    "int",
    "float",
    "attr",
    "first",
    "min",
    "max",
    "sort",
    "list",
    "string",
    "bool",
    "batch",
    "slice",
    "sum",
    "indent",
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "map",
    "groupby",
    "unique",
    "chain",
    "zip",
    "pprint",
    "format",
];

type Filtered = Result<Value, Error>;

/// Adds the filters. `country` is that of numbers that say none.
pub(crate) fn add(environment: &mut Environment<'_>, country: Option<&str>) {
    let country = country.map(ToOwned::to_owned);
    environment.add_filter("e164", move |value: Value, own: Option<String>| {
        known(&value, |text| {
            let country = own.as_deref().or(country.as_deref());
            Ok(or_unknown(numbers::e164(text, country)))
        })
    });
    environment.add_filter("digits", |value: Value| {
        known(&value, |text| Ok(numbers::digits(text).into()))
    });
    environment.add_filter("last", last);
    environment.add_filter("epoch", |value: Value| {
        known(&value, |text| Ok(time(text)?.0.as_second().into()))
    });
    environment.add_filter("epoch_ms", |value: Value| {
        known(&value, |text| Ok(time(text)?.0.as_millisecond().into()))
    });
    environment.add_filter("utc", |value: Value, format: Option<String>| {
        known(&value, |text| {
            let format = format.as_deref().unwrap_or("%Y-%m-%dT%H:%M:%S%.3fZ");
            written(time(text)?.0, Offset::UTC, format)
        })
    });
    environment.add_filter("local", |value: Value, format: Option<String>| {
        known(&value, |text| {
            let (at, offset) = time(text)?;
            written(at, offset, format.as_deref().unwrap_or("%Y-%m-%dT%H:%M:%S%.3f%:z"))
        })
    });
    environment.add_filter("seconds", |value: Value| units(&value, 1_000));
    environment.add_filter("minutes", |value: Value| units(&value, 60_000));
    environment.add_filter("clock", clock);
    environment.add_filter("directory", column);
    for unwanted in ["escape", "e"] {
        environment.remove_filter(unwanted);
    }
}

/// What `filter` makes of the value, if it is known.
fn known(value: &Value, filter: impl FnOnce(&str) -> Filtered) -> Filtered {
    let text = plain(value)?;
    if text.is_empty() { Ok(Value::UNDEFINED) } else { filter(&text) }
}

fn or_unknown(text: Option<String>) -> Value {
    text.map_or(Value::UNDEFINED, Value::from)
}

/// The last digits of a number; without a count, the last item of a list.
fn last(value: &Value, count: Option<usize>) -> Filtered {
    match count {
        Some(count) => known(value, |text| Ok(numbers::last(text, count).into())),
        None => Ok(value.try_iter()?.last().unwrap_or(Value::UNDEFINED)),
    }
}

/// A point in time, and the offset that it was written with.
fn time(text: &str) -> Result<(Timestamp, Offset), Error> {
    let wrong = || refuse(format!("{text:?} is no time; `occurred_at`, for one, is"));
    let at: Timestamp = text.parse().map_err(|_| wrong())?;
    let pieces = Pieces::parse(text).map_err(|_| wrong())?;
    Ok((at, pieces.to_numeric_offset().unwrap_or(Offset::UTC)))
}

fn written(at: Timestamp, offset: Offset, format: &str) -> Filtered {
    let zoned = at.to_zoned(TimeZone::fixed(offset));
    strtime::format(format, &zoned)
        .map(Value::from)
        .map_err(|error| refuse(format!("{format:?} is no format of a time: {error}")))
}

/// Milliseconds in another unit, to the nearest whole one.
fn units(value: &Value, unit: i64) -> Filtered {
    known(value, |_| Ok(Value::from((milliseconds(value)? + unit / 2).div_euclid(unit))))
}

/// Milliseconds as people write them: 3:24, or 1:03:24.
fn clock(value: &Value) -> Filtered {
    known(value, |_| {
        let seconds = (milliseconds(value)? + 500).div_euclid(1_000);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        Ok(Value::from(match hours {
            0 => format!("{minutes}:{seconds:02}"),
            _ => format!("{hours}:{minutes:02}:{seconds:02}"),
        }))
    })
}

fn milliseconds(value: &Value) -> Result<i64, Error> {
    i64::try_from(value.clone())
        .map_err(|_| refuse(format!("{value} is no duration; `talk_ms`, for one, is")))
}

/// What stands in a column of the directory, in the line of this extension. Unknown if there is no
/// such line, or nothing in it.
fn column(value: &Value, column: &str) -> Filtered {
    known(value, |extension| {
        let Some(person) = directory::find(extension) else { return Ok(Value::UNDEFINED) };
        let found = match column {
            "name" => person.name.as_deref(),
            "email" => person.email.as_deref(),
            _ => match person.column(column) {
                Some(text) => Some(text),
                None => return Err(no_column(column, &person)),
            },
        };
        Ok(or_unknown(found.filter(|text| !text.is_empty()).map(ToOwned::to_owned)))
    })
}

fn no_column(column: &str, person: &directory::Person) -> Error {
    let free = person.columns.iter().map(|field| field.name.as_str());
    let names: Vec<_> = ["name", "email"].into_iter().chain(free).collect();
    let hint = match nearest(column, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are {}", names.join(", ")),
    };
    refuse(format!("the directory has no column `{column}`; {hint}"))
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
