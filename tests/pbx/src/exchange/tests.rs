//! The wire sequence of each kind of call, as a table.
