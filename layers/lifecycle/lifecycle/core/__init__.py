"""Decisions as pure functions of what was observed. Standard library only."""
