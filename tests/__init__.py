"""The tests: `unit` without a chain, `contracts` and `e2e` on a real anvil."""
