"""Which adapter stands behind which port: the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.console.publish import Publisher

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def publisher() -> Publisher:
    """Publishing of the files in ``CONSOLE_FILES``."""
    import os
    from pathlib import Path

    from lifecycle import __version__
    from lifecycle.adapters.aws.custom_resources import ResponseUrls
    from lifecycle.adapters.aws.website import S3Website
    from lifecycle.console.files import read_files
    from lifecycle.console.publish import Publisher
    from lifecycle.observability import of_aws

    return Publisher(
        website=S3Website(),
        resources=ResponseUrls(),
        files=lambda: read_files(Path(os.environ["CONSOLE_FILES"])),
        release=__version__,
        region=os.environ["AWS_REGION"],
        translate=of_aws,
    )
