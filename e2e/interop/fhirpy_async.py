"""fhirpy's asynchronous client (aiohttp), with each of the things it offers."""

import asyncio
import os

from expect import equal
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

SYSTEM = "urn:weir:interop:fhirpy-async"


async def resources(client):
    """Create, read, a new version, unchanged since, history; returns the patient."""
    patient = client.resource(
        "Patient",
        identifier=[{"system": SYSTEM, "value": "1"}],
        name=[{"family": "Okafor", "given": ["Ada"]}],
        birthDate="1984-02-29",
    )
    await patient.save()
    equal("create: version", "1", patient["meta"]["versionId"])
    again = await client.reference("Patient", patient.id).to_resource()
    equal("read: family name", "Okafor", again.get_by_path("name.0.family"))
    equal("read: birth date", "1984-02-29", again["birthDate"])
    again["birthDate"] = "1984-03-01"
    await again.save()
    equal("update: version", "2", again["meta"]["versionId"])
    await patient.refresh()
    equal("refresh: a newer version is fetched", "1984-03-01", patient["birthDate"])
    await patient.refresh()
    equal("refresh: unchanged (304) keeps the resource", "2", patient["meta"]["versionId"])
    history = await patient.execute("_history", method="get")
    equal("history: versions", ["2", "1"], [entry["resource"]["meta"]["versionId"] for entry in history["entry"]])
    equal("is_valid: $validate accepts", True, await patient.is_valid())
    wrong = client.resource("Patient", gender="unheard-of")
    equal("is_valid: $validate refuses", False, await wrong.is_valid())
    return patient


async def searches(client, patient):
    """Include, pages, counts."""
    for number in range(7):
        await client.resource(
            "Observation",
            status="final",
            code={"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            subject=patient.to_reference(),
            effectiveDateTime=f"2026-01-0{number + 1}",
            valueQuantity={"value": 60 + number, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        ).save()
    observations = client.resources("Observation").search(subject=patient.to_reference())
    page = await observations.include("Observation", "subject").limit(3).fetch_raw()
    modes = [entry["search"]["mode"] for entry in page["entry"]]
    equal("include: three matches and the patient", ["match", "match", "match", "include"], modes)
    equal("include: the patient's id", patient.id, page["entry"][3]["resource"]["id"])
    weights = [item["valueQuantity"]["value"] async for item in observations.sort("date").limit(3)]
    equal("pages: all seven, in order", [60, 61, 62, 63, 64, 65, 66], weights)
    equal("count", 7, await observations.count())
    equal("first", 66, (await observations.sort("-date").first())["valueQuantity"]["value"])
    heavy = await observations.search(value_quantity__gt="64|http://unitsofmeasure.org|kg").fetch()
    equal("search: prefix", [65, 66], sorted(item["valueQuantity"]["value"] for item in heavy))
    parents = await client.resources("Patient").has("Observation", "patient", code="29463-7").search(
        identifier=f"{SYSTEM}|1"
    ).fetch_all()
    equal("search: _has", [patient.id], [item.id for item in parents])


async def conditions(client):
    """Conditional create and update by a search, and a patient who matches twice."""
    marked = client.resources("Patient").search(identifier=f"{SYSTEM}|2")
    fresh = client.resource("Patient", identifier=[{"system": SYSTEM, "value": "2"}], active=True)
    first, created = await marked.get_or_create(fresh)
    equal("get_or_create: created", True, created)
    second, created = await marked.get_or_create(fresh)
    equal("get_or_create: found", (False, first.id), (created, second.id))
    fresh["active"] = False
    third, created = await marked.update(fresh)
    equal("conditional update: same patient, next version", (False, first.id, "2"), (created, third.id, third["meta"]["versionId"]))
    await client.resource("Patient", identifier=[{"system": SYSTEM, "value": "2"}]).save()
    try:
        await marked.update(fresh)
        equal("conditional update: ambiguous", "an error", "none")
    except MultipleResourcesFound:
        equal("conditional update: ambiguous is MultipleResourcesFound", 2, len(await marked.fetch()))


async def transaction(client):
    bundle = client.resource(
        "Bundle",
        type="transaction",
        entry=[
            {
                "fullUrl": "urn:uuid:6f3c2c1e-58a5-4c3a-9a7c-0d0a3c1d9f01",
                "resource": {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": "3"}]},
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {
                    "resourceType": "Encounter",
                    "status": "finished",
                    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                    "subject": {"reference": "urn:uuid:6f3c2c1e-58a5-4c3a-9a7c-0d0a3c1d9f01"},
                },
                "request": {"method": "POST", "url": "Encounter"},
            },
        ],
    )
    await bundle.save()
    equal("transaction: statuses", ["201", "201"], [entry["response"]["status"][:3] for entry in bundle["entry"]])
    made = await client.resources("Patient").search(identifier=f"{SYSTEM}|3").get()
    encounter = await client.resources("Encounter").search(subject=made.to_reference()).get()
    equal("transaction: the reference was resolved", f"Patient/{made.id}", encounter["subject"].reference)


async def errors(client, patient):
    try:
        await client.resource("Patient", birthDate="yesterday").save()
        equal("invalid create", "an error", "none")
    except OperationOutcome as error:
        issue = error.resource["issue"][0]
        equal("invalid create: severity and place", ("error", ["Patient.birthDate"]), (issue["severity"], issue["expression"]))
    try:
        await client.resources("Patient").search(nmae="x").fetch()
        equal("misspelt parameter", "an error", "none")
    except OperationOutcome as error:
        equal("misspelt parameter: hint", True, "did you mean name" in error.resource["issue"][0]["diagnostics"])
    try:
        await patient.patch(gender="male")
        equal("patch with part of a resource", "an error", "none")
    except OperationOutcome as error:
        equal("patch with part of a resource: told what to send", True, "json-patch+json" in str(error))
    await patient.delete()
    try:
        await client.reference("Patient", patient.id).to_resource()
        equal("deleted", "an error", "none")
    except ResourceNotFound as error:
        equal("deleted: the outcome is in the error", True, "OperationOutcome" in str(error))


async def main():
    client = AsyncFHIRClient(os.environ["WEIR_URL"] + "/fhir")
    patient = await resources(client)
    await searches(client, patient)
    await conditions(client)
    await transaction(client)
    throwaway = client.resource("Patient", active=True)
    await throwaway.save()
    await errors(client, throwaway)


asyncio.run(main())
