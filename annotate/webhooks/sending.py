"""One signed request to one address that a stranger named: no private addresses, no redirects, little patience."""

import hashlib
import hmac
import ipaddress
import json
import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from django.conf import settings

from annotate.errors import PalateError

SECONDS = 10
MOST_BYTES = 1000


def signature(secret: str, body: bytes, at: int) -> str:
    """t=SECONDS,v1=HMAC-SHA-256 of "SECONDS.BODY" in hexadecimal digits."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def resolved(url: str) -> tuple[str, str]:
    """The host of an address and one IP of it. Raises PalateError unless every IP it has may be called.

    The request goes to that very IP, so that a name that changes its mind in between gains nothing.
    """
    parts = urlsplit(url)
    schemes = ("http", "https") if settings.WEBHOOKS_ALLOW_PRIVATE else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username:
        raise PalateError(f"url: {url[:100]!r}; expected {' or '.join(schemes)}://host/path without a user")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = {str(info[4][0]) for info in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError, ValueError):
        raise PalateError(f"url: the host {parts.hostname!r} is not known") from None
    for address in found:
        ip = ipaddress.ip_address(address.split("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if not settings.WEBHOOKS_ALLOW_PRIVATE and (not ip.is_global or ip.is_multicast):
            raise PalateError(f"url: {parts.hostname!r} leads to a private address ({ip}), which is not called")
    return parts.hostname, sorted(found)[0]


def send(url: str, secret: str, event: str, delivery: int, payload: Mapping[str, Any]) -> int:
    """POST the payload; returns the status. Raises PalateError or urllib3's HTTPError when there is no answer."""
    host, ip = resolved(url)
    parts = urlsplit(url)
    body = json.dumps(payload, sort_keys=True).encode()
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": "Palate-Webhook",
        "Palate-Event": event,
        "Palate-Delivery": str(delivery),
        "Palate-Signature": signature(secret, body, int(time.time())),
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    timeout = urllib3.Timeout(total=SECONDS)
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            ip, parts.port or 443, timeout=timeout, retries=False, server_hostname=host, assert_hostname=host
        )
    else:
        pool = urllib3.HTTPConnectionPool(ip, parts.port or 80, timeout=timeout, retries=False)
    with pool:
        answer = pool.request("POST", path, body=body, headers=headers, redirect=False, preload_content=False)
        answer.read(MOST_BYTES)
        answer.release_conn()
        return answer.status
