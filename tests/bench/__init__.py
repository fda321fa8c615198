"""Measurements: programs, run by hand."""
