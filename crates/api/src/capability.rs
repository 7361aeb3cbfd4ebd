//! The CapabilityStatement, made from the definitions.

use fhir::defs::{Definitions, ParamType, TypeId, r4};
use fhir::json::Writer;
use std::sync::OnceLock;

const SOFTWARE: &str = env!("CARGO_PKG_VERSION");
const IMMDS: &str = "http://hl7.org/fhir/us/immds/OperationDefinition/immds-forecast";
/// Changes with the statement's content; a constant because the content changes only with the build.
const DATE: &str = "2026-11-28";

pub(crate) fn statement(base: &str) -> Vec<u8> {
    static REST: OnceLock<String> = OnceLock::new();
    let rest = REST.get_or_init(rest);
    let mut json = Writer::with_capacity(rest.len() + 1_024);
    json.object().member("resourceType").string("CapabilityStatement");
    json.member("status").string("active").member("date").string(DATE).member("kind").string("instance");
    json.member("software").object().member("name").string("weir").member("version").string(SOFTWARE).end_object();
    json.member("implementation").object().member("description").string("weir FHIR R4 server");
    json.member("url").string(base).end_object();
    json.member("fhirVersion").string("4.0.1");
    json.member("format").array().string("application/fhir+json").string("json").end_array();
    json.member("patchFormat")
        .array()
        .string("application/json-patch+json")
        .string("application/fhir+json")
        .end_array();
    json.member("rest").array().raw(rest).end_array().end_object();
    json.finish()
}

/// The part that is the same under every base URL: made once, because it is large.
fn rest() -> String {
    let defs = r4();
    let mut json = Writer::with_capacity(1 << 20);
    json.object().member("mode").string("server");
    json.member("resource").array();
    for ty in defs.resources() {
        resource(&mut json, defs, ty);
    }
    json.end_array();
    json.member("interaction").array();
    for code in ["transaction", "batch", "search-system", "history-system"] {
        json.object().member("code").string(code).end_object();
    }
    json.end_array();
    json.member("operation").array().object().member("name").string("meta");
    json.member("definition").string("http://hl7.org/fhir/OperationDefinition/Resource-meta").end_object();
    json.object().member("name").string("immds-forecast");
    json.member("definition").string(IMMDS).end_object().end_array();
    json.member("compartment").array();
    for compartment in &defs.compartments {
        let name = defs.ty(compartment.owner).name.to_lowercase();
        json.string(&format!("http://hl7.org/fhir/CompartmentDefinition/{name}"));
    }
    json.end_array().end_object();
    String::from_utf8(json.finish()).expect("the writer writes UTF-8")
}

fn resource(json: &mut Writer, defs: &Definitions, ty: TypeId) {
    let name = defs.ty(ty).name;
    json.object().member("type").string(name).member("interaction").array();
    for code in
        ["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"]
    {
        json.object().member("code").string(code).end_object();
    }
    json.end_array();
    json.member("versioning").string("versioned").member("readHistory").bool(true);
    json.member("updateCreate").bool(true).member("conditionalCreate").bool(true);
    json.member("conditionalRead").string("full-support").member("conditionalUpdate").bool(true);
    json.member("conditionalDelete").string("multiple");
    let params = || defs.params_of(ty).map(|id| defs.param(id)).filter(|def| !def.expression.is_empty());
    let references: Vec<_> = params().filter(|def| def.ty == ParamType::Reference).collect();
    json.member("searchInclude").array().string("*");
    for def in &references {
        json.string(&format!("{name}:{}", def.code));
    }
    json.end_array();
    rev_includes(json, defs, ty);
    json.member("searchParam").array();
    for def in params() {
        json.object().member("name").string(def.code).member("definition").string(def.url);
        json.member("type").string(type_code(def.ty));
        if !def.documentation.is_empty() {
            json.member("documentation").string(def.documentation);
        }
        json.end_object();
    }
    json.object().member("name").string("_list").member("type").string("special").end_object();
    json.end_array();
    operations(json, name);
    json.end_object();
}

fn rev_includes(json: &mut Writer, defs: &Definitions, ty: TypeId) {
    let pointing = defs.params.iter().filter(|def| def.ty == ParamType::Reference && def.targets.contains(&ty));
    let mut names = pointing.map(|def| format!("{}:{}", defs.ty(def.resource).name, def.code)).peekable();
    if names.peek().is_none() {
        return;
    }
    json.member("searchRevInclude").array();
    for name in names {
        json.string(&name);
    }
    json.end_array();
}

fn operations(json: &mut Writer, name: &str) {
    let mut all: Vec<(&str, String)> = ["validate", "meta", "meta-add", "meta-delete"]
        .map(|operation| (operation, format!("Resource-{operation}")))
        .into();
    if matches!(name, "Patient" | "Encounter") {
        all.push(("everything", format!("{name}-everything")));
    }
    json.member("operation").array();
    if name == "Patient" {
        json.object().member("name").string("match");
        json.member("definition").string("http://hl7.org/fhir/OperationDefinition/Patient-match").end_object();
    }
    for (operation, definition) in all {
        json.object().member("name").string(operation);
        json.member("definition").string(&format!("http://hl7.org/fhir/OperationDefinition/{definition}")).end_object();
    }
    json.end_array();
}

fn type_code(ty: ParamType) -> &'static str {
    match ty {
        ParamType::Number => "number",
        ParamType::Date => "date",
        ParamType::String => "string",
        ParamType::Token => "token",
        ParamType::Reference => "reference",
        ParamType::Composite => "composite",
        ParamType::Quantity => "quantity",
        ParamType::Uri => "uri",
        ParamType::Special => "special",
    }
}
