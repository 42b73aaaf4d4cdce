"""How hard the property tests try: the same examples every time, or, with `--hypothesis-profile thorough`, new and more ones."""

from hypothesis import HealthCheck, Phase, settings

# A chain is slow beside a function, and its fixtures are rewound by the tests themselves.
CHAIN = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
PHASES = [Phase.explicit, Phase.generate, Phase.shrink]

settings.register_profile("quick", derandomize=True, deadline=None, database=None, phases=PHASES, suppress_health_check=CHAIN)
settings.register_profile("thorough", settings.get_profile("quick"), derandomize=False, max_examples=2_000)
settings.load_profile("quick")
