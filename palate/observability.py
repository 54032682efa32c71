"""What operators see: a request id on every line of the log, one line a request, counts for Prometheus, health."""

import hmac
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

log = structlog.get_logger("palate.requests")
REQUESTS = Counter("palate_requests_total", "Requests by view, method and status.", ["view", "method", "status"])
SECONDS = Histogram("palate_request_seconds", "Seconds until the answer begins, by view.", ["view"])
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
Answer = Callable[[HttpRequest], HttpResponse]


def observe(get_response: Answer) -> Answer:
    """Middleware, the outermost: a proxy's X-Request-ID is kept when it looks like one, or else one is made."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        start = time.perf_counter()
        answer = get_response(request)
        seconds = time.perf_counter() - start
        # The name of the view, never the path: a path is a stranger's text and has no end of values.
        view = (request.resolver_match.view_name if request.resolver_match else "") or "none"
        REQUESTS.labels(view, request.method or "", answer.status_code).inc()
        SECONDS.labels(view).observe(seconds)
        log.info("request", view=view, method=request.method, status=answer.status_code, seconds=round(seconds, 4))
        answer["X-Request-ID"] = request_id
        return answer

    return middleware


def probes(get_response: Answer) -> Answer:
    """Middleware before those that look at the host or ask for https: a probe calls this process by its IP address."""
    views = {"/healthz": healthz, "/readyz": readyz}

    def middleware(request: HttpRequest) -> HttpResponse:
        view = views.get(request.path_info)
        return view(request) if view else get_response(request)

    return middleware


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Whether this process answers. A process that cannot is to be started again; the database is not asked."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether requests may be sent here: the database answers and has this version's tables. 503 when not."""
    checks = {"database": _database(), "migrations": False}
    checks["migrations"] = checks["database"] and _migrated()
    return JsonResponse(checks, status=200 if all(checks.values()) else 503)


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _migrated() -> bool:
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


@login_not_required
@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Counts for Prometheus, for those who know METRICS_TOKEN; without that setting the address does not exist."""
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        raise Http404
    registry: Any = REGISTRY
    if settings.PROMETHEUS_MULTIPROC_DIR:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return HttpResponse(
        generate_latest(registry) + generate_latest(_of_the_database()), content_type=CONTENT_TYPE_LATEST
    )


def _of_the_database() -> CollectorRegistry:
    """Gauges that are the same whichever process is asked. Big tables are estimated, never counted."""
    registry = CollectorRegistry()
    rows = Gauge("palate_rows", "Rows of big tables, as PostgreSQL estimates them.", ["table"], registry=registry)
    runs = Gauge("palate_runs", "Runs by state.", ["state"], registry=registry)
    waiting = Gauge("palate_webhooks_waiting", "Deliveries of webhooks that wait.", registry=registry)
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, greatest(reltuples, 0) FROM pg_class WHERE relname = ANY(%s)", [BIG])
        for table, count in cursor.fetchall():
            rows.labels(table.removeprefix("annotate_")).set(count)
        cursor.execute("SELECT state, count(*) FROM training_run GROUP BY state")
        for state, count in cursor.fetchall():
            runs.labels(state).set(count)
        cursor.execute("SELECT count(*) FROM annotate_delivery WHERE state = 'waiting'")
        waiting.set(cursor.fetchone()[0])
    return registry


BIG = ["annotate_prompt", "annotate_response", "annotate_task", "annotate_assignment", "annotate_judgement"]
