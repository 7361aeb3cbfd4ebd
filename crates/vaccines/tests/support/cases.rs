//! CDC's test cases from the shared test data.

use super::data::folder;
use vaccines::{Date, Dose, DoseReason, DoseStatus, Person, Sex, Status};

pub(crate) struct Expected {
    pub(crate) status: DoseStatus,
    pub(crate) reason: Option<DoseReason>,
}

pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) person: Person,
    pub(crate) assessment: Date,
    pub(crate) evaluations: Vec<Expected>,
    pub(crate) vaccine_group: &'static str,
    pub(crate) status: Status,
    pub(crate) dose_number: Option<usize>,
    pub(crate) earliest: Option<Date>,
    pub(crate) recommended: Option<Date>,
    pub(crate) past_due: Option<Date>,
}

pub(crate) fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(folder().join("healthy-v4.45.csv")).unwrap();
    let mut rows = rows(&text).into_iter();
    let header = rows.next().unwrap();
    rows.map(|row| case(&header, &row)).collect()
}

fn case(header: &[String], row: &[String]) -> Case {
    let get = |name: &str| {
        let column = header.iter().position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"));
        row[column].trim()
    };
    let date = |name: &str| (!get(name).is_empty()).then(|| get(name).parse::<Date>().unwrap());
    let (mut doses, mut evaluations) = (Vec::new(), Vec::new());
    for number in 1..=7 {
        let Some(given) = date(&format!("Date_Administered_{number}")) else { continue };
        let mvx = get(&format!("MVX_{number}"));
        doses.push(Dose {
            date: given,
            cvx: get(&format!("CVX_{number}")).parse().unwrap(),
            mvx: (!mvx.is_empty()).then(|| mvx.to_owned()),
            substandard: false,
        });
        let status = dose_status(get(&format!("Evaluation_Status_{number}")));
        evaluations.push(Expected { status, reason: dose_reason(get(&format!("Evaluation_Reason_{number}"))) });
    }
    let sex = if get("gender") == "F" { Sex::Female } else { Sex::Male };
    Case {
        id: get("CDC_Test_ID").to_owned(),
        name: get("Test_Case_Name").to_owned(),
        person: Person { birth: date("DOB").unwrap(), sex, born_in_us: false, doses, observations: Vec::new() },
        assessment: date("Assessment_Date").unwrap(),
        evaluations,
        vaccine_group: vaccine_group(get("Vaccine_Group")),
        status: status(get("Series_Status")),
        dose_number: (!get("Forecast_#").is_empty()).then(|| get("Forecast_#").parse().unwrap()),
        earliest: date("Earliest_Date"),
        recommended: date("Recommended_Date"),
        past_due: date("Past_Due_Date"),
    }
}

fn dose_status(text: &str) -> DoseStatus {
    match text {
        "Valid" => DoseStatus::Valid,
        "Not Valid" => DoseStatus::NotValid,
        "Extraneous" => DoseStatus::Extraneous,
        other => panic!("no status of a dose: {other}"),
    }
}

fn dose_reason(text: &str) -> Option<DoseReason> {
    Some(match text {
        "" => return None,
        "Age: Too Young" => DoseReason::TooYoung,
        "Age: Too Old" => DoseReason::TooOld,
        "Interval: too Soon" => DoseReason::TooSoon,
        "Inadvertent Vaccine" => DoseReason::Inadvertent,
        "Live Virus Conflict" => DoseReason::VaccineConflict,
        "Series Already Complete" => DoseReason::SeriesAlreadyComplete,
        "Not a preferable or allowable vaccine" => DoseReason::NotPreferableOrAllowable,
        other => panic!("no reason: {other}"),
    })
}

fn status(text: &str) -> Status {
    match text {
        "Not complete" => Status::NotComplete,
        "Complete" => Status::Complete,
        "Aged out" => Status::AgedOut,
        "Immune" => Status::Immune,
        other => panic!("no status: {other}"),
    }
}

fn vaccine_group(text: &str) -> &'static str {
    match text {
        "DTAP" => "DTaP/Tdap/Td",
        "POL" => "Polio",
        "HPV" => "HPV",
        "HIB" => "Hib",
        "COVID-19" => "COVID-19",
        "PCV" => "Pneumococcal",
        "HepB" => "HepB",
        "HepA" => "HepA",
        "MMR" => "MMR",
        "VAR" => "Varicella",
        "ROTA" => "Rotavirus",
        "MCV" => "Meningococcal",
        "MENB" => "Meningococcal B",
        "ZOSTER" => "Zoster",
        "FLU" => "Influenza",
        "RSV" => "RSV",
        other => panic!("no vaccine group: {other}"),
    }
}

/// The rows of a CSV text; fields in quotes may hold commas, line ends and doubled quotes.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            other => field.push(other),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}
