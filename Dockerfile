# The image of Perennial: the built program, with its dependencies bundled, for the user `node` and a read-only root.
#
#   docker build -t perennial .
#   docker run --rm -p 127.0.0.1:8787:8787 -v "$PWD/perennial.yaml":/etc/perennial/perennial.yaml:ro perennial
#
# After SIGTERM, streams may go on for drain.timeout (30s), but `docker stop` kills after 10 s: run it with `--stop-timeout 40`.
# Far from npm's registry: --build-arg NPM_CONFIG_REGISTRY=https://registry.npmmirror.com

FROM node:24-bookworm-slim AS base
WORKDIR /app

# Install scripts stay off: the only package with one is `node`, which would download a second Node.
FROM base AS build
ARG NPM_CONFIG_REGISTRY
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY LICENSE ./
# What other programs import, its types and the maps are for developers; the licences of what is bundled stay.
# Readable for the user `node`, however strict the umask of the checkout is.
RUN npm run build && rm -r dist/embed dist/chaos dist/library \
 && find dist -name '*.d.ts' -delete && find dist -name '*.map' -delete && find dist -type d -empty -delete \
 && chmod a+r package.json LICENSE

FROM base
LABEL org.opencontainers.image.title="Perennial" \
      org.opencontainers.image.description="A local reverse proxy that makes LLM streams unbreakable." \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/dist dist

# Inside a container only 0.0.0.0 can be reached from outside it; Perennial then starts only with auth.keys, or with open: true.
# The port is fixed here, over the file's, so that the probe below asks the right one: publish it as another with -p.
ENV NODE_ENV=production \
    PERENNIAL_HOST=0.0.0.0 \
    PERENNIAL_PORT=8787
# A perennial.yaml that is mounted here is found, and errors name it.
WORKDIR /etc/perennial
USER node
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "const ask = (s) => new Promise((done) => require(s).get({ host: 'localhost', port: process.env.PERENNIAL_PORT || 8787, path: '/healthz', rejectUnauthorized: false }, (r) => done(r.statusCode === 200)).on('error', () => done(false))); ask('http').then((ok) => ok || ask('https')).then((ok) => process.exit(ok ? 0 : 1))"]
# No shell between Docker and the program: signals reach it.
# SIGUSR1 would open Node's inspector, and with it everything in memory, to whoever else is in the container.
ENTRYPOINT ["node", "--disable-sigusr1", "/app/dist/main.js"]
