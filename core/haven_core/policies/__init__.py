"""What may stop a write that the caller has the right to: asked by every room that writes."""
