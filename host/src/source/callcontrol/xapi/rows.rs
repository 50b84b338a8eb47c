//! From the rows of the books to what they say. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Book;
use crate::source::callcontrol::wire::{field, text_of};
use crate::source::notice::{DnType, Known, KnownDid, KnownNumber};

/// An object of an entity set.
pub(in super::super) type Row = Map<String, Value>;

/// What the books say together. Of names, the person's goes before the queue's and that before
/// the DN's; of DID rules, the one that the number itself names before one that only fits.
pub(in super::super) fn known(books: &BTreeMap<Book, Vec<Row>>) -> Known {
    let rows = |book: Book| books.get(&book).into_iter().flatten();
    let mut numbers = BTreeMap::new();
    for row in rows(Book::Peers) {
        add(&mut numbers, row, DnType::parse(&text_of(row, "type")), text(row, "name"));
    }
    for row in rows(Book::Queues) {
        add(&mut numbers, row, DnType::Queue, text(row, "name"));
    }
    for row in rows(Book::Users) {
        add(&mut numbers, row, DnType::Extension, person(row));
    }
    let mut dids = BTreeMap::new();
    for row in rows(Book::DidNumbers) {
        let rule = field(row, "routingrule").and_then(Value::as_object);
        if let Some(name) = rule.and_then(|rule| text(rule, "rulename")) {
            add_did(&mut dids, &text_of(row, "number"), &name);
        }
    }
    for row in rows(Book::InboundRules).filter(|row| is_by_did(row)) {
        if let Some(name) = text(row, "rulename") {
            for number in text_of(row, "data").split([',', ';']) {
                add_did(&mut dids, number, &name);
            }
        }
    }
    Known {
        dids: dids.into_iter().map(|(number, name)| KnownDid { number, name }).collect(),
        numbers: numbers.into_values().collect(),
    }
}

fn add(numbers: &mut BTreeMap<String, KnownNumber>, row: &Row, kind: DnType, name: Option<String>) {
    let Some(number) = text(row, "number") else { return };
    let email = text(row, "emailaddress");
    let empty = KnownNumber { number: number.clone(), kind: DnType::None, name: None, email: None };
    let known = numbers.entry(number).or_insert(empty);
    if known.kind == DnType::None {
        known.kind = kind;
    }
    known.name = name.or(known.name.take());
    known.email = email.or(known.email.take());
}

fn person(row: &Row) -> Option<String> {
    let names = [text(row, "firstname"), text(row, "lastname")];
    let whole: Vec<String> = names.into_iter().flatten().collect();
    if whole.is_empty() { text(row, "displayname") } else { Some(whole.join(" ")) }
}

fn add_did(dids: &mut BTreeMap<String, String>, number: &str, name: &str) {
    let number = number.trim();
    if number.chars().any(|sign| sign.is_ascii_digit()) {
        dids.entry(number.to_owned()).or_insert_with(|| name.to_owned());
    }
}

/// A rule may look at the caller's number instead (documented: `BasedOnCallerID`). Where the kind
/// of rule is not told, it is taken for one of a DID (inferred).
fn is_by_did(rule: &Row) -> bool {
    let condition = text_of(rule, "condition").to_ascii_lowercase();
    condition.is_empty() || condition.contains("did")
}

fn text(row: &Row, name: &str) -> Option<String> {
    Some(text_of(row, name).trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(value: &Value) -> Vec<Row> {
        value.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
    }

    #[test]
    fn the_more_particular_book_goes_first() {
        let books = BTreeMap::from([
            (
                Book::Peers,
                rows(&json!([
                    {"Number": "106", "Name": "Novak, Alice", "Type": "Extension"},
                    {"Number": "800", "Name": "Sales (queue)", "Type": "Queue"},
                    {"Number": "820", "Name": "Office", "Type": "RingGroup"},
                    {"Name": "without a number"},
                ])),
            ),
            (Book::Queues, rows(&json!([{"Number": "800", "Name": "Sales"}]))),
            (
                Book::Users,
                rows(&json!([
                    {"Number": "106", "FirstName": "Alice", "LastName": "Novak",
                     "EmailAddress": "alice@example.com"},
                    {"Number": 107, "FirstName": null, "DisplayName": "Bob"},
                ])),
            ),
            (
                Book::DidNumbers,
                rows(&json!([
                    {"Number": "420226201001", "RoutingRule": {"RuleName": "PragueDID"}},
                    {"Number": "420226201009", "RoutingRule": null},
                ])),
            ),
            (
                Book::InboundRules,
                rows(&json!([
                    {"RuleName": "Other", "Data": "420226201001", "Condition": "BasedOnDID"},
                    {"RuleName": "Brno", "Data": "*201002, 420226201003"},
                    {"RuleName": "VIP", "Data": "420774852629", "Condition": "BasedOnCallerID"},
                    {"RuleName": "All", "Data": "*"},
                ])),
            ),
        ]);
        let known = known(&books);
        let dids: Vec<_> =
            known.dids.iter().map(|did| (did.number.as_str(), did.name.as_str())).collect();
        assert_eq!(
            dids,
            [("*201002", "Brno"), ("420226201001", "PragueDID"), ("420226201003", "Brno")]
        );
        let number = |number: &str, kind, name: &str, email: Option<&str>| KnownNumber {
            number: number.into(),
            kind,
            name: Some(name.into()),
            email: email.map(Into::into),
        };
        assert_eq!(
            known.numbers,
            [
                number("106", DnType::Extension, "Alice Novak", Some("alice@example.com")),
                number("107", DnType::Extension, "Bob", None),
                number("800", DnType::Queue, "Sales", None),
                number("820", DnType::RingGroup, "Office", None),
            ]
        );
    }
}
