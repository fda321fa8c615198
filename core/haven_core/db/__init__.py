"""What the ORM can't say, and what differs between PostgreSQL and SQLite. Nothing else knows which database it is."""
