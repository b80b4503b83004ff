"""Hands recipients to the gateway."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any


class UploadError(RuntimeError):
    """The gateway did not take a batch."""


class Uploader:
    """Posts batches, and waits when the gateway asks it to."""

    def __init__(self, base_url: str, token: str, attempts: int = 5) -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token
        self.attempts = attempts

    def __call__(self, batch: list[dict[str, Any]]) -> None:
        body = json.dumps({"endpoint": "recipients", "payload": batch}, default=str).encode()
        for attempt in range(1, self.attempts + 1):
            request = urllib.request.Request(
                f"{self.base_url}/v1/deliveries",
                data=body,
                headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=30):
                    return
            except urllib.error.HTTPError as error:
                if error.code not in (429, 503):
                    raise UploadError(f"batch of {len(batch)} refused with status {error.code}") from error
                time.sleep(retry_after(error.headers.get("Retry-After"), attempt))
            except urllib.error.URLError as error:
                time.sleep(retry_after(None, attempt))
                last = error.reason
        raise UploadError(f"batch of {len(batch)} not taken after {self.attempts} attempts: {last}")


def retry_after(header: str | None, attempt: int) -> float:
    """Seconds to wait: what the server says, or else longer each time."""
    if header is not None and header.isdigit():
        return float(header)
    return min(60.0, 2.0**attempt)
