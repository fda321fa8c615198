"""The embedded stack: supervisor, gateway, certificates. Knows processes, not the product."""
