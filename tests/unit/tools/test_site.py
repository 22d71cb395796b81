"""The documents as a site: links lead somewhere, and no address is ever lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import site


def test_every_link_of_the_documents_leads_somewhere() -> None:
    assert site.broken() == []


def test_a_link_that_leads_nowhere_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "one.md"
    document.write_text(
        "# A `heading` of two\n[a](#a-heading-of-two) [b](#other) [c](gone.md) [d](https://x)\n"
        "```\n[e](in-code.md)\n```\n"
    )
    monkeypatch.setattr(site, "documents", lambda: {"one.md": document})
    assert site.broken() == ["one.md: no heading #other", "one.md: no gone.md"]


def test_no_address_is_lost_and_new_ones_are_listed() -> None:
    """`make generate` adds what is new; what is gone needs its heading back, as an anchor."""
    listed = set(site.ADDRESSES.read_text().splitlines())
    present = set(site.addresses())
    assert sorted(listed - present) == [], "an address of before leads nowhere"
    assert sorted(present - listed) == [], "make generate"


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("DESIRED_COUNT_MISMATCH", "desired_count_mismatch"),
        ("Try it on your machine: `make demo`", "try-it-on-your-machine-make-demo"),
        ("In [a link](x.md), too", "in-a-link-too"),
    ],
)
def test_anchors_are_those_of_github(heading: str, anchor: str) -> None:
    assert site.slug(heading) == anchor


def test_pages_and_the_files_they_lead_to_are_written(tmp_path: Path) -> None:
    site.write(tmp_path / "source")
    assert "](security.md#the-deployer)" in (tmp_path / "source" / "index.md").read_text()
    assert (tmp_path / "source" / "files" / "stacks" / "cluster.yaml").is_file()
    assert "](runbook.md" in (tmp_path / "source" / "health.md").read_text()
