//! Reads a set of rows, page by page, as `OData` has it.

use hyper::StatusCode;
use serde_json::Value;

use super::rows::Row;
use crate::source::callcontrol::error::SourceError;
use crate::source::callcontrol::rest::Rest;
use crate::source::callcontrol::wire::{self, Malformed};

/// The most that 3CX gives at a time (documented).
const PAGE: usize = 100;

/// A page of users with everything that there is about them.
const PAGE_LIMIT: usize = 16 << 20;

/// What came of reading.
pub(super) enum Contents {
    /// All rows.
    Rows(Vec<Row>),
    /// The client has no right to them.
    Closed,
}

/// A page.
#[derive(Debug, Default)]
pub(in super::super) struct Page {
    /// Its rows.
    pub(in super::super) rows: Vec<Row>,
    /// Where the next one is, if the PBX says so.
    next: Option<String>,
}

/// Reads so many pages of what is called `name` below `/xapi/v1`. The options are left out if this
/// PBX does not understand them.
pub(super) async fn read(
    rest: &Rest,
    name: &str,
    options: &str,
    most_pages: usize,
) -> Result<Contents, SourceError> {
    let plain = format!("/xapi/v1/{name}?$top={PAGE}");
    let mut first = if options.is_empty() { plain.clone() } else { format!("{plain}&{options}") };
    let mut path = first.clone();
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..most_pages {
        let (status, body) =
            rest.get_as_it_is(&path, PAGE_LIMIT, "reading the Configuration API").await?;
        match status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST if path != plain && rows.is_empty() => {
                first.clone_from(&plain);
                path.clone_from(&plain);
                continue;
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                return Ok(Contents::Closed);
            }
            other => return Err(SourceError::Status(other)),
        }
        let page = page(&body)?;
        let full = page.rows.len() >= PAGE;
        // A PBX that understands no $skip shows the first page again.
        let repeated = page.rows.first().is_some_and(|row| rows.contains(row));
        if repeated || page.rows.is_empty() {
            break;
        }
        rows.extend(page.rows);
        path = match page.next.as_deref().and_then(path_of) {
            Some(next) => next,
            None if full => format!("{first}&$skip={}", rows.len()),
            None => break,
        };
    }
    Ok(Contents::Rows(rows))
}

/// Reads a page.
pub(in super::super) fn page(body: &[u8]) -> Result<Page, Malformed> {
    let value = wire::json(body)?;
    let fields = wire::object(&value, "page")?;
    let Some(Value::Array(listed)) = wire::field(fields, "value") else {
        return Err(Malformed::new("page without a list of values"));
    };
    let rows = listed.iter().filter_map(|row| row.as_object().cloned()).collect();
    let next = wire::text_of(fields, "@odata.nextlink");
    Ok(Page { rows, next: Some(next).filter(|next| !next.is_empty()) })
}

/// The path of a link. Whatever host it names, the token goes to the PBX of the settings only.
fn path_of(link: &str) -> Option<String> {
    let start = link.find("/xapi/v1/")?;
    link.get(start..).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_the_next_page_leads_to_no_other_host() {
        let link = "https://elsewhere.example/xapi/v1/Users?$top=100&$skip=100";
        assert_eq!(path_of(link).unwrap(), "/xapi/v1/Users?$top=100&$skip=100");
        assert_eq!(path_of("https://elsewhere.example/steal?token"), None);
    }
}
