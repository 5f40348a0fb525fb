//! What CloudFormation refuses of a template's parameters: their own bounds, and the template's Rules.

use regex_lite::Regex;

use super::intrinsics::Resolver;
use super::node::Node;
use super::reader::Reader;

/// Says what of the parameters is refused.
pub(super) fn check(resolver: &Resolver, reader: &mut Reader) {
    for (name, declared) in resolver.template.get("Parameters").map(Node::entries).unwrap_or_default() {
        check_parameter(name, declared, resolver, reader);
    }
    for (name, rule) in resolver.template.get("Rules").map(Node::entries).unwrap_or_default() {
        check_rule(name, rule, resolver, reader);
    }
}

fn check_parameter(name: &str, declared: &Node, resolver: &Resolver, reader: &mut Reader) {
    let text = |field: &str| declared.get(field).and_then(Node::text);
    let kind = text("Type").unwrap_or_default();
    // What is stored elsewhere is not known here.
    if kind.starts_with("AWS::SSM::") {
        return;
    }
    let given = resolver.given.get(name).copied();
    let Some(value) = given.or(text("Default")) else { return };
    let line = declared.get("Default").filter(|_| given.is_none()).map_or(declared.line, |node| node.line);
    // Bounds of a list are those of each of its elements.
    let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    let values = match is_list {
        true => value.split(',').map(str::trim).filter(|_| !value.trim().is_empty()).collect(),
        false => vec![value],
    };
    let is_number = matches!(kind, "Number" | "List<Number>");
    for value in values {
        match refusal(declared, value, is_number, is_list) {
            Ok(None) => {}
            Ok(Some(write)) => {
                return reader.mistake(line, format_args!("the parameter {name}: '{value}' is refused: write {write}"));
            }
            Err(pattern) => {
                let what = "AllowedPattern is not covered, and its value not held to it";
                return reader.warn(declared.line, format_args!("the parameter {name}: {what}: {pattern}"));
            }
        }
    }
}

/// What to write instead of a value that its parameter refuses.
///
/// # Errors
/// The pattern, where it needs what only Java's expressions have.
fn refusal<'a>(declared: &'a Node, value: &str, is_number: bool, is_list: bool) -> Result<Option<String>, &'a str> {
    let text = |field: &str| declared.get(field).and_then(Node::text);
    let allowed: Vec<&str> =
        declared.get("AllowedValues").map(Node::elements).unwrap_or_default().iter().filter_map(Node::text).collect();
    if !allowed.is_empty() && !allowed.contains(&value) {
        return Ok(Some(format!("one of {}", allowed.join(", "))));
    }
    let number = |field: &str| text(field).and_then(|text| text.parse::<f64>().ok());
    let within = |least: Option<f64>, most: Option<f64>, value: f64| {
        least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most)
    };
    let bounds = |least: Option<f64>, most: Option<f64>| match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("{least} or more"),
        (None, Some(most)) => format!("{most} or less"),
        (None, None) => "a number".to_owned(),
    };
    if is_number {
        let least = number("MinValue");
        let most = number("MaxValue");
        return Ok((!value.parse().is_ok_and(|value| within(least, most, value))).then(|| bounds(least, most)));
    }
    let least = number("MinLength");
    let most = number("MaxLength");
    if !is_list && !within(least, most, value.chars().count() as f64) {
        return Ok(Some(format!("{} characters", bounds(least, most))));
    }
    let Some(pattern) = text("AllowedPattern") else { return Ok(None) };
    // All of the value has to match, wherever the pattern has its anchors.
    let whole = Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(|_| pattern)?;
    let why = text("ConstraintDescription").map(|why| format!(" ({why})")).unwrap_or_default();
    Ok((!whole.is_match(value)).then(|| format!("what matches {pattern}{why}")))
}

