"""The OCI formats as pure values: no Django, no I/O."""
