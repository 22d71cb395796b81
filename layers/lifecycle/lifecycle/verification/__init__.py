"""Verification as a user does it: brokers, load balancers, process instances."""
