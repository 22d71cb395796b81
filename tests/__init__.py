"""The tests. A package, because a library that is used here installs one of that name."""
