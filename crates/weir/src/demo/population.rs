//! A deterministic population: clinics, practitioners, patients with encounters, vitals and immunizations.
//!
//! Nobody in it is real. Ages follow a rough pyramid, names come from several origins.

use fhir::json;
use fhir::json::Value;

const FAMILY: [&str; 24] = [
    "Smith",
    "Okafor",
    "García",
    "Nguyen",
    "Müller",
    "Rossi",
    "Ito",
    "Kowalski",
    "Silva",
    "Haddad",
    "Singh",
    "Johansson",
    "Petrov",
    "Dubois",
    "O'Brien",
    "Yılmaz",
    "Kim",
    "Mensah",
    "Novák",
    "Costa",
    "Ali",
    "Chen",
    "Larsen",
    "Papadopoulos",
];
const FEMALE: [&str; 12] =
    ["Maria", "Aiko", "Fatima", "Ingrid", "Chloe", "Ngozi", "Sofia", "Priya", "Elif", "Hana", "Zoë", "Anna"];
const MALE: [&str; 12] =
    ["James", "Hiro", "Omar", "Lars", "Louis", "Chidi", "Mateo", "Arjun", "Emre", "Jin", "Noël", "Paul"];
const CITIES: [(&str, &str); CLINICS] = [
    ("Lindau", "LD"),
    ("Nordby", "NB"),
    ("Riverton", "RT"),
    ("San Pedro", "SP"),
    ("Westhill", "WH"),
    ("Ålesund", "AL"),
];
const STREETS: [&str; 8] = ["Main", "Harbour", "Mill", "Church", "Garden", "Station", "Orchard", "Meadow"];
/// CVX code, display, manufacturer.
const VACCINES: [(&str, &str, &str); 4] = [
    ("208", "COVID-19, mRNA, 30 mcg", "Pfizer"),
    ("207", "COVID-19, mRNA, 100 mcg", "Moderna"),
    ("212", "COVID-19, Ad26", "Janssen"),
    ("150", "Influenza, injectable, quadrivalent", "Sanofi"),
];
pub(crate) const CLINICS: usize = 6;
/// Patients in one transaction.
pub(crate) const PER_BUNDLE: u32 = 25;

/// splitmix64: small, fast, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    fn date(&mut self, from_year: u64, to_year: u64) -> String {
        let year = from_year + self.below(to_year - from_year + 1);
        format!("{year}-{:02}-{:02}", 1 + self.below(12), 1 + self.below(28))
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xFFFF,
            a & 0xFFF,
            b >> 52,
            b & 0xFFFF_FFFF_FFFF
        )
    }
}

/// Number of items of an array.
pub(crate) fn len(value: &Value) -> usize {
    if let Value::Array(items) = value { items.len() } else { 0 }
}

/// Transactions, in order: first the clinics, then the patients.
pub(crate) fn bundles(patients: u32, seed: u64) -> impl Iterator<Item = Value> {
    let mut random = Random(seed);
    let clinics = transaction(clinics(&mut random));
    let count = patients.div_ceil(PER_BUNDLE);
    let rest = (0..count).map(move |at| {
        let first = at * PER_BUNDLE;
        let entries = (first..patients.min(first + PER_BUNDLE)).flat_map(|n| patient(&mut random, n)).collect();
        transaction(entries)
    });
    std::iter::once(clinics).chain(rest)
}

fn transaction(entries: Vec<Value>) -> Value {
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })
}

fn put(resource: Value) -> Value {
    let part = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let url = format!("{}/{}", part("resourceType"), part("id"));
    json!({ "resource": resource, "request": { "method": "PUT", "url": url } })
}

fn reference(ty: &str, id: &str) -> Value {
    json!({ "reference": format!("{ty}/{id}") })
}

fn clinics(random: &mut Random) -> Vec<Value> {
    let mut entries = Vec::new();
    for (n, (city, state)) in CITIES.iter().enumerate() {
        let (organization, location) = (format!("clinic-{n}"), format!("site-{n}"));
        let name = format!("{city} Community Clinic");
        entries.push(put(
            json!({ "resourceType": "Organization", "id": organization.clone(), "active": true, "name": name.clone(),
            "telecom": [{ "system": "phone", "value": format!("555-01{:02}", random.below(100)) }] }),
        ));
        entries.push(put(json!({ "resourceType": "Location", "id": location, "status": "active", "name": name,
            "address": { "city": *city, "state": *state, "country": "XX" },
            "managingOrganization": reference("Organization", &organization) })));
        let female = random.below(2) == 0;
        let given = *random.pick(if female { &FEMALE } else { &MALE });
        entries.push(put(json!({ "resourceType": "Practitioner", "id": format!("doctor-{n}"), "active": true,
            "name": [{ "family": *random.pick(&FAMILY), "given": [given], "prefix": ["Dr."] }],
            "gender": if female { "female" } else { "male" } })));
    }
    entries
}

