"""Tests against real nodes, each a process of its own."""
