"""In-memory fake of Amazon ECR's private repositories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.services.image_digests import Digest

if TYPE_CHECKING:
    from lifecycle.services.image_digests import PrivateImage


@dataclass
class FakeRegistry:
    """Digests by repository and tag; ``denied`` is why nothing may be read."""

    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    denied: str = ""

    def digest(self, image: PrivateImage) -> Digest:
        """Digest of an image; of one that is not there or may not be read, the reason."""
        if self.denied:
            return Digest(reason=self.denied)
        if image.digest in self.tags.values():
            return Digest(image.digest)
        found = self.tags.get((image.repository, image.tag))
        return Digest(found) if found else Digest(reason="there is no such image", missing=True)
