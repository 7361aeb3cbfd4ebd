//! The tracker's part of OpenAPI, with examples.

use super::route::ROWS;
use fhir::json;
use fhir::json::Value;

const ID: &str = "0b54be0c-2f61-4d3a-9d4e-51c17a9f1c02";

/// Query parameters of a path: name, what it does, example.
fn query(path: &str) -> &'static [(&'static str, &'static str, &'static str)] {
    match path {
        "/patients" => &[
            ("programme", "Id of a programme; needed by status and mark", "covid-19-primary"),
            ("status", "not, partial or full", "partial"),
            ("mark", "immune, contraindicated, aged-out, overdue, due or boosted", "overdue"),
            ("region", "First three digits of the postal code, else state or country", "021"),
            ("sex", "female, male or unknown", "female"),
            ("born_from", "Born on or after", "1950-01-01"),
            ("born_until", "Born on or before", "1959-12-31"),
            ("linked", "Persons with several records only", "true"),
            ("after", "`next` of the page before", ID),
            ("limit", "1 to 200, 20 if absent", "50"),
        ],
        "/patients/{id}" => &[("as_of", "Doses after that day do not count", "2026-11-28")],
        "/patients/{id}/status" => {
            &[("programme", "One programme only", "MMR"), ("as_of", "Doses after that day do not count", "2026-11-28")]
        }
        "/stats" => &[
            ("programme", "Id of a programme", "covid-19-primary"),
            (
                "by",
                "region, sex, age, birth_month, birth_year for people; vaccine, clinic, lot, day for doses",
                "region,sex",
            ),
            ("as_of", "Who had reached a status by that day", "2026-11-01"),
            ("denominator", "What shares are of: known persons, or the tenant's census table", "census"),
            ("format", "json or csv", "csv"),
            ("suppress", "Hide counts below 11; a CSV always does", "true"),
        ],
        "/stats/stream" => &[
            ("programme", "Id of a programme", "covid-19-primary"),
            ("by", "As in /stats", "region"),
            ("denominator", "As in /stats", "known"),
            ("suppress", "Hide counts below 11", "true"),
        ],
        "/reviews" => &[
            ("after", "`next` of the page before", ""),
            ("limit", "1 to 200, 50 if absent", "50"),
            ("assigned", "only those of somebody; empty: of nobody", "ann"),
            ("due_by", "only those to be decided by this day", "2026-12-24"),
        ],
        "/providers" | "/clinics" | "/vaccine-products" | "/vaccines" => {
            &[("after", "`next` of the page before", ""), ("limit", "1 to 200, 50 if absent", "50")]
        }
        _ => &[],
    }
}

fn phi() -> Value {
    json!({ "given": "Adelaide", "family": "Lovelock", "birthDate": "1975-12-10", "sex": "female",
        "phone": "617-555-0143", "email": "adelaide@example.org",
        "address": { "line": "12 Cedar Lane", "city": "Cambridge", "state": "MA", "postalCode": "02139", "country": "US" },
        "identifiers": [{ "system": "https://clinic.example.org/mrn", "value": "A-1001" }] })
}

fn review() -> Value {
    json!({ "records": ["p1", "p2"], "kind": "duplicate", "bits": (Value::Number("9.2".into())),
        "reasons": ["name: similar"], "at_us": 1_795_867_200_000_000_u64, "assigned": "ann", "due": "2026-12-24" })
}

fn programme() -> Value {
    json!({ "programme": "covid-19-primary", "status": "partial", "marks": [], "recorded_doses": 1, "valid_doses": 1,
        "first_on": "2026-11-28", "invalid": [] })
}

/// Media type and example of what is sent.
fn sent(method: &str, path: &str) -> Option<(&'static str, Value)> {
    let example = match (method, path) {
        ("post", "/patients") => json!({ "phi": phi() }),
        ("post", "/patients/{id}/merge") => json!({ "from": ID, "why": "same insurance card" }),
        ("post", "/patients/{id}/unmerge") => json!({ "records": [ID], "why": "twins" }),
        ("post", "/reviews/apart") => json!({ "records": [ID, "p2"], "why": "father and son" }),
        ("post", "/reviews/assign") => json!({ "records": [ID, "p2"], "assigned": "ann", "due": "2026-12-24" }),
        ("post", "/reviews/dismiss") => json!({ "records": [ID, "p2"] }),
        ("post", "/vaccines") => json!({ "vaccine": "208", "provider": "p1", "clinic": "north", "date": "2026-11-28",
            "lot": "EK5730", "expiry": "2027-03-31", "manufacturer": "PFR", "phi": phi() }),
        ("post", "/vaccines/import") => {
            let text = "vaccine,provider,clinic,date,lot,given,family,birthDate,sex,postalCode,idempotency_key\r\n\
                208,p1,north,2026-11-28,EK5730,Adelaide,Lovelock,1975-12-10,female,02139,row-1\r\n";
            return Some(("text/csv", json!(text)));
        }
        ("put", "/vaccines/{id}" | "/vaccine-products/{id}") | ("post", "/vaccine-products") => {
            json!({ "name": "Comirnaty, adults", "cvx": "208", "mvx": "PFR", "manufacturer": "Pfizer-BioNTech" })
        }
        ("put" | "post", "/providers" | "/providers/{id}") => {
            json!({ "kind": "practitioner", "given": "Rosa", "family": "Finley", "npi": "1234567893" })
        }
        ("put" | "post", "/clinics" | "/clinics/{id}") => {
            json!({ "name": "North Clinic", "address": { "city": "Cambridge", "state": "MA", "postalCode": "02139" } })
        }
        _ => return None,
    };
    Some(("application/json", example))
}

