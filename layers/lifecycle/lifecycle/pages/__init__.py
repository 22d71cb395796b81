"""Pages for people: what an operation did and what a plan would do, as one HTML document each."""
