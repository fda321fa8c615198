"""The registry: OCI distribution, storage, and the chain of keys that keeps bytes exactly as long as somebody needs them."""
