# One static binary in an empty image: no shell, no user with rights, certificate roots built in.
#
#   docker build .                  from source
#   .github/scripts/image           from the binaries of a release, for amd64 and arm64
#
# The build image must make static binaries of its own accord, as Alpine's (musl) does.
ARG RUST_IMAGE=docker.io/library/rust:1.95-alpine

FROM scratch AS base
LABEL org.opencontainers.image.title="pipecat-rollout" \
      org.opencontainers.image.description="Waits for a Pipecat Cloud deployment and tells you whether it really rolled out" \
      org.opencontainers.image.source="https://github.com/OWNER/pipecat-rollout" \
      org.opencontainers.image.licenses="MIT"
# Where the sidecar keeps its store; a volume that is mounted there takes over these rights.
ENV XDG_STATE_HOME=/state
USER 65534:65534
ENTRYPOINT ["/pipecat-rollout"]

FROM base AS released
ARG TARGETARCH
COPY --chown=65534:65534 image/${TARGETARCH}/state /state
COPY image/${TARGETARCH}/pipecat-rollout /pipecat-rollout

FROM ${RUST_IMAGE} AS build
WORKDIR /src
# The dependencies are a layer of their own, which only a change of them builds anew.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --release --locked && rm -r src
COPY config/scenarios config/scenarios
COPY src src
# What --version says of the commit, which the build cannot see: --build-arg COMMIT="$(git log -1 --format='%h %cs')".
ARG COMMIT
ENV PIPECAT_ROLLOUT_COMMIT=${COMMIT}
# The stubs above are newer than the sources.
RUN touch src/main.rs src/lib.rs && cargo install --locked --path . --root /out && mkdir /out/state

FROM base
COPY --from=build --chown=65534:65534 /out/state /state
COPY --from=build /out/bin/pipecat-rollout /pipecat-rollout
