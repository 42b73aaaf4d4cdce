"""What happened: the schemas of activity, the ledger of what came in, on-chain recharges, rollups, a simulated network."""
