//! The statements of one transaction, each looked up once.
//!
//! A transaction carries out hundreds of operations with a dozen statements. The connection keeps
//! those compiled, but finds them by their text, each time anew.

use std::cell::RefCell;
use std::ops::Deref;

use rusqlite::{CachedStatement, Connection, Params, Row};

/// A connection, and what was looked up on it.
pub(super) struct Statements<'c> {
    connection: &'c Connection,
    /// Told apart by where their texts are.
    found: RefCell<Vec<(&'static str, CachedStatement<'c>)>>,
}

impl<'c> Statements<'c> {
    /// Those on `connection`.
    pub(super) fn of(connection: &'c Connection) -> Self {
        Self { connection, found: RefCell::default() }
    }

    /// Executes `sql`, and says how many rows it changed.
    pub(super) fn execute(&self, sql: &'static str, with: impl Params) -> rusqlite::Result<usize> {
        self.find(sql, |statement| statement.execute(with))
    }

    /// Whether there is any row.
    pub(super) fn exists(&self, sql: &'static str, with: impl Params) -> rusqlite::Result<bool> {
        self.find(sql, |statement| statement.exists(with))
    }

    /// The first row.
    pub(super) fn query_row<T>(
        &self,
        sql: &'static str,
        with: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.find(sql, |statement| statement.query_row(with, read))
    }

    fn find<T>(
        &self,
        sql: &'static str,
        run: impl FnOnce(&mut CachedStatement<'c>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut found = self.found.borrow_mut();
        if let Some((_, statement)) = found.iter_mut().find(|(text, _)| std::ptr::eq(*text, sql)) {
            return run(statement);
        }
        let mut statement = self.connection.prepare_cached(sql)?;
        let done = run(&mut statement);
        found.push((sql, statement));
        done
    }
}

/// For what is seldom asked.
impl Deref for Statements<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}
