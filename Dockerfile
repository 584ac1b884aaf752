# TinyBase in a container: built from source, run by a user without rights.
#
#   docker build -t tinybase .
#   docker run -p 8000:8000 -v tinybase:/data tinybase
#
# Extensions in Python are built at their installation, so the image has Python. Others need their own
# toolchain, or come built.

FROM rust:1.95-slim-bookworm AS build
# Debian removes old versions, so that pinned ones can't be built for long.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --locked --profile dist --package tinybase \
    && cp target/dist/tinybase /usr/local/bin/tinybase

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl git python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin tinybase \
    && install --directory --owner tinybase --group tinybase --mode 0700 /data
COPY --from=build /usr/local/bin/tinybase /usr/local/bin/tinybase
# By number, so that a host that wants to know can see that it isn't root.
USER 10001
WORKDIR /data
VOLUME /data
ENV TINYBASE_DATA=/data \
    TINYBASE_SERVER_HOST=0.0.0.0 \
    TINYBASE_LOG_FORMAT=json
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--show-error", "--output", "/dev/null", "http://127.0.0.1:8000/health/ready"]
# `init` can be run again: it keeps what is there, and makes the first administrator only once.
CMD ["sh", "-c", "tinybase init /data && exec tinybase serve"]
