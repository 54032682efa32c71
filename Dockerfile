# Palate's web server, worker or command, by what it is told to run. The database is elsewhere (DATABASE_URL).
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /venv
COPY requirements.txt requirements.lock ./
# The CPU build of torch; a GPU worker replaces the index by the one of its CUDA version.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# The versions of the lock; its hashes know no CPU build of torch.
RUN sed -nE 's/^([A-Za-z0-9._-]+)(\[[^]]*\])?(==[^ ]+( ;[^\\]*)?).*/\1\3/p' requirements.lock > constraints.txt \
    && /venv/bin/pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -c constraints.txt -r requirements.txt

FROM python:3.11-slim-bookworm
# pg_dump and pg_restore for `backup` and `restore`, of PostgreSQL's own packages: they must not be older than the server.
# postgresql-common is there to name their source, and brings a server's key along that no image should hold.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends postgresql-client-18 \
    && apt-get purge -y --auto-remove postgresql-common ssl-cert \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home palate && install -d -o palate /srv/palate/var
COPY --from=build /venv /venv
WORKDIR /srv/palate
COPY manage.py ./
COPY palate palate
COPY annotate annotate
COPY training training
COPY core core
COPY templates templates
COPY static static
COPY locale locale
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PALATE_VAR=/srv/palate/var LOG_FORMAT=json PRODUCTION=1
# By number, so that a cluster can see that it is not root.
USER 10001
EXPOSE 8000
CMD ["gunicorn", "palate.wsgi", "--config", "python:palate.gunicorn", "--bind", "0.0.0.0:8000"]