/// Media type and example of the answer.
fn answered(method: &str, path: &str) -> (&'static str, Value) {
    let example = match (method, path) {
        ("get", "/patients") => json!({ "total": 1, "items": [{ "id": ID, "records": ["p1"], "given": "Adelaide",
            "family": "Lovelock", "birth_date": "1975-12-10", "sex": "female", "region": "021", "doses": 1,
            "status": "partial", "marks": [] }] }),
        ("post", "/patients") => {
            json!({ "id": ID, "patient": "p1", "recognised": false, "records": [{ "id": "p1", "link": "own" }],
            "programmes": [] })
        }
        ("get", "/patients/{id}") => json!({ "id": ID, "version": 2, "as_of": "2026-11-28", "birth_date": "1975-12-10",
            "sex": "female", "region": "021", "deceased": false, "records": [{ "id": "p1", "link": "own" }],
            "programmes": [(programme())], "doses": [], "recommendations": [], "schedule": "4.64", "phi": phi() }),
        ("get", "/patients/{id}/status") => json!({ "id": ID, "as_of": "2026-11-28", "version": 2, "schedule": "4.64",
            "programmes": [(programme())] }),
        ("post", "/vaccines") => json!({ "id": "i1", "person": ID, "patient": "p1", "recognised": false,
            "vaccine": { "cvx": "208", "name": "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose" }, "date": "2026-11-28",
            "lot": "EK5730", "clinic": "Location/north", "provider": "Practitioner/p1", "standing": "counted",
            "evaluations": [], "programmes": [(programme())] }),
        ("post", "/vaccines/import") => {
            let text = "{\"errors\":[{\"code\":\"required\",\"field\":\"phi.family\",\"text\":\"phi.family: is missing: send it\"}],\
                \"http_status\":422,\"line\":2,\"status\":\"refused\"}\n";
            return ("application/x-ndjson", json!(text));
        }
        ("get", "/stats/stream") => {
            return ("text/event-stream", json!("event: stats\nid: 1795867200000000\ndata: {\"total\":{}}\n\n"));
        }
        ("get", "/stats") => json!({ "programme": { "id": "covid-19-primary", "title": "COVID-19, primary series",
            "calculator": "surveillance", "version": "1" }, "as_of": "2026-11-28", "at_us": 1_795_867_200_000_000_u64,
            "denominator": "known living persons", "by": ["region"],
            "total": { "values": [], "people": { "persons": 300, "not": 100, "partial": 80, "full": 120, "marks": {} } },
            "groups": [], "suppressed": false }),
        ("get", "/programmes") => json!({ "programmes": [{ "id": "MMR", "title": "MMR, schedule 4.64",
            "calculator": "clinical", "version": "4.64" }] }),
        ("get", "/reviews") => json!({ "total": 1, "items": [(review())] }),
        ("post", "/reviews/assign") => review(),
        _ => sent("put", path).map_or_else(|| json!({}), |(_, example)| example),
    };
    ("application/json", example)
}

fn parameter(name: &str, place: &str, about: &str, example: &str) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "required": place == "path", "description": about,
        "schema": { "type": "string" } });
    if !example.is_empty() {
        parameter.set("example", example);
    }
    parameter
}

fn operation(method: &str, path: &str, summary: &str, id: String) -> Value {
    let outcome = json!({ "description": "OperationOutcome that says what is wrong, where, and what to do" });
    let (media, example) = answered(method, path);
    let content = Value::Object(vec![(media.to_owned(), json!({ "example": example }))]);
    let ok = if method == "delete" {
        json!({ "description": "Gone" })
    } else {
        json!({ "description": "OK", "content": content })
    };
    let mut operation = json!({ "operationId": id, "summary": summary, "tags": ["tracker"],
        "responses": { "2XX": ok, "4XX": outcome.clone(), "5XX": outcome } });
    if let Some((media, example)) = sent(method, path) {
        let content = Value::Object(vec![(media.to_owned(), json!({ "example": example }))]);
        operation.set("requestBody", json!({ "required": true, "content": content }));
    }
    let mut parameters: Vec<Value> = Vec::new();
    if method == "get" {
        parameters.extend(query(path).iter().map(|(name, about, example)| parameter(name, "query", about, example)));
    }
    if (method, path) == ("post", "/vaccines") {
        let about = "The same key answers the same vaccination, however often it is sent";
        parameters.push(parameter("Idempotency-Key", "header", about, "desk-3-2026-11-28-0017"));
    }
    if !parameters.is_empty() {
        operation.set("parameters", parameters);
    }
    operation
}

/// Every path with its operations. `id` makes names of operations.
pub(crate) fn paths(id: impl Fn(&str, &str) -> String) -> Vec<(String, Value)> {
    let path = |row: &crate::route::Row| {
        let mut item = json!({});
        if row.path.contains("{id}") {
            let about =
                if row.path.starts_with("/patients") { "Id of a person or of one of its Patients" } else { "Id" };
            item.set("parameters", json!([(parameter("id", "path", about, ID))]));
        }
        for (method, summary) in row.methods {
            item.set(method, operation(method, row.path, summary, id(method, row.path)));
        }
        (row.path.to_owned(), item)
    };
    ROWS.iter().map(path).collect()
}
