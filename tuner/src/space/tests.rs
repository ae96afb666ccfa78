//! Spaces: what is read, what is refused and how, what is repaired.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const TREE: &str = r#"
[[parameter]]
name = "rate"
type = "float"
low = 1e-5
high = 1
log = true
default = 0.01

[[parameter]]
name = "keep"
type = "float"
low = 0.001
high = 0.999
logit = true

[[parameter]]
name = "width"
type = "int"
low = 16
high = 1024
log = true

[[parameter]]
name = "batch"
type = "int"
low = 8
high = 64
step = 8

[[parameter]]
name = "share"
type = "float"
low = 0.1
high = 0.9
step = 0.2

[[parameter]]
name = "depth"
type = "ordinal"
values = [1, 2, 4, 8]

[[parameter]]
name = "warm"
type = "bool"

[[parameter]]
name = "model"
type = "categorical"

[[parameter.choice]]
value = "svm"
[[parameter.choice.parameter]]
name = "kernel"
type = "categorical"
values = ["rbf", "poly"]
[[parameter.choice.parameter]]
name = "degree"
type = "int"
low = 2
high = 5
when = { kernel = "poly" }

[[parameter.choice]]
value = "forest"
[[parameter.choice.parameter]]
name = "trees"
type = "int"
low = 10
high = 500
when = { warm = [true] }

[[parameter.choice]]
value = "none"

[[constraint]]
rule = "width >= 2 * batch"
because = "memory"
"#;

fn tree() -> Space {
    Space::from_toml(TREE).unwrap()
}

fn refused(text: &str, expected: &Expect) {
    let error = Space::from_toml(text).unwrap_err();
    expected.assert_eq(&format!("{error}\nhint: {}", error.hint().unwrap_or_default()));
}

fn refused_parameter(fields: &str, expected: &Expect) {
    refused(&format!("[[parameter]]\nname = \"x\"\n{fields}"), expected);
}

