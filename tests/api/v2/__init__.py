"""The distribution API and the token service, tested over HTTP through the gateway against their specifications."""
