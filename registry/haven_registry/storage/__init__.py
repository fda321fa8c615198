"""Where bytes live: one Protocol, several drivers. No Django."""
