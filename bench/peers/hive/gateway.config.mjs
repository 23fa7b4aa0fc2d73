export const gatewayConfig = {
  supergraph: './supergraph.graphql',
  host: '127.0.0.1',
  port: Number(process.env.PORT),
  fork: 1,
  jit: true,
  deduplicateRequest: true,
  logging: 'error',
  graphiql: false,
  landingPage: false,
  additionalResolvers: { Query: { greet: () => 'hello' } },
};
