//! `/tracker`, its lists and lots.

use crate::support::{ADA, BOB, Who};
use crate::world::{HOSTILE, World, somebody};

#[tokio::test]
async fn an_empty_house_says_what_to_do() {
    let world = World::new().await;
    let page = world.get("/tracker").await.is(200);
    page.shows("Nobody is known yet. Send Patients and Immunizations to /fhir").shows("COVID-19 primary series");
    page.shows("No dose is recorded yet").shows("Every dose counts").shows("Nothing is missing or late");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(page.header("cache-control"), "no-store");
    for asset in ["/tracker/style.css", "/tracker/script.js"] {
        page.shows(&format!("=\"{asset}\""));
        world.get(asset).await.is(200);
    }
}

#[tokio::test]
async fn numbers_are_those_of_the_registry_with_their_definition_beside_them() {
    let world = World::new().await;
    let ada = world.patient(ADA).await;
    let bob = world.patient(BOB).await;
    world.patient(HOSTILE).await;
    world.dose(&ada, "208", "2021-04-01").await;
    world.dose(&ada, "208", "2021-04-22").await;
    world.dose(&bob, "207", "2021-05-01").await;
    let page = world.get("/tracker?programme=covid-19-primary").await.is(200);
    page.shows("<dt>known living people</dt><dd>3</dd>");
    for name in ["fully vaccinated", "partly vaccinated", "not vaccinated"] {
        page.shows(&format!("<dt>{name}</dt><dd>1<span class=\"share\"> 33.3%</span></dd>"));
    }
    page.shows("<dt>doses given</dt><dd>3</dd>");
    page.shows("Definition: COVID-19 primary series. Calculator: surveillance").shows("version 2023-05");
    page.shows("Shares are of: known living persons").shows("15 Jun 2021, counted 12:00:00 UTC");
    page.shows("66.7% of known living people had at least one dose, 33.3% were fully vaccinated");
    page.shows("CVX 208: COVID-19, mRNA, LNP-S").shows("Location/north");
    page.shows("href=\"/tracker/lot?lot=L1\"").shows("dose reported more than 30 days after it was given");
    page.shows("<title id=\"curve-title\">").shows("<desc id=\"ages-desc\">18 to 49: 33.3% fully");
    world.get("/tracker?programme=Polio").await.is(200).shows("Calculator: clinical");
}

