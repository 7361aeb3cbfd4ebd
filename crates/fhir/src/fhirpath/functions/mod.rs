//! The functions, by group.

mod collections;
mod conversion;
mod existence;
mod fhir;
mod html;
mod math;
mod text;
mod utility;

pub(super) use collections::Collection;
pub(super) use conversion::is_decimal;
pub(super) use existence::Existence;
pub(super) use fhir::Fhir;
pub(super) use text::Text;
pub(super) use utility::Utility;

use super::Error;
use super::ast::Call;
use super::eval::{Evaluator, Frame, Items};

/// A function as the parser knows it.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) operation: Operation,
    pub(super) arguments_min: usize,
    pub(super) arguments_max: usize,
    /// The argument is the name of a type, not an expression.
    pub(super) takes_type: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Existence(Existence),
    Collection(Collection),
    Conversion(conversion::Conversion),
    Text(Text),
    Math(math::Math),
    Utility(Utility),
    Fhir(Fhir),
}

const fn function(name: &'static str, operation: Operation, arguments_min: usize, arguments_max: usize) -> Function {
    Function { name, operation, arguments_min, arguments_max, takes_type: false }
}

const fn type_function(name: &'static str, operation: Operation, arguments_min: usize) -> Function {
    Function { name, operation, arguments_min, arguments_max: 1, takes_type: true }
}

/// No bound on the number of arguments.
const MANY: usize = usize::MAX;

impl Function {
    pub(super) fn by_name(name: &str) -> Option<&'static Function> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }
}