/// An assertion of a rule whose condition holds. Those that need functions of an account are not judged.
fn check_rule(name: &str, rule: &Node, resolver: &Resolver, reader: &mut Reader) {
    let holds = |condition: &Node| resolver.holds(condition, 0);
    if rule.get("RuleCondition").is_some_and(|condition| holds(condition) != Ok(true)) {
        return;
    }
    for assertion in rule.get("Assertions").map(Node::elements).unwrap_or_default() {
        if assertion.get("Assert").is_some_and(|assert| holds(assert) == Ok(false)) {
            let why = assertion.get("AssertDescription").and_then(Node::text).unwrap_or("its assertion does not hold");
            reader.mistake(assertion.line, format_args!("the rule {name} refuses these parameters: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Given, Template};
    use super::Reader;

    fn refused(parameters: &str, rules: &str, given: &[(&str, &str)]) -> Vec<String> {
        let text = format!("Parameters:\n  N: {parameters}\nRules: {rules}\nResources: {{}}\n");
        let template = Template::read("t", &text, &Given::of_parameters(given.iter().copied())).expect("a template");
        template.consumer().mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_template_says_of_its_own_parameters_is_held() {
        let number = "{Type: Number, Default: 5, MinValue: 2, MaxValue: 10}";
        assert_eq!(refused(number, "{}", &[]), [""; 0]);
        assert_eq!(
            refused(number, "{}", &[("N", "11")]),
            ["t, line 2: the parameter N: '11' is refused: write 2 to 10"]
        );
        assert_eq!(refused(number, "{}", &[("N", "x")]).len(), 1);
        let word = "{Type: String, Default: on, AllowedValues: [\"on\", \"off\"]}";
        assert_eq!(
            refused(word, "{}", &[("N", "no")]),
            ["t, line 2: the parameter N: 'no' is refused: write one of on, off"]
        );
        let long = "{Type: String, Default: \"\", MinLength: 1}";
        assert_eq!(refused(long, "{}", &[]).len(), 1);
        let name =
            "{Type: String, Default: orders, AllowedPattern: \"[a-z]*(-dead)?\", ConstraintDescription: small letters}";
        assert_eq!(refused(name, "{}", &[]), [""; 0]);
        assert_eq!(refused(name, "{}", &[("N", "orders-dead")]), [""; 0]);
        assert_eq!(
            refused(name, "{}", &[("N", "orders-2")]),
            ["t, line 2: the parameter N: 'orders-2' is refused: write what matches [a-z]*(-dead)? (small letters)"]
        );
        let list = "{Type: CommaDelimitedList, Default: \"a, b\", AllowedValues: [a, b], AllowedPattern: \"[a-z]\"}";
        assert_eq!(refused(list, "{}", &[]), [""; 0]);
        assert_eq!(refused(list, "{}", &[("N", "a,c")]).len(), 1);
        let numbers = "{Type: List<Number>, Default: \"1,2\", MaxValue: 2}";
        assert_eq!(refused(numbers, "{}", &[]), [""; 0]);
        assert_eq!(refused(numbers, "{}", &[("N", "1,3")]).len(), 1);
        let rules = "{R: {RuleCondition: !Equals [!Ref N, a], Assertions: [{Assert: !Equals [1, 2], AssertDescription: never}]}}";
        let plain = "{Type: String, Default: b}";
        assert_eq!(refused(plain, rules, &[]), [""; 0]);
        assert_eq!(refused(plain, rules, &[("N", "a")]), ["t, line 3: the rule R refuses these parameters: never"]);
    }

    /// CloudFormation's patterns are Java's: what has no counterpart is said, and nothing is refused for it.
    #[test]
    fn a_pattern_that_cannot_be_judged_is_named() {
        let text = "Parameters:\n  N: {Type: String, Default: a, AllowedPattern: \"(?!aws).*\"}\nResources: {}\n";
        let template = Template::read("t", text, &Given::default()).expect("a template");
        let mut reader = Reader::new("t");
        super::check(&template.resolver(), &mut reader);
        assert!(reader.mistakes.is_empty());
        let warned: Vec<String> = reader.warnings.iter().map(ToString::to_string).collect();
        let what = "AllowedPattern is not covered, and its value not held to it";
        assert_eq!(warned, [format!("t, line 2: the parameter N: {what}: (?!aws).*")]);
    }
}
