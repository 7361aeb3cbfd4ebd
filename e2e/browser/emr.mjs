// An EMR as small as can be: takes a resource at the address that its id makes, refuses patients who are not active.
import { createServer } from "node:http";

export async function startEmr() {
  const taken = new Map();
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => (text += chunk));
    request.on("end", () => {
      const answer = (status, body) => response.writeHead(status, { "content-type": "application/fhir+json" }).end(JSON.stringify(body));
      const resource = JSON.parse(text || "{}");
      if (resource.active === false) {
        const issue = [{ severity: "error", code: "business-rule", expression: ["Patient.active<true>"] }];
        return answer(422, { resourceType: "OperationOutcome", issue });
      }
      taken.set(request.url, resource);
      answer(200, resource);
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}`, taken, stop: () => server.close() };
}
