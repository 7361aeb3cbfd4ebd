"""SMART's Python client: strict R4 models on both sides of every request."""

import os

import requests
from expect import equal
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle, BundleEntry, BundleEntryRequest
from fhirclient.models.humanname import HumanName
from fhirclient.models.identifier import Identifier
from fhirclient.models.immunization import Immunization
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException

SYSTEM = "urn:weir:interop:fhirclient-py"
VACCINE = {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]}


def a_patient(value, family):
    identifier = Identifier({"system": SYSTEM, "value": value})
    return Patient({"identifier": [identifier.as_json()], "name": [HumanName({"family": family}).as_json()]})


def an_immunization(reference, day):
    return Immunization(
        {
            "status": "completed",
            "vaccineCode": VACCINE,
            "patient": {"reference": reference},
            "occurrenceDateTime": f"2026-03-{day:02}T08:30:00Z",
        }
    )


client = FHIRClient({"app_id": "weir-interop", "api_base": os.environ["WEIR_URL"] + "/fhir"})
server = client.server

client.prepare()
statement = server.capabilityStatement
equal("capability statement: version of FHIR", "4.0.1", statement.fhirVersion)
served = [resource.type for resource in statement.rest[0].resource]
equal("capability statement: serves Immunization", True, "Immunization" in served)
equal("ready without sign-in", True, client.ready)

made = Patient(a_patient("1", "Lindqvist").create(server))
equal("create: version", "1", made.meta.versionId)
read = Patient.read(made.id, server)
equal("read: family name", "Lindqvist", read.name[0].family)
equal("read: last updated is understood as an instant", True, read.meta.lastUpdated.datetime.tzinfo is not None)

read.active = True
equal("update: version", "2", Patient(read.update(server)).meta.versionId)
history = Bundle.read_from(f"Patient/{made.id}/_history", server)
equal("history: versions", ["2", "1"], [entry.resource.meta.versionId for entry in history.entry])
equal("history: requests", ["PUT", "POST"], [entry.request.method for entry in history.entry])

for day in range(1, 6):
    an_immunization(f"Patient/{made.id}", day).create(server)
search = Immunization.where({"patient": made.id, "vaccine-code": "http://hl7.org/fhir/sid/cvx|208", "_count": "2"})
pages = list(search.include("patient").perform_iter(server))
equal("pages: matches of each", [2, 2, 1], [sum(e.search.mode == "match" for e in page.entry) for page in pages])
equal("pages: total on each", [5, 5, 5], [page.total for page in pages])
included = [entry.resource for page in pages for entry in page.entry if entry.search.mode == "include"]
equal("include: the patient, typed", {("Patient", made.id)}, {(item.resource_type, item.id) for item in included})
equal("reference: resolved by the client", "Lindqvist", pages[0].entry[0].resource.patient.resolved(Patient).name[0].family)
demo = list(Patient.where({"_count": "20", "identifier": "urn:weir:demo:mrn|"}).perform_resources_iter(server))
equal("pages: the demo's patients, each once", (50, 50), (len(demo), len({patient.id for patient in demo})))
equal("models: each of them is valid for the client", 50, sum("name" in patient.as_json() for patient in demo))

bundle = Bundle({"type": "transaction"})
bundle.entry = [BundleEntry(), BundleEntry()]
bundle.entry[0].fullUrl = "urn:uuid:3f0a4a66-8cf1-4c7f-a6a4-5a4ad9f3d1c2"
bundle.entry[0].resource = a_patient("2", "Haddad")
bundle.entry[0].request = BundleEntryRequest({"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={SYSTEM}|2"})
bundle.entry[1].resource = an_immunization("urn:uuid:3f0a4a66-8cf1-4c7f-a6a4-5a4ad9f3d1c2", 9)
bundle.entry[1].request = BundleEntryRequest({"method": "POST", "url": "Immunization"})
answer = Bundle(bundle.create(server))
equal("transaction: statuses", ["201", "201"], [entry.response.status[:3] for entry in answer.entry])
answer = Bundle(bundle.create(server))
equal("transaction again: the patient is found, not made", ["200", "201"], [entry.response.status[:3] for entry in answer.entry])
haddad = list(Patient.where({"identifier": f"{SYSTEM}|2"}).perform_resources_iter(server))
doses = list(Immunization.where({"patient": haddad[0].id}).perform_resources_iter(server))
equal("transaction: one patient, two doses", (1, 2), (len(haddad), len(doses)))

try:
    Patient.read("none-such", server)
    equal("unknown id", "an error", "none")
except FHIRNotFoundException as error:
    issue = OperationOutcome(error.response.json()).issue[0]
    equal("unknown id: outcome", ("error", "not-found"), (issue.severity, issue.code))
try:
    server.post_json("Patient", {"resourceType": "Patient", "birthDate": "yesterday"})
    equal("invalid create", "an error", "none")
except requests.HTTPError as error:
    issue = OperationOutcome(error.response.json()).issue[0]
    equal("invalid create: status and place", (422, ["Patient.birthDate"]), (error.response.status_code, issue.expression))
made.delete(server)
try:
    Patient.read(made.id, server)
    equal("deleted", "an error", "none")
except requests.HTTPError as error:
    equal("deleted: 410", 410, error.response.status_code)
