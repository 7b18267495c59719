"""Where a bucket is, and as whom it is asked: addresses of stores in buckets, and credentials of AWS."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from featurestore.errors import MissingPackageError, StorageError

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
"""Variables that name another service than that of AWS, first the one that counts most."""
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"([A-Za-z0-9_.=+-]+(/[A-Za-z0-9_.=+-]+)*)?")


def parse_uri(uri: str) -> tuple[str, str]:
    """Return bucket and prefix of `s3://BUCKET/PREFIX`.

    Raises
    ------
    StorageError
        If it has another form or a password in it, which is not repeated.
    """
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        raise StorageError(
            "a store's URI holds no user and no password, since it is kept in records: give them by AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    prefix = parts.path.strip("/")
    sound = BUCKET.fullmatch(parts.netloc) and PREFIX.fullmatch(prefix) and not parts.query and not parts.fragment
    if not sound or any(set(part) == {"."} for part in prefix.split("/") if part):
        raise StorageError(
            f"{uri!r:.200} is no store in a bucket: write s3://BUCKET/PREFIX, the prefix of letters, digits and any "
            "of -_.=+ and /."
        )
    return parts.netloc, prefix


def credentials(uri: str) -> Any:  # noqa: ANN401 (obstore's protocol)
    """Return what gets credentials from a profile; None where the environment has them, or no profile is there."""
    if os.environ.get("AWS_ACCESS_KEY_ID") and not os.environ.get("AWS_PROFILE"):
        return None
    named = os.environ.get("AWS_PROFILE")
    files = ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), ("AWS_CONFIG_FILE", "~/.aws/config")
    if not named and not any(Path(os.environ.get(name, usual)).expanduser().exists() for name, usual in files):
        return None
    try:
        import boto3
        import botocore.exceptions
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise MissingPackageError(
            f"{uri}: profiles of AWS are read by boto3 (Apache-2.0): pip install 'featurestore[s3]', or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    try:
        return Boto3CredentialProvider(boto3.Session())
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        if not named:
            return None
        raise StorageError(f"{uri}: the profile AWS_PROFILE={named} gives no credentials: check ~/.aws.") from error