fn patient(random: &mut Random, n: u32) -> Vec<Value> {
    let id = random.uuid();
    let clinic = random.below(CLINICS as u64);
    let (city, state) = CITIES[clinic as usize];
    let female = random.below(2) == 0;
    let given = *random.pick(if female { &FEMALE } else { &MALE });
    // Two draws: more people of middle age than very old ones.
    let birth_year = 2025 - random.below(55) - random.below(45);
    let birth_date = random.date(birth_year, birth_year);
    let subject = reference("Patient", &id);
    let line = format!("{} Main Street", 1 + random.below(300));
    let mut entries = vec![put(json!({ "resourceType": "Patient", "id": id.clone(), "active": true,
        "identifier": [{ "system": "urn:weir:demo:mrn", "value": format!("MRN-{n:06}") }],
        "name": [{ "use": "official", "family": *random.pick(&FAMILY), "given": [given] }],
        "telecom": [{ "system": "phone", "value": format!("555-{:04}", random.below(10_000)), "use": "mobile" }],
        "gender": if female { "female" } else { "male" }, "birthDate": birth_date,
        "address": [{ "line": [line], "city": city, "state": state, "country": "XX" }],
        "managingOrganization": reference("Organization", &format!("clinic-{clinic}")) }))];
    for _ in 0..1 + random.below(3) {
        visit(random, &subject, clinic, &mut entries);
    }
    vaccinations(random, &subject, clinic, &mut entries);
    entries
}

/// Tells the people of the flood from the others.
pub(crate) const FLOOD_TAG: &str = "flood";

fn flood_tag() -> Value {
    json!({ "tag": [{ "system": "urn:weir:demo", "code": FLOOD_TAG }] })
}

/// Somebody who registers, as a health bot would send it.
pub(crate) fn registration(n: u32, seed: u64) -> Value {
    let mut random = Random(seed ^ (u64::from(n) << 20));
    let female = random.below(2) == 0;
    let given = *random.pick(if female { &FEMALE } else { &MALE });
    json!({ "resourceType": "Patient", "meta": flood_tag(), "active": true,
        "name": [{ "use": "official", "family": *random.pick(&FAMILY), "given": [given] }],
        "telecom": [{ "system": "phone", "value": format!("555-{n:06}"), "use": "mobile" }],
        "gender": if female { "female" } else { "male" }, "birthDate": random.date(1930, 2020) })
}

/// The vaccination appointment of `patient`.
pub(crate) fn booking(n: u32, patient: &str) -> Value {
    let (day, hour, minute) = (1 + n / 40 % 28, 8 + n / 4 % 10, n % 4 * 15);
    let at = |minute: u32| format!("2027-01-{day:02}T{hour:02}:{minute:02}:00Z");
    json!({ "resourceType": "Appointment", "meta": flood_tag(), "status": "booked",
        "description": "Vaccination", "start": at(minute), "end": at(minute + 14), "minutesDuration": 15,
        "participant": [{ "actor": reference("Patient", patient), "status": "accepted" }] })
}

/// Somebody who comes to be vaccinated, as a desk writes it down.
pub(crate) struct Vaccinee {
    /// As `POST /vaccines` takes it.
    pub(crate) phi: serde_json::Value,
    /// Where they live is a clinic, by its number.
    pub(crate) clinic: u64,
    /// What chance decides about them, each for one thing.
    pub(crate) draws: [u64; 12],
}

/// Families of up to four live together: they share a surname, an address and often a telephone.
pub(crate) fn vaccinee(n: u32, seed: u64) -> Vaccinee {
    let mut family = Random(seed ^ (u64::from(n / 4) << 22) ^ 0xFA);
    let clinic = family.below(CLINICS as u64);
    let (city, state) = CITIES[clinic as usize];
    let (surname, line) =
        (*family.pick(&FAMILY), format!("{} {} Street", 1 + family.below(300), family.pick(&STREETS)));
    let phone = format!("555-{:07}", family.below(10_000_000));
    // Nobody is called as a brother or sister is.
    let name = (family.next() as usize % FEMALE.len() + n as usize % 4) % FEMALE.len();
    let mut random = Random(seed ^ (u64::from(n) << 24) ^ 0xDA7A);
    let female = random.below(2) == 0;
    let given = if female { FEMALE[name] } else { MALE[name] };
    let phone = if n % 4 < 2 { phone } else { format!("555-{:07}", random.below(10_000_000)) };
    let phi = serde_json::json!({
        "given": given, "family": surname, "birthDate": random.date(1935, 2012), "sex": if female { "female" } else { "male" },
        "phone": phone, "address": { "line": line, "city": city, "state": state, "country": "XX" },
    });
    Vaccinee { phi, clinic, draws: std::array::from_fn(|_| random.next() >> 8) }
}

