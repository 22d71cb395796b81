"""One execution of a state machine: lock, record, steps, events, idempotency, start and end."""
