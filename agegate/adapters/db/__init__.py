"""The store on SQLite and PostgreSQL: one code path."""
