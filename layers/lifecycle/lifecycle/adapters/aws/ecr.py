"""Amazon ECR's private repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client, error_code, error_message
from lifecycle.services.image_digests import Digest

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

    from lifecycle.services.image_digests import PrivateImage


class EcrRegistry:
    """The ``Registry`` port on ECR, for repositories of this account in this region.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
    """

    def digest(self, image: PrivateImage) -> Digest:
        """Return the digest of an image; the reason for one that is missing or not readable.

        Raises ``AwsUnavailable`` and ``AwsRefused`` for any other failure.
        """
        api: ECRClient = client("ecr")
        image_id: ImageIdentifierTypeDef = (
            {"imageDigest": image.digest} if image.digest else {"imageTag": image.tag}
        )
        try:
            found = api.describe_images(repositoryName=image.repository, imageIds=[image_id])
        except (
            api.exceptions.ImageNotFoundException,
            api.exceptions.RepositoryNotFoundException,
        ) as error:
            return Digest(reason=error_message(error).rstrip("."), missing=True)
        except api.exceptions.ClientError as error:
            if error_code(error) != "AccessDeniedException":
                raise
            return Digest(reason=f"it may not be read: {error_message(error).rstrip('.')}")
        for one in found["imageDetails"]:
            return Digest(one["imageDigest"])
        return Digest(reason="ECR names no image", missing=True)
