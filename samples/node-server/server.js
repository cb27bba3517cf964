import os from 'node:os';
import express from 'express';
import ms from 'ms';
import { page } from './page.js';

const port = Number(process.env.PORT ?? 3000);
const app = express();
app.disable('x-powered-by');
app.use(express.static(new URL('./public', import.meta.url).pathname, { maxAge: ms('1h') }));

app.get('/', (request, response) => {
  response.send(
    page({
      kernel: os.release(),
      runtime: `Node.js ${process.versions.node}`,
      host: os.hostname(),
      up: ms(Math.round(process.uptime() * 1000), { long: true }),
    }),
  );
});

app.get('/healthz', (request, response) => {
  response.json({ status: 'ok' });
});

const server = app.listen(port, (error) => {
  if (error) {
    console.error(`cannot listen on port ${port}: ${error.message}`);
    process.exit(1);
  }
  console.log(`listening on port ${port}`);
});

process.on('SIGTERM', () => {
  console.log('SIGTERM: finishing open requests');
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
