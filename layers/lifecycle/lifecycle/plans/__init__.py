"""Plans: what a change would do, how long it takes, and whether it may still be applied."""
