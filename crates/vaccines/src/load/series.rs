//! A series of an antigen, its doses and what they ask for.

use super::{LoadError, ages, codes, date, in_force, number, period, text, unusable, vaccine, yes};
use crate::schedule::{
    Age, Circumstance, Condition, Count, CountLogic, From, Interval, Season, Series, SeriesDose, SeriesType, Skip,
    SkipSet,
};
use crate::xml::Node;

pub(super) fn series(node: &Node) -> Result<Series, LoadError> {
    let select = node.first("selectSeries").ok_or_else(|| unusable(node, "selectSeries"))?;
    let kind = match text(node, "seriesType")? {
        "Standard" => SeriesType::Standard,
        "Risk" => SeriesType::Risk,
        "Evaluation Only" => SeriesType::EvaluationOnly,
        _ => return Err(unusable(node, "seriesType")),
    };
    let genders: Vec<&str> = node.all("requiredGender").filter_map(Node::value).collect();
    let open_to = |gender| genders.is_empty() || genders.contains(&gender);
    Ok(Series {
        name: text(node, "seriesName")?.to_owned(),
        kind,
        equivalent: codes(node, "equivalentSeriesGroups")?,
        female: open_to("Female"),
        male: open_to("Male"),
        unknown_sex: open_to("Unknown"),
        default: yes(select, "defaultSeries"),
        product: yes(select, "productPath"),
        group: number(select, "seriesGroup")?,
        priority: text(select, "seriesPriority")?.chars().next().unwrap_or('Z'),
        preference: if select.get("seriesPreference").is_some() {
            number(select, "seriesPreference")?
        } else {
            u16::MAX
        },
        min_start: period(select, "minAgeToStart")?,
        max_start: period(select, "maxAgeToStart")?,
        indications: node.all("indication").map(indication).collect::<Result<_, _>>()?,
        doses: node.all("seriesDose").map(dose).collect::<Result<_, _>>()?,
    })
}

fn indication(node: &Node) -> Result<Circumstance, LoadError> {
    let observation = node.first("observationCode").ok_or_else(|| unusable(node, "observationCode"))?;
    Ok(Circumstance { observation: number(observation, "code")?, age: ages(node, "beginAge", "endAge")? })
}

fn dose(node: &Node) -> Result<SeriesDose, LoadError> {
    let number_text = text(node, "doseNumber")?.trim_start_matches("Dose").trim();
    let season = match node.first("seasonalRecommendation") {
        Some(season) => Season { start: date(season, "startDate")?, end: date(season, "endDate")? },
        None => Season::default(),
    };
    Ok(SeriesDose {
        number: number_text.parse().map_err(|_| unusable(node, "doseNumber"))?,
        ages: node.all("age").map(age).collect::<Result<_, _>>()?,
        intervals: node.all("interval").map(interval).collect::<Result<_, _>>()?,
        allowable_intervals: node.all("allowableInterval").map(interval).collect::<Result<_, _>>()?,
        preferable: node.all("preferableVaccine").map(vaccine).collect::<Result<_, _>>()?,
        allowable: node.all("allowableVaccine").map(vaccine).collect::<Result<_, _>>()?,
        inadvertent: node.all("inadvertentVaccine").map(|vaccine| number(vaccine, "cvx")).collect::<Result<_, _>>()?,
        skips: node.all("conditionalSkip").map(skip).collect::<Result<_, _>>()?,
        recurring: yes(node, "recurringDose"),
        season,
    })
}

fn age(node: &Node) -> Result<Age, LoadError> {
    Ok(Age {
        absolute_min: period(node, "absMinAge")?,
        min: period(node, "minAge")?,
        earliest_recommended: period(node, "earliestRecAge")?,
        latest_recommended: period(node, "latestRecAge")?,
        max: period(node, "maxAge")?,
        force: in_force(node)?,
    })
}

fn interval(node: &Node) -> Result<Interval, LoadError> {
    let observation = node.first("fromRelevantObs").filter(|from| from.get("code").is_some());
    let from = if yes(node, "fromPrevious") {
        From::Previous
    } else if node.get("fromTargetDose").is_some() {
        From::TargetDose(number(node, "fromTargetDose")?)
    } else if node.get("fromMostRecent").is_some() {
        From::MostRecent(codes(node, "fromMostRecent")?)
    } else if let Some(observation) = observation {
        From::Observation(number(observation, "code")?)
    } else {
        return Err(unusable(node, "fromPrevious"));
    };
    let priority = match node.get("intervalPriority") {
        None => false,
        Some("override" | "Y") => true,
        Some(_) => return Err(unusable(node, "intervalPriority")),
    };
    Ok(Interval {
        from,
        absolute_min: period(node, "absMinInt")?,
        min: period(node, "minInt")?,
        earliest_recommended: period(node, "earliestRecInt")?,
        latest_recommended: period(node, "latestRecInt")?,
        priority,
        force: in_force(node)?,
    })
}

fn skip(node: &Node) -> Result<Skip, LoadError> {
    let (in_evaluation, in_forecast) = match text(node, "context")? {
        "Evaluation" => (true, false),
        "Forecast" => (false, true),
        "Both" => (true, true),
        _ => return Err(unusable(node, "context")),
    };
    let sets = node.all("set").map(set).collect::<Result<_, _>>()?;
    Ok(Skip { in_evaluation, in_forecast, any: any_of(node, "setLogic")?, sets })
}

fn set(node: &Node) -> Result<SkipSet, LoadError> {
    let conditions = node.all("condition").map(condition).collect::<Result<_, _>>()?;
    Ok(SkipSet { force: in_force(node)?, any: any_of(node, "conditionLogic")?, conditions })
}

fn any_of(node: &Node, element: &str) -> Result<bool, LoadError> {
    match node.get(element) {
        Some("OR") => Ok(true),
        None | Some("AND") => Ok(false),
        Some(_) => Err(unusable(node, element)),
    }
}

fn condition(node: &Node) -> Result<Condition, LoadError> {
    let kind = text(node, "conditionType")?.to_ascii_lowercase();
    Ok(match kind.as_str() {
        "age" => Condition::Age(ages(node, "beginAge", "endAge")?),
        "interval" => Condition::Interval(period(node, "interval")?.ok_or_else(|| unusable(node, "interval"))?),
        "completed series" => Condition::CompletedSeries(codes(node, "seriesGroups")?),
        "vaccine count by age" | "vaccine count by date" | "vaccine count by date and age" => {
            Condition::Count(count(node)?)
        }
        _ => return Err(unusable(node, "conditionType")),
    })
}

fn count(node: &Node) -> Result<Count, LoadError> {
    let logic = match text(node, "doseCountLogic")?.to_ascii_lowercase().as_str() {
        "greater than" => CountLogic::Greater,
        "equal to" | "equal" => CountLogic::Equal,
        "less than" => CountLogic::Less,
        _ => return Err(unusable(node, "doseCountLogic")),
    };
    let valid_only = match text(node, "doseType")?.to_ascii_lowercase().as_str() {
        "valid" => true,
        "total" => false,
        _ => return Err(unusable(node, "doseType")),
    };
    Ok(Count {
        age: ages(node, "beginAge", "endAge")?,
        start: date(node, "startDate")?,
        end: date(node, "endDate")?,
        vaccines: codes(node, "vaccineTypes")?,
        valid_only,
        logic,
        than: usize::from(number(node, "doseCount")?),
    })
}
