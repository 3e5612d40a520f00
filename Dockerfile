# Three images with one static program each. The programs are built outside, with the same toolchain as everything
# else, by `make image`, which also packs these stages where no container engine runs; with one:
#
#   docker build --target agent --tag sluice-agent --build-arg BIN=target/x86_64-unknown-linux-gnu/release .
#
# e2e/cluster/images.py understands FROM scratch, ARG, LABEL, COPY, USER and ENTRYPOINT in their exec form, no more.

FROM scratch AS operator
ARG BIN=target/x86_64-unknown-linux-gnu/release
LABEL org.opencontainers.image.title="sluice-operator" org.opencontainers.image.licenses="Apache-2.0"
COPY ${BIN}/sluice-operator /sluice-operator
USER 65532:65532
ENTRYPOINT ["/sluice-operator"]

# No USER: capabilities reach a process of another user only through file capabilities, which images lose.
FROM scratch AS agent
ARG BIN=target/x86_64-unknown-linux-gnu/release
LABEL org.opencontainers.image.title="sluice-agent" org.opencontainers.image.licenses="Apache-2.0 AND (MIT OR GPL-2.0-only)"
COPY ${BIN}/sluice-agent /sluice-agent
ENTRYPOINT ["/sluice-agent"]

FROM scratch AS cli
ARG BIN=target/x86_64-unknown-linux-gnu/release
LABEL org.opencontainers.image.title="kubectl-sluice" org.opencontainers.image.licenses="Apache-2.0"
COPY ${BIN}/kubectl-sluice /kubectl-sluice
USER 65532:65532
ENTRYPOINT ["/kubectl-sluice"]
