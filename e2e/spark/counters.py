"""Counts an export of the vaccine tracker with Spark, from its rows, and compares with the counts that weir keeps.

python3 e2e/spark/counters.py DIR      (DIR is what `weir tracker export --to DIR` made; Spark may be a cluster: spark-submit)

Prints the coverage of each programme and the busiest days, and fails when a single cell differs. weir changes its counts with each
commit and never counts rows for them, so that the two agree only when both are right.
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

# All values are text: codes have leading zeros, and what is not known is null.
COLUMNS = {
    "persons": "person region sex birth_month",
    "standings": "person programme status marks first_on full_on boosted_on region sex birth_month",
    "doses": "person dose cvx vaccine clinic lot given_on reported_on region day",
}
EVENT = "no LONG, at STRING, topic STRING, type STRING, person STRING"
PROGRAMMES = "programmes ARRAY<STRUCT<programme: STRING, status: STRING>>"


def table(spark, directory, name, layout, schema=None):
    schema = schema or ", ".join(f"{column} STRING" for column in COLUMNS[name].split())
    path = Path(directory) / name
    # A table without rows has no files.
    return spark.read.format(layout).schema(schema).load(str(path)) if path.exists() else spark.createDataFrame([], schema)


def all_events(spark, directory, layout):
    """In Parquet an event has a few columns, and all of it as JSON."""
    if layout == "json":
        return table(spark, directory, "events", layout, f"{EVENT}, {PROGRAMMES}, day STRING")
    rows = table(spark, directory, "events", layout, f"{EVENT}, event STRING, day STRING")
    of = F.from_json("event", f"no LONG, type STRING, {PROGRAMMES}")
    rows = rows.withColumn("of", of)
    # The columns must say what the JSON says.
    assert rows.where("NOT (no <=> of.no AND type <=> of.type)").count() == 0
    return rows.withColumn("programmes", F.col("of.programmes")).drop("event", "of")


def counted(frame, columns):
    """Rows by the values of some columns; what is not known is empty, as in weir's counts."""
    known = [F.coalesce(F.col(column), F.lit("")).alias(column) for column in columns]
    return {tuple(row)[:-1]: row[-1] for row in frame.select(known).groupBy(columns).count().collect()}


def milestones(standings):
    """The day on which somebody reached a status: programme, milestone, day, region."""
    days = [
        standings.select("programme", F.lit(name).alias("milestone"), F.col(f"{name}_on").alias("day"), "region")
        for name in ("first", "full", "boosted")
    ]
    return days[0].union(days[1]).union(days[2]).where("day IS NOT NULL")


def compare(name, ours, theirs):
    different = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    for key in different[:5]:
        print(f"DIFFERS {name} {key}: {ours.get(key, 0)} rows, weir says {theirs.get(key, 0)}")
    print(f"{name}: {len(theirs)} cells, {sum(theirs.values())} counted, {len(different)} differ")
    return not different


def people(persons, standings):
    """Programme x status x region x sex. Who has no row in a programme is not vaccinated in it."""
    groups = standings.where("status != 'not'").groupBy("programme", "status", "region", "sex").count()
    programmes = standings.select("programme").distinct()
    everybody = persons.groupBy("region", "sex").count().crossJoin(programmes)
    some = groups.groupBy("programme", "region", "sex").agg(F.sum("count").alias("some"))
    same = (
        everybody.programme.eqNullSafe(some.programme)
        & everybody.region.eqNullSafe(some.region)
        & everybody.sex.eqNullSafe(some.sex)
    )
    rest = everybody.join(some, same, "left").select(
        everybody.programme,
        F.lit("not").alias("status"),
        everybody.region,
        everybody.sex,
        (F.col("count") - F.coalesce(F.col("some"), F.lit(0))).alias("count"),
    )
    return groups.union(rest.where("count > 0"))


