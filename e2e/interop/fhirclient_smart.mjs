// SMART's JavaScript client, as an app on a server without sign-in uses it: FhirClient, and Client for flat lists.
import { equal, errorOf } from "./expect.mjs";
import smart from "fhirclient";

const SYSTEM = "urn:weir:interop:fhirclient-js";
const base = `${process.env.WEIR_URL}/fhir`;
const client = new smart.FhirClient(base);

equal("version of FHIR", ["4.0.1", 4], [await client.getFhirVersion(), await client.getFhirRelease()]);

const patient = await client.create({
  resourceType: "Patient",
  identifier: [{ system: SYSTEM, value: "1" }],
  name: [{ family: "Nakamura", given: ["Ren"] }],
});
equal("create: version", "1", patient.meta.versionId);
equal("read: equals what was answered", patient, await client.fhirRequest(`Patient/${patient.id}`));
const update = await client.update({ ...patient, gender: "other" }, { headers: { "If-Match": 'W/"1"' }, includeResponse: true });
equal("versioned update: etag", 'W/"2"', update.response.headers.get("etag"));
const patched = await client.patch(`Patient/${patient.id}`, [{ op: "add", path: "/birthDate", value: "2001-01-31" }]);
equal("JSON patch", ["3", "2001-01-31"], [patched.meta.versionId, patched.birthDate]);
const stale = await errorOf("stale If-Match", client.update({ ...patient, gender: "male" }, { headers: { "If-Match": 'W/"1"' } }));
equal("stale If-Match: 412", 412, stale.status);
equal("stale If-Match: the outcome is in the message", true, stale.message.includes("OperationOutcome"));
const history = await client.fhirRequest(`Patient/${patient.id}/_history`);
equal("history: versions", ["3", "2", "1"], history.entry.map((entry) => entry.resource.meta.versionId));

const transaction = await client.fhirRequest(base, {
  method: "POST",
  headers: { "content-type": "application/fhir+json" },
  body: JSON.stringify({
    resourceType: "Bundle",
    type: "transaction",
    entry: [1, 2, 3, 4, 5].map((number) => ({
      resource: {
        resourceType: "Condition",
        subject: { reference: `Patient/${patient.id}` },
        code: { text: `finding ${number}` },
        recordedDate: `2026-06-0${number}`,
      },
      request: { method: "POST", url: "Condition" },
    })),
  }),
});
equal("transaction: statuses", Array(5).fill("201"), transaction.entry.map((entry) => entry.response.status.slice(0, 3)));

const query = `Condition?patient=${patient.id}&_include=Condition:patient&_sort=recorded-date&_count=2`;
const texts = [];
let pages = 0;
for await (const page of client.pages(query)) {
  pages += 1;
  texts.push(...page.entry.filter((entry) => entry.search.mode === "match").map((entry) => entry.resource.code.text));
}
equal("pages: number", 3, pages);
equal("pages: all five, in order", [1, 2, 3, 4, 5].map((number) => `finding ${number}`), texts);
const seen = [];
for await (const resource of client.resources("Patient?identifier=urn:weir:demo:mrn|&_count=20")) seen.push(resource.id);
equal("resources: the demo's patients, each once", [50, 50], [seen.length, new Set(seen).size]);

const request = { headers: {}, session: {}, url: "/", connection: {} };
const memory = new Map();
const storage = { get: async (key) => memory.get(key), set: async (key, value) => memory.set(key, value).get(key), unset: async (key) => memory.delete(key) };
const app = smart(request, {}, storage).client({ serverUrl: base });
const flat = await app.request(query, { pageLimit: 0, flat: true });
equal("flat over all pages: five conditions", 5, flat.filter((resource) => resource.resourceType === "Condition").length);
equal("flat over all pages: the included patient", true, flat.some((resource) => resource.id === patient.id));
const graph = await app.request(`Condition?patient=${patient.id}&_count=1`, { resolveReferences: ["subject"] });
equal("references are resolved", "Nakamura", graph.entry[0].resource.subject.name[0].family);

const invalid = await errorOf("invalid create", client.create({ resourceType: "Patient", birthDate: "yesterday" }));
equal("invalid create: status", 422, invalid.status);
equal("invalid create: the place is in the message", true, invalid.message.includes("Patient.birthDate"));
const misspelt = await errorOf("misspelt parameter", client.fhirRequest("Patient?nmae=x"));
equal("misspelt parameter: hint", true, misspelt.message.includes("did you mean name"));
const [, firstId] = transaction.entry[0].response.location.match(/Condition\/([^/]+)/);
await client.delete(`Condition/${firstId}`);
equal("deleted: four are left", 4, (await client.fhirRequest(`Condition?patient=${patient.id}&_summary=count`)).total);
