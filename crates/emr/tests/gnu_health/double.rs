//! The JSON-RPC of a GNU Health: sessions, the rules that its database keeps, and its answers word by word.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub(crate) const PASSWORD: &str = "a long one";

/// Records of one model, by their number.
pub(crate) type Records = BTreeMap<i64, Map<String, Value>>;

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) models: BTreeMap<&'static str, Records>,
    session: Option<String>,
    sessions: u32,
    /// Methods in the order of their arrival.
    pub(crate) calls: Vec<String>,
    /// How many of the next creations are done, and their answer lost.
    pub(crate) drop_answers: u32,
    /// What the next write answers instead of being done.
    pub(crate) fail_with: Option<Value>,
    pub(crate) password_changed: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Double(pub(crate) Arc<Mutex<Inside>>);

/// The error of a call: the rules speak by it.
type Done = Result<Value, Value>;

fn refused(text: &str) -> Value {
    json!(["UserError", [text, "", null]])
}

impl Double {
    /// With two vaccines and a health professional. The address that it serves at.
    pub(crate) async fn start() -> (Double, String) {
        let double = Double::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        double.inside(|inside| {
            inside.insert("gnuhealth.medicament", json!({ "is_vaccine": true, "product.code": "208" }));
            inside.insert("gnuhealth.medicament", json!({ "is_vaccine": true, "product.code": "140" }));
            inside.insert("gnuhealth.healthprofessional", json!({ "code": "WEIR" }));
            inside.insert("gnuhealth.healthprofessional", json!({ "code": "HP-1" }));
        });
        let app = Router::new().fallback(answer).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (double, base)
    }

    pub(crate) fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(crate) fn expire_session(&self) {
        self.inside(|inside| inside.session = None);
    }

    pub(crate) fn records(&self, model: &str) -> Records {
        self.inside(|inside| inside.models.get(model).cloned().unwrap_or_default())
    }

    pub(crate) fn only(&self, model: &str) -> Map<String, Value> {
        let records = self.records(model);
        assert_eq!(records.len(), 1, "{model}: {records:?}");
        records.into_values().next().unwrap()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.inside(|inside| inside.calls.iter().filter(|call| *call == method).count())
    }
}

async fn answer(State(double): State<Double>, headers: HeaderMap, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).unwrap();
    let (method, parameters) = (call["method"].as_str().unwrap(), call["params"].as_array().unwrap());
    let mut inside = double.0.lock().unwrap();
    inside.calls.push(method.to_owned());
    if method == "common.db.login" {
        return inside.log_in(parameters);
    }
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if inside.session.is_none() || shown != inside.session.as_deref() {
        // With an empty body.
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if method == "model.res.user.get_preferences" {
        return result(Ok(json!({ "company": 2, "language": "en", "groups": [10, 9] })));
    }
    let (path, name) = method.strip_prefix("model.").unwrap().rsplit_once('.').unwrap();
    let context = parameters.last().unwrap();
    assert_eq!((&context["company"], &context["language"]), (&json!(2), &json!("en")), "{method}");
    if name != "search_read"
        && name != "read"
        && let Some(error) = inside.fail_with.take()
    {
        return result(Err(error));
    }
    let done = inside.call(path, name, parameters);
    if name == "create" && done.is_ok() && inside.drop_answers > 0 {
        inside.drop_answers -= 1;
        // As good as no answer: the gateway before it has lost it.
        return StatusCode::BAD_GATEWAY.into_response();
    }
    result(done)
}