#[tokio::test]
async fn clinics_have_their_names_and_keep_them_up_to_date() {
    let world = World::new().await;
    let clinic = |name: &str| format!(r#"{{"resourceType":"Location","name":"{name}"}}"#);
    world.stand.put("Location", "north", &clinic("North & <i>Sons</i>")).await;
    let ada = world.patient(ADA).await;
    world.dose(&ada, "208", "2021-04-01").await;
    world.get("/tracker").await.is(200).shows("North &amp; &lt;i&gt;Sons&lt;/i&gt;").hides("<i>");
    world.stand.put("Location", "north", &clinic("South")).await;
    world.get("/tracker").await.is(200).shows("South").hides("North");
}

#[tokio::test]
async fn a_list_names_people_as_text_and_goes_on() {
    let world = World::new().await;
    let child = |given: &'static str| Who { given, birth: "2021-01-05", ..HOSTILE };
    world.patient(child("<script>alert(1)</script>")).await;
    let page = world.get("/tracker?programme=Polio").await.is(200);
    page.shows("href=\"/tracker/list?programme=Polio&amp;mark=overdue\"");
    let list = world.get("/tracker/list?programme=Polio&mark=overdue").await.is(200);
    list.shows("&lt;script&gt;alert(1)&lt;/script&gt; O'Brien &amp; &lt;b&gt;Sons&lt;/b&gt;").hides("<script>alert");
    list.shows("5 Jan 2021").shows("1 living people").hides("Next page");
    world.get("/tracker/list?programme=MMR&mark=immune").await.is(200).shows("Nobody is on this list");
    world.get("/tracker/list?mark=overdeu").await.is(400).shows("did you mean overdue?");
    world.get("/tracker/list?after=7").await.is(400).shows("the address of this page is damaged");
}

#[tokio::test]
async fn a_list_of_many_has_pages() {
    let world = World::new().await;
    for n in 0..60 {
        world.patient(somebody(n, 2010)).await;
    }
    let all = world.get("/tracker/list?programme=Polio&mark=overdue").await.is(200);
    let next = all.text.split("href=\"").find(|rest| rest.contains("\">Next page")).unwrap();
    let next = next.split('"').next().unwrap().replace("&amp;", "&");
    let rest = world.get(&next).await.is(200);
    rest.hides("Next page").shows("First page");
    let people = |text: &str| text.matches("href=\"/tracker/person?id=").count();
    assert_eq!((people(&all.text), people(&rest.text)), (50, 10));
}

#[tokio::test]
async fn a_lot_leads_to_those_who_got_it() {
    let world = World::new().await;
    let ada = world.patient(ADA).await;
    let bob = world.patient(BOB).await;
    world.dose(&ada, "208", "2021-04-01").await;
    let longer = crate::support::covid(&bob, "208", "2021-04-01").replace("\"L1\"", "\"L10\"");
    world.stand.create("Immunization", &longer).await;
    let lower = crate::support::covid(&bob, "208", "2021-05-01").replace("\"L1\"", "\"l1\"");
    world.stand.create("Immunization", &lower).await;
    let page = world.get("/tracker/lot?lot=L1").await.is(200);
    page.shows("Adelaide Lovelock").shows("1 Apr 2021").shows("Robert Quimby").shows("1 May 2021").shows("2 doses");
    world.get("/tracker/lot?lot=%3Cb%3E").await.is(200).shows("&lt;b&gt;").hides("<b>").shows("No dose of this lot");
    world.get("/tracker/lot").await.is(400).shows("lot: follow a lot from the numbers");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_said_on_a_page() {
    let world = World::new().await;
    world.get("/tracker?programe=Polio").await.is(400).shows("unknown parameter programe (did you mean programme?)");
    world.get("/tracker?programme=Pollio").await.is(404).shows("there is no programme Pollio (did you mean Polio?)");
    world.get("/tracker?programme=%3Cb%3E").await.is(404).shows("&lt;b&gt;").hides("<b>");
    world.get("/tracker/events?programme=none").await.is(404);
    world.ask("POST", "/tracker", &[], "").await.is(405);
}

#[tokio::test]
async fn shares_of_a_census_table_are_named_capped_and_not_invented() {
    let world = World::new().await;
    let ada = world.patient(ADA).await;
    let bob = world.patient(BOB).await;
    world.dose(&ada, "212", "2021-04-01").await;
    world.dose(&bob, "212", "2021-05-01").await;
    world.get("/tracker").await.is(200).hides("name=\"denominator\"");
    world.get("/tracker?denominator=census").await.is(404).shows("vaccines.census_files");
    world.get("/tracker?denominator=cencus").await.is(404).shows("did you mean census?");
    let table = "# id: t\n# title: Tiny <county>\n# date: 2020-04-01\nregion,persons\n021,4\n999,12\n";
    let table = registry::Census::parse(table).unwrap();
    world.stand.registry.use_censuses(vec![table]).unwrap();
    world.get("/tracker").await.is(200).shows("name=\"denominator\"").shows("known living persons");
    let page = world.get("/tracker?programme=covid-19-primary&denominator=census").await.is(200);
    page.shows("<dt>people in the census table</dt><dd>16</dd>");
    page.shows("<dt>fully vaccinated</dt><dd>2<span class=\"share\"> 12.5%</span></dd>");
    page.shows("<dt>not vaccinated</dt><dd>14<span class=\"share\"> 87.5%</span></dd>");
    page.shows("people in the census table &quot;Tiny &lt;county&gt;&quot; of 2020-04-01").hides("<county>");
    page.shows("1 known people are in no group of the census table").shows("not in the table");
    page.shows("data-events=\"/tracker/events?programme=covid-19-primary&amp;denominator=census\"");
    page.shows("/tracker/export/regions.csv?programme=covid-19-primary&amp;denominator=census");
    let file = world.get("/tracker/export/regions.csv?denominator=census").await.is(200);
    file.shows("region,census_people,not,first_percent,full_percent,persons,full,partial,counted,");
    // One person in a region of four, and a region that the table does not have: nothing of either can be told.
    file.shows("010,not in table,,,,hidden,hidden,0,").shows("021,hidden,hidden,,,hidden,hidden,0,").shows("999,");
    world.get("/tracker/events?denominator=cencus").await.is(404);
}

/// Audit records are on disk after a tenth of a second; on the way there one may be seen nowhere.
async fn noted(world: &World, wanted: usize) {
    for _ in 0..50 {
        if world.audited("network-count").await == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(world.audited("network-count").await, wanted);
}

#[tokio::test]
async fn the_network_is_for_programs_and_hides_what_is_small() {
    let world = World::new().await;
    let ada = world.patient(ADA).await;
    world.dose(&ada, "212", "2021-04-01").await;
    for n in 0..12 {
        let patient = world.patient(somebody(n, 1960)).await;
        world.dose(&patient, "212", "2021-05-03").await;
    }
    let path = "/ops/api/network?programme=covid-19-primary";
    let reply = world.get(&format!("{path}&by=region")).await.is(200);
    assert_eq!(reply.header("content-type"), "application/json");
    let json: serde_json::Value = serde_json::from_str(&reply.text).unwrap();
    assert_eq!((&json["network"]["persons"], &json["network"]["joined"]), (&13.into(), &0.into()));
    assert_eq!(json["network"]["tenants"][0]["tenant"], "default");
    assert_eq!((&json["total"]["people"]["full"], &json["suppressed"]), (&13.into(), &true.into()));
    for group in json["groups"].as_array().unwrap() {
        assert!(group["people"]["full"].is_null(), "one of a region, and the rest that would tell: {group}");
    }
    noted(&world, 1).await;
    // A new person: the count of a moment ago is still answered, and whoever asks for a new one gets it.
    world.patient(BOB).await;
    let persons = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["network"]["persons"].as_u64();
    assert_eq!(persons(&world.get(path).await.is(200).text), Some(13));
    assert_eq!(persons(&world.get(&format!("{path}&fresh=true")).await.is(200).text), Some(14));
    noted(&world, 3).await;
    world.get("/ops/api/network").await.is(400).shows("programme is missing");
    world.get(&format!("{path}&by=regoin")).await.is(400).shows("`regoin` does not go here");
    world.get(&format!("{path}&denominator=census")).await.is(400).shows("vaccines.census_files");
    world.ask("POST", path, &[], "").await.is(405).shows("OperationOutcome");
}
