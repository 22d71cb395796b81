"""The REST API: HTTP on one side, operations on the other, nothing decided in between."""
