"""Pictor VIP Pass: activity to scores, scores to the chain, and back. Plain Python and web3; nothing in here imports ape."""
