use sluice_plan::{Hash, Schema};
use sluice_policy::Share;
use sluice_proto::v1::{Hello, PolicyVerdict, ResourceVerdict, Verdicts};
use sluice_rollout::{Phase, Standing};

use super::*;
use crate::book::Book;
use crate::set::SetFacts;

const PLAN: Hash = Hash([7; 32]);

/// Generation 2 of a filter, which node `a` is to have in this version.
fn placed(generation: Option<i64>) -> Placed {
    let expected = generation.map(|generation| Expected {
        node: "a".to_owned(),
        plan: PLAN,
        generation: Some(generation),
        withheld: None,
    });
    Placed { uid: "u".to_owned(), generation: 2, nodes: expected.into_iter().collect(), ..Placed::default() }
}

/// Node `a`, whose agent greeted at 0.
fn book() -> Book {
    let mut book = Book::default();
    book.connected("a", &Hello { plan_schemas: Schema::numbers(), ..Hello::default() }, 0);
    book
}

fn says(book: &mut Book, stage: VerdictStage, policy: VerdictStage, generation: i64, at: i64) {
    let policy = PolicyVerdict {
        uid: "u".to_owned(),
        generation,
        stage: policy.into(),
        reason: "ForeignProgram".to_owned(),
        detail: "eth0 is another's".to_owned(),
        ..PolicyVerdict::default()
    };
    let resource = ResourceVerdict {
        key: "plan".to_owned(),
        hash: PLAN.0.to_vec(),
        stage: stage.into(),
        reason: "VerifierRefused".to_owned(),
        detail: "too long".to_owned(),
        policies: vec![policy],
        ..ResourceVerdict::default()
    };
    book.verdicts("a", &Verdicts { resources: vec![resource], ..Verdicts::default() }, at);
}

fn asked<'a>(placed: &'a Placed, book: &'a Book, now: i64) -> Asked<'a> {
    let node = book.nodes().get("a").map(AsRef::as_ref);
    Asked { placed, name: "a", node, mismatch: None, wave: None, now }
}

fn rolling(phase: Phase) -> Option<RollingFacts> {
    let standing = Standing { phase, wave: (1, 3), updated: (1, 9), words: "words".to_owned(), until: None };
    Some(RollingFacts { standing, misordered: None, max_unreachable: Share::Percent(1) })
}

#[track_caller]
fn says_why(asked: &Asked, by: By, reason: &str, parts: &[&str]) {
    let why = why(asked);
    assert_eq!((why.programmed, why.by, why.reason.as_str()), (false, by, reason), "{why:?}");
    assert!(parts.iter().all(|part| why.message.contains(part)), "{parts:?} is not all in {why:?}");
}

#[test]
fn what_was_read_back_is_in_force_since_it_was_said_first() {
    let (placed, mut book) = (placed(Some(2)), book());
    says(&mut book, VerdictStage::Programmed, VerdictStage::Programmed, 1, 100);
    says(&mut book, VerdictStage::Programmed, VerdictStage::Programmed, 2, 200);
    says(&mut book, VerdictStage::Programmed, VerdictStage::Programmed, 2, 300);
    let found = why(&asked(&placed, &book, 400));
    assert_eq!((found.programmed, found.by, found.enforced), (true, By::Agent, Some((2, 200))));
    // What vanished with many others stays in force, and it is said why.
    let held = Some((reason::MASS_DELETION.to_owned(), "9 objects vanished".to_owned()));
    let found = why(&asked(&Placed { refusal: held, ..placed }, &book, 400));
    assert!(found.programmed && found.message.ends_with("; 9 objects vanished"), "{found:?}");
}

#[test]
fn a_refused_version_is_told_before_anything_of_the_node() {
    let (placed, mut book) = (placed(Some(1)), book());
    says(&mut book, VerdictStage::Programmed, VerdictStage::Programmed, 1, 100);
    let refusal = Some(("Invalid".to_owned(), "spec.rules[0]: bad".to_owned()));
    let placed = Placed { refusal, in_force: Some(1), ..placed };
    says_why(
        &asked(&placed, &book, 400),
        By::Operator,
        "Invalid",
        &["spec.rules[0]: bad", "; generation 1 is in force there"],
    );
}

