# A gateway for use with PostgreSQL: give it DATABASE_URL and GATEHOUSE_SECRETS. The embedded database is not in it.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY .config .config
COPY prisma prisma
# Without what only tests need, and without the optional packages: this image's own Node serves, and PostgreSQL is elsewhere.
# npm runs `prisma generate` at the end of it, which writes src/database/generated.
RUN npm ci --omit=dev --omit=optional
COPY src src

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY --from=build /app .
USER node
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 4000) + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=8", "--import", "./.config/require-node.mjs", "src/main.ts"]
