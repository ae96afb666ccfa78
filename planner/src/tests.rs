//! What a plan promises: refusals with hints, order, merging, losing steps.

use crate::{Plan, PlanBuilder, PlanErrorKind, Step, StepKind, differences, merge};
use ansatz_core::ids::StepId;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// profile -> features -> models -> ensemble -> verify -> package -> report, one model step per name.
fn pipeline(models: &[&str]) -> Plan {
    let mut builder = PlanBuilder::new()
        .step(Step::new("profile", StepKind::Profile).mandatory())
        .step(Step::new("features", StepKind::Features).after("profile").param("recipe", "plain").share(0.1));
    for model in models {
        builder = builder.step(
            Step::new(*model, StepKind::Model)
                .after("features")
                .param("solution", *model)
                .share(0.8 / models.len() as f64)
                .why(format!("{model} fits")),
        );
    }
    builder
        .step(Step::new("ensemble", StepKind::Ensemble).after_all(models.iter().copied()))
        .step(Step::new("verify", StepKind::Verify).after("ensemble").share(0.1).mandatory())
        .step(Step::new("package", StepKind::Package).after("verify").mandatory())
        .step(Step::new("report", StepKind::Report).after("package"))
        .build()
        .unwrap()
}

fn refused(steps: Vec<Step>, expected: &Expect) {
    let error = Plan::new(steps).unwrap_err();
    expected.assert_eq(&format!("error: {error}\nhint: {}\n", error.hint()));
}

fn refused_text(json: &str, expected: &Expect) {
    let error = Plan::from_json(json).unwrap_err();
    expected.assert_eq(&format!("error: {error}\nhint: {}\n", error.hint()));
}

fn base() -> Vec<Step> {
    vec![
        Step::new("profile", StepKind::Profile),
        Step::new("features", StepKind::Features).after("profile"),
        Step::new("model", StepKind::Model).after("features").share(0.9),
    ]
}

fn with(step: Step) -> Vec<Step> {
    let mut steps = base();
    steps.push(step);
    steps
}

fn ids(steps: &[&Step]) -> Vec<String> {
    steps.iter().map(|step| step.id.0.clone()).collect()
}

fn set(ids: &[&str]) -> BTreeSet<StepId> {
    ids.iter().copied().map(StepId::new).collect()
}

