"""Contract: the same cases against recordings, twins, fakes and real brokers."""
