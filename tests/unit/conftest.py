"""How long property tests search: the same bounded examples at each run, or, with HYPOTHESIS_PROFILE=thorough, new ones for minutes."""

import os

from hypothesis import HealthCheck, settings

slow_to_draw = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
settings.register_profile("ci", deadline=None, max_examples=30, derandomize=True, suppress_health_check=slow_to_draw)
settings.register_profile("thorough", deadline=None, max_examples=1_000, suppress_health_check=slow_to_draw, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
