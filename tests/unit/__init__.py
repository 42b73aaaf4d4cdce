"""The specification of the library, without a chain and without a network."""
