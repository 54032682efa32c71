from django.core.cache import caches
from rest_framework.throttling import UserRateThrottle


class RequestsAMinute(UserRateThrottle):
    """A user's requests, counted by each web process: a count in the database would cost more than it saves."""

    cache = caches["process"]
