//! Tables from text to sums.

use super::*;

const HEAD: &str = "# id: ma\n# title: Massachusetts\n# date: 2024-07-01\n";

fn parse(rest: &str) -> Result<Census, CensusError> {
    Census::parse(&format!("{HEAD}{rest}"))
}

fn error(rest: &str) -> String {
    parse(rest).unwrap_err().to_string()
}

fn people(census: &Census, pairs: &[(&str, &str)]) -> Result<u64, &'static str> {
    let (by, values): (Vec<String>, Vec<String>) =
        pairs.iter().map(|(by, value)| ((*by).to_owned(), (*value).to_owned())).unzip();
    census.people(&by, &values)
}

#[test]
fn a_table_sums_what_is_asked_and_invents_nothing() {
    let table = "region,sex,age,persons\n021,female,0-4,10\n021,male,0-4,20\nMA,female,0-4,40\nMA,male,0-4,80\n\
                 021,female,5-9,1\n021,male,5-9,2\nMA,female,5-9,4\nMA,male,5-9,8\n";
    let census = parse(table).unwrap();
    assert_eq!(people(&census, &[]), Ok(165));
    assert_eq!(people(&census, &[("region", "021")]), Ok(33));
    assert_eq!(people(&census, &[("age", "0-4"), ("sex", "male")]), Ok(100));
    assert!(people(&census, &[("age", "5-11")]).unwrap_err().contains("age bands"));
    for unknown in [[("region", "")], [("region", "990")], [("sex", "unknown")], [("age", "")]] {
        assert!(people(&census, &unknown).unwrap_err().contains("does not have this group"), "{unknown:?}");
    }
    assert!(people(&census, &[("birth_month", "1990-01")]).unwrap_err().contains("not broken down"));
    let by = ["region".to_owned(), "age".to_owned()];
    assert_eq!(census.groups(&by), [["021", "0-4"], ["MA", "0-4"]]);
    let today = "2026-11-28".parse().unwrap();
    assert!(census.has("021", "male", "2020-01", today) && !census.has("021", "male", "2000-01", today));
    assert!(!census.has("", "male", "2020-01", today) && !census.has("021", "male", "", today));
}

#[test]
fn an_open_band_is_made_up_of_what_there_is() {
    let census = parse("age,persons\n80-89,5\n90+,2\n65-79,9\n").unwrap();
    assert_eq!(people(&census, &[("age", "80+")]), Ok(7));
    assert_eq!(people(&census, &[("age", "65-79")]), Ok(9));
    assert!(people(&parse("age,persons\n80-99,5\n").unwrap(), &[("age", "80+")]).is_err());
}

#[test]
fn years_of_birth_do_not_age() {
    let census = parse("birth_year,persons\n1900-1979,50\n1980,3\n1981,4\n").unwrap();
    assert_eq!(people(&census, &[("birth_year", "1981")]), Ok(4));
    assert_eq!(people(&census, &[]), Ok(57));
    assert!(people(&census, &[("birth_year", "1950")]).is_err() && people(&census, &[("age", "0-4")]).is_err());
    assert_eq!(census.groups(&["birth_year".to_owned()]), [["1980"], ["1981"]]);
}

#[test]
fn mistakes_have_their_place_and_a_remedy() {
    let said = |rest: &str, text: &str| {
        let error = error(rest);
        assert!(error.contains(text), "{error}");
    };
    said("region,persons\n021,1\n02139,1\n", "line 6, column region: \"02139\" is no region: write the first three");
    said("region,persons\nma,1\n", "in capitals");
    said("sex,persons\nfemal,1\n", "line 5, column sex: \"femal\" is no sex (did you mean female?)");
    said("age,persons\n0-4,1\n4-9,1\n", "line 6, column age: overlaps 0-4 of line 5");
    said("age,persons\n4-0,1\n", "line 5, column age: \"4-0\" is no span of years: write such as 0-4");
    said("age,persons\n0-4,1.5\n", "line 5, column persons: \"1.5\" is no count of people");
    said("age,persons\n0-4,-1\n", "digits only");
    said("sex,region,persons\nmale,021,1\nfemale,022,1\n", "the group 021, female is missing: add it, with 0");
    said("sex,persons\nmale,1\nmale,2\n", "line 6: the same group as in line 5");
    said("sex,persons\nmale\n", "line 5: has 1 values, and there are 2 columns");
    said("sex,perons\n", "line 4: unknown column perons (did you mean persons?)");
    said("age,birth_year,persons\n", "does not go with age");
    said("sex\nmale\n", "line 4, column persons: is missing");
    said("persons\n", "no line follows");
    said("# titel: x\npersons\n1\n", "line 4: unknown name titel (did you mean title?)");
    said("# id: b\npersons\n1\n", "line 4: # id is there twice");
    assert!(Census::parse("").unwrap_err().to_string().contains("there is no table"));
    let undated = Census::parse("# id: a\n# title: b\npersons\n1\n").unwrap_err().to_string();
    assert!(undated.starts_with("line 3: the line `# date: …` is missing"), "{undated}");
    let never = Census::parse("# id: a\n# title: b\n# date: 2024-02-30\npersons\n1\n").unwrap_err().to_string();
    assert!(never.starts_with("line 3: a date is a day that exists"), "{never}");
}

#[test]
fn the_table_of_the_day_is_taken() {
    let table = |id: &str, date: &str, tenants: &str| {
        let tenants = if tenants.is_empty() { String::new() } else { format!("# tenants: {tenants}\n") };
        Census::parse(&format!("# id: {id}\n# title: t\n# date: {date}\n{tenants}persons\n1\n")).unwrap()
    };
    let tables = [table("a", "2020-01-01", ""), table("b", "2024-01-01", "north, south")];
    assert!(check_all(&tables).is_ok());
    let tables = tables.map(Arc::new);
    let picked = |tenant: &str, day: &str| {
        let day = day.parse().unwrap();
        pick(&tables, &TenantId(tenant.into()), day).map(|census| census.about().id.clone())
    };
    assert_eq!(picked("north", "2026-01-01").as_deref(), Some("b"));
    assert_eq!(picked("north", "2023-01-01").as_deref(), Some("a"));
    assert_eq!(picked("west", "2026-01-01").as_deref(), Some("a"));
    assert_eq!(picked("west", "2019-01-01").as_deref(), Some("a"), "better an older day's than none");
    assert!(check_all(&[table("a", "2020-01-01", ""), table("a", "2021-01-01", "")]).is_err());
    assert!(check_all(&[table("a", "2020-01-01", "x"), table("b", "2020-01-01", "")]).is_err());
    assert!(check_all(&[table("a", "2020-01-01", "x"), table("b", "2020-01-01", "y")]).is_ok());
}
