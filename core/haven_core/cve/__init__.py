"""Vulnerabilities that somebody decided to live with."""
