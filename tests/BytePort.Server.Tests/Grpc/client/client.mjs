// Makes gRPC calls for the tests: one JSON command a line on standard input, one JSON outcome a line on standard output.
import { createInterface } from "node:readline";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const definition = loader.loadSync(process.argv.slice(2), { keepCase: true, longs: Number, bytes: String, defaults: true });
const raw = { requestSerialize: () => Buffer.alloc(0), responseDeserialize: (bytes) => bytes.toString("base64"), responseStream: false };
const clients = new Map();

/** One connection for each address and set of options. */
function clientOf(address, options) {
  const key = JSON.stringify([address, options]);
  if (!clients.has(key)) clients.set(key, new grpc.Client(address, grpc.credentials.createInsecure(), options));
  return clients.get(key);
}

function metadataOf(pairs) {
  const metadata = new grpc.Metadata();
  for (const [name, value] of pairs) metadata.add(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  return metadata;
}

function shown(metadata) {
  const all = {};
  for (const name of Object.keys(metadata?.getMap() ?? {})) all[name] = metadata.get(name).map((value) => (Buffer.isBuffer(value) ? value.toString("base64") : value));
  return all;
}

function call({ id, address, service, method, request, metadata = [], deadline, cancelAfter, options = {} }) {
  const { path, ...kind } = definition[service]?.[method] ?? { path: `/${service}/${method}`, ...raw };
  const client = clientOf(address, options);
  const callOptions = deadline === undefined ? {} : { deadline: Date.now() + deadline };
  const outcome = { id, messages: [], headers: {}, trailers: {}, code: -1, details: "" };
  const started = performance.now();
  const watch = (active) => {
    active.on("metadata", (headers) => (outcome.headers = shown(headers)));
    active.on("status", (status) => {
      Object.assign(outcome, { code: status.code, details: status.details, trailers: shown(status.metadata), milliseconds: performance.now() - started });
      process.stdout.write(`${JSON.stringify(outcome)}\n`);
    });
    if (cancelAfter === 0) setTimeout(() => active.cancel(), 100);
  };
  if (kind.responseStream) {
    const stream = client.makeServerStreamRequest(path, kind.requestSerialize, kind.responseDeserialize, request, metadataOf(metadata), callOptions);
    stream.on("data", (message) => {
      outcome.messages.push(message);
      if (outcome.messages.length === cancelAfter) stream.cancel();
    });
    stream.on("error", () => {});
    watch(stream);
  } else {
    const unary = client.makeUnaryRequest(path, kind.requestSerialize, kind.responseDeserialize, request, metadataOf(metadata), callOptions, (error, message) => {
      if (!error) outcome.messages.push(message);
    });
    watch(unary);
  }
}

createInterface({ input: process.stdin }).on("line", (line) => call(JSON.parse(line))).on("close", () => process.exit(0));
