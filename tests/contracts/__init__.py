"""The specification of the contracts, on a real anvil through Ape."""
