"""The REST API: Harbor's API v2.0, and only here Harbor's wire format; the token service."""
