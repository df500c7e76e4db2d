import Fastify from 'fastify';

const app = Fastify({ logger: false });

app.get('/', async () => ({ hello: 'fastify', pid: process.pid }));

app.get('/slow', async (request) => {
  const ms = Math.min(Number(request.query.ms ?? 1000), 60_000);
  await new Promise((resolve) => setTimeout(resolve, ms));
  return { waited: ms, pid: process.pid };
});

app.post('/notes', async (request, reply) => {
  reply.code(201);
  return { stored: request.body, pid: process.pid };
});

const address = await app.listen({
  port: Number(process.env.PORT ?? 3000),
  host: process.env.HOST ?? '0.0.0.0',
});
console.log(`${process.pid} listens on ${address}`);
