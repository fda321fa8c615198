"""What was pushed, explained: pure functions of a manifest, its config and a chart's archive. No database, no storage.

Everything read here was written by strangers: it is bounded, checked for its type, and only ever shown as text.
"""
