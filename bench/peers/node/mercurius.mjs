import { context, load, port, resolvers, typeDefs } from './resolvers.mjs';

const app = load('fastify')();
app.register(load('mercurius'), { schema: typeDefs, resolvers, context, jit: 1, graphiql: false });
await app.listen({ port, host: '127.0.0.1' });
