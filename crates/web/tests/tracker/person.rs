//! One person: found, shown, and parted.

use crate::support::{ADA, BOB, Who};
use crate::world::{HOSTILE, World};

#[tokio::test]
async fn a_person_is_shown_with_doses_and_what_they_count_for() {
    let world = World::new().await;
    let id = world.patient(HOSTILE).await;
    world.dose(&id, "208", "2021-04-01").await;
    world.dose(&id, "208", "2021-04-22").await;
    world.dose(&id, "03", "1985-08-01").await;
    let page = world.get(&format!("/tracker/person?id={id}")).await.is(200);
    page.shows("<h1>&lt;script&gt;alert(1)&lt;/script&gt; O'Brien &amp; &lt;b&gt;Sons&lt;/b&gt;</h1>");
    page.hides("<script>alert").hides("<b>Sons");
    page.shows("1 Jul 1985").shows("Fully vaccinated").shows("22 Apr 2021");
    page.shows("given below the minimum age").shows("not valid: must be given again");
    page.shows("<title id=\"timeline-title\">").shows("1 Aug 1985 does not count");
    page.shows("What is next").shows("Recommended").shows("The first record").hides("Take it out");
    let person = world.stand.person(&id);
    world.get(&format!("/tracker/person?id={person}")).await.is(200).shows(&person.to_string());
}

#[tokio::test]
async fn looking_is_noted() {
    let world = World::new().await;
    let id = world.patient(ADA).await;
    let before = world.audited("read").await;
    world.get(&format!("/tracker/person?id={id}")).await.is(200);
    assert!(world.audited("read").await > before);
}

#[tokio::test]
async fn who_is_not_there_is_not_found() {
    let world = World::new().await;
    for id in ["nobody", "00000000-0000-4000-8000-000000000000", "%3Cb%3E"] {
        let page = world.get(&format!("/tracker/person?id={id}")).await.is(404);
        page.shows("no person or Patient with this id").hides("<b>");
    }
    world.get("/tracker/person?name=Ada").await.is(400).shows("unknown parameter name");
}

#[tokio::test]
async fn a_person_is_found_by_id_or_by_name_and_birth_date() {
    let world = World::new().await;
    let ada = world.patient(ADA).await;
    let person = world.stand.person(&ada).to_string();
    let page = world.get("/tracker/person").await.is(200);
    page.shows("method=\"post\" action=\"/tracker/person/find\"");
    let find = async |fields: &[(&str, &str)]| world.submit(&page, "/tracker/person/find", fields).await;
    let to = format!("/tracker/person?id={person}");
    let by_name = [("family", "lovelock"), ("given", "Adel"), ("birth", "1975-12-10")];
    for fields in [&[("id", ada.as_str())][..], &[("id", person.as_str())], &by_name] {
        assert_eq!(find(fields).await.is(303).header("location"), to);
    }
    find(&[("id", "<b>")]).await.is(400).shows("no person or Patient has this id").hides("<b>");
    let thin = find(&[("family", "Lovelock")]).await.is(400);
    thin.shows("<title>Error: ").shows("give the birth date").shows("value=\"Lovelock\"").shows("href=\"#birth\"");
    find(&[("family", "Nobody"), ("birth", "1975-12-10")]).await.is(400).shows("nobody with this name");
    // Commas are no list here.
    find(&[("family", "Lovelock,Quimby"), ("birth", "1975-12-10")]).await.is(400).shows("nobody with this name");
    world.patient(Who { given: "Bertha", phone: "212-555-0100", ..ADA }).await;
    let several = find(&[("family", "Lovelock"), ("birth", "1975-12-10")]).await.is(200);
    several.shows("2 people fit").shows("Bertha Lovelock").shows(&to);
}

#[tokio::test]
async fn a_record_is_taken_out_with_a_reason() {
    let world = World::new().await;
    let one = world.patient(ADA).await;
    let other = world.patient(Who { family: "Lovelok", ..ADA }).await;
    let person = world.stand.person(&one);
    assert_eq!(person, world.stand.person(&other));
    let path = format!("/tracker/person?id={person}");
    let page = world.get(&path).await.is(200);
    page.shows("Found by matching").shows("Also written");
    let id = person.to_string();
    let unmerge = async |fields: &[(&str, &str)]| world.submit(&page, "/tracker/person/unmerge", fields).await;
    let kept = unmerge(&[("person", &id), ("why", "sisters")]).await.is(400);
    kept.shows("choose the record that is of somebody else").shows("value=\"sisters\"").shows("<title>Error: ");
    let kept = unmerge(&[("person", &id), ("record", &other)]).await.is(400);
    kept.shows("say why").shows("href=\"#why\"").shows("checked");
    let all = unmerge(&[("person", &id), ("record", &one), ("record", &other), ("why", "x")]).await.is(400);
    all.shows("at least one record must stay");
    unmerge(&[("person", &id), ("record", "nobody"), ("why", "x")])
        .await
        .is(400)
        .shows("does not belong to the person");
    unmerge(&[("person", "x"), ("record", &other), ("why", "x")]).await.is(400).shows("the form is not complete");
    assert_eq!(world.stand.person(&other), person);
    let done = unmerge(&[("person", &id), ("record", &other), ("why", "sisters")]).await.is(303);
    assert_ne!(world.stand.person(&other), person);
    let after = world.get(done.header("location")).await.is(200);
    after.shows("The record is now of").shows(&world.stand.person(&other).to_string());
    world.stand.audit().await;
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing() {
    let world = World::new().await;
    let one = world.patient(ADA).await;
    let other = world.patient(Who { family: "Lovelok", ..ADA }).await;
    world.patient(BOB).await;
    let page = world.get("/tracker/person").await.is(200);
    let person = world.stand.person(&one);
    let fields = format!("person={person}&record={other}&why=x&one={one}&other={other}&decision=different&id={one}");
    let good = format!("token={}&{fields}", page.field("token"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (headers, body) in [
        (vec![form, ("sec-fetch-site", "cross-site")], good.as_str()),
        (vec![form, ("origin", "https://evil.example")], good.as_str()),
        (vec![form, ("sec-fetch-site", "same-origin")], &format!("token=00&{fields}")),
        (vec![form, ("sec-fetch-site", "same-origin")], fields.as_str()),
    ] {
        for path in ["/tracker/person/find", "/tracker/person/unmerge", "/tracker/review/decide"] {
            world.ask("POST", path, &headers, body).await.is(403);
        }
    }
    assert_eq!(world.stand.person(&one), world.stand.person(&other));
    world.get("/tracker/person/unmerge").await.is(405);
}