static FUNCTIONS: &[Function] = {
    use Operation::{Collection as C, Conversion as V, Existence as E, Fhir as F, Math as M, Text as T, Utility as U};
    use conversion::Conversion;
    use math::Math;
    &[
        function("empty", E(Existence::Empty), 0, 0),
        function("exists", E(Existence::Exists), 0, 1),
        function("all", E(Existence::All), 1, 1),
        function("allTrue", E(Existence::AllTrue), 0, 0),
        function("anyTrue", E(Existence::AnyTrue), 0, 0),
        function("allFalse", E(Existence::AllFalse), 0, 0),
        function("anyFalse", E(Existence::AnyFalse), 0, 0),
        function("subsetOf", E(Existence::SubsetOf), 1, 1),
        function("supersetOf", E(Existence::SupersetOf), 1, 1),
        function("count", E(Existence::Count), 0, 0),
        function("isDistinct", E(Existence::IsDistinct), 0, 0),
        function("not", E(Existence::Not), 0, 0),
        type_function("is", E(Existence::Is), 1),
        function("where", C(Collection::Where), 1, 1),
        function("select", C(Collection::Select), 1, 1),
        function("repeat", C(Collection::Repeat), 1, 1),
        function("aggregate", C(Collection::Aggregate), 1, 2),
        function("sort", C(Collection::Sort), 0, MANY),
        function("distinct", C(Collection::Distinct), 0, 0),
        function("single", C(Collection::Single), 0, 0),
        function("first", C(Collection::First), 0, 0),
        function("last", C(Collection::Last), 0, 0),
        function("tail", C(Collection::Tail), 0, 0),
        function("skip", C(Collection::Skip), 1, 1),
        function("take", C(Collection::Take), 1, 1),
        function("intersect", C(Collection::Intersect), 1, 1),
        function("exclude", C(Collection::Exclude), 1, 1),
        function("union", C(Collection::Union), 1, 1),
        function("combine", C(Collection::Combine), 1, 1),
        function("coalesce", C(Collection::Coalesce), 1, MANY),
        function("children", C(Collection::Children), 0, 0),
        function("descendants", C(Collection::Descendants), 0, 0),
        type_function("as", C(Collection::As), 1),
        type_function("ofType", C(Collection::OfType), 1),
        function("iif", V(Conversion::Iif), 2, 3),
        function("toBoolean", V(Conversion::ToBoolean), 0, 0),
        function("toInteger", V(Conversion::ToInteger), 0, 0),
        function("toDecimal", V(Conversion::ToDecimal), 0, 0),
        function("toString", V(Conversion::ToString), 0, 0),
        function("toDate", V(Conversion::ToDate), 0, 0),
        function("toDateTime", V(Conversion::ToDateTime), 0, 0),
        function("toTime", V(Conversion::ToTime), 0, 0),
        function("toQuantity", V(Conversion::ToQuantity), 0, 1),
        function("convertsToBoolean", V(Conversion::ConvertsToBoolean), 0, 0),
        function("convertsToInteger", V(Conversion::ConvertsToInteger), 0, 0),
        function("convertsToDecimal", V(Conversion::ConvertsToDecimal), 0, 0),
        function("convertsToString", V(Conversion::ConvertsToString), 0, 0),
        function("convertsToDate", V(Conversion::ConvertsToDate), 0, 0),
        function("convertsToDateTime", V(Conversion::ConvertsToDateTime), 0, 0),
        function("convertsToTime", V(Conversion::ConvertsToTime), 0, 0),
        function("convertsToQuantity", V(Conversion::ConvertsToQuantity), 0, 1),
        function("indexOf", T(Text::IndexOf), 1, 1),
        function("lastIndexOf", T(Text::LastIndexOf), 1, 1),
        function("substring", T(Text::Substring), 1, 2),
        function("startsWith", T(Text::StartsWith), 1, 1),
        function("endsWith", T(Text::EndsWith), 1, 1),
        function("contains", T(Text::Contains), 1, 1),
        function("upper", T(Text::Upper), 0, 0),
        function("lower", T(Text::Lower), 0, 0),
        function("replace", T(Text::Replace), 2, 2),
        function("matches", T(Text::Matches), 1, 1),
        function("matchesFull", T(Text::MatchesFull), 1, 1),
        function("replaceMatches", T(Text::ReplaceMatches), 2, 2),
        function("length", T(Text::Length), 0, 0),
        function("toChars", T(Text::ToChars), 0, 0),
        function("split", T(Text::Split), 1, 1),
        function("join", T(Text::Join), 0, 1),
        function("encode", T(Text::Encode), 1, 1),
        function("decode", T(Text::Decode), 1, 1),
        function("escape", T(Text::Escape), 1, 1),
        function("unescape", T(Text::Unescape), 1, 1),
        function("trim", T(Text::Trim), 0, 0),
        function("abs", M(Math::Abs), 0, 0),
        function("ceiling", M(Math::Ceiling), 0, 0),
        function("exp", M(Math::Exp), 0, 0),
        function("floor", M(Math::Floor), 0, 0),
        function("ln", M(Math::Ln), 0, 0),
        function("log", M(Math::Log), 1, 1),
        function("power", M(Math::Power), 1, 1),
        function("round", M(Math::Round), 0, 1),
        function("sqrt", M(Math::Sqrt), 0, 0),
        function("truncate", M(Math::Truncate), 0, 0),
        function("sum", M(Math::Sum), 0, 0),
        function("min", M(Math::Min), 0, 0),
        function("max", M(Math::Max), 0, 0),
        function("avg", M(Math::Average), 0, 0),
        function("trace", U(Utility::Trace), 1, 2),
        function("now", U(Utility::Now), 0, 0),
        function("today", U(Utility::Today), 0, 0),
        function("timeOfDay", U(Utility::TimeOfDay), 0, 0),
        function("lowBoundary", U(Utility::LowBoundary), 0, 1),
        function("highBoundary", U(Utility::HighBoundary), 0, 1),
        function("precision", U(Utility::Precision), 0, 0),
        function("comparable", U(Utility::Comparable), 1, 1),
        function("type", U(Utility::Type), 0, 0),
        function("extension", F(Fhir::Extension), 1, 1),
        function("hasValue", F(Fhir::HasValue), 0, 0),
        function("getValue", F(Fhir::GetValue), 0, 0),
        function("resolve", F(Fhir::Resolve), 0, 0),
        function("memberOf", F(Fhir::MemberOf), 1, 1),
        function("conformsTo", F(Fhir::ConformsTo), 1, 1),
        function("htmlChecks", F(Fhir::HtmlChecks), 0, 0),
        function("checkModifiers", F(Fhir::CheckModifiers), 0, MANY),
        function("getResourceKey", F(Fhir::GetResourceKey), 0, 0),
        type_function("getReferenceKey", F(Fhir::GetReferenceKey), 0),
    ]
};

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn call(&self, call: &Call, input: Items<'a>, frame: &Frame<'_, 'a>) -> Result<Items<'a>, Error> {
        self.spend(1 + input.len() as u64)?;
        match call.function.operation {
            Operation::Existence(function) => self.existence(function, call, input, frame),
            Operation::Collection(function) => self.collection(function, call, input, frame),
            Operation::Conversion(function) => self.conversion(function, call, input, frame),
            Operation::Text(function) => self.string(function, call, input, frame),
            Operation::Math(function) => self.math(function, call, input, frame),
            Operation::Utility(function) => self.utility(function, call, input, frame),
            Operation::Fhir(function) => self.fhir(function, call, input, frame),
        }
    }
}
