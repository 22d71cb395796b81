"""The release of the control plane, which each response of the API carries."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
"""As in ``pyproject.toml``, which a test compares."""
