"""What tests of properties share: what holds for any input is no matter of speed."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Read before the tests, whose own settings go on from these; in CI, where hypothesis by itself
# takes the same examples each time, it goes on doing so.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")
