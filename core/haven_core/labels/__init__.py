"""Labels, which people put on artifacts."""
