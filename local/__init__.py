"""The application on one machine: an embedded AWS, real brokers, a real PostgreSQL. Linux only."""
