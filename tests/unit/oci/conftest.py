"""Settings of the property tests."""

from hypothesis import settings

# No deadline for one example: a busy machine is not a bug, and costs that matter have tests of their own.
settings.register_profile("haven", deadline=None)
settings.load_profile("haven")
