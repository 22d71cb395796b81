"""Hold the OpenAPI document to the specification: https://spec.openapis.org/oas/v3.1.0

The validator takes patterns for Python's, while the written document has them as JSON Schema means
them (``generate_openapi._of_ecma``); so the document is checked before that is done.
"""

from __future__ import annotations

import sys

from openapi_spec_validator import OpenAPIV31SpecValidator

from tools.generate_openapi import document


def main() -> int:
    """Print what is wrong; exit status 1 if there is something."""
    found = [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()]
    print("\n".join(found) or "The OpenAPI document is valid")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
