"""Contract: the same cases against recordings, fakes and fakes."""
