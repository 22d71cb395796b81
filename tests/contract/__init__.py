"""Contract: the same cases against recordings, twins and fakes."""
