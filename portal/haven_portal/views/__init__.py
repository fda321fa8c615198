"""Pages, a module for each topic."""
