# The example service: web and workers are one program. docs/deploying.md has the reason of each step.
FROM rust:1.89-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package example-web \
    && cp target/release/web /web

FROM debian:bookworm-slim AS run
RUN useradd --system --uid 10001 --no-create-home poolder
COPY --from=build /web /usr/local/bin/web
USER 10001
# Nodes finish what runs and hand back the rest.
STOPSIGNAL SIGTERM
ENTRYPOINT []
CMD ["/usr/local/bin/web"]
