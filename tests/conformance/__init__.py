"""The OCI distribution specification, case by case."""
