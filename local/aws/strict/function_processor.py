"""A function loads compiled modules only if they were built for its processor."""

from __future__ import annotations

import functools
import io
import zipfile
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import lambda_svc
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.aws.strict import Strictness

# e_machine of the ELF header; https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_MACHINES: Final = {0x3E: "x86_64", 0xB7: "arm64"}
_MAGIC: Final = b"\x7fELF"


def install(_strictness: Strictness) -> None:
    """Look into function and layers before the first invocation of each revision."""
    lambda_svc.execute_function_warm = _examined(lambda_svc.execute_function_warm)


def _examined(own: Any) -> Any:
    foreign = functools.lru_cache(maxsize=512)(foreign_library)

    def execute(record: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        config = record.get("config") or record
        layers = [lambda_svc.resolve_layer_zip(layer) for layer in config.get("Layers", [])]
        processor = (config.get("Architectures") or ["x86_64"])[0]
        packages = (record.get("code_zip"), *layers)
        found = foreign(processor, tuple(one for one in packages if one))
        if not found:
            answer: dict[str, Any] = own(record, event, request_id)
            return answer
        message = f"Unable to import module: {found}: cannot open shared object file ({processor})"
        body = {"errorType": "Runtime.ImportModuleError", "errorMessage": message}
        return {"body": body, "error": True, "log": message}

    return execute


def foreign_library(processor: str, packages: Sequence[bytes]) -> str:
    """Name of a shared object in zipped packages for another processor; empty if there is none."""
    for package in packages:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            for name in archive.namelist():
                if ".so" not in name.rpartition("/")[2]:
                    continue
                with archive.open(name) as library:
                    header = library.read(20)
                machine = _MACHINES.get(int.from_bytes(header[18:20], "little"))
                if header.startswith(_MAGIC) and machine != processor:
                    return name
    return ""


RULE: Final = Rule(
    name="function-processor",
    does="An `arm64` function cannot load modules compiled for `x86_64`, nor the other way round:"
    " the import fails.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html",
    caught="`Architecture=arm64` deployed functions with psycopg for x86_64: the import of the"
    " seeding function failed.",
    install=install,
)
