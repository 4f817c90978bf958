# syntax=docker/dockerfile:1
# Farol as one image with nothing in it but the program: `docker build -t farol:local .` (BuildKit; the first build takes
# about 25 minutes on two cores).

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What Cargo downloads and builds stays in caches, so that a change of the sources does not build the dependencies again.
# Caches are no part of the image: the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked --package farol \
 && strip --output-file=/farol /target/release/farol

FROM debian:bookworm-slim
# Object stores and Kafka over TLS need certificates.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --home-dir /var/lib/farol farol \
 && install -d -o farol -g farol /var/lib/farol /var/lib/farol/farol-data
COPY --from=build /farol /usr/local/bin/farol
COPY deploy/healthcheck /usr/local/bin/farol-healthcheck

# Farol looks for ./farol.yaml and keeps what it has in ./farol-data.
WORKDIR /var/lib/farol
VOLUME /var/lib/farol/farol-data
USER farol
# Loopback would be reachable from within the container only.
ENV FAROL__SERVER__HTTP=0.0.0.0:8480
EXPOSE 8480
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["farol-healthcheck"]
# SIGTERM, which `docker stop` sends, lets Farol finish the batch in hand.
ENTRYPOINT ["farol"]
CMD ["run"]