#[test]
fn a_node_that_is_not_meant_is_told_by_which_label() {
    let (placed, book) = (placed(None), book());
    let mismatch = Some("it asks for role=core, the node has role=edge".to_owned());
    let unselected = Asked { mismatch, ..asked(&placed, &book, 0) };
    says_why(&unselected, By::Operator, "NotSelected", &["the node has role=edge"]);
    says_why(&asked(&placed, &book, 0), By::Operator, "Pending", &["no plan"]);
    let set = Placed { set: Some(SetFacts::default()), ..placed.clone() };
    says_why(&asked(&set, &book, 0), By::Operator, "Unused", &["no filter"]);
}

#[test]
fn a_rollout_names_the_nodes_turn() {
    let mut book = book();
    says(&mut book, VerdictStage::Programmed, VerdictStage::Programmed, 1, 100);
    for (phase, reason) in
        [(Phase::Advancing, "RollingOut"), (Phase::Paused, "Paused"), (Phase::RolledBack(None), "RolledBack")]
    {
        let placed = Placed { rolling: rolling(phase), ..placed(Some(1)) };
        let asked = Asked { wave: Some((2, 3)), ..asked(&placed, &book, 400) };
        let parts = ["turn is in wave 2/3", "words", "; generation 1 is in force there"];
        says_why(&asked, By::Operator, reason, &parts);
    }
    // Nothing of a new one yet; and the newest, which has come to this node, is not held up by the others.
    let new = Placed { rolling: rolling(Phase::Advancing), ..placed(None) };
    says_why(&asked(&new, &book, 400), By::Operator, "RollingOut", &["wave 1/3: words"]);
    says(&mut book, VerdictStage::Programmed, VerdictStage::Programmed, 2, 300);
    let here = Placed { rolling: rolling(Phase::Advancing), ..placed(Some(2)) };
    assert!(why(&asked(&here, &book, 400)).programmed);
}

#[test]
fn silence_is_counted_and_an_agent_that_never_came_is_told_from_it() {
    let (placed, mut book) = (placed(Some(2)), book());
    book.disconnected("a", 1_000);
    says_why(&asked(&placed, &book, 91_000), By::Operator, "Unreachable", &["for 90 s"]);
    says_why(&asked(&placed, &book, 2_000), By::Operator, "Pending", &["its stream is down just now"]);
    says_why(&asked(&placed, &Book::default(), 0), By::Operator, "NoAgent", &["no agent was ever heard of"]);
}

#[test]
fn the_agents_refusals_are_its_own_and_what_is_not_sent_is_the_operators() {
    let (placed, mut book) = (placed(Some(2)), book());
    says_why(&asked(&placed, &book, 0), By::Operator, "Pending", &["has confirmed no plan yet"]);
    says(&mut book, VerdictStage::Programmed, VerdictStage::Rejected, 2, 100);
    says_why(
        &asked(&placed, &book, 400),
        By::Agent,
        "ForeignProgram",
        &["in the node's way: eth0 is another's"],
    );
    says(&mut book, VerdictStage::Rejected, VerdictStage::Rejected, 2, 100);
    says_why(&asked(&placed, &book, 400), By::Agent, "VerifierRefused", &["plan as a whole: too long"]);
    let mut withheld = placed;
    withheld.nodes[0] = Expected {
        plan: Hash([8; 32]),
        withheld: Some((reason::HOOK_REFUSED.to_owned(), "needs tcx".to_owned())),
        ..withheld.nodes[0].clone()
    };
    let fresh = self::book();
    says_why(&asked(&withheld, &fresh, 0), By::Operator, "HookRefused", &["not sent: needs tcx"]);
}
