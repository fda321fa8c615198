"""Real container clients against a running stack."""
