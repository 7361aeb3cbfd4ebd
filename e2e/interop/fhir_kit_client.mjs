// fhir-kit-client: a client over node-fetch with keep-alive agents.
import { equal, errorOf } from "./expect.mjs";
import Client from "fhir-kit-client";

const SYSTEM = "urn:weir:interop:fhir-kit";
const client = new Client({ baseUrl: `${process.env.WEIR_URL}/fhir` });
const matches = (bundle) => bundle.entry.filter((entry) => entry.search.mode === "match").map((entry) => entry.resource);

const statement = await client.capabilityStatement();
equal("capability statement", ["CapabilityStatement", "4.0.1"], [statement.resourceType, statement.fhirVersion]);

const patient = await client.create({
  resourceType: "Patient",
  body: { resourceType: "Patient", identifier: [{ system: SYSTEM, value: "1" }], name: [{ family: "Moreau", given: ["Élise"] }] },
});
const location = Client.httpFor(patient).response.headers.get("location");
equal("create: location", `${client.baseUrl}/Patient/${patient.id}/_history/1`, location);
const read = await client.read({ resourceType: "Patient", id: patient.id });
equal("read: equals what was answered", patient, read);
const etag = Client.httpFor(read).response.headers.get("etag");
equal("read: etag", 'W/"1"', etag);

const conditional = (body, headers) => client.update({ resourceType: "Patient", id: patient.id, body, options: { headers } });
const updated = await conditional({ ...read, active: true }, { "If-Match": etag });
equal("versioned update: version", "2", updated.meta.versionId);
const stale = await errorOf("stale If-Match", conditional({ ...read, active: false }, { "If-Match": etag }));
equal("stale If-Match: 412 with an outcome", [412, "OperationOutcome"], [stale.response.status, stale.response.data.resourceType]);
const patched = await client.patch({
  resourceType: "Patient",
  id: patient.id,
  JSONPatch: [{ op: "add", path: "/birthDate", value: "1990-10-05" }],
});
equal("JSON patch", ["3", "1990-10-05", true], [patched.meta.versionId, patched.birthDate, patched.active]);
const old = await client.vread({ resourceType: "Patient", id: patient.id, version: "2" });
equal("vread: without the patch", [true, undefined], [old.active, old.birthDate]);
const history = await client.resourceHistory({ resourceType: "Patient", id: patient.id });
equal("history: versions", ["3", "2", "1"], history.entry.map((entry) => entry.resource.meta.versionId));
equal("history: methods; a patch stands as the update it made", ["PUT", "PUT", "POST"], history.entry.map((entry) => entry.request.method));
const ofType = await client.typeHistory({ resourceType: "Patient" });
equal("type history: newest is ours", patient.id, ofType.entry[0].resource.id);
equal("system history", "history", (await client.systemHistory()).type);

const same = { identifier: `${SYSTEM}|1` };
const byIdentifier = await client.update({ resourceType: "Patient", searchParams: same, body: { ...patched, id: undefined, gender: "female" } });
equal("conditional update: same patient", [patient.id, "4"], [byIdentifier.id, byIdentifier.meta.versionId]);
const again = await client.create({
  resourceType: "Patient",
  body: { resourceType: "Patient", identifier: [{ system: SYSTEM, value: "1" }] },
  options: { headers: { "If-None-Exist": `identifier=${SYSTEM}|1` } },
});
equal("conditional create: the existing one", [200, patient.id], [Client.httpFor(again).response.status, again.id]);

const transaction = await client.transaction({
  body: {
    resourceType: "Bundle",
    type: "transaction",
    entry: [1, 2, 3, 4, 5].map((number) => ({
      resource: {
        resourceType: "Observation",
        status: "final",
        code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
        subject: { reference: `Patient?identifier=${SYSTEM}|1` },
        effectiveDateTime: `2026-05-0${number}`,
        valueQuantity: { value: 60 + number, unit: "/min", system: "http://unitsofmeasure.org", code: "/min" },
      },
      request: { method: "POST", url: "Observation" },
    })),
  },
});
equal("transaction: statuses", Array(5).fill("201"), transaction.entry.map((entry) => entry.response.status.slice(0, 3)));
const batch = await client.batch({
  body: {
    resourceType: "Bundle",
    type: "batch",
    entry: [
      { request: { method: "GET", url: `Patient/${patient.id}` } },
      { request: { method: "GET", url: "Patient/none-such" } },
    ],
  },
});
equal("batch: one found, one not", ["200", "404"], batch.entry.map((entry) => entry.response.status.slice(0, 3)));

const searchParams = { patient: patient.id, _include: "Observation:patient", _sort: "-date", _count: 2 };
const first = await client.search({ resourceType: "Observation", searchParams });
equal("search: conditional references were resolved", 5, first.total);
equal("include", [patient.id], first.entry.filter((entry) => entry.search.mode === "include").map((entry) => entry.resource.id));
let page = first;
const values = [];
for (let pages = 0; page && pages < 10; pages += 1) {
  values.push(...matches(page).map((observation) => observation.valueQuantity.value));
  page = await client.nextPage({ bundle: page });
}
equal("pages: all five, newest first", [65, 64, 63, 62, 61], values);
const posted = await client.search({ resourceType: "Observation", searchParams, options: { postSearch: true } });
equal("POST _search: the same page", matches(first), matches(posted));
const inCompartment = await client.search({
  resourceType: "Observation",
  compartment: { resourceType: "Patient", id: patient.id },
  searchParams: { code: "8867-4" },
});
equal("compartment", 5, inCompartment.total);
const everything = await client.operation({ name: "everything", resourceType: "Patient", id: patient.id, method: "GET" });
equal("$everything: the patient and five observations", 6, everything.entry.length);
const resolved = await client.resolve({ reference: matches(first)[0].subject.reference });
equal("resolve: reference", patient.id, resolved.id);

const invalid = await errorOf("invalid create", client.create({ resourceType: "Patient", body: { resourceType: "Patient", birthDate: "yesterday" } }));
const [issue] = invalid.response.data.issue;
equal("invalid create: outcome", [422, "error", ["Patient.birthDate"]], [invalid.response.status, issue.severity, issue.expression]);
await client.delete({ resourceType: "Observation", id: matches(first)[0].id });
const gone = await errorOf("deleted", client.read({ resourceType: "Observation", id: matches(first)[0].id }));
equal("deleted: 410", [410, "OperationOutcome"], [gone.response.status, gone.response.data.resourceType]);