fn result(done: Done) -> Response {
    let body = match done {
        Ok(result) => json!({ "id": 1, "result": result }),
        Err(error) => json!({ "id": 1, "error": error }),
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

impl Inside {
    fn log_in(&mut self, parameters: &[Value]) -> Response {
        if parameters[0] != "weir" || parameters[1]["password"] != PASSWORD || self.password_changed {
            return (StatusCode::UNAUTHORIZED, "<!doctype html>\n<h1>Unauthorized</h1>").into_response();
        }
        self.sessions += 1;
        let key = format!("key{}", self.sessions);
        let shown = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("weir:7:{key}"));
        self.session = Some(format!("Session {shown}"));
        result(Ok(json!([7, key])))
    }

    fn insert(&mut self, model: &'static str, values: Value) -> i64 {
        let records = self.models.entry(model).or_default();
        let id = records.keys().next_back().map_or(1, |last| last + 1);
        records.insert(id, values.as_object().unwrap().clone());
        id
    }

    fn call(&mut self, model: &str, name: &str, parameters: &[Value]) -> Done {
        match (model, name) {
            ("party.party", "create") => self.create_party(&parameters[0][0]),
            ("gnuhealth.appointment", "create") => self.create_appointment(&parameters[0][0]),
            ("gnuhealth.vaccination", "create") => self.create_vaccination(&parameters[0][0]),
            ("party.party", "read") => self.read_party(parameters[0][0].as_i64().unwrap()),
            ("gnuhealth.appointment", "delete") => {
                let records = self.models.entry("gnuhealth.appointment").or_default();
                records.remove(&parameters[0][0].as_i64().unwrap());
                Ok(Value::Null)
            }
            (_, "write") => self.write(model, parameters[0][0].as_i64().unwrap(), &parameters[1]),
            (_, "search_read") => Ok(self.search(model, parameters)),
            _ => Err(json!([format!("'{model}'"), ""])),
        }
    }

    fn create_party(&mut self, values: &Value) -> Done {
        if values.get("fed_country").is_none() {
            return Err(json!(["'fed_country'", ""]));
        }
        let parties = self.models.get("party.party").into_iter().flatten();
        if parties.into_iter().any(|(_, party)| party["ref"] == values["ref"]) {
            return Err(refused("The PUID must be unique"));
        }
        if values["name"].is_null() {
            return Err(refused("A value is required for field \"Given\" in \"Person Name\"."));
        }
        if values["dob"]["year"].as_i64() > Some(2090) {
            return Err(refused("SM-CORE-0001: Wrong date of birth for a living person"));
        }
        let mut party = values.clone();
        party["active"] = true.into();
        let party = self.insert("party.party", lists(party, Value::Null));
        if values["create_target"] == true && values["is_patient"] == true {
            self.insert("gnuhealth.patient", json!({ "party": party, "active": true, "puid": values["ref"] }));
        }
        Ok(json!([party]))
    }

    fn read_party(&self, id: i64) -> Done {
        match self.models.get("party.party").and_then(|parties| parties.get(&id)) {
            Some(party) => {
                let list = |name: &str| party.get(name).cloned().unwrap_or(json!([]));
                Ok(json!([{
                    "id": id, "active": party["active"], "contact_mechanisms.": list("contact_mechanisms"),
                    "addresses.": list("addresses"), "alternative_ids.": list("alternative_ids")
                }]))
            }
            None => Err(refused(&format!("You are trying to read records \"{id}\" of \"Party\" that don't exist."))),
        }
    }

    fn create_appointment(&mut self, values: &Value) -> Done {
        self.needs_patient(values, "Patient Appointments")?;
        Ok(json!([self.insert("gnuhealth.appointment", values.clone())]))
    }

    fn create_vaccination(&mut self, values: &Value) -> Done {
        self.needs_patient(values, "Patient Vaccination information")?;
        let same = |other: &Map<String, Value>| {
            ["patient", "vaccine", "dose"].iter().all(|name| other[*name] == values[*name])
        };
        // Nulls are never the same to PostgreSQL.
        if !values["dose"].is_null()
            && self.models.get("gnuhealth.vaccination").is_some_and(|all| all.values().any(same))
        {
            return Err(refused("This vaccine dose has been given already to the patient"));
        }
        let mut vaccination = values.clone();
        vaccination["state"] = "in_progress".into();
        Ok(json!([self.insert("gnuhealth.vaccination", vaccination)]))
    }

    fn needs_patient(&self, values: &Value, model: &str) -> Result<(), Value> {
        let patient = values["patient"].as_i64().unwrap();
        match self.models.get("gnuhealth.patient").is_some_and(|patients| patients.contains_key(&patient)) {
            true => Ok(()),
            false => {
                Err(refused(&format!("The value \"{patient}\" for field \"Patient\" in \"{model}\" does not exist.")))
            }
        }
    }

    fn write(&mut self, model: &str, id: i64, values: &Value) -> Done {
        let Some(record) = self.models.get_mut(model).and_then(|records| records.get_mut(&id)) else {
            return Err(refused(&format!(
                "You are trying to write to records \"{id}\" of \"Record\" that don't exist."
            )));
        };
        if model == "gnuhealth.vaccination" && record["state"] == "done" {
            return Err(refused("health.can_not_modify_vaccination"));
        }
        let mut values = values.clone();
        if model == "gnuhealth.appointment" && values["state"] == "confirmed" && values.get("name").is_none() {
            values["name"] = "APP 2026/1".into();
        }
        if model == "party.party" {
            values = lists(values, Value::Object(record.clone()));
        }
        record.extend(values.as_object().unwrap().clone());
        Ok(Value::Null)
    }

    fn search(&self, model: &str, parameters: &[Value]) -> Value {
        let domain = parameters[0].as_array().unwrap();
        // Unless it is asked for, what is inactive is not found.
        let any = domain.iter().any(|clause| clause[0] == "active");
        let holds = |record: &Map<String, Value>| domain.iter().all(|clause| holds(record, clause));
        let is_found =
            |record: &Map<String, Value>| (any || record.get("active") != Some(&json!(false))) && holds(record);
        let records = self.models.get(model).into_iter().flatten().filter(|(_, record)| is_found(record));
        let limit = parameters[2].as_u64().unwrap() as usize;
        let rows = records.take(limit).map(|(id, record)| {
            let mut row = record.clone();
            row.insert("id".into(), (*id).into());
            row
        });
        json!(rows.collect::<Vec<_>>())
    }
}

fn holds(record: &Map<String, Value>, clause: &Value) -> bool {
    let (value, wanted) = (&record[clause[0].as_str().unwrap()], &clause[2]);
    match clause[1].as_str().unwrap() {
        "=" => value == wanted,
        "in" => wanted.as_array().unwrap().contains(value),
        "like" => value.as_str().unwrap().contains(wanted.as_str().unwrap().trim_matches('%')),
        other => panic!("{other}"),
    }
}

/// `[["create", [ROW…]]]` adds rows to those of the record.
fn lists(mut values: Value, record: Value) -> Value {
    for (name, value) in values.as_object_mut().unwrap() {
        if value[0][0] == "create" {
            let mut rows = record[name.as_str()].as_array().cloned().unwrap_or_default();
            rows.extend(value[0][1].as_array().unwrap().clone());
            *value = rows.into();
        }
    }
    values
}
