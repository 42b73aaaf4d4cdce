"""Thin commands for `ape run`: they take networks and accounts from Ape and hand them to the library."""
