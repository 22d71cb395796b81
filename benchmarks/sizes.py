"""Unzipped size of each function with its layers. `python -m benchmarks.sizes`"""

from __future__ import annotations

from benchmarks.artifacts import LIMIT_MB, functions, write


def main() -> None:
    """Build, measure, write."""
    sizes = {one.name: round(one.size_mb, 1) for one in functions()}
    rows = "".join(f"| {name} | {size} |\n" for name, size in sizes.items())
    table = f"Limit: {LIMIT_MB} MB.\n\n| function | MB with layers |\n|---|---|\n{rows}"
    write("sizes", {"limitMb": LIMIT_MB, "mb": sizes}, table)


if __name__ == "__main__":
    main()
