# syntax=docker/dockerfile:1
# A small image: the program, the C library, the certificates that TLS believes, and nothing to log in to.
# Not built by ./test, which has no Docker; deploy/README.md says what is checked.

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package nightlatch \
    && install -D target/release/nightlatch /out/usr/bin/nightlatch \
    && install -d /out/var/lib/nightlatch

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build --chown=65532:65532 /out/var/lib/nightlatch /var/lib/nightlatch
COPY --from=build /out/usr/bin/nightlatch /usr/bin/nightlatch
# The user of the image; Kubernetes wants to see a number.
USER 65532:65532
WORKDIR /var/lib/nightlatch
# Production unless somebody says otherwise: without PUBLIC_URL and SESSION_SECRET_KEY it says so and ends.
ENV ENVIRONMENT=production \
    NIGHTLATCH_LISTEN=0.0.0.0:8080 \
    DATABASE_URL=sqlite:///var/lib/nightlatch/nightlatch.db
VOLUME ["/var/lib/nightlatch"]
EXPOSE 8080
# Whether it can serve. What is beneath is not asked: a server that serves sessions while its database is
# away must not be stopped for it.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["/usr/bin/nightlatch", "health"]
ENTRYPOINT ["/usr/bin/nightlatch"]
CMD ["serve"]
