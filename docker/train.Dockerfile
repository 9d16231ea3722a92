# syntax=docker/dockerfile:1.7
# Training, sweeps and every Ray node of a cluster. From the root of a checkout:
#
#     docker build -f docker/train.Dockerfile -t kalshi-platform-train:0.1.0 .
#     docker build -f docker/train.Dockerfile -t kalshi-platform-train:0.1.0-gpu --build-arg TORCH_INDEX= .
#
# The base is pinned by its tag; for a build that repeats to the byte pin the digest your registry shows too
# (`docker buildx imagetools inspect python:3.11.14-slim-bookworm`). What is installed is fixed by constraints.txt.
FROM python:3.11.14-slim-bookworm AS build

# The CPU index by default: the wheel on PyPI brings gigabytes of CUDA. Empty: PyPI alone, with CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

RUN python -m venv /opt/venv
WORKDIR /src

# Dependencies apart from the code: an edit of the code does not download them again.
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN torch="$(grep '^torch==' constraints.txt)" \
 && /opt/venv/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$torch" -c constraints.txt \
 && mkdir -p kalshi_platform tune_experiments serve_deployments \
 && /opt/venv/bin/pip install '.[train,serve,track]' -c constraints.txt \
 && /opt/venv/bin/pip uninstall --yes kalshi-platform

COPY kalshi_platform kalshi_platform
COPY tune_experiments tune_experiments
COPY serve_deployments serve_deployments
RUN /opt/venv/bin/pip install --no-deps . -c constraints.txt


FROM python:3.11.14-slim-bookworm

# A number, so that Kubernetes can see that it is not root; the same as in cluster/kuberay.
RUN groupadd --gid 1000 kalshi \
 && useradd --uid 1000 --gid 1000 --create-home --shell /usr/sbin/nologin kalshi \
 # Docker gives a new volume the owner of the folder it covers: those of compose.yaml must be writable.
 && install --directory --owner=1000 --group=1000 /home/kalshi/mlflow /tmp/ray

COPY --from=build /opt/venv /opt/venv
COPY docker/healthz.py /opt/kalshi/healthz.py

# RAY_AUTH_MODE: no Ray starts in this image without a token; the token itself comes at run time.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_AUTH_MODE=token \
    RAY_USAGE_STATS_ENABLED=0

USER 1000:1000
WORKDIR /home/kalshi

HEALTHCHECK --interval=15s --timeout=8s --start-period=60s --retries=4 \
    CMD ["python", "/opt/kalshi/healthz.py", "auto"]

ENTRYPOINT ["kalshi-platform"]
CMD ["--help"]
