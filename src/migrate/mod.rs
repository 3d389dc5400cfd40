//! Migrations: files → checks → plan → apply → history.
