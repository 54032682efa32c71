"""One signed request to one address that a stranger named: no private addresses, no redirects, little patience."""

import hashlib
import hmac
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _
from urllib3.connection import HTTPConnection, HTTPSConnection

from core.errors import PalateError

SECONDS = 10
# What may stand in an address as it is; the rest is written as %XX.
SAFE = "/%?&=+:;,@!$'()*~"
# NAT64 (well-known and local), IPv4-compatible, site-local: the library takes them for public.
NEVER_CALLED = [ipaddress.ip_network(n) for n in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "fec0::/10")]


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
    if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc:
        message = (
            _("url: %(url)r; expected http://host/path or https://host/path without a user")
            if settings.WEBHOOKS_ALLOW_PRIVATE
            else _("url: %(url)r; expected https://host/path without a user")
        )
        raise PalateError(message % {"url": url[:100]})
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        parts.hostname.encode("idna")
        found = {str(info[4][0]) for info in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError, ValueError):
        raise PalateError(_("url: the host %(host)r is not known") % {"host": parts.hostname}) from None
    for address in found:
        if not settings.WEBHOOKS_ALLOW_PRIVATE and not _is_public(address):
            message = _("url: %(host)r leads to a private address (%(address)s), which is not called")
            raise PalateError(message % {"host": parts.hostname, "address": address})
    return parts.hostname, sorted(found)[0]


def _is_public(address: str) -> bool:
    """Also where a gateway would turn an IPv6 address into the private IPv4 address that it holds."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in NEVER_CALLED):
            return False
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_global and not ip.is_multicast


def send(url: str, secret: str, event: str, delivery: int, payload: Mapping[str, Any]) -> int:
    """POST the payload; returns the status. Raises PalateError, OSError or an HTTPError when there is no answer."""
    host, ip = resolved(url)
    parts = urlsplit(url)
    body = json.dumps(payload, sort_keys=True).encode()
    name = f"[{host}]" if ":" in host else host.encode("idna").decode()
    headers = {
        "Host": f"{name}:{parts.port}" if parts.port else name,
        "Content-Type": "application/json",
        "User-Agent": "Palate-Webhook",
        "Palate-Event": event,
        "Palate-Delivery": str(delivery),
        "Palate-Signature": signature(secret, body, int(time.time())),
    }
    path = quote(parts.path or "/", safe=SAFE) + (f"?{quote(parts.query, safe=SAFE)}" if parts.query else "")
    if parts.scheme == "https":
        connection: HTTPConnection = HTTPSConnection(
            ip, parts.port or 443, timeout=SECONDS, server_hostname=name, assert_hostname=name
        )
    else:
        connection = HTTPConnection(ip, parts.port or 80, timeout=SECONDS)
    # A connection asks once: it follows no redirect.
    with _at_most(SECONDS, connection):
        connection.request("POST", path, body=body, headers=headers, preload_content=False)
        return connection.getresponse().status


@contextmanager
def _at_most(seconds: float, connection: HTTPConnection) -> Iterator[None]:
    """Cuts the connection after so long: a timeout of its own is for each piece, and pieces may trickle for days."""
    timer = threading.Timer(seconds, _cut, [connection])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()


def _cut(connection: HTTPConnection) -> None:
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