def people_of_weir(counts):
    """The same from weir's counts: its tables of persons and of standings."""
    everybody, found = {}, {}
    for (region, sex, _), n in counts["vaccines-persons"].items():
        everybody[region, sex] = everybody.get((region, sex), 0) + n
    programmes = {key[0] for key in counts["vaccines-standing"]}
    for (programme, status, _, region, sex, _), n in counts["vaccines-standing"].items():
        if status != "not":
            key = (programme, status, region, sex)
            found[key] = found.get(key, 0) + n
    for programme in programmes:
        for (region, sex), n in everybody.items():
            rest = n - sum(found.get((programme, status, region, sex), 0) for status in ("partial", "full"))
            if rest:
                found[programme, "not", region, sex] = rest
    return found


def by_events(events, persons):
    """Everybody's status as the stream alone tells it: the last word about each person and programme."""
    last = Window.partitionBy("person", "programme").orderBy(F.desc("no"))
    told = events.where("type = 'status-changed'").select("no", "person", F.explode("programmes").alias("of"))
    told = told.select("no", "person", "of.programme", "of.status")
    told = told.withColumn("rank", F.row_number().over(last)).where("rank = 1 AND status != 'not'")
    return told.join(persons.select("person"), "person", "left_semi")


def main(directory):
    manifest = json.loads((Path(directory) / "_manifest.json").read_text())
    kept = json.loads((Path(directory) / "_counters.json").read_text())["tables"]
    counts = {table["table"]: {tuple(values): n for values, n in table["cells"]} for table in kept}
    spark = SparkSession.builder.appName("weir-counters").getOrCreate()
    spark.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    spark.conf.set("spark.sql.shuffle.partitions", "4")
    layout = "parquet" if manifest["format"] == "parquet" else "json"
    persons, standings, doses = (table(spark, directory, name, layout).cache() for name in COLUMNS)
    events = all_events(spark, directory, layout).cache()

    stands = standings.where("status != 'not' OR marks != ''")
    of_people = people(persons, standings)
    of_doses = doses.groupBy("cvx", "day", "clinic").count()
    agree = [
        compare("persons", counted(persons, ["region", "sex", "birth_month"]), counts["vaccines-persons"]),
        compare(
            "standings",
            counted(stands, ["programme", "status", "marks", "region", "sex", "birth_month"]),
            counts["vaccines-standing"],
        ),
        compare(
            "milestones",
            counted(milestones(standings), ["programme", "milestone", "day", "region"]),
            counts["vaccines-milestone"],
        ),
        compare("doses", counted(doses, ["cvx", "clinic", "lot", "day", "region"]), counts["vaccines-dose"]),
        compare("reported", counted(doses, ["reported_on", "given_on"]), counts["vaccines-reported"]),
    ]
    key = lambda row: tuple(value or "" for value in tuple(row)[:-1])
    agree.append(
        compare(
            "people by programme, status, region and sex",
            {key(row): row[-1] for row in of_people.collect()},
            people_of_weir(counts),
        )
    )
    weirs = {}
    for (vaccine, clinic, _, day, _), n in counts["vaccines-dose"].items():
        weirs[vaccine, day, clinic] = weirs.get((vaccine, day, clinic), 0) + n
    agree.append(compare("doses by vaccine, day and clinic", {key(row): row[-1] for row in of_doses.collect()}, weirs))
    for name, frame in (("persons", persons), ("standings", standings), ("doses", doses), ("events", events)):
        agree.append(frame.count() == manifest["rows"].get(name, 0))
    numbers = events.agg(F.countDistinct("no"), F.max("no")).first()
    agree.append(numbers[0] == manifest["rows"].get("events", 0) and (numbers[1] or 0) <= manifest["last_event"])
    if manifest["since_event"] == 0:
        ours = counted(by_events(events, persons), ["person", "programme", "status"])
        theirs = counted(standings.where("status != 'not'"), ["person", "programme", "status"])
        agree.append(compare("statuses told by the events", ours, theirs))

    of_people.groupBy("programme").pivot("status", ["not", "partial", "full"]).agg(F.sum("count")).na.fill(0).orderBy(
        F.desc("full")
    ).show(5, truncate=False)
    of_doses.orderBy(F.desc("count"), "day", "cvx", "clinic").show(5, truncate=False)
    spark.stop()
    if not all(agree):
        sys.exit("FAILED Spark and weir do not agree")
    print(f"Spark and weir agree on {layout}, as of {manifest['as_of']} and event {manifest['last_event']}")


if __name__ == "__main__":
    main(sys.argv[1])
