"""The rule for compiled modules: each for the processor of its function."""

from __future__ import annotations

import io
import zipfile

import pytest

from local.aws.strict.function_processor import foreign_library

X86_64, ARM64 = 0x3E, 0xB7


def package(**libraries: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("python/handler.py", "pass")
        for name, machine in libraries.items():
            header = b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little")
            archive.writestr(f"python/pq/{name}.so.1", header)
    return content.getvalue()


@pytest.mark.parametrize(
    ("processor", "machine", "found"),
    [
        ("x86_64", X86_64, ""),
        ("arm64", ARM64, ""),
        ("arm64", X86_64, "python/pq/pq.so.1"),
        ("x86_64", ARM64, "python/pq/pq.so.1"),
        ("x86_64", 0xF3, "python/pq/pq.so.1"),
    ],
)
def test_a_library_for_another_processor_is_found(processor: str, machine: int, found: str) -> None:
    assert foreign_library(processor, [package(), package(pq=machine)]) == found


def test_what_is_no_program_does_not_count() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("python/notes.so.txt", "text")
    assert foreign_library("arm64", [content.getvalue()]) == ""
