//! The numbers of the exchange that all scenarios use.

use callhook_pbx::exchange::{Did, Dn, Kind, Plan, Strategy, Wire};

/// Who calls, and who is called outside.
pub(crate) const CALLER: &str = "420774852629";
/// Somebody else outside.
pub(crate) const MOBILE: &str = "420602111222";
/// The trunk.
pub(crate) const TRUNK: &str = "10007";
/// The extensions.
pub(crate) const EXTENSIONS: [&str; 6] = ["106", "107", "108", "109", "110", "111"];
/// What is neither a person nor the trunk.
pub(crate) const SYSTEM: [&str; 13] =
    ["800", "801", "810", "811", "850", "851", "666", "SP0", "888", "802", "812", "ROUTER", "700"];

fn person(number: &str, phones: usize) -> (String, Dn) {
    let device = |place| format!("sip:{number}@127.0.0.1:{}", 5483 + place);
    let devices = (0..phones).map(device).collect();
    (number.to_owned(), Dn { devices, ..Dn::new(Kind::Extension, number) })
}

fn group(kind: Kind, number: &str, members: &[&str], strategy: Strategy) -> (String, Dn) {
    let members = members.iter().map(|&member| member.to_owned()).collect();
    (number.to_owned(), Dn { members, strategy, ..Dn::new(kind, number) })
}

/// Alice 106, Bob 107, Carol 108 with two phones, Dan 109, Eva 110, Fred 111; queues 800 (all at
/// once), 801 (one after the other) and 802 (empty); ring groups 810 and 811 likewise;
/// receptionists 850 and 851; fax 888; conference room 700. The trunk's numbers are `42022620` and four digits.
pub(crate) fn plan(wire: Wire) -> Plan {
    let mut dns: Vec<(String, Dn)> =
        EXTENSIONS.iter().map(|&dn| person(dn, if dn == "108" { 2 } else { 1 })).collect();
    dns.extend([
        group(Kind::Queue, "800", &["106", "107"], Strategy::RingAll),
        group(Kind::Queue, "801", &["106", "107", "108"], Strategy::Hunt),
        group(Kind::Queue, "802", &[], Strategy::Hunt),
        group(Kind::RingGroup, "810", &["107", "108", "109"], Strategy::RingAll),
        group(Kind::RingGroup, "811", &["107", "109"], Strategy::Hunt),
    ]);
    let plain = [
        ("850", Kind::Receptionist),
        ("851", Kind::Receptionist),
        ("666", Kind::SpecialMenu),
        ("SP0", Kind::Parking),
        ("888", Kind::Fax),
        ("700", Kind::Conference),
        ("901", Kind::RoutePoint),
        (TRUNK, Kind::Trunk),
    ];
    dns.extend(plain.map(|(number, kind)| (number.to_owned(), Dn::new(kind, number))));
    let lines = [
        ("1001", "106"),
        ("1002", "800"),
        ("1003", "810"),
        ("1004", "850"),
        ("1005", "801"),
        ("1006", "811"),
        ("1007", "888"),
        ("1008", "108"),
        ("1009", "802"),
        ("1010", "107"),
        ("1011", "700"),
    ];
    let did = |(line, to): (&str, &str)| {
        (format!("42022620{line}"), Did { to: to.to_owned(), rule: String::new() })
    };
    Plan {
        dns: dns.into_iter().collect(),
        dids: lines.into_iter().map(did).collect(),
        trunk: TRUNK.to_owned(),
        route_point: "901".to_owned(),
        listed: None,
        first_call: 1,
        first_participant: 1,
        wire,
    }
}
