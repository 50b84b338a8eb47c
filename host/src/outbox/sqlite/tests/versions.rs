//! Files of earlier versions.

use super::*;

/// A file of version 1 with a request that waits, one behind it, and one that is dead.
fn version_1(path: &Path) {
    let connection = file::connect(path).unwrap();
    schema::migrate_within(&connection, 0, 1).unwrap();
    connection
        .execute_batch(
            "INSERT INTO calls VALUES ('pbx', 'k1', x'07');
             INSERT INTO events VALUES ('e1', 'pbx', 'c1', 'start', '{}', 1);
             INSERT INTO requests VALUES
                (1, 'e1:crm:0', 'e1', 'crm', 'a', 1, 'waiting', NULL, 2, 1, 1, 1, NULL,
                 'GET', 'http://crm.example/', '[]', x'', NULL, x''),
                (2, 'e2:crm:0', 'e2', 'crm', 'a', 2, 'behind', NULL, 0, 1, 1, 1, NULL,
                 'GET', 'http://crm.example/', '[]', x'', NULL, x''),
                (3, 'e3:crm:0', 'e3', 'crm', 'b', 1, 'dead', 'no', 1, 1, 1, 1, 1,
                 'GET', 'http://crm.example/', '[]', x'', NULL, x'');
             INSERT INTO attempts VALUES (1, 1, 1, 1, 500, NULL, x'', 0);
             INSERT INTO failed_transforms VALUES ('e4', 'crm', 'p', 'trap', 'm', 1);",
        )
        .unwrap();
}

/// What the attempts at this request brought.
fn statuses(bench: &Bench, id: &str) -> Vec<Option<u16>> {
    let detail = bench.outbox().show(id).unwrap().unwrap();
    detail.attempts.iter().map(|attempt| attempt.status).collect()
}

#[test]
fn a_file_of_version_1_is_taken_over_with_all_that_is_in_it() {
    let mut bench = Bench::new();
    bench.close();
    fs::remove_file(bench.path()).unwrap();
    version_1(&bench.path());
    bench.reopen();
    assert_eq!(bench.metrics.outbox_pending.get(), 2);
    assert_eq!(bench.outbox().load_calls("pbx").unwrap(), [("k1".to_owned(), vec![7])]);
    assert_eq!(statuses(&bench, "e1:crm:0"), [Some(500)]);
    let claims = bench.claims(CRM, 9);
    assert_eq!(claims.requests.len(), 1);
    assert_eq!((claims.requests[0].id.as_str(), claims.requests[0].attempts), ("e1:crm:0", 2));
    bench.complete("e1:crm:0");
    assert_eq!(bench.claim(CRM, 9), ["e2:crm:0"]);
    let every = crate::outbox::DeliveryFilter { limit: 9, ..Default::default() };
    assert_eq!(bench.outbox().list(&every).unwrap().len(), 4);
}

/// A file of version 2 as that version left it, its lock's mark included.
fn version_2(path: &Path) {
    version_1(path);
    let connection = Connection::open(path).unwrap();
    schema::migrate_within(&connection, 1, 2).unwrap();
    let sum = "UPDATE requests SET sum = ?1 WHERE id = 'e1:crm:0'";
    let written = check::RequestParts {
        id: "e1:crm:0",
        event_id: "e1",
        endpoint: "crm",
        lane: "a",
        sequence: 1,
        method: "GET",
        url: "http://crm.example/",
        headers: "[]",
        body: b"",
        tag: None,
        state: b"",
        base: None,
    };
    connection.execute(sum, [written.sum()]).unwrap();
    fs::write(file::beside(path, ".lock"), "callhook outbox, schema 2\n").unwrap();
}

#[test]
fn a_file_of_version_2_is_taken_over_and_its_requests_go_where_they_were_made_for() {
    let mut bench = Bench::new();
    bench.close();
    fs::remove_file(bench.path()).unwrap();
    version_2(&bench.path());
    bench.reopen();
    let claims = bench.claims(CRM, 9);
    let [claimed] = &claims.requests[..] else { panic!("{claims:?}") };
    assert_eq!((claimed.base.as_deref(), claimed.refusals), (None, 0));
    let mark = fs::read_to_string(file::beside(&bench.path(), ".lock")).unwrap();
    assert_eq!(mark, format!("callhook outbox, schema {}\n", schema::NEWEST));
}

#[test]
fn a_damaged_file_of_version_2_is_repaired() {
    let mut bench = Bench::new();
    bench.close();
    fs::remove_file(bench.path()).unwrap();
    version_2(&bench.path());
    let mut bytes = fs::read(bench.path()).unwrap();
    bytes[..16].fill(0);
    fs::write(bench.path(), bytes).unwrap();
    bench.reopen();
    assert_eq!(bench.metrics.outbox_repairs.get(), 1);
    assert_eq!(statuses(&bench, "e1:crm:0"), [Some(500)]);
    assert_eq!(bench.claim(CRM, 9), ["e1:crm:0"]);
}

#[test]
fn a_migration_that_was_cut_off_is_done_anew() {
    // A crash leaves what the last whole transaction left, so it is enough to undo a migration.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("outbox.db");
    version_1(&path);
    for _ in 0..3 {
        let mut connection = file::connect(&path).unwrap();
        let transaction = connection.transaction().unwrap();
        schema::migrate_within(&transaction, 1, 4).unwrap();
        transaction.rollback().unwrap();
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, 1);
    }
    let outbox = SqliteOutbox::open(&path, Clock::system(), Metrics::default()).unwrap();
    assert_eq!(outbox.shared.metrics.outbox_pending.get(), 2);
}

#[test]
fn a_reader_refuses_what_is_not_brought_up_to_date() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("outbox.db");
    version_1(&path);
    let error = SqliteOutbox::open_reader(&path, Clock::system()).unwrap_err();
    assert!(format!("{error:#}").contains("an older service wrote it"), "{error:#}");
}
