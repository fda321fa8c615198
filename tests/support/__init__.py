"""What tests share: OCI data, a protocol client, the running stack, provisioning."""
