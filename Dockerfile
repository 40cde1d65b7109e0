# syntax=docker/dockerfile:1
# The service as one static program on an empty root.
#
#   docker build -t genesys-transfer .
#
# Behind a mirror, or a proxy with a certificate of its own (no secret stays in a layer):
#
#   docker build -t genesys-transfer --build-arg REGISTRY=mirror.example.com/library \
#     --secret id=extra_ca,src=company-ca.pem --secret id=cargo_config,src=cargo-config.toml .

# Where the base image comes from.
ARG REGISTRY=docker.io/library

FROM ${REGISTRY}/rust:1.95-slim-bookworm AS build
WORKDIR /build
# glibc goes into the program, because the last stage has no libraries. With a target named, the
# flag reaches only what runs there, not the macros that run in the compiler. That target is the
# build stage's own platform: `docker build --platform linux/arm64` needs nothing else.
ENV CARGO_BUILD_TARGET=host-tuple \
    CARGO_TARGET_DIR=/target \
    CARGO_TERM_COLOR=never \
    RUSTFLAGS="-C target-feature=+crt-static"

# Dependencies, apart from the sources: these layers stay until Cargo.toml, Cargo.lock or .cargo
# changes. The crate itself is empty here.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN --mount=type=secret,id=extra_ca \
    --mount=type=secret,id=cargo_config,target=/usr/local/cargo/config.toml \
    mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs \
 && if [ -s /run/secrets/extra_ca ]; then \
      cat /etc/ssl/certs/ca-certificates.crt /run/secrets/extra_ca >/tmp/ca.pem; \
      export CARGO_HTTP_CAINFO=/tmp/ca.pem; \
    fi \
 && cargo fetch --locked \
 && rm -f /tmp/ca.pem
RUN cargo build --locked --offline --release \
 && rm -r src

# The crate. Its files may be older than the empty ones that were built; cargo goes by the time.
COPY src src
COPY config config
RUN touch src/lib.rs src/main.rs \
 && cargo build --locked --offline --release \
 && cp /target/*/release/genesys-transfer / \
 && mkdir /empty

# What runs: the program, the public certificate authorities, settings. No shell, no user but the
# one below, nothing to write to but the volume.
FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="genesys-transfer" \
      org.opencontainers.image.description="Moves live Genesys Cloud calls to another queue: once, and never lost" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /genesys-transfer /genesys-transfer
COPY --from=build --chown=65532:65532 /empty /var/lib/genesys-transfer
COPY config/production.toml /etc/genesys-transfer/production.toml
# production.toml: all addresses, JSON logs, known callers only, and no start without a region.
# SQLite's temporary files go where its database is; nothing else can be written.
ENV CONFIG_FILE=/etc/genesys-transfer/production.toml \
    SQLITE_TMPDIR=/var/lib/genesys-transfer
# The record of transfers, when it is not on PostgreSQL.
VOLUME /var/lib/genesys-transfer
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s --retries=3 \
  CMD ["/genesys-transfer", "healthcheck"]
# As a list, so that signals reach the program and not a shell.
ENTRYPOINT ["/genesys-transfer"]