impl Vaccinee {
    /// As a desk in a hurry writes it: for one in four, one thing is wrong.
    pub(crate) fn misspelt(&self) -> serde_json::Value {
        let mut phi = self.phi.clone();
        let swapped = |text: &str, at: usize| {
            let mut letters: Vec<char> = text.chars().collect();
            letters.swap(at, at + 1);
            letters.into_iter().collect::<String>()
        };
        let text = |name: &str| phi[name].as_str().unwrap_or_default().to_owned();
        match self.draws[8] % 16 {
            0 => phi["given"] = swapped(&text("given"), 1).into(),
            1 => phi["family"] = swapped(&text("family"), 1).into(),
            2 => phi["phone"] = swapped(&text("phone"), 8).into(),
            3 => phi["address"] = serde_json::json!({ "city": phi["address"]["city"], "country": "XX" }),
            _ => {}
        }
        phi
    }
}

fn visit(random: &mut Random, subject: &Value, clinic: u64, entries: &mut Vec<Value>) {
    let encounter = random.uuid();
    let day = random.date(2022, 2025);
    let start = format!("{day}T{:02}:{:02}:00Z", 8 + random.below(9), random.below(60));
    entries.push(put(json!({ "resourceType": "Encounter", "id": encounter.clone(), "status": "finished",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory" },
        "subject": subject.clone(), "period": { "start": start.clone(), "end": start.clone() },
        "participant": [{ "individual": reference("Practitioner", &format!("doctor-{clinic}")) }],
        "serviceProvider": reference("Organization", &format!("clinic-{clinic}")) })));
    let vitals = [
        ("29463-7", "Body weight", "kg", "kg", 45 + random.below(60), random.below(10)),
        ("8480-6", "Systolic blood pressure", "mmHg", "mm[Hg]", 95 + random.below(70), 0),
        ("8462-4", "Diastolic blood pressure", "mmHg", "mm[Hg]", 60 + random.below(40), 0),
        ("8310-5", "Body temperature", "Cel", "Cel", 36 + random.below(3), random.below(10)),
    ];
    for (code, display, unit, ucum, whole, tenth) in vitals {
        let value = Value::Number(format!("{whole}.{tenth}"));
        entries.push(put(json!({ "resourceType": "Observation", "id": random.uuid(), "status": "final",
            "category": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs" }] }],
            "code": { "coding": [{ "system": "http://loinc.org", "code": code, "display": display }], "text": display },
            "subject": subject.clone(), "encounter": reference("Encounter", &encounter), "effectiveDateTime": start.clone(),
            "valueQuantity": { "value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": ucum } })));
    }
}

fn vaccinations(random: &mut Random, subject: &Value, clinic: u64, entries: &mut Vec<Value>) {
    let (code, display, maker) = *random.pick(&VACCINES);
    for dose in 1..=random.below(4) {
        let year = 2020 + dose;
        entries.push(put(json!({ "resourceType": "Immunization", "id": random.uuid(), "status": "completed",
            "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": code, "display": display }] },
            "manufacturer": { "display": maker }, "lotNumber": format!("{}{:04}", &maker[..1], random.below(40)),
            "patient": subject.clone(), "occurrenceDateTime": random.date(year, year),
            "location": reference("Location", &format!("site-{clinic}")),
            "protocolApplied": [{ "doseNumberPositiveInt": dose }] })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::json::{Document, Limits};
    use fhir::validate::{Level, validate};

    #[test]
    fn the_same_seed_gives_the_same_valid_population() {
        let all = |seed| bundles(30, seed).map(|bundle| bundle.to_string()).collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        for bundle in all(7) {
            let document = Document::parse(bundle.as_bytes(), &Limits::default()).unwrap();
            for entry in document.root().get("entry").unwrap().each() {
                let issues = validate(fhir::defs::r4(), entry.get("resource").unwrap(), Level::Full);
                let errors: Vec<_> =
                    issues.iter().filter(|issue| issue.severity >= fhir::outcome::Severity::Error).collect();
                assert!(errors.is_empty(), "{errors:?}");
            }
        }
    }
}
