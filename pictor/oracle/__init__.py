"""One epoch's way to the chain: proposed by the oracle, recomputed and signed by attestors, posted, and checked by anybody."""
