// A proxy before Prism that takes the key out of every request: what an API sees of a caller without one.
import http from "node:http";

const [port, upstream] = process.argv.slice(2).map(Number);
http.createServer((request, response) => {
  const { authorization, ...headers } = request.headers;
  const forward = http.request(
    { host: "127.0.0.1", port: upstream, method: request.method, path: request.url, headers },
    (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    },
  );
  forward.on("error", () => response.destroy());
  request.pipe(forward);
}).listen(port, "127.0.0.1");
