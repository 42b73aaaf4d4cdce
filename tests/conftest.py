"""How hard the property tests try: the same examples every time, or, with `--hypothesis-profile thorough`, new and more ones."""

from hypothesis import HealthCheck, Phase, settings

# A chain and a network's activity are slow beside a number, and the chain's fixtures are rewound by the tests themselves.
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.function_scoped_fixture]
PHASES = [Phase.explicit, Phase.generate, Phase.shrink]

settings.register_profile("quick", derandomize=True, deadline=None, database=None, phases=PHASES, suppress_health_check=SLOW)
settings.register_profile("thorough", settings.get_profile("quick"), derandomize=False, max_examples=2_000)
settings.load_profile("quick")
