"""fhirpy's synchronous client (requests): another HTTP library, the same interactions."""

import os

from expect import equal
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

SYSTEM = "urn:weir:interop:fhirpy-sync"
client = SyncFHIRClient(os.environ["WEIR_URL"] + "/fhir")

clinic = client.resource("Organization", identifier=[{"system": SYSTEM, "value": "clinic"}], name="Interop Clinic")
clinic.save()
equal("create: version", "1", clinic["meta"]["versionId"])
equal("read: name", "Interop Clinic", client.get("Organization", clinic.id)["name"])

for number in range(5):
    client.resource("Patient", managingOrganization=clinic.to_reference(), name=[{"family": f"Sync{number}"}]).save()
patients = client.resources("Patient").search(organization=clinic.to_reference())
page = patients.include("Patient", "organization").fetch_raw()
equal("include: the clinic once", 1, [entry["search"]["mode"] for entry in page["entry"]].count("include"))
families = [patient["name"][0]["family"] for patient in patients.sort("family").limit(2)]
equal("pages: all five, in order", ["Sync0", "Sync1", "Sync2", "Sync3", "Sync4"], families)
equal("count", 5, patients.count())

clinic["name"] = "Interop Clinic North"
clinic.save()
history = clinic.execute("_history", method="get")
names = [entry["resource"]["name"] for entry in history["entry"]]
equal("history: newest first", ["Interop Clinic North", "Interop Clinic"], names)

known, created = client.resources("Organization").search(identifier=f"{SYSTEM}|clinic").get_or_create(
    client.resource("Organization", name="Never stored")
)
equal("get_or_create: found", (False, clinic.id), (created, known.id))

bundle = client.resource(
    "Bundle",
    type="transaction",
    entry=[
        {"resource": {"resourceType": "Patient", "name": [{"family": "Sync5"}]}, "request": {"method": "POST", "url": "Patient"}},
        {"resource": {"resourceType": "Patient", "gender": "wrong"}, "request": {"method": "POST", "url": "Patient"}},
    ],
)
try:
    bundle.save()
    equal("transaction with an invalid entry", "an error", "none")
except OperationOutcome as error:
    equal("transaction: place of the invalid entry", True, "Bundle.entry[1]" in str(error))
equal("transaction: nothing of it was stored", 0, client.resources("Patient").search(name="Sync5").count())
del bundle["entry"][1]
bundle.save()
equal("transaction: stored", 1, client.resources("Patient").search(name="Sync5").count())

try:
    client.get("Organization", "none-such")
    equal("unknown id", "an error", "none")
except ResourceNotFound as error:
    equal("unknown id: the outcome is in the error", True, "not-found" in str(error))