#[test]
fn contradictory_bounds_are_refused() {
    let fields = "type = \"float\"\nlow = 2\nhigh = 1";
    refused_parameter(
        fields,
        &expect![[r"
        parameter `x`: `low` = 2 is above `high` = 1
        hint: swap them"]],
    );
}

#[test]
fn the_logarithm_of_zero_is_refused() {
    refused_parameter(
        "type = \"int\"\nlow = 0\nhigh = 9\nlog = true",
        &expect![[r"
        parameter `x`: `low` = 0 has no logarithm
        hint: raise `low` above zero (for whole numbers: to 1), or drop `log`"]],
    );
}

#[test]
fn empty_choices_are_refused() {
    refused_parameter(
        "type = \"categorical\"\nvalues = []",
        &expect![[r#"
        parameter `x`: there is no value to choose from
        hint: list at least one: values = ["a", "b"]"#]],
    );
}

#[test]
fn missing_and_superfluous_fields_are_named() {
    refused_parameter(
        "type = \"float\"\nlow = 0",
        &expect![[r"
        parameter `x`: `high` is missing
        hint: numbers need `low` and `high`"]],
    );
    refused_parameter(
        "type = \"bool\"\nlow = 0",
        &expect![[r"
        parameter `x`: a parameter of type `bool` has no `low`
        hint: drop one of them"]],
    );
    refused_parameter(
        "type = \"real\"",
        &expect![[r"
        parameter `x`: there is no type `real`
        hint: use float, int, bool, categorical or ordinal"]],
    );
}

#[test]
fn odd_numbers_are_refused() {
    for fields in [
        "type = \"float\"\nlow = 0\nhigh = inf",
        "type = \"float\"\nlow = nan\nhigh = 1",
        "type = \"int\"\nlow = 0.5\nhigh = 2",
        "type = \"int\"\nlow = 0\nhigh = 1e19",
        "type = \"float\"\nlow = 0\nhigh = 1\nstep = 0",
        "type = \"float\"\nlow = 0\nhigh = 1\nstep = 2",
        "type = \"float\"\nlow = 0\nhigh = 1\nlogit = true",
        "type = \"float\"\nlow = 0.1\nhigh = 1\nlog = true\nstep = 0.1",
        "type = \"ordinal\"\nvalues = [1, 1.0]",
        "type = \"ordinal\"\nvalues = [[1]]",
        "type = \"ordinal\"\nvalues = [1, 0]\nlog = true",
        "type = \"int\"\nlow = 1\nhigh = 2\ndefault = 3",
    ] {
        let text = format!("[[parameter]]\nname = \"x\"\n{fields}");
        let error = Space::from_toml(&text).unwrap_err();
        assert!(error.hint().is_some(), "{fields}: {error}");
        assert_eq!(error.parameter.as_deref(), Some("x"), "{fields}: {error}");
    }
}

#[test]
fn conditions_on_what_is_not_there_are_refused() {
    let other = "[[parameter]]\nname = \"kernel\"\ntype = \"categorical\"\nvalues = [\"a\"]\n";
    let child = |when: &str| format!("{other}[[parameter]]\nname = \"y\"\ntype = \"bool\"\nwhen = {when}\n");
    refused(
        &child("{ kernal = \"a\" }"),
        &expect![[r"
        parameter `y`: `when` names `kernal`, which is not a parameter
        hint: did you mean `kernel`?"]],
    );
    refused(
        &child("{ kernel = \"b\" }"),
        &expect![[r#"
        parameter `y`: `when` expects `kernel` = "b", which it can never be
        hint: use one of that parameter's own values"#]],
    );
    refused(
        &child("{ y = true }"),
        &expect![[r"
        parameter `y`: its conditions lead back to itself
        hint: a parameter may depend only on those that do not depend on it"]],
    );
}

#[test]
fn rules_are_checked() {
    let with = |rule: &str| format!("[[parameter]]\nname='a'\ntype='bool'\n[[constraint]]\nrule='{rule}'\n");
    refused(
        &with("a <= b"),
        &expect![[r"
        the rule `a <= b` names `b`, which is not a parameter
        hint: did you mean `a`?"]],
    );
    refused(
        &with("a + 1"),
        &expect![[r#"
        the rule `a + 1` cannot be read: a comparison (<, <=, ==, !=, >=, >) is missing
        hint: a rule compares sums and products of parameters, e.g. "2 * a + b <= 100""#]],
    );
    assert!(Space::from_toml(&with(&format!("{}a{} > 0", "(".repeat(99), ")".repeat(99)))).is_err());
}

#[test]
fn rules_over_texts_are_refused_and_those_over_listed_numbers_hold() {
    let listed = |kind: &str, values: &str| {
        format!(
            "[[parameter]]\nname='a'\ntype='int'\nlow=1\nhigh=9\n\
             [[parameter]]\nname='b'\ntype='{kind}'\nvalues={values}\n[[constraint]]\nrule='a < b + 1'\n"
        )
    };
    for kind in ["categorical", "ordinal"] {
        refused(
            &listed(kind, "[4, 'all']"),
            &expect![[r#"
            the rule `a < b + 1` compares `b`, whose value "all" is a text and no number
            hint: list numbers in place of the texts, or bind parameters to its values by `when`"#]],
        );
        let space = Space::from_toml(&listed(kind, "[4, 8.5]")).unwrap();
        let holds =
            |a: i64| space.point(&Params::from([("a".into(), json!(a)), ("b".into(), json!(4))])).is_ok();
        assert!(holds(4) && !holds(5), "{kind}");
    }
}

#[test]
fn a_space_may_say_how_large_the_training_is() {
    let with = |scale: &str| format!("{scale}\n[[parameter]]\nname='lr'\ntype='float'\nlow=0\nhigh=1\n");
    let space = Space::from_toml(&with("[scale]\nparameters = 1e9\ntokens = 20_000_000\n")).unwrap();
    let scale = space.scale().unwrap();
    assert_eq!((scale.parameters, scale.tokens, scale.batch), (Some(1e9), Some(2e7), None));
    let again = Space::from_json(&space.to_json().to_string()).unwrap();
    assert_eq!(again, space);
    let bare = Space::from_toml(&with("")).unwrap();
    assert_eq!(bare.scale(), None);
    assert_eq!(bare.fingerprint(), space.fingerprint(), "lessons are those of the same parameters");
    refused(
        &with("[scale]\ntokens = -1"),
        &expect![[r"
        `[scale]`: `tokens` = -1 is not a number above zero
        hint: leave out what is not known"]],
    );
    let error = Space::from_toml(&with("[scale]\ntoken = 1")).unwrap_err();
    assert!(error.to_string().contains("line 2") && error.to_string().contains("token"), "{error}");
}

#[test]
fn it_is_known_whether_anything_keeps_the_rules() {
    let grid = |rule: &str| Builder::new().int("a", 1, 128).int("b", 1, 128).rule(rule).build().unwrap();
    assert_eq!(grid("a <= b").is_satisfiable(), Some(true));
    assert_eq!(grid("a * b == 64").is_satisfiable(), Some(true));
    // A prime number beyond both ranges.
    assert_eq!(grid("a * b == 131").is_satisfiable(), Some(false));
    let real = |start: f64| {
        let space = Builder::new().float("x", 0.0, 1.0).default_value(start).float("y", 0.0, 1.0);
        space.default_value(start).rule("x + y <= 1e-9").build().unwrap()
    };
    assert_eq!(real(0.0).is_satisfiable(), Some(true));
    assert_eq!(real(0.5).is_satisfiable(), None);
}

#[test]
fn text_that_is_no_space_names_the_line() {
    let error = Space::from_toml("[[parameter]]\nname = \"x\"\ntyp = \"float\"\n").unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
    assert!(Space::from_toml("").is_err());
}

#[test]
fn a_choice_opens_its_own_parameters() {
    let space = tree();
    let base =
        json!({"rate": 0.1, "keep": 0.5, "width": 64, "batch": 16, "share": 0.3, "depth": 4, "warm": true});
    let with = |more: serde_json::Value| {
        let mut params: Params = serde_json::from_value(base.clone()).unwrap();
        params.extend(serde_json::from_value::<Params>(more).unwrap());
        space.point(&params).map(|point| space.params(&point) == params).map_err(|error| error.to_string())
    };
    assert_eq!(with(json!({"model": "none"})), Ok(true));
    assert_eq!(with(json!({"model": "svm", "kernel": "rbf"})), Ok(true));
    assert_eq!(with(json!({"model": "svm", "kernel": "poly", "degree": 3})), Ok(true));
    assert_eq!(with(json!({"model": "forest", "trees": 100})), Ok(true));
    assert!(
        with(json!({"model": "svm", "kernel": "rbf", "degree": 3})).unwrap_err().contains("does not count")
    );
    assert!(with(json!({"model": "forest"})).unwrap_err().contains("`trees` is missing"));
    assert!(with(json!({"model": "none", "width": 16})).unwrap_err().contains("(memory)"));
    assert!(with(json!({"model": "none", "widht": 16})).unwrap_err().contains("did you mean `width`"));
}

#[test]
fn what_is_nearly_right_is_repaired_and_said() {
    let space = tree();
    let given: Params = serde_json::from_value(json!({
        "rate": 7, "keep": "0.5", "width": 99.6, "batch": 17, "share": 0.34, "depth": 5, "warm": "yes",
        "model": "SVM", "kernel": "rbf", "degree": 3, "colour": "red",
    }))
    .unwrap();
    let repaired = space.repair(&given).unwrap();
    let changes: Vec<String> = repaired.changes.iter().map(ToString::to_string).collect();
    expect![[r#"
        `rate` = 7 became 1.0
        `keep` = "0.5" became 0.5
        `width` = 99.6 became 100
        `batch` = 17 became 16
        `share` = 0.34 became 0.3
        `depth` = 5 became 4
        `warm` = "yes" became true
        `model` = "SVM" became "svm"
        `colour` was dropped: it does not count here
        `degree` was dropped: it does not count here"#]]
    .assert_eq(&changes.join("\n"));
    assert_eq!(space.point(&repaired.params).unwrap(), repaired.point);
}

#[test]
fn what_cannot_be_repaired_is_refused_with_every_reason() {
    let space = tree();
    let given: Params =
        serde_json::from_value(json!({"rate": "fast", "model": "tree", "width": null})).unwrap();
    let error = space.repair(&given).unwrap_err();
    expect![[r#"
        `rate` = "fast" is not a number from 1e-5 to 1.0
        `width` = null is not a whole number from 16 to 1024
        `model` = "tree" is not one of "svm", "forest", "none""#]]
    .assert_eq(&error.reasons.join("\n"));
}

#[test]
fn the_json_form_reads_back_as_the_same_space() {
    let space = tree();
    let again = Space::from_json(&space.to_json().to_string()).unwrap();
    assert_eq!(space, again);
    assert_eq!(space.fingerprint(), again.fingerprint());
    let described: Space = serde_json::from_str(&serde_json::to_string(&space).unwrap()).unwrap();
    assert_eq!(space, described);
    let mut other = space.parameters().to_vec();
    other[0].domain = Domain::Bool;
    other[0].default = None;
    let changed = Space::new(other, Vec::new()).unwrap();
    assert_ne!(space.fingerprint(), changed.fingerprint());
}

#[test]
fn a_schema_says_what_counts_when() {
    let schema = tree().json_schema();
    assert_eq!(schema["properties"]["width"]["maximum"], 1024);
    assert_eq!(schema["properties"]["batch"]["multipleOf"], 8);
    assert_eq!(schema["properties"]["model"]["enum"], json!(["svm", "forest", "none"]));
    assert_eq!(schema["required"].as_array().unwrap().len(), 8);
    let degree = &schema["allOf"][1];
    assert_eq!(degree["if"]["properties"]["kernel"]["enum"], json!(["poly"]));
    assert_eq!(degree["then"]["required"], json!(["degree"]));
}

#[test]
fn a_solutions_declaration_becomes_a_space() {
    let declared: ansatz_core::candidate::Space = serde_json::from_value(json!({
        "rate": {"type": "float", "low": 0.001, "high": 1.0, "log": true, "default": 0.1},
        "leaves": {"type": "int", "low": 2, "high": 64, "default": 31},
        "kind": {"type": "categorical", "values": ["a", "b"], "default": "b"},
    }))
    .unwrap();
    let space = Space::from_solution(&declared).unwrap();
    let start = space.params(&space.start_point());
    assert_eq!(start["leaves"], json!(31));
    assert_eq!(start["kind"], json!("b"));
    assert!((start["rate"].as_f64().unwrap() - 0.1).abs() < 1e-12);
}

#[test]
fn spaces_are_built_out_of_spaces() {
    let block = Builder::new().int("units", 1, 4).bool("norm").build().unwrap();
    let space = Builder::new().repeat("layers", 0, 2, &block).optional("head", block).build().unwrap();
    let names: Vec<&str> = space.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "layers",
            "layers.1.units",
            "layers.1.norm",
            "layers.2.units",
            "layers.2.norm",
            "head",
            "head.units",
            "head.norm"
        ]
    );
    // (1 + 8 + 8·8) · (1 + 8)
    assert_eq!(space.enumerate(1_000).unwrap().len(), 73 * 9);
    assert_eq!(space.size(1_000), Some(657));
    assert_eq!(space.size(656), None);
}

#[test]
fn cells_of_ordered_levels_cover_the_unit_without_gaps() {
    for domain in [
        Domain::Int { low: 1, high: 9, scale: Scale::Log, step: 2 },
        Domain::Int { low: -3, high: 3, scale: Scale::Linear, step: 1 },
        Domain::Float { low: 0.0, high: 1.0, scale: Scale::Linear, step: Some(0.25) },
        Domain::Ordinal { values: vec![json!("s"), json!("m"), json!("l")], scale: Scale::Linear },
        Domain::Ordinal { values: vec![json!(1000), json!(100), json!(1)], scale: Scale::Log },
    ] {
        let axis = Axis::of(&domain).unwrap();
        let mut end = 0.0;
        for level in 0..axis.levels() {
            let (from, to) = axis.cell(level);
            assert!((from - end).abs() < 1e-12 && to > from, "{domain:?} level {level}");
            let place = axis.place(level as f64);
            assert!(from < place && place < to, "{domain:?} level {level}");
            assert_eq!(axis.coordinate_at(place), level as f64, "{domain:?}");
            assert_eq!(axis.coordinate_of(&axis.value(level as f64)), Some(level as f64), "{domain:?}");
            end = to;
        }
        assert!((end - 1.0).abs() < 1e-12, "{domain:?}");
    }
}

#[test]
fn a_fixed_number_is_one_value() {
    let space = Builder::new().float("x", 2.5, 2.5).build().unwrap();
    assert_eq!(space.size(10), Some(1));
    assert_eq!(space.params(&space.start_point())["x"], json!(2.5));
}

proptest! {
    #[test]
    fn random_points_fit_and_read_back(seed: u64) {
        let space = tree();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let point = space.random(&mut rng).unwrap();
        let params = space.params(&point);
        let again = space.point(&params).unwrap();
        prop_assert_eq!(space.params(&again), params.clone());
        for (place, parameter) in space.parameters().iter().enumerate() {
            prop_assert_eq!(point.get(place).is_some(), params.contains_key(&parameter.name));
        }
        prop_assert!(space.repair(&params).unwrap().changes.is_empty());
    }

    #[test]
    fn repair_never_gives_what_does_not_fit(values in prop::collection::vec(prop_oneof![
        any::<f64>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        "[a-z0-9.]{0,4}".prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
    ], 11)) {
        let space = tree();
        let names = space.parameters().iter().map(|parameter| parameter.name.clone());
        let given: Params = names.zip(values).collect();
        if let Ok(repaired) = space.repair(&given) {
            prop_assert!(space.point(&repaired.params).is_ok());
        }
    }

    #[test]
    fn rules_never_panic(text in "[a-c0-9+*/()<>=! .e-]{0,30}") {
        let _ = Rule::new(&text, None);
    }
}
