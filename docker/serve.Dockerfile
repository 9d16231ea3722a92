# syntax=docker/dockerfile:1.7
# The policy served by Ray Serve. From the root of a checkout:
#
#     docker build -f docker/serve.Dockerfile -t kalshi-platform-serve:0.1.0 .
#
#     docker run --env-file serve.env -p 127.0.0.1:8000:8000 kalshi-platform-serve:0.1.0
#
# serve.env: KALSHI_PLATFORM_REGISTRY (a bucket), KALSHI_CLIENT_TOKENS, KALSHI_ADMIN_TOKENS (one token each; more, a
# line each, come from a secret as in cluster/kuberay/rayservice.yaml) and RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN.
# Always a CPU image: one decision is a forward pass of a small network.
# The base is pinned by its tag; for a build that repeats to the byte pin the digest your registry shows too
# (`docker buildx imagetools inspect python:3.11.14-slim-bookworm`). What is installed is fixed by constraints.txt.
FROM python:3.11.14-slim-bookworm AS build

# The CPU index: the wheel on PyPI brings gigabytes of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

RUN python -m venv /opt/venv
WORKDIR /src

# Dependencies apart from the code: an edit of the code does not download them again.
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN torch="$(grep '^torch==' constraints.txt)" \
 && /opt/venv/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$torch" -c constraints.txt \
 && mkdir -p kalshi_platform tune_experiments serve_deployments \
 && /opt/venv/bin/pip install '.[serve]' -c constraints.txt \
 && /opt/venv/bin/pip uninstall --yes kalshi-platform

COPY kalshi_platform kalshi_platform
COPY serve_deployments serve_deployments
RUN /opt/venv/bin/pip install --no-deps . -c constraints.txt


FROM python:3.11.14-slim-bookworm

# A number, so that Kubernetes can see that it is not root; the same as in cluster/kuberay.
RUN groupadd --gid 1000 kalshi \
 && useradd --uid 1000 --gid 1000 --create-home --shell /usr/sbin/nologin kalshi

COPY --from=build /opt/venv /opt/venv
COPY docker/healthz.py docker/serve-config.yaml /opt/kalshi/

# RAY_AUTH_MODE: no Ray starts in this image without a token; the token itself comes at run time.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_AUTH_MODE=token \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_SERVE_ENABLE_HA_PROXY=1 \
    RAY_SERVE_THROUGHPUT_OPTIMIZED=1 \
    RAY_SERVE_HAPROXY_RETRY_ON="conn-failure empty-response"

USER 1000:1000
WORKDIR /home/kalshi

EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=8s --start-period=90s --retries=4 \
    CMD ["python", "/opt/kalshi/healthz.py", "serve"]

ENTRYPOINT ["serve", "run"]
CMD ["/opt/kalshi/serve-config.yaml"]
