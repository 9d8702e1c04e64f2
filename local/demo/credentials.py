"""Secrets of one demo: generated on the first start, kept for its owner only."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What the processes of the demo prove to each other."""

    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(64))
    session_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    fernet_key: str = field(
        default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    )
    client_id: str = field(default_factory=lambda: "demo-" + secrets.token_hex(8))
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))


def load_or_create(path: Path) -> Credentials:
    """Return the secrets of this file, which is created (mode 600) when missing."""
    if path.exists():
        return Credentials(**json.loads(path.read_text()))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    created = Credentials()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(created), file)
    fresh.replace(path)
    return created
