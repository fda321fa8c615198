"""Who belongs to projects, and as what."""
