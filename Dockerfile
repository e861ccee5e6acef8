# docker build -t gibbon . && docker run -p 8000:8000 -p 8443:8443 -v gibbon:/var/lib/gibbon gibbon
FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
COPY tools tools
RUN npm ci --no-audit --no-fund
COPY . .
# What was compiled is kept, and of the dependencies those that run.
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:26-slim
# Nothing here installs packages, so that neither does an intruder.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn* \
  && useradd --system --uid 10001 --home-dir /var/lib/gibbon --shell /usr/sbin/nologin gibbon \
  && install -d -o gibbon -g gibbon -m 0700 /var/lib/gibbon /var/cache/gibbon
COPY --from=build /build/package.json /build/LICENSE /opt/gibbon/
COPY --from=build /build/node_modules /opt/gibbon/node_modules
COPY --from=build /build/dist /opt/gibbon/dist
RUN ln -s /opt/gibbon/dist/cli/gibbon.js /usr/local/bin/gibbon
USER gibbon
# docker stop kills after 10 s: the gateway is done with draining before. The Admin API stays on 127.0.0.1 inside the
# container unless KONG_ADMIN_LISTEN says otherwise; whoever reaches it controls the gateway.
ENV KONG_PREFIX=/var/lib/gibbon \
    XDG_CACHE_HOME=/var/cache \
    GIBBON_DRAIN_TIMEOUT=8s \
    NODE_ENV=production \
    NODE_OPTIONS=--use-largepages=silent
VOLUME /var/lib/gibbon
EXPOSE 8000 8443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["gibbon", "health"]
# Without a shell between, so that the gateway is process 1 and gets the signals itself.
ENTRYPOINT ["gibbon"]
CMD ["start"]
