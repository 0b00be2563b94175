# The gateway as an image; `--target simulator` is the Finvera simulator for trying it out.
#
# The base is pinned to the very Node that package.json pins for development and tests: one version everywhere, and an
# update is one visible change. Debian's slim image has glibc, on which Node is tested first, and no build tools.
# In a place with an image registry of your own, pin the digest as well.
FROM node:24.21.0-bookworm-slim AS base
WORKDIR /app

# Compiles. `--ignore-scripts`: no package's own script runs while the image is made; none is needed for it.
FROM base AS build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY .ci/build.ts .ci/bundle-client.ts .ci/bundle-gateway.ts .ci/licence-texts.ts .ci/
COPY src src
RUN node .ci/build.ts

# What runs in production, and nothing of the tools.
FROM base AS dependencies
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

# A Finvera that misbehaves on demand, for `docker compose --profile demo`. Not for production: it forgives nothing, but it
# knows everybody's password. Node runs its TypeScript as it is.
FROM base AS simulator
ENV NODE_ENV=production
COPY --from=build /app/node_modules node_modules
COPY package.json ./
COPY simulator simulator
USER 1000:1000
EXPOSE 4000
CMD ["node", "simulator/main.ts", "--host", "0.0.0.0", "--port", "4000"]

# Last, so that a build without a target makes it.
FROM base AS gateway
# Told by who builds: `docker build --build-arg REVISION="$(git rev-parse HEAD)" --build-arg CREATED="$(date -u +%FT%TZ)"`.
# The version is package.json's.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="finvera-gateway" \
  org.opencontainers.image.description="Backend-for-Frontend gateway for the Finvera API" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.created="$CREATED" \
  org.opencontainers.image.base.name="docker.io/library/node:24.21.0-bookworm-slim"
# Turns the checks for production on: PUBLIC_URL, SESSION_KEYS and REDIS_URL are then required.
ENV NODE_ENV=production
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY config config
COPY package.json ./
# The files are root's, the process is not: it cannot change its own code. As numbers, so that Kubernetes can see that it
# is not root (runAsNonRoot). It writes nothing: the root file system may be read-only.
USER 1000:1000
# MANAGEMENT_HOST stays 127.0.0.1: metrics can be read inside the container only. To let a collector in, set
# MANAGEMENT_HOST=0.0.0.0 and keep 9090 in a network of its own; never publish it.
EXPOSE 3000
# Live, not ready: a Redis that is away must not get the gateway restarted. A PORT from a settings file is not seen here:
# set the variable.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Node itself is the process that gets SIGTERM, no shell before it. Give it time to drain: SHUTDOWN_DELAY plus
# SHUTDOWN_TIMEOUT, 32 s by default, where Docker kills after 10 s (`docker stop --timeout 40`).
# The flags keep the heap near what is in use: without them V8 lets it grow to three times that under load.
CMD ["node", "--max-semi-space-size=16", "--heap-growing-percent=60", "dist/main.js"]