#[test]
fn a_cycle_is_named() {
    let mut steps = base();
    steps[1].inputs.push(StepId::new("model"));
    refused(
        steps,
        &expect![[r#"
            error: plan refused at step `features`: steps wait for each other: features -> model -> features
            hint: remove one of these inputs
        "#]],
    );
}

#[test]
fn a_step_that_waits_for_itself_is_a_cycle() {
    let error = Plan::new(with(Step::new("tune", StepKind::Tune).after("tune"))).unwrap_err();
    assert_eq!(error.kind, PlanErrorKind::Cycle(vec![StepId::new("tune")]));
}

#[test]
fn a_missing_input_is_named_with_the_nearest() {
    refused(
        with(Step::new("tune", StepKind::Tune).after("modle")),
        &expect![[r#"
            error: plan refused at step `tune`: input `modle` is not a step of the plan
            hint: did you mean `model`? Otherwise take `modle` out of the inputs
        "#]],
    );
    refused(
        with(Step::new("tune", StepKind::Tune).after("xyzzyxyzzy")),
        &expect![[r#"
            error: plan refused at step `tune`: input `xyzzyxyzzy` is not a step of the plan
            hint: take `xyzzyxyzzy` out of the inputs
        "#]],
    );
}

#[test]
fn ids_and_inputs_come_once() {
    refused(
        with(Step::new("model", StepKind::Model).after("features")),
        &expect![[r#"
            error: plan refused at step `model`: another step has the same id
            hint: give one of them another id and adapt the inputs that mean it
        "#]],
    );
    refused(
        with(Step::new("tune", StepKind::Tune).after("model").after("model")),
        &expect![[r#"
            error: plan refused at step `tune`: input `model` is named twice
            hint: name each input once
        "#]],
    );
}

#[test]
fn shares_are_parts_of_one_budget() {
    refused(
        with(Step::new("tune", StepKind::Tune).after("model").share(0.2)),
        &expect![[r#"
            error: plan refused: budget shares add up to 1.1, which is not above 0 and at most 1
            hint: shares are parts of one budget: each from 0 to 1, together above 0 and at most 1
        "#]],
    );
    refused(
        with(Step::new("tune", StepKind::Tune).after("model").share(f64::NAN)),
        &expect![[r#"
            error: plan refused at step `tune`: budget share NaN is not a number from 0 to 1
            hint: shares are parts of one budget: each from 0 to 1, together above 0 and at most 1
        "#]],
    );
    let nothing: Vec<Step> = base().into_iter().map(|step| step.share(0.0)).collect();
    assert_eq!(Plan::new(nothing).unwrap_err().kind, PlanErrorKind::ShareSum(0.0));
}

#[test]
fn kinds_need_what_they_work_on() {
    refused(
        with(Step::new("second", StepKind::Model).after("profile")),
        &expect![[r#"
            error: plan refused at step `second`: this model step needs an input of kind features
            hint: add such a step to its inputs, or remove the model step
        "#]],
    );
    refused(
        with(Step::new("ensemble", StepKind::Ensemble).after("features")),
        &expect![[r#"
            error: plan refused at step `ensemble`: this ensemble step needs an input of kind model or tune
            hint: add such a step to its inputs, or remove the ensemble step
        "#]],
    );
    refused(
        with(Step::new("package", StepKind::Package).after("model")),
        &expect![[r#"
            error: plan refused at step `package`: this package step needs an input of kind verify
            hint: add such a step to its inputs, or remove the package step
        "#]],
    );
}

#[test]
fn nothing_that_chooses_follows_the_one_look() {
    let mut steps = with(Step::new("verify", StepKind::Verify).after("model"));
    steps.push(Step::new("ensemble", StepKind::Ensemble).after("model").after("verify"));
    refused(
        steps,
        &expect![[r#"
            error: plan refused at step `ensemble`: this ensemble step cannot follow the verify step `verify`
            hint: verify is the one look at the sealed rows: nothing that chooses may follow it
        "#]],
    );
}

#[test]
fn there_is_one_package() {
    let mut steps = with(Step::new("verify", StepKind::Verify).after("model"));
    steps.push(Step::new("package", StepKind::Package).after("verify"));
    steps.push(Step::new("bundle", StepKind::Package).after("verify"));
    refused(
        steps,
        &expect![[r#"
            error: plan refused at step `bundle`: there is a second package step, after `package`
            hint: keep one package step and give it the inputs of both
        "#]],
    );
}

#[test]
fn unreadable_files_say_where() {
    refused_text(
        r#"{"version": 1, "steps": [{"id": "m", "kind": "modle"}]}"#,
        &expect![[r#"
            error: plan refused at step `m`: kind `modle` is unknown
            hint: did you mean `model`? Kinds are profile, features, model, tune, ensemble, verify, package or report
        "#]],
    );
    refused_text(
        r#"{"version": 1, "steps": [{"id": "m", "kind": "model", "shre": 1}]}"#,
        &expect![[r#"
            error: plan refused: not a plan file: unknown field `shre`, expected one of `id`, `kind`, `inputs`, `ask`, `share`, `params`, `why`, `mandatory` at line 1 column 60
            hint: compare it with the plan.json that a run writes
        "#]],
    );
    refused_text(
        r#"{"version": 2, "steps": []}"#,
        &expect![[r#"
            error: plan refused: plan version 2 is not 1
            hint: make the plan anew with this version of the program
        "#]],
    );
    refused_text(
        r#"{"version": 1, "steps": []}"#,
        &expect![[r#"
            error: plan refused: the plan has no steps
            hint: a plan needs at least profile, features and model
        "#]],
    );
}

#[test]
fn a_plan_survives_its_file() {
    let plan = pipeline(&["a", "b"]);
    let json = plan.to_json();
    assert_eq!(Plan::from_json(&json).unwrap(), plan);
    assert_eq!(Plan::from_json(&json).unwrap().to_json(), json);
    expect![[r#"
        {
          "version": 1,
          "steps": [
            {
              "id": "profile",
              "kind": "profile",
              "inputs": [],
              "ask": {
                "cpus": 1,
                "gpus": 0,
                "memory_bytes": 0
              },
              "share": 1.0,
              "params": {},
              "why": "",
              "mandatory": false
            }
          ]
        }
    "#]]
    .assert_eq(&Plan::new(vec![Step::new("profile", StepKind::Profile).share(1.0)]).unwrap().to_json());
}

#[test]
fn steps_come_after_their_inputs_and_stay_in_place_otherwise() {
    let mut steps = pipeline(&["a", "b"]).steps().to_vec();
    let right = steps.clone();
    assert_eq!(Plan::new(steps.clone()).unwrap().steps(), right);
    steps.reverse();
    let order = Plan::new(steps).unwrap().order();
    let expected = ["profile", "features", "b", "a", "ensemble", "verify", "package", "report"];
    assert_eq!(order, expected.map(StepId::new));
}

#[test]
fn ready_is_what_waits_for_nothing() {
    let plan = pipeline(&["a", "b"]);
    assert_eq!(ids(&plan.ready(&set(&[]))), ["profile"]);
    assert_eq!(ids(&plan.ready(&set(&["profile", "features"]))), ["a", "b"]);
    assert_eq!(ids(&plan.ready(&set(&["profile", "features", "a"]))), ["b"]);
    assert_eq!(ids(&plan.dependents(&StepId::new("features"))), ["a", "b"]);
}

#[test]
fn a_lost_model_leaves_a_smaller_ensemble() {
    let plan = pipeline(&["a", "b"]).without(&StepId::new("a")).unwrap();
    assert_eq!(
        plan.order(),
        ["profile", "features", "b", "ensemble", "verify", "package", "report"].map(StepId::new)
    );
    assert_eq!(plan.step(&StepId::new("ensemble")).unwrap().inputs, [StepId::new("b")]);
    assert!((plan.share_sum() - 1.0).abs() < 1e-12);
}

#[test]
fn what_cannot_run_goes_too() {
    let whole = pipeline(&["a"]);
    let error = whole.without(&StepId::new("profile")).unwrap_err();
    assert_eq!(error.kind, PlanErrorKind::NothingLeft);
    assert_eq!(whole.without(&StepId::new("z")).unwrap_err().kind, PlanErrorKind::UnknownStep);
    // Without its ensemble there is nothing to verify, package or report; profile, features and the model remain.
    let rest = whole.without(&StepId::new("ensemble")).unwrap();
    assert_eq!(rest.order(), ["profile", "features", "a"].map(StepId::new));
}

#[test]
fn a_model_does_not_run_on_half_of_its_features() {
    let steps = vec![
        Step::new("profile", StepKind::Profile),
        Step::new("f", StepKind::Features).after("profile").param("recipe", 1),
        Step::new("g", StepKind::Features).after("profile").param("recipe", 2),
        Step::new("both", StepKind::Model).after("f").after("g").share(0.5),
        Step::new("one", StepKind::Model).after("f").share(0.5),
    ];
    let plan = Plan::new(steps).unwrap().without(&StepId::new("g")).unwrap();
    assert_eq!(plan.order(), ["profile", "f", "one"].map(StepId::new));
}

/// The plan's file with the objects of some steps taken out and everything else as it was.
fn edited(plan: &Plan, removed: &[&str]) -> String {
    let mut json: serde_json::Value = serde_json::from_str(&plan.to_json()).unwrap();
    let steps = json["steps"].as_array_mut().unwrap();
    steps.retain(|step| !removed.contains(&step["id"].as_str().unwrap()));
    json.to_string()
}

#[test]
fn a_step_taken_out_of_the_file_is_out_of_the_plan() {
    let plan = pipeline(&["a", "b"]);
    let (same, notices) = Plan::from_edited_json(&plan.to_json()).unwrap();
    assert_eq!((same, notices), (plan.clone(), vec![]));

    let (rest, notices) = Plan::from_edited_json(&edited(&plan, &["a"])).unwrap();
    assert_eq!(rest.order(), plan.without(&StepId::new("a")).unwrap().order());
    assert_eq!(notices, ["step `ensemble` goes on without `a`, which is not in the plan"]);

    let (rest, notices) = Plan::from_edited_json(&edited(&plan, &["ensemble"])).unwrap();
    assert_eq!(rest.order(), ["profile", "features", "a", "b"].map(StepId::new));
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert_eq!(notices[0], "step `verify` is left out because it needs `ensemble`, which is not in the plan");

    let error = Plan::from_edited_json(&edited(&plan, &["profile"])).unwrap_err();
    assert_eq!(error.kind, PlanErrorKind::NothingLeft);
}

#[test]
fn merged_plans_share_equal_steps() {
    let merged = merge(&[pipeline(&["a", "b"]), pipeline(&["b", "c"])]).unwrap();
    expect![[r#"
        digraph plan {
          rankdir=LR;
          node [shape=box];
          "profile" [label="profile\nprofile", style=bold];
          "features" [label="features\nfeatures\n10 %"];
          "a" [label="a\nmodel\n20 %"];
          "b" [label="b\nmodel\n40 %"];
          "c" [label="c\nmodel\n20 %"];
          "ensemble" [label="ensemble\nensemble"];
          "verify" [label="verify\nverify\n10 %", style=bold];
          "package" [label="package\npackage", style=bold];
          "report" [label="report\nreport"];
          "profile" -> "features";
          "features" -> "a";
          "features" -> "b";
          "features" -> "c";
          "a" -> "ensemble";
          "b" -> "ensemble";
          "c" -> "ensemble";
          "ensemble" -> "verify";
          "verify" -> "package";
          "package" -> "report";
        }
    "#]]
    .assert_eq(&merged.to_dot());
}

#[test]
fn one_name_for_two_contents_becomes_two_names() {
    let plan = |recipe: u32| {
        let mut steps = base();
        steps[1] = steps[1].clone().param("recipe", recipe);
        Plan::new(steps).unwrap()
    };
    let merged = merge(&[plan(1), plan(2), plan(3)]).unwrap();
    let expected = ["profile", "features", "model", "features-2", "model-2", "features-3", "model-3"];
    assert_eq!(merged.order(), expected.map(StepId::new));
    assert_eq!(merged.step(&StepId::new("model-3")).unwrap().inputs, [StepId::new("features-3")]);
}

#[test]
fn crossed_ensembles_do_not_close_a_cycle() {
    let plan = |first: &str, second: &str| {
        let mut steps = base();
        steps.push(Step::new("e", StepKind::Ensemble).after("model").param("how", first));
        steps.push(Step::new("f", StepKind::Ensemble).after("e").param("how", second));
        Plan::new(steps).unwrap()
    };
    assert_eq!(merge(&[plan("stack", "blend"), plan("blend", "stack")]).unwrap().steps().len(), 7);
}

#[test]
fn two_packages_that_disagree_are_refused() {
    let plan = |refit: bool| {
        let mut steps = with(Step::new("verify", StepKind::Verify).after("model"));
        steps.push(Step::new("package", StepKind::Package).after("verify").param("refit", refit));
        Plan::new(steps).unwrap()
    };
    let error = merge(&[plan(true), plan(false)]).unwrap_err();
    assert_eq!(
        error.kind,
        PlanErrorKind::ConflictingParameter { kind: StepKind::Package, parameter: "refit".into() }
    );
}

#[test]
fn differences_count_causes_not_consequences() {
    let check = |a: &[&str], b: &[&str], expected| {
        assert_eq!(differences(&pipeline(a), &pipeline(b)), expected, "{a:?} {b:?}");
        assert_eq!(differences(&pipeline(b), &pipeline(a)), expected, "{b:?} {a:?}");
    };
    check(&["a", "b"], &["b", "a"], 0);
    check(&["a", "b"], &["a", "c"], 1);
    check(&["a"], &["a", "b", "c"], 2);
    check(&["a", "b"], &["c", "d"], 2);
    let mut steps = pipeline(&["a", "b"]).steps().to_vec();
    steps[1] = steps[1].clone().param("recipe", "dates");
    assert_eq!(differences(&pipeline(&["a", "b"]), &Plan::new(steps).unwrap()), 1);
}

#[test]
fn other_wiring_is_a_difference() {
    let plan = |features: &str| {
        let mut steps = base();
        steps[1] = steps[1].clone().param("recipe", 1);
        steps.push(Step::new("dates", StepKind::Features).after("profile").param("recipe", 2));
        steps.push(Step::new("m", StepKind::Model).after(features).param("solution", "m"));
        Plan::new(steps).unwrap()
    };
    assert_eq!(differences(&plan("features"), &plan("dates")), 1);
}

/// Plans of up to 14 steps with random kinds, parameters and inputs that keep the rules.
fn plans() -> impl Strategy<Value = Plan> {
    proptest::collection::vec((0..8usize, 0..3u8, any::<u64>(), 0..3u8), 0..14).prop_map(|choices| {
        let mut steps = vec![Step::new("s0", StepKind::Profile).share(0.01)];
        for (number, (kind, variant, picks, share)) in choices.into_iter().enumerate() {
            let kind = StepKind::ALL[kind];
            let step = Step::new(format!("s{}", number + 1), kind)
                .param("variant", if kind.is_single() { 0 } else { variant })
                .share(f64::from(share) / 50.0);
            let step = steps.iter().enumerate().fold(step, |step, (at, input)| {
                let pick = picks >> (at % 64) & 1 == 1;
                if pick && kind.may_follow(input.kind) { step.after(input.id.as_str()) } else { step }
            });
            steps.push(step);
            if Plan::validate(&steps).is_err() {
                steps.pop();
            }
        }
        Plan::new(steps).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_merge_is_a_plan(plans in proptest::collection::vec(plans(), 1..5)) {
        let merged = merge(&plans).unwrap();
        prop_assert!(Plan::validate(merged.steps()).is_ok());
        let place: BTreeMap<_, _> = merged.steps().iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
        for step in merged.steps() {
            for input in &step.inputs {
                prop_assert!(place[input] < place[&step.id]);
            }
        }
        let total = plans.iter().map(Plan::share_sum).sum::<f64>() / plans.len() as f64;
        prop_assert!((merged.share_sum() - total).abs() < 1e-9);
        prop_assert!(merged.steps().len() <= plans.iter().map(|plan| plan.steps().len()).sum());
    }

    #[test]
    fn merging_again_changes_nothing(plan in plans()) {
        let once = merge(std::slice::from_ref(&plan)).unwrap();
        let twice = merge(&[once.clone(), once.clone()]).unwrap();
        prop_assert_eq!(&once.order(), &twice.order());
        prop_assert_eq!(differences(&once, &twice), 0);
    }

    #[test]
    fn any_plan_survives_its_file(plan in plans()) {
        prop_assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
    }

    #[test]
    fn running_what_is_ready_runs_everything_once(plan in plans()) {
        let mut finished = BTreeSet::new();
        while let Some(step) = plan.ready(&finished).first() {
            prop_assert!(finished.insert(step.id.clone()));
        }
        prop_assert_eq!(finished.len(), plan.steps().len());
    }

    #[test]
    fn losing_any_step_leaves_a_plan_or_nothing(plan in plans(), at in any::<prop::sample::Index>()) {
        let lost = &plan.steps()[at.index(plan.steps().len())].id;
        match plan.without(lost) {
            Ok(rest) => {
                prop_assert!(Plan::validate(rest.steps()).is_ok());
                prop_assert!(rest.step(lost).is_none());
                prop_assert!((rest.share_sum() - plan.share_sum()).abs() < 1e-9);
                let (read, _) = Plan::from_edited_json(&edited(&plan, &[lost.as_str()])).unwrap();
                prop_assert_eq!(read.order(), rest.order());
            }
            Err(error) => prop_assert_eq!(error.kind, PlanErrorKind::NothingLeft),
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = Plan::from_json(&text);
    }
}
