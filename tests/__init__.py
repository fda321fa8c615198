"""Tests of Haven. `tests.support` holds what they share."""
