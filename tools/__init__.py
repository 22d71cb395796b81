"""Tools for developers and deployers, run from the repository, never in a function."""
