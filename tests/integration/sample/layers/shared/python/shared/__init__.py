"""Comes from a layer."""

COLOUR = "green"
