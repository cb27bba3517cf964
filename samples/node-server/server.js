import os from 'node:os';
import { serve } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';
import ms from 'ms';
import { page } from './page.js';

const port = Number(process.env.PORT ?? 3000);
const app = new Hono();

app.get('/', (context) =>
  context.html(
    page({
      kernel: os.release(),
      runtime: `Node.js ${process.versions.node}`,
      host: os.hostname(),
      up: ms(Math.round(process.uptime() * 1000), { long: true }),
    }),
  ),
);

app.get('/healthz', (context) => context.json({ status: 'ok' }));
app.use('/*', serveStatic({ root: './public' }));

const server = serve({ fetch: app.fetch, port }, () => console.log(`listening on port ${port}`));

server.on('error', (error) => {
  console.error(`cannot listen on port ${port}: ${error.message}`);
  process.exit(1);
});

process.on('SIGTERM', () => {
  console.log('SIGTERM: finishing open requests');
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
