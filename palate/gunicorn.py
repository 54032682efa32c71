"""gunicorn's settings: WEB_CONCURRENCY processes with WEB_THREADS threads each."""

import os

workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
# A slow client holds none of the threads.
worker_class = "palate.web_worker.Worker"
keepalive = 5
# Several servers of one user would share its socket, and nothing here asks it.
control_socket_disable = True
# An export streams as long as it takes; the heartbeat of a thread worker does not wait for it.
timeout = 60
graceful_timeout = 30
max_requests, max_requests_jitter = 20_000, 2_000


def child_exit(server: object, worker: object) -> None:
    """A process that ended takes its gauges out of the counts of all."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)  # type: ignore[attr-defined]
