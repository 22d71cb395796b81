"""Restart of brokers, one at a time, of one broker, or of the connectors."""
