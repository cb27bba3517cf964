import { createServer } from 'node:http';
import os from 'node:os';

const port = Number(process.env.PORT ?? 3000);
const words = ['amber', 'birch', 'cedar', 'delta', 'ember', 'fjord', 'grove', 'harbor'];
const pick = () => words[Math.floor(Math.random() * words.length)];

const routes = {
  '/api/health': () => ({ status: 'ok' }),
  '/api/name': () => ({ name: `${pick()}-${pick()}`, kernel: os.release() }),
};

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const route = routes[pathname];
  const body = JSON.stringify(route ? route() : { error: `no route ${pathname}` });
  response.writeHead(route ? 200 : 404, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
});

server.listen(port, () => console.log(`listening on port ${port}`));

process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
