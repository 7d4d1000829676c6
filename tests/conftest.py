import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.redis_fixtures"]

# Tests share busy machines: how long an example takes says nothing about it.
settings.register_profile("busy-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy-machine")


def pytest_xdist_auto_num_workers() -> int:
    """Run one worker more than there are processors: tests wait for real servers about as often as they compute."""
    return (os.cpu_count() or 1) + 1
