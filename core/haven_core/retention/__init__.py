"""Retention policies of projects, and what their runs did. haven_gc.retention runs them."""
